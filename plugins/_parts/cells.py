"""What a database gives for a cell, as JSON. Called by sql."""

import base64
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any

_MOST = 2**63


def as_json(value: Any, *, exact: bool) -> Any:
    """Return the value as JSON has it.

    Instants are RFC 3339 in UTC, dates and times without an offset ISO 8601 as they are; lengths of time are seconds,
    bytes base64, decimals text where they are to be exact, else numbers; all else is text.
    """
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if -_MOST <= value < _MOST else str(value)
        case float():
            return value if isfinite(value) else str(value)
        case Decimal():
            return str(value) if exact or not value.is_finite() else _number(value)
        case datetime():
            return _instant(value)
        case date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case bytes() | bytearray() | memoryview():
            return base64.b64encode(value).decode()
        case list() | tuple():
            return [as_json(item, exact=exact) for item in value]
        case dict():
            return {str(key): as_json(item, exact=exact) for key, item in value.items()}
        case _:
            return str(value)


def _number(value: Decimal) -> int | float | str:
    if value == value.to_integral_value():
        number = int(value)
        return number if -_MOST <= number < _MOST else float(value)
    return float(value)


def _instant(value: datetime) -> str:
    if value.tzinfo is None:
        return value.isoformat()
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def unique(names: Sequence[str]) -> list[str]:
    """Give columns of the same name different ones: `id`, `id_2`; no cell of a row is lost."""
    found: list[str] = []
    for name in names:
        fresh, number = name, 2
        while fresh in found:
            fresh, number = f"{name}_{number}", number + 1
        found.append(fresh)
    return found
