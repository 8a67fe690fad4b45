"""JSON Schemas: compiled once, and their complaints in plain words. The only place that speaks to the library.

A plugin's PARAM_SCHEMA is trusted; the declaration of a parameter comes with a document and may not send the validator
round in circles or out of the house. Called by `loader` and `params`, and by whoever checks fields before an attempt.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jsonschema_rs

from engine.problems import meant, quoted, shortened

# Keywords that speak of which keys or how many elements there are: what a value is does not matter to them.
_OF_KEYS = frozenset(
    {
        "required",
        "additionalProperties",
        "unevaluatedProperties",
        "propertyNames",
        "minProperties",
        "maxProperties",
        "dependentRequired",
        "minItems",
        "maxItems",
        "falseSchema",
    }
)
# Each could make a small schema endless, or exponential; nobody needs them to declare a parameter.
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_TYPES = ("string", "integer", "number", "boolean", "array", "object", "null")
_LONGEST = 160  # characters of what the library says


class Violation(NamedTuple):
    """Say what in a value does not fit: where, a sentence, and the keyword and key it is about."""

    path: tuple[str | int, ...]
    message: str
    keyword: str
    key: str | None = None


class Schema:
    """A compiled JSON Schema (2020-12 unless it names another draft; formats are not checked)."""

    def __init__(self, schema: dict[str, Any] | bool) -> None:  # noqa: FBT001 -- true and false are schemas too
        """Compile it; nothing is fetched.

        Raises ValueError with a sentence where it is not a JSON Schema.
        """
        try:
            self._validator = jsonschema_rs.validator_for(schema, offline=True)
        except ValueError as error:
            raise ValueError(_unusable(error)) from None

    def fits(self, value: Any) -> bool:
        """Tell whether a JSON value fits; False where it meets what is not JSON."""
        try:
            return self._validator.is_valid(value)
        except ValueError:
            return False

    def violations(self, value: Any, is_open: Callable[[Any], bool] | None = None) -> Iterator[Violation]:
        """Yield what does not fit.

        `is_open` tells of a value that it is not final (it holds an expression): what it is is not judged then, only
        which keys are there.
        """
        try:
            errors = list(self._validator.iter_errors(value))
        except ValueError as error:
            yield Violation((), f"is not JSON: {_first_line(error)}", "type")
            return
        for found in errors:
            path = tuple(found.instance_path)
            keyword = found.kind.name
            if is_open is None or keyword in _OF_KEYS or not is_open(_at(value, path)):
                yield from _worded(found, path, keyword)


def declared(declaration: dict[str, Any]) -> Schema:
    """Compile the declaration of a parameter, which came with a document.

    Raises ValueError with a sentence.
    """
    for item in _objects(declaration):
        for word in _REFERENCES:
            if word in item:
                message = f"{word} is not allowed here: write the schema out"
                raise ValueError(message)
    return Schema(declaration)


def patterns(declaration: Any) -> int:
    """Count the regular expressions in a schema, or in an object of schemas."""
    found = 0
    for item in _objects(declaration):
        named = item.get("patternProperties")
        found += ("pattern" in item) + (len(named) if isinstance(named, dict) else 0)
    return found


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            yield item
            todo.extend(item.values())
        elif isinstance(item, list):
            todo.extend(item)


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    for part in path:
        value = value[part]
    return value


def _first_line(error: Exception) -> str:
    return shortened(str(error).partition("\n")[0], _LONGEST)


def _unusable(error: ValueError) -> str:
    path = list(getattr(error, "instance_path", ()))
    if path[-1:] == ["type"]:
        word = getattr(error, "instance", None)
        near = meant(word, _TYPES) if isinstance(word, str) else None
        return f"{quoted(word)} is not a type" + (f". {near}" if near else f"; the types are {', '.join(_TYPES)}")
    where = f"{'/'.join(map(str, path))}: " if path else ""
    return where + _first_line(error)


def _worded(error: Any, path: tuple[str | int, ...], keyword: str) -> Iterator[Violation]:
    details = error.kind.as_dict()
    if keyword == "required":
        yield Violation(path, f"lacks {quoted(details['property'])}", keyword, details["property"])
    elif keyword == "additionalProperties":
        for key in details["unexpected"]:
            yield Violation((*path, key), "is not one of the fields there are", keyword, key)
    elif keyword == "type":
        kinds = " or ".join(details["types"])
        yield Violation(path, f"must be of type {kinds}, not {quoted(error.instance)}", keyword)
    elif keyword == "enum":
        options = ", ".join(quoted(option) for option in details["options"][:8])
        more = ", ..." if len(details["options"]) > len(details["options"][:8]) else ""
        yield Violation(path, f"must be one of {options}{more}, not {quoted(error.instance)}", keyword)
    elif keyword == "falseSchema":
        yield Violation(path, "is not allowed here, beside the other fields", keyword)
    elif keyword in {"anyOf", "oneOf"} and details.get("context") and all(details["context"]):
        reasons = "; ".join(branch[0].message for branch in details["context"])
        yield Violation(path, shortened(f"fits none of what is allowed: {reasons}", _LONGEST), keyword)
    else:
        yield Violation(path, shortened(error.message, _LONGEST), keyword)
