"""The words for settings: what one takes, what was found in its place, and a value as it would stand in the file.

Called by `reader` for its problems, by `manual` and `shown` for what they print, so that all say it alike.
"""

import datetime as dt
import json
import re
from typing import Any

from msgspec import inspect

from daemon.config.draft import FromEnvironment
from daemon.config.leaves import bare, choices
from daemon.config.sizes import LARGEST, format_size
from engine import durations
from engine.problems import quoted

PROBLEMS: dict[str, str] = {
    "unreadable_file": "A file of the configuration is missing, not a regular file, too large or not ours to read.",
    "toml_syntax": "A file of the configuration is not TOML in UTF-8.",
    "unknown_key": "There is no setting of this name here.",
    "missing_key": "A setting that has no default is missing.",
    "bad_value": "A value is not of its setting's type or bounds, or does not fit another setting.",
    "duplicate_schedule": "Two schedules have the same name.",
    "schedule_invalid": "When a schedule is due cannot be read.",
    "schedule_never": "A schedule can never be due.",
    "zone_unknown": "A time zone is not known to this machine.",
    "unknown_schedule": "No schedule has this name.",
    "foreign_file": "A file would have to be changed that a person wrote or changed.",
    "unwritable_file": "A file cannot be written or removed.",
    "more_problems": "There are more problems than are shown.",
}

UNITS_AS_TEXT = frozenset({"seconds", "bytes"})
_BY_UNIT = {
    "seconds": 'a duration such as "30s" or "1h30m"',
    "bytes": 'a size such as "10MiB"',
    "moment": "a date, or a moment such as 2027-01-01T00:00:00+01:00",
    "instant": "a moment such as 2027-01-01T00:00:00+01:00",
    "span": "a date, or two dates or moments in a list",
    "period": 'a duration such as "15m"',
}


def taken(kind: inspect.Type) -> str:
    """Say what a setting of this type takes, bounds included: "a whole number from 1 to 1024"."""
    kind, extra = bare(kind)
    if isinstance(kind, inspect.UnionType):
        return ", or ".join(taken(member) for member in choices(kind))
    if isinstance(kind, inspect.LiteralType):
        words = [f'"{value}"' for value in kind.values]
        return words[0] if len(words) == 1 else f"one of {', '.join(words)}"
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        number = "a whole number" if isinstance(kind, inspect.IntType) else "a number"
        unit = extra.get("unit")
        return _BY_UNIT.get(unit or "", number) + _bounds(kind, unit)
    if isinstance(kind, inspect.StrType):
        text = "text that is not empty" if kind.min_length else "text"
        return str(extra.get("says") or _BY_UNIT.get(extra.get("unit", ""), text))
    if isinstance(kind, inspect.VarTupleType):
        return "a list, each entry " + taken(kind.item_type)
    if isinstance(kind, inspect.CustomType):
        return "a path"
    return "true or false" if isinstance(kind, inspect.BoolType) else "a table"


def found(raw: object) -> str:
    """Say what was found, as much of it as a message can bear and never what is inside a table."""
    if isinstance(raw, FromEnvironment):
        raw = raw.text
    if isinstance(raw, bool):
        return str(raw).lower()
    if isinstance(raw, int):
        return f"the number {raw}" if abs(raw) <= LARGEST else "a number of more than 64 bits"
    if isinstance(raw, float):
        return f"the number {raw!r}"
    if isinstance(raw, str):
        return f"the text {quoted(raw)}"
    by_type: dict[type, str] = {dict: "a table", list: "a list", dt.time: "a time of day", dt.date: "a date"}
    return by_type.get(type(raw), "a date with a time")


def _bounds(kind: inspect.IntType | inspect.FloatType, unit: str | None) -> str:
    if kind.gt is not None:
        return f" above {_number(kind.gt, unit)}"
    if kind.le is not None:
        return f" from {_number(kind.ge, unit)} to {_number(kind.le, unit)}"
    return f", at least {_number(kind.ge, unit)}" if kind.ge else ""


def _number(value: float | None, unit: str | None) -> str:
    number = value or 0
    if unit == "seconds" and number:
        return durations.text(number)
    return format_size(int(number)) if unit == "bytes" else f"{number:g}"


def written(value: Any, unit: str | None = None) -> str:
    """Write a value as it would stand in the file: `"30s"`, `["a", "b"]`, `{day = "yesterday"}`."""
    if unit == "seconds":
        return f'"{durations.text(value)}"'
    if unit == "bytes":
        return f'"{format_size(value)}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(written(entry) for entry in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(name)} = {written(inner)}" for name, inner in value.items()) + "}"
    return str(value) if isinstance(value, int | float) else _quoted(str(value))


def _key(name: str) -> str:
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else _quoted(name)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace(
        "\x7f", "\\u007f"
    )  # TOML's basic strings are JSON's but for DEL
