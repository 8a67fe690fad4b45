"""The transform `date`: a date or time in one notation, written in another.

Read without a format it is ISO 8601, or a number of seconds since 1970; one without an offset lies in `timezone`.
Called by `transforms`.
"""

from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from plugins._parts.data import DataError, need, put, short
from plugins._parts.operation import Operation, Options, each_path, path, paths
from plugins._parts.rows import Row, each_row


def zone(name: str) -> tzinfo:
    """Find a time zone by its IANA name; raise DataError where there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise DataError(f"there is no time zone {name!r}; write a name such as Europe/Berlin or UTC") from None


def _change(row: Row, options: Options) -> Row:
    place = zone(options["timezone"]) if "timezone" in options else None
    for field in each_path(options):
        value = need(row, field)
        if value is not None:
            try:
                row = put(row, options.get("to", field), _written(_read(value, options, place), options, place))
            except (ValueError, OverflowError, OSError) as error:
                raise DataError(f"{field!r}: {short(value)}: {error}") from None
    return row


def _read(value: Any, options: Options, place: tzinfo | None) -> datetime:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise DataError("it is neither text nor a number of seconds")
    if not isinstance(value, str):
        return datetime.fromtimestamp(value, UTC)
    # No zone is missing here: one that is not written is given below.
    form = options.get("input_format")
    moment = datetime.fromisoformat(value) if form is None else datetime.strptime(value, form)  # noqa: DTZ007 -- below
    return moment.replace(tzinfo=place) if moment.tzinfo is None and place is not None else moment


def _written(moment: datetime, options: Options, place: tzinfo | None) -> str:
    local = moment if place is None or moment.tzinfo is None else moment.astimezone(place)
    form = options.get("output_format")
    return local.isoformat() if form is None else local.strftime(form)


OPERATIONS: dict[str, Operation] = {
    "date": Operation(
        each_row(_change),
        "Write a date or time in another notation.",
        {
            "field": paths("Field, or list of fields, that holds a date: ISO 8601, or seconds since 1970."),
            "input_format": {"type": "string", "minLength": 1, "description": "How it is written, as for strptime."},
            "output_format": {
                "type": "string",
                "minLength": 1,
                "description": "How it is to be written, as for strftime; without it ISO 8601.",
            },
            "timezone": {
                "type": "string",
                "minLength": 1,
                "description": "IANA name of the zone in which it is written, and read where it names no offset.",
            },
            "to": path("Field that takes the result; without it `field` itself."),
        },
        frozenset({"input_format", "output_format", "timezone", "to"}),
    ),
}
