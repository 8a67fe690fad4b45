"""What cron does, found by walking from minute to minute: the oracle for the calendar.

Written from crontab(5), cron(8) and the rule for clock changes, with zoneinfo and nothing of ours. Each minute of real
time is a tick. A tick answers for the wall time it shows; where times are fixed, also for every wall minute skipped
since the last tick, and for nothing while the wall clock shows what it has shown before. A jump of more than three
hours is a correction: then the wall time shown is all that counts.
"""

import datetime as dt
from collections.abc import Sequence
from functools import lru_cache
from zoneinfo import ZoneInfo

EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 -- a wall time
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
BOUNDS = [(0, 59, []), (0, 23, []), (1, 31, []), (1, 12, MONTHS), (0, 7, DAYS)]
LONGEST_SHIFT = 180  # minutes
WARM_UP = 4 * 60  # minutes after which nothing of what came before is still being repeated


def values(text, low, high, names):
    """Write out a field: every value that its ranges and strides reach."""

    def number(word):
        return names.index(word.lower()) + low if word.lower() in names else int(word)

    found = set()
    for entry in text.split(","):
        body, _, stride = entry.partition("/")
        first, _, last = body.partition("-")
        ends = (low, high) if body == "*" else (number(first), number(last or first))
        found |= set(range(ends[0], ends[1] + 1)[:: int(stride or 1)])
    return found


class CronLine:
    """A five-field line, written out into plain sets."""

    def __init__(self, text):
        fields = text.split()
        written_out = [values(field, *bounds) for field, bounds in zip(fields, BOUNDS, strict=True)]
        self.minutes, self.hours, self.days, self.months, self.weekdays = written_out
        self.is_wild = fields[0][0] == "*" or fields[1][0] == "*"
        self.needs_both = fields[2][0] == "*" or fields[4][0] == "*"
        self.has_day = lru_cache(maxsize=None)(self._has_day)

    def _has_day(self, date):
        if date.month not in self.months:
            return False
        weekday = date.isoweekday()  # Monday 1 to Sunday 7
        by_weekday = weekday in self.weekdays or (weekday == 7 and 0 in self.weekdays)
        by_day = date.day in self.days
        return (by_day and by_weekday) if self.needs_both else (by_day or by_weekday)


class Walk:
    """The minutes of real time from `low` to `high` in a zone, and what each of them answers for."""

    def __init__(self, zone, low, high):
        self.zone, self.low, self.high = zone, low - low % 60, high - high % 60
        self.wild, self.fixed = [], []
        latest: int | None = None  # the latest wall minute that is dealt with: what cron calls virtual time
        for instant in range(self.low - WARM_UP * 60, self.high + 60, 60):
            wall = dt.datetime.fromtimestamp(instant, zone).replace(tzinfo=None)
            minute = (wall - EPOCH) // dt.timedelta(minutes=1)
            shift = 0 if latest is None else minute - latest - 1
            answered: Sequence[int] = [minute]
            if 0 < shift <= LONGEST_SHIFT:
                answered = range(minute - shift, minute + 1)
            elif -LONGEST_SHIFT <= shift < 0:
                answered = []
            if answered:
                latest = minute
            if instant > self.low:
                self.wild.append((instant, *_parts(minute)))
                self.fixed += [(instant, *_parts(one)) for one in answered]

    def due(self, line):
        """Return the instants later than `low` and not later than `high` at which cron starts the line."""
        ticks = self.wild if line.is_wild else self.fixed
        minutes, hours, has_day = line.minutes, line.hours, line.has_day
        found = {at for at, minute, hour, date in ticks if minute in minutes and hour in hours and has_day(date)}
        return sorted(found)


@lru_cache(maxsize=100_000)
def _parts(minute):
    wall = EPOCH + dt.timedelta(minutes=minute)
    return wall.minute, wall.hour, wall.date()


def changes(zone, low, high):
    """Find the instants in between at which the zone's offset changes, by looking every six hours."""
    found, now = [], offset(zone, low)
    for probe in range(low + 6 * 3600, high, 6 * 3600):
        then, now = now, offset(zone, probe)
        early, late = probe - 6 * 3600, probe
        while then != now and late - early > 1:
            middle = (early + late) // 2
            early, late = (middle, late) if offset(zone, middle) == then else (early, middle)
        found += [late] if then != now else []
    return found


def offset(zone, instant):
    """Return the zone's offset at an instant."""
    return dt.datetime.fromtimestamp(instant, zone).utcoffset()


def utc(year, month=1, day=1, hour=0, minute=0):
    """Return a moment of UTC as an instant."""
    return int(dt.datetime(year, month, day, hour, minute, tzinfo=dt.UTC).timestamp())


def some_line(rng):
    """Make up a cron line: mostly plain ones, now and then each thing that a field can hold."""
    fields = []
    for position, (low, high, names) in enumerate(BOUNDS):
        kind = rng.choice(["star", "star", "one", "one", "list", "range", "stride", "starstride", "mix"])
        if position >= 2 and rng.random() < 0.5:
            kind = "star"
        fields.append(_some_field(rng, kind, low, high, names))
    return " ".join(fields)


def _some_field(rng, kind, low, high, names):
    def one(value=None):
        value = rng.randint(low, high) if value is None else value
        is_named = names and value - low < len(names) and rng.random() < 0.3
        return rng.choice([str.lower, str.title])(names[value - low]) if is_named else str(value)

    def span():
        first, last = sorted((rng.randint(low, high), rng.randint(low, high)))
        return f"{one(first)}-{one(last)}"

    match kind:
        case "star":
            return "*"
        case "one":
            return one()
        case "list":
            return ",".join(one() for _ in range(rng.randint(2, 4)))
        case "range":
            return span()
        case "stride":
            return f"{span()}/{rng.randint(1, 9)}"
        case "starstride":
            return f"*/{rng.randint(1, max(2, high // 2))}"
        case _:
            return ",".join([rng.choice([one(), span(), "*/7"]) for _ in range(3)])


def zone(name):
    """Return a zone by name."""
    return ZoneInfo(name)
