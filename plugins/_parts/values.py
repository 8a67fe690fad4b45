"""Transforms of single values: cast, text in capitals, replaced parts, split, join, round, tables.

Each works on a field, or a list of fields, of one object or of every object in a list; a null stays null.
Called by `transforms`.
"""

import re
from collections.abc import Callable
from math import isfinite
from typing import Any

import msgspec

from plugins._parts.conditions import pattern
from plugins._parts.data import DataError, kind, need, put, short, sound, text
from plugins._parts.operation import Operation, Options, Schema, each_path, path, paths
from plugins._parts.rows import Row, each_row, scalar

_LARGEST = 2**63 - 1
_EXACT = 2**53
_WHOLE = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_TRUTHS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_TO = path("Field that takes the result; without it `field` itself.")


def _each_value(change: Callable[[Any, Options], Any], *, has_to: bool = False) -> Callable[[Any, Options], Any]:
    """Lift a change of one value to every field named in the option `field`; a null stays null."""

    def rewrite(row: Row, options: Options) -> Row:
        for field in each_path(options):
            value = need(row, field)
            if value is not None:
                row = put(row, options.get("to", field) if has_to else field, _named(change, value, options, field))
        return row

    return each_row(rewrite)


def _named(change: Callable[[Any, Options], Any], value: Any, options: Options, field: str) -> Any:
    try:
        return change(value, options)
    except DataError as error:
        raise DataError(f"{field!r}: {error}") from None


def _to_integer(value: Any) -> int:
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        value = int(value)
    elif isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if not isinstance(value, int | float) or not isfinite(value) or value != int(value) or abs(value) > _LARGEST:
        raise DataError(f"{short(value)} is not a whole number of 64 bits")
    return int(value)


def _to_number(value: Any) -> float:
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = int(value) if _WHOLE.fullmatch(value.strip()) else float(value)
    if not isinstance(value, int | float) or not isfinite(value):
        raise DataError(f"{short(value)} is not a number")
    return int(value) if isinstance(value, bool) else value


def _to_boolean(value: Any) -> bool:
    known = _TRUTHS.get(value.strip().lower()) if isinstance(value, str) else None
    if known is None and isinstance(value, int | float) and value in (0, 1):
        known = bool(value)
    if known is None:
        raise DataError(f"{short(value)} is neither true nor false; write true, false, yes, no, on, off, 1 or 0")
    return known


def _to_json(value: Any) -> Any:
    try:
        return msgspec.json.decode(value) if isinstance(value, str) else value
    except (ValueError, RecursionError) as error:
        raise DataError(f"{short(value)} is not JSON: {error}") from None


CASTS: dict[str, Callable[[Any], Any]] = {
    "integer": _to_integer,
    "number": _to_number,
    "string": text,
    "boolean": _to_boolean,
    "json": _to_json,
}


def _round(value: Any, options: Options) -> Any:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise DataError(f"{short(value)} is {kind(value)}, not a number")
    digits = options.get("digits", 0)
    try:
        rounded = round(value, digits)
    except OverflowError:
        raise DataError(f"{value} rounded to {digits} digits is too large for a number") from None
    return int(rounded) if digits <= 0 and abs(rounded) < _EXACT else sound(rounded)


def _map_values(value: Any, options: Options) -> Any:
    name = text(value)
    if name in options["mapping"]:
        return options["mapping"][name]
    return options.get("default", value)


def _replace(value: Any, options: Options) -> str:
    whole, old, new = _needs_text(value), options["old"], options["new"]
    if not options.get("regex", False):
        return whole.replace(old, new)
    try:
        return pattern(old, whole).sub(new, whole)
    except (re.error, IndexError) as error:
        raise DataError(f"{new!r} cannot be put in place of {old!r}: {error}") from None


def _join(value: Any, options: Options) -> str:
    if not isinstance(value, list):
        raise DataError(f"{short(value)} is {kind(value)}, not a list")
    return str(options["separator"]).join(map(scalar, value))


def _needs_text(value: Any) -> str:
    if not isinstance(value, str):
        raise DataError(f"{short(value)} is {kind(value)}, not text")
    return value


def _text_operation(change: Callable[[str], str], description: str) -> Operation:
    fields = {"field": paths("Field, or list of fields, that holds text.")}
    return Operation(_each_value(lambda value, _: change(_needs_text(value))), description, fields)


_TEXT: Schema = {"type": "string"}
_SEPARATOR: Schema = {"type": "string", "minLength": 1, "description": "What stands between the parts."}

OPERATIONS: dict[str, Operation] = {
    "cast": Operation(
        _each_value(lambda value, options: CASTS[options["to"]](value)),
        "Make another type of a field's value; what does not fit exactly is an error.",
        {"field": paths("Field, or list of fields."), "to": {"enum": list(CASTS), "description": "The type."}},
    ),
    "uppercase": _text_operation(str.upper, "Write text in capital letters."),
    "lowercase": _text_operation(str.lower, "Write text in small letters."),
    "title": _text_operation(str.title, "Begin every word with a capital letter."),
    "trim": _text_operation(str.strip, "Take white space away from both ends of a text."),
    "replace": Operation(
        _each_value(_replace),
        "Replace every occurrence of a part of a text.",
        {
            "field": paths("Field, or list of fields, that holds text."),
            "old": {"type": "string", "minLength": 1, "description": "What is replaced."},
            "new": {
                "type": "string",
                "description": "What takes its place; with `regex` it may hold \\1 and \\g<name>.",
            },
            "regex": {"type": "boolean", "default": False, "description": "Whether `old` is a regular expression."},
        },
        frozenset({"regex"}),
    ),
    "split": Operation(
        _each_value(lambda value, options: _needs_text(value).split(options["separator"]), has_to=True),
        "Make a list of a text.",
        {"field": path("Field that holds text."), "separator": _SEPARATOR, "to": _TO},
        frozenset({"to"}),
    ),
    "join": Operation(
        _each_value(_join, has_to=True),
        "Make a text of a list.",
        {"field": path("Field that holds a list."), "separator": {**_SEPARATOR, "minLength": 0}, "to": _TO},
        frozenset({"to"}),
    ),
    "round": Operation(
        _each_value(_round),
        "Round a number, halves to the even neighbour.",
        {
            "field": paths("Field, or list of fields, that holds a number."),
            "digits": {
                "type": "integer",
                "minimum": -15,
                "maximum": 15,
                "default": 0,
                "description": "Digits behind the point; 0 or less gives a whole number.",
            },
        },
        frozenset({"digits"}),
    ),
    "map_values": Operation(
        _each_value(_map_values),
        "Replace values by others from a table.",
        {
            "field": paths("Field, or list of fields."),
            "mapping": {
                "type": "object",
                "description": "New value by old value; an old value that is not text as JSON.",
            },
            "default": {"description": "The new value of those that are not in the table; without it they stay."},
        },
        frozenset({"default"}),
    ),
}
