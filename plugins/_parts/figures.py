"""Transforms that compute with numbers: the four operations, remainder, absolute value, floor and ceiling.

The other number is in the transform or in another field of the same object. Called by `transforms`.
"""

import math
from collections.abc import Callable
from typing import Any

from plugins._parts.data import DataError, kind, need, put, short, sound
from plugins._parts.operation import Operation, Options, Schema, each_path, path, paths
from plugins._parts.rows import Row, each_row

_EXACT = 2**53


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise DataError(f"{short(value)} is {kind(value)}, not a number")
    return value


def _computed(compute: Callable[..., float], field: str, *numbers: Any) -> float:
    try:
        return sound(compute(*map(_number, numbers)))
    except DataError as error:
        raise DataError(f"{field!r}: {error}") from None
    except ZeroDivisionError:
        raise DataError(f"{field!r}: {short(numbers[0])} cannot be divided by zero") from None
    except OverflowError:
        raise DataError(f"{field!r}: the result is too large for a number") from None


def _with_other(compute: Callable[[float, float], float]) -> Callable[[Any, Options], Any]:
    def change(row: Row, options: Options) -> Row:
        if ("value" in options) == ("other" in options):
            raise DataError("it needs either `value` or `other`")
        right = options["value"] if "value" in options else need(row, options["other"])
        for field in each_path(options):
            left = need(row, field)
            if left is not None and right is not None:
                row = put(row, options.get("to", field), _computed(compute, field, left, right))
        return row

    return each_row(change)


def _alone(compute: Callable[[float], float]) -> Callable[[Any, Options], Any]:
    def change(row: Row, options: Options) -> Row:
        for field in each_path(options):
            value = need(row, field)
            if value is not None:
                row = put(row, field, _computed(compute, field, value))
        return row

    return each_row(change)


def _divided(left: float, right: float) -> float:
    # Whole where it is whole: 6 / 3 is 2, as every reader of JSON takes it.
    quotient = left / right
    return int(quotient) if isinstance(left, int) and isinstance(right, int) and left % right == 0 else quotient


def _whole(towards: Callable[[float], int]) -> Callable[[float], float]:
    return lambda value: value if abs(value) >= _EXACT else towards(value)


_FIELD = paths("Field, or list of fields, that holds a number.")
_OTHER: dict[str, Schema] = {
    "field": _FIELD,
    "value": {"type": "number", "description": "The other number."},
    "other": path("Field that holds the other number, instead of `value`."),
    "to": path("Field that takes the result; without it `field` itself."),
}


def _pair(compute: Callable[[float, float], float], description: str) -> Operation:
    return Operation(_with_other(compute), description, _OTHER, frozenset({"value", "other", "to"}))


def _single(compute: Callable[[float], float], description: str) -> Operation:
    return Operation(_alone(compute), description, {"field": _FIELD})


OPERATIONS: dict[str, Operation] = {
    "add": _pair(lambda left, right: left + right, "Add a number."),
    "subtract": _pair(lambda left, right: left - right, "Take a number away."),
    "multiply": _pair(lambda left, right: left * right, "Multiply by a number."),
    "divide": _pair(_divided, "Divide by a number; zero is an error."),
    "modulo": _pair(lambda left, right: left % right, "Take the remainder, which has the sign of the divisor."),
    "absolute": _single(abs, "Leave the sign away."),
    "floor": _single(_whole(math.floor), "Go down to a whole number."),
    "ceil": _single(_whole(math.ceil), "Go up to a whole number."),
}
