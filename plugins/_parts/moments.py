"""Durations and instants as the fields of a task say them; fails the task where they are none.

Called by delay and wait_for.
"""

import re
from datetime import datetime
from typing import Any

from engine.task import fail

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|[smhd]))+")
_PART = re.compile(r"([0-9.]+)(ms|[smhd])")
# Longer waits belong to a schedule; the bound also keeps every due time a date that can be written.
_MOST_SECONDS = 366 * 86400.0
# The schema of a duration: what `seconds` takes.
DURATION: dict[str, Any] = {
    "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": f"^{_DURATION.pattern}$"}]
}


def seconds(name: str, given: Any) -> float:
    """Read the field `name` as a duration: a number of seconds, or a text such as "250ms" or "1h30m"."""
    if isinstance(given, int | float) and not isinstance(given, bool) and given >= 0:
        return float(given)
    if not isinstance(given, str) or not _DURATION.fullmatch(given):
        fail(f'`{name}` is {given!r}; write a number of seconds or a duration such as "250ms", "30s" or "1h30m"')
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(given))


def instant(name: str, given: Any) -> float:
    """Read the field `name` as an instant, RFC 3339 with an offset, in wall seconds."""
    try:
        moment = datetime.fromisoformat(given)
        found = moment.timestamp()
    except (TypeError, ValueError, OverflowError):
        moment, found = None, 0.0
    if moment is None or moment.tzinfo is None:
        fail(f"`{name}` is {given!r}; write an instant with its offset, such as 2027-01-01T00:00:00Z")
    return found


def bounded(wait: float) -> float:
    """Return a wait in seconds that is not longer than a year."""
    if wait > _MOST_SECONDS:
        fail(f"a wait of {wait / 86400:.0f} days is longer than a year; use a schedule for that")
    return wait
