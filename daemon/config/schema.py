"""The settings as a JSON Schema, so that editors complete and check the file while it is written.

Says what a type says; how settings fit together is left to `checks`. Called by the command line.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import inspect

from daemon.calendar import FORMS
from daemon.config.leaves import bare, choices
from daemon.config.manual import default_of, note
from daemon.config.reader import section_fields
from daemon.config.schedule import Schedule
from daemon.config.wording import UNITS_AS_TEXT, written

_TEXT = {"type": "string"}
_BY_UNIT: dict[str, dict[str, Any]] = {
    "seconds": {"type": ["number", "string"]},
    "bytes": {"type": ["integer", "string"]},
    "period": {"type": ["number", "string"]},
    "span": {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 2, "maxItems": 2}]},
}


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the configuration file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The configuration of Dropmill",
        **_table(section_fields()),
    }


def _table(fields: Iterable[inspect.Field]) -> dict[str, Any]:
    fields = tuple(fields)
    return {
        "type": "object",
        "properties": {field.name: _setting(field) for field in fields},
        "required": [field.name for field in fields if field.required],
        "additionalProperties": False,
    }


def _setting(field: inspect.Field) -> dict[str, Any]:
    kind, extra = bare(field.type)
    described = {"description": note(field.type, "description")} | _value(field.type)
    default = default_of(field)
    if default is None or isinstance(kind, inspect.StructType):
        return described
    if extra.get("unit") in UNITS_AS_TEXT:
        return described | {"default": written(default, extra["unit"]).strip('"')}
    return described | {"default": msgspec.to_builtins(default, enc_hook=str)}


def _value(kind: inspect.Type) -> dict[str, Any]:
    kind, extra = bare(kind)
    if isinstance(kind, inspect.StructType):
        one_form = {"oneOf": [{"required": [form]} for form in FORMS]} if kind.cls is Schedule else {}
        return _table(kind.fields) | one_form
    if isinstance(kind, inspect.DictType):
        names, values = _value(kind.key_type), _value(kind.value_type)
        return {"type": "object", "propertyNames": names, "additionalProperties": values}
    if isinstance(kind, inspect.VarTupleType):
        return {"type": "array", "items": _value(kind.item_type)}
    if isinstance(kind, inspect.UnionType):
        return {"anyOf": [_value(member) for member in choices(kind)]}
    if isinstance(kind, inspect.LiteralType):
        return {"enum": list(kind.values)}
    return _BY_UNIT.get(extra.get("unit", "")) or _leaf(kind)


def _leaf(kind: inspect.Type) -> dict[str, Any]:
    if isinstance(kind, inspect.BoolType):
        return {"type": "boolean"}
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        bounds = {"minimum": kind.ge, "maximum": kind.le, "exclusiveMinimum": kind.gt}
        number = {"type": "integer" if isinstance(kind, inspect.IntType) else "number"}
        return number | {name: bound for name, bound in bounds.items() if bound is not None}
    if isinstance(kind, inspect.StrType):
        return (
            _TEXT | ({"pattern": kind.pattern} if kind.pattern else {}) | ({"minLength": 1} if kind.min_length else {})
        )
    return _TEXT if isinstance(kind, inspect.CustomType) else {}
