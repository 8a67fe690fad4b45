"""The only place that reads time.

`wall` is for records (seconds since the epoch, UTC), `ticks` for durations (monotonic seconds). Parts that live longer
than a call take a `Clock`, so that a simulation can hand in its own.
"""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tell both times; `SystemClock` does it for real, tests bring their own."""

    def wall(self) -> float:
        """Return seconds since the epoch, UTC."""
        ...

    def ticks(self) -> float:
        """Return monotonic seconds from an unknown start."""
        ...


def wall() -> float:
    """Return seconds since the epoch, UTC."""
    return time.time()


def ticks() -> float:
    """Return monotonic seconds from an unknown start."""
    return time.monotonic()


class SystemClock:
    """Read the machine's clocks."""

    wall = staticmethod(wall)
    ticks = staticmethod(ticks)


def rfc3339(seconds: float | None) -> str | None:
    """Write epoch seconds as RFC 3339 in UTC to the microsecond; None stays None."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def epoch(text: str) -> float:
    """Read an RFC 3339 instant with an offset as epoch seconds.

    Raises ValueError for anything else, a missing offset included.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        message = f"{text!r} has no UTC offset; write it as 2027-01-01T00:00:00Z or with +01:00"
        raise ValueError(message)
    return moment.timestamp()
