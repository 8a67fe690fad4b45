"""What to do about due instants that passed while nobody watched, and the offset that spreads starts.

Owns the missed-run policy and jitter. The store makes each due instant happen once; here it is only said which.
Called by the daemon's schedules and by recovery.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal, assert_never

from daemon.calendar.bounds import Calendar

OnMissed = Literal["skip", "last", "all"]
_MICROSECONDS = 1_000_000
_HASH_BYTES = 8


@dataclass(frozen=True, slots=True)
class MissedBefore:
    """The due instants too many to be told one by one: how many, the first and the last of them."""

    count: int
    first: float
    last: float


@dataclass(frozen=True, slots=True)
class Missed:
    """Part what was missed: `before` and `passed` are not to run, `run` is; each earliest first, in this order."""

    run: tuple[float, ...] = ()
    passed: tuple[float, ...] = ()
    before: MissedBefore | None = None


@dataclass(frozen=True, slots=True)
class CatchUp:
    """Which missed instants still run: none, the last or all, of those in the window the newest `limit`.

    Precedents: Airflow catches up all or the last; Temporal has a window, a year by default; Kubernetes stops at 100.
    """

    on_missed: OnMissed = "last"
    window_seconds: float = 86_400.0
    limit: int = 100

    def may_run(self) -> int:
        """Return how many instants may run at most."""
        match self.on_missed:
            case "skip":
                return 0
            case "last":
                return min(1, self.limit)
            case "all":
                return self.limit
            case _:
                assert_never(self.on_missed)


def missed(calendar: Calendar, last: float, now: float, policy: CatchUp, rows: int = 100) -> Missed:
    """Say what to do about the instants due after `last` and until `now`: which run, which are recorded as missed.

    However long the time between, at most `policy.limit` instants run and at most `rows` others are named one by one;
    the older ones are counted. A clock that was set back (`now` before `last`) has missed nothing.
    """
    total = calendar.count(last, now)
    if not total:
        return Missed()
    limit = policy.may_run()
    known = calendar.latest(last, now, limit + rows + 1)
    run = tuple(due for due in known[-limit:] if now - due <= policy.window_seconds) if limit else ()
    rest = known[: len(known) - len(run)]
    passed = rest[max(0, len(rest) - rows) :]
    count = total - len(run) - len(passed)
    if not count:
        return Missed(run, passed)
    first = calendar.next_after(last)
    if first is None:
        raise AssertionError(f"{calendar.expression} counts {total} instants after {last!r} and finds none")
    return Missed(run, passed, MissedBefore(count, first, rest[len(rest) - len(passed) - 1]))


def jitter_seconds(name: str, largest_seconds: float) -> float:
    """Return how much later than due this schedule starts: from 0 to the largest, the same after every restart.

    It depends on the name alone, so that the starts of one schedule keep their distance and their order.
    """
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=_HASH_BYTES).digest()
    share = int.from_bytes(digest, "big") % (int(largest_seconds * _MICROSECONDS) + 1)
    return share / _MICROSECONDS
