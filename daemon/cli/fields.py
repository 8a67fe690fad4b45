"""The fields of a task type as a person reads them, worked out from its PARAM_SCHEMA.

Called by `plugins`. Knows enough of JSON Schema to describe a field in a few words; it checks nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from daemon.cli.text import compact

_MOST_CHOICES = 6
_SAMPLES: dict[str, Any] = {
    "string": "...",
    "integer": 1,
    "number": 1.0,
    "boolean": True,
    "array": [],
    "object": {},
    "null": None,
}
_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "pattern": "matching {}",
    "minLength": "at least {} long",
    "maxLength": "at most {} long",
    "minItems": "at least {} of them",
    "maxItems": "at most {} of them",
}


class Field(NamedTuple):
    """Describe one field; `default` is JSON text, empty where the schema names none."""

    name: str
    takes: str
    is_required: bool
    default: str
    description: str


def describe(schema: Mapping[str, Any] | None, required: Sequence[str]) -> list[Field]:
    """List the fields of a task type, those that are required first."""
    schema = schema or {}
    described = schema.get("properties", {})
    needed = [*required, *(name for name in schema.get("required", ()) if name not in required)]
    names = [*needed, *(name for name in described if name not in needed)]
    return [_field(name, _found(described.get(name, {}), schema), name in needed) for name in names]


def sample(task_type: str, schema: Mapping[str, Any] | None, required: Sequence[str]) -> dict[str, Any]:
    """Make a task of this type: the first of the schema's own examples, else its required fields filled in."""
    schema = schema or {}
    described = schema.get("properties", {})
    needed = dict.fromkeys([*required, *schema.get("required", ()), *_otherwise(schema)])
    whole: list[dict[str, Any]] = schema.get("examples", [])
    fields = whole[0] if whole else {name: _sample(_found(described.get(name, {}), schema), schema) for name in needed}
    return {"id": task_type.rpartition("/")[2], "type": task_type} | fields


def _otherwise(schema: Mapping[str, Any]) -> Sequence[str]:
    """Return what is required as long as something else is not there, as in `argv` where there is no `command`."""
    missing = schema.get("if", {}).get("not", {}).get("required")
    return schema.get("then", {}).get("required", ()) if missing else ()


def _field(name: str, field: Mapping[str, Any], is_required: bool) -> Field:  # noqa: FBT001 -- a value like the others
    default = compact(field["default"]) if "default" in field else ""
    return Field(name, takes(field), is_required, default, str(field.get("description", "")))


def takes(field: Any) -> str:
    """Say in a few words what a schema lets through."""
    if not isinstance(field, Mapping):
        return "anything" if field else "nothing"
    if "const" in field:
        return compact(field["const"])
    if "enum" in field:
        choices = [compact(value) for value in field["enum"]]
        more = f" or {len(choices) - _MOST_CHOICES} more" if len(choices) > _MOST_CHOICES else ""
        return "one of " + ", ".join(choices[:_MOST_CHOICES]) + more
    for word in ("anyOf", "oneOf"):
        if word in field:
            return " or ".join(dict.fromkeys(takes(part) for part in field[word]))
    kinds = field.get("type", "anything")
    words = " or ".join(map(str, kinds)) if isinstance(kinds, list) else str(kinds)
    if isinstance(field.get("items"), Mapping):
        words = words.replace("array", f"array of {takes(field['items'])}")
    bounds = [sentence.format(field[name]) for name, sentence in _BOUNDS.items() if name in field]
    return ", ".join([words, *bounds])


def _found(field: Any, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Look through a reference into `$defs`."""
    if not isinstance(field, Mapping):
        return {}
    name = str(field.get("$ref", "")).rpartition("/")[2]
    inner = schema.get("$defs", {}).get(name) if name else None
    return field if not isinstance(inner, Mapping) else {**inner, **{key: field[key] for key in field if key != "$ref"}}


def _sample(field: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    for word in ("examples", "enum"):
        if field.get(word):
            return field[word][0]
    for word in ("const", "default"):
        if word in field:
            return field[word]
    for word in ("anyOf", "oneOf"):
        if field.get(word):
            return _sample(_found(field[word][0], schema), schema)
    kind = field.get("type", "string")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind == "array" and isinstance(field.get("items"), Mapping):
        return [_sample(_found(field["items"], schema), schema)]
    return _SAMPLES.get(str(kind), "...")
