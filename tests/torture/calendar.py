"""The calendar against the oracle of `tests/daemon/cron_walk.py`, around every change of a clock from 1973 to 2045.

A case is one cron line in one zone over 26 hours: what is due, how much, and what comes next. Fifty batches go once
through all zones; further ones go on with other lines.
"""

import random
import zoneinfo

from tests.daemon.cron_walk import Walk, changes, some_line, utc, zone
from tests.daemon.test_calendar_oracle import LINES_AT_NIGHT, compare
from tests.torture.part import Batch, Part, Tally

BATCHES = 50
HOUR, DAY = 3600, 86400
# Until 1972 Monrovia was 44 min 30 s behind; the oracle walks from whole minute to whole minute.
_FIRST, _LAST = utc(1973), utc(2045)
_AT_NIGHT = 0.3  # the share of lines that are due where clocks are usually changed


def _carry_out(batch: Batch) -> Tally:
    names = sorted(zoneinfo.available_timezones())
    share = -(-len(names) // BATCHES)
    first = batch.number * share
    mine = [names[at % len(names)] for at in range(first, first + share)]
    rng = random.Random(batch.draws)
    tally = Tally(cases=0, counts={"zones": 0, "changes of a clock": 0})
    for place, name in enumerate(mine):
        wanted = (batch.count - tally.cases) // (len(mine) - place)
        _go_through(name, wanted, rng, tally)
    return tally


def _go_through(name: str, wanted: int, rng: random.Random, tally: Tally) -> None:
    """Spread so many cases over all changes of a zone, or over any days where it has none."""
    place = zone(name)
    found = changes(place, _FIRST, _LAST)
    moments = found or [rng.randrange(_FIRST, _LAST) for _ in range(20)]
    rng.shuffle(moments)
    tally.counts["zones"] += 1
    tally.counts["changes of a clock"] += len(found)
    for number, moment in enumerate(moments):
        lines = [_line(rng) for _ in range(wanted * (number + 1) // len(moments) - wanted * number // len(moments))]
        low = moment - rng.randrange(20 * HOUR)
        try:
            compare(Walk(place, low, low + 26 * HOUR), lines)
        except Exception as error:  # whatever it raises is what is looked for
            tally.violations.append(f"{name} around {moment}: {type(error).__name__}: {str(error)[:300]}")
        tally.cases += len(lines)


def _line(rng: random.Random) -> str:
    return rng.choice(LINES_AT_NIGHT) if rng.random() < _AT_NIGHT else some_line(rng)


PART = Part(
    name="calendar",
    unit="cron lines around changes of a clock",
    promise="A cron line is due exactly when cron itself would start it, whatever a zone's clock does.",
    goal=1_000_000,
    batch=1_000_000 // BATCHES,
    lane="reasoning",
    carry_out=_carry_out,
)
