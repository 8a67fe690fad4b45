"""Transforms of one object, or of every object in a list: fields renamed, picked, dropped, set, put together.

Where a field has to be there, its absence is an error that names the row. Called by `transforms`.
"""

from collections.abc import Callable
from typing import Any

from plugins._parts.data import ABSENT, DataError, find, kind, need, put, short, text, without
from plugins._parts.operation import Operation, Options, each_path, path, paths

Row = dict[str, Any]


def each_row(change: Callable[[Row, Options], Row]) -> Callable[[Any, Options], Any]:
    """Lift a change of one object to data: to the object it is, or to every object of the list it is."""

    def apply(data: Any, options: Options) -> Any:
        if isinstance(data, dict):
            return change(data, options)
        if not isinstance(data, list):
            raise DataError(f"it works on an object or a list of objects; the data is {kind(data)}: {short(data)}")
        return [one(row, at, options) for at, row in enumerate(data)]

    def one(row: Any, at: int, options: Options) -> Row:
        if not isinstance(row, dict):
            raise DataError(f"it is {kind(row)}, not an object: {short(row)}", row=at)
        try:
            return change(row, options)
        except DataError as error:
            raise DataError(str(error), row=at) from None

    return apply


def _rename(row: Row, options: Options) -> Row:
    value = need(row, options["from"])
    if find(row, options["to"]) is not ABSENT:
        raise DataError(f"there is already a field {options['to']!r}; drop it first")
    renamed: Row = put(without(row, options["from"]), options["to"], value)
    return renamed


def _pick(row: Row, options: Options) -> Row:
    picked: Row = {}
    for field in each_path(options, "fields"):
        value = find(row, field)
        if value is not ABSENT:
            picked = {**picked, field: value} if field in row else put(picked, field, value)
    return picked


def _drop(row: Row, options: Options) -> Row:
    for field in each_path(options, "fields"):
        row = without(row, field)
    return row


def _set(row: Row, options: Options) -> Row:
    changed: Row = put(row, options["field"], options["value"])
    return changed


def _default(row: Row, options: Options) -> Row:
    for field in each_path(options):
        if find(row, field) in (ABSENT, None):
            row = put(row, field, options["value"])
    return row


def _concat(row: Row, options: Options) -> Row:
    values = [need(row, field) for field in each_path(options, "fields")]
    joined = options.get("separator", "").join(scalar(value) for value in values if value is not None)
    changed: Row = put(row, options["to"], joined)
    return changed


def scalar(value: Any) -> str:
    """Write a value that is neither list nor object as text; raise DataError for those."""
    if isinstance(value, list | dict):
        raise DataError(f"{kind(value)} cannot be part of a text: {short(value)}")
    return text(value)


OPERATIONS: dict[str, Operation] = {
    "rename": Operation(
        each_row(_rename),
        "Give a field another name.",
        {"from": path("The field."), "to": path("Its new name; there must be none of that name yet.")},
    ),
    "pick": Operation(
        each_row(_pick),
        "Keep only these fields; one that is not there stays away.",
        {"fields": paths("Fields to keep.")},
    ),
    "drop": Operation(
        each_row(_drop),
        "Take fields away; one that is not there need not go.",
        {"fields": paths("Fields to take away.")},
    ),
    "set": Operation(
        each_row(_set),
        "Give a field a value.",
        {"field": path("The field."), "value": {"description": "Any JSON value."}},
    ),
    "default": Operation(
        each_row(_default),
        "Give a field a value where it is missing or null.",
        {"field": paths("Field, or list of fields."), "value": {"description": "Any JSON value."}},
    ),
    "concat": Operation(
        each_row(_concat),
        "Make one text of several fields; nulls are left out.",
        {
            "fields": paths("Fields, in this order."),
            "to": path("Field that takes the text."),
            "separator": {"type": "string", "default": "", "description": "What stands between the parts."},
        },
        frozenset({"separator"}),
    ),
}
