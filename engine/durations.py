"""Durations as documents write them: a number of seconds, or texts like 250ms, 30s, 5m, 1h30m, 2d.

Pure. Called by `loader` for what a document says, and by whoever shows a duration to a person.
"""

import math
import re
from typing import Any

_UNITS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_NUMBER = r"(\d{1,15}(?:\.\d{1,9})?)"
_TEXT = re.compile("".join(rf"(?:{_NUMBER}{unit})?" for unit in _UNITS))
# Longer ones cannot be added to a date; nobody means them.
LONGEST_SECONDS = 100 * 365 * 86_400.0

EXAMPLES = 'a number of seconds, or a text like "250ms", "30s", "5m", "1h30m" or "2d"'


def parse(value: Any) -> float:
    """Read a duration as seconds.

    Raises ValueError with a sentence for anything that is not one, for a negative one and for more than 100 years.
    """
    seconds = _read(value)
    if seconds is None or math.isnan(seconds):
        raise ValueError(f"must be {EXAMPLES}")
    if seconds < 0:
        raise ValueError("must not be negative")
    if seconds > LONGEST_SECONDS:
        raise ValueError("must not be longer than 100 years")
    return seconds


def _read(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        # An integer of any size compares with a float; converting it may overflow.
        return math.inf if value > LONGEST_SECONDS else float(value) if value >= 0 else -1.0
    if isinstance(value, float):
        return value
    match = _TEXT.fullmatch(value) if isinstance(value, str) and value.isascii() else None
    if match is None or not match[0]:
        return -1.0 if isinstance(value, str) and value.startswith("-") and _TEXT.fullmatch(value, 1) else None
    return sum(float(number) * size for number, size in zip(match.groups(), _UNITS.values(), strict=True) if number)


def text(seconds: float) -> str:
    """Write seconds as a person would, exact to the microsecond: 1h30m, 250ms, 0s."""
    rest = round(seconds * 1_000_000)
    parts = []
    for unit, size in (("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    if rest:
        parts.append(f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "ms")
    return "".join(parts) or "0s"
