"""The task type `input`: data from the document, from a file or from the tasks before it, with defaults, validated.

Its output is the data. Every violation of the schema is reported, each with the pointer to its place.
"""

from typing import Any

from engine.task import fail
from plugins._parts import formats
from plugins._parts.data import DataError, kind
from plugins._parts.files import MAX_BYTES, contents
from plugins._parts.merging import gathered, merged
from plugins._parts.schemas import FIELD, check
from plugins._parts.values import CASTS

TASK_TYPE = "input"
DESCRIPTION = "Collect data from the document or from a file, fill in defaults, and validate it by a JSON Schema."
VERSION = "1.0"
REQUIRED_FIELDS: list[str] = []
PARAM_SCHEMA = {
    "type": "object",
    "properties": {
        "data": {
            "examples": [{"message": "hello"}],
            "description": "The data: any JSON value. Without it and without `file` it is the outputs of the tasks it "
            "depends on, merged as `process` does, else `defaults` alone.",
        },
        "file": {"type": "string", "minLength": 1, "description": "Path of a file that holds the data."},
        "format": {
            "enum": list(formats.FORMATS),
            "description": "How the file is written; without it by its ending, and text where that says nothing. CSV "
            "becomes a list of objects named by its header; cells are texts but where the schema says integer, number "
            "or boolean of their column, and an empty cell of such a column is left out.",
        },
        "encoding": formats.ENCODING,
        "delimiter": formats.DELIMITER,
        "max_bytes": {
            "type": "integer",
            "minimum": 0,
            "default": MAX_BYTES,
            "description": "Largest file that is read, in bytes.",
        },
        "defaults": {
            "type": "object",
            "description": "Values of fields that the data, or an object in its list, does not have; objects inside "
            "are filled in likewise. A null stays.",
        },
        "schema": {
            **FIELD,
            "examples": [{"type": "object", "required": ["message"]}],
            "description": "JSON Schema (2020-12 unless `$schema` says otherwise) that the data must fit, formats such "
            "as `email` included; it may refer to its own parts only.",
        },
    },
    "dependentSchemas": {
        "data": {"properties": {"file": False}},
        **{name: {"required": ["file"]} for name in ("format", "encoding", "delimiter", "max_bytes")},
    },
    "additionalProperties": False,
    "examples": [
        {"data": {"message": "hello"}, "schema": {"type": "object", "required": ["message"]}},
        {"file": "orders.csv", "schema": {"items": {"properties": {"count": {"type": "integer"}}}}},
    ],
}


def run(task: dict[str, Any]) -> bool:
    """Collect the data, fill in, validate, and set the output to it."""
    try:
        data = _filled(_collected(task), task.get("defaults"))
        if "schema" in task:
            check(task["schema"], data)
    except DataError as error:
        fail(str(error))
    except RecursionError:
        fail("the data is nested too deeply")
    task["output"] = data
    return True


def _collected(task: dict[str, Any]) -> Any:
    if "file" in task:
        return _from_file(task)
    if "data" not in task and not task.get("inputs"):
        if "defaults" in task:
            return {}
        raise DataError("there is no data: give `data`, `file` or `defaults`, or name a task in `depends_on`")
    return gathered(task)


def _from_file(task: dict[str, Any]) -> Any:
    form = task.get("format") or formats.by_ending(task["file"], "text")
    delimiter, encoding = task.get("delimiter", ","), task.get("encoding", "utf-8")
    data = contents(task["file"], task.get("max_bytes", MAX_BYTES))
    try:
        found = formats.read(data, form, encoding=encoding, delimiter=delimiter)
    except DataError as error:
        raise DataError(f"{task['file']}: {error}") from None
    return _typed(found, task.get("schema")) if form == "csv" else found


def _typed(rows: list[dict[str, Any]], schema: Any) -> list[dict[str, Any]]:
    """Cast the cells of columns that the schema gives another type than text; what does not fit stays for its check."""
    columns: Any = schema
    for name in ("items", "properties"):
        columns = columns.get(name) if isinstance(columns, dict) else None
    columns = columns if isinstance(columns, dict) else {}
    typed = {name: to for name, column in columns.items() if (to := _type_of(column)) is not None}
    return [
        {name: _cast(cell, typed.get(name)) for name, cell in row.items() if cell or name not in typed} for row in rows
    ]


def _type_of(column: Any) -> str | None:
    """Return the one type other than text that a column has, null aside; None where it is text or open."""
    types = column.get("type") if isinstance(column, dict) else None
    named = [name for name in (types if isinstance(types, list) else [types]) if name != "null"]
    return named[0] if named in (["integer"], ["number"], ["boolean"]) else None


def _cast(cell: str, to: str | None) -> Any:
    try:
        return cell if to is None else CASTS[to](cell)
    except DataError:
        return cell


def _filled(data: Any, defaults: dict[str, Any] | None) -> Any:
    if defaults is None:
        return data
    if isinstance(data, list):
        return [_filled(item, defaults) for item in data]
    if not isinstance(data, dict):
        raise DataError(f"`defaults` are for objects; the data is {kind(data)}")
    return merged(defaults, data)
