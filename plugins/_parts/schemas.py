"""Data judged by a JSON Schema that came with a document: every violation, each with the pointer to its place.

A schema may refer to parts of itself (`#/…`) and to nothing else; formats (`email`, `date-time`) are checked.
Called by input and process.
"""

from typing import Any

from plugins._parts.data import DataError, short

# Without `$schema` it is draft 2020-12, and what is wrong with it is found before a run.
FIELD: dict[str, Any] = {
    "type": ["object", "boolean"],
    "if": {"type": "object", "not": {"required": ["$schema"]}},
    "then": {"$ref": "https://json-schema.org/draft/2020-12/schema"},
}
_SHOWN = 20
_SHOWN_CHARS = 200


def check(schema: Any, value: Any) -> None:
    """Raise DataError, which lists what of the value does not fit the schema, or says what is wrong with the schema."""
    found = violations(schema, value)
    if found:
        more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
        count = "1 violation" if len(found) == 1 else f"{len(found)} violations"
        raise DataError(f"{count} of the schema: " + "; ".join([*found[:_SHOWN], *more]))


def violations(schema: Any, value: Any) -> list[str]:
    """List what of a JSON value does not fit, as `POINTER: sentence` (RFC 6901, `/` for the whole).

    Raises DataError for a schema that is none.
    """
    import jsonschema_rs  # noqa: PLC0415 -- a worker that never validates need not carry it

    try:
        validator = jsonschema_rs.validator_for(schema, offline=True, validate_formats=True)
    except ValueError as error:
        place = "/".join(str(part) for part in getattr(error, "instance_path", ()))
        sentence = str(error).partition("\n")[0]
        raise DataError(f"the schema is none: {sentence}" + (f" (at /{place})" if place else "")) from None
    return [f"{pointer(found.instance_path)}: {_sentence(found)}" for found in validator.iter_errors(value)]


def pointer(path: Any) -> str:
    """Write a path of keys and indexes as a JSON pointer, `/` for the whole."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path) or "/"


def _sentence(found: Any) -> str:
    # The library repeats the whole value where it names the type; a value may be as large as a file.
    if found.kind.name == "type":
        return f"must be of type {' or '.join(found.kind.as_dict()['types'])}, not {short(found.instance)}"
    message = str(found.message)
    return message if len(message) <= _SHOWN_CHARS else message[:_SHOWN_CHARS] + "..."
