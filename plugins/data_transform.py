"""The task type `data_transform`: reshapes an object or a list of objects, one transform after the other.

It looks the transforms up in `rows`, `values` and `lists`, makes its PARAM_SCHEMA from them, and says which of them
failed where. The data it is handed is never changed.
"""

from typing import Any

from engine.task import fail
from plugins._parts.data import DataError, material
from plugins._parts.lists import OPERATIONS as LISTS
from plugins._parts.operation import Schema
from plugins._parts.rows import OPERATIONS as ROWS
from plugins._parts.values import OPERATIONS as VALUES

TASK_TYPE = "data_transform"
DESCRIPTION = "Reshape an object or a list of objects: rename, cast, filter, sort, aggregate, query and the like."
VERSION = "1.0"
REQUIRED_FIELDS = ["transforms"]

OPERATIONS = {**ROWS, **VALUES, **LISTS}


def _schema() -> Schema:
    # `if`/`then` by type: the problem that is reported is that of the transform which was meant, not of all of them.
    transforms = [
        {
            "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
            "then": operation.schema(name),
        }
        for name, operation in OPERATIONS.items()
    ]
    return {
        "type": "object",
        "properties": {
            "data": {
                "description": "What is reshaped. Without it the output of the only task it depends on, or an object "
                "of the outputs by task id.",
            },
            "transforms": {
                "type": "array",
                "examples": [[{"type": "sort", "by": "total"}]],
                "description": "The transforms, in order; each takes what the one before left, the last gives the "
                "output. Fields inside objects are written `a.b`, elements of lists `items.0`.",
                "items": {
                    "type": "object",
                    "properties": {"type": {"enum": list(OPERATIONS), "description": "Which transform."}},
                    "required": ["type"],
                    "allOf": transforms,
                },
            },
        },
        "additionalProperties": False,
    }


PARAM_SCHEMA = _schema()


def run(task: dict[str, Any]) -> bool:
    """Apply the transforms to the data and set the output to what comes out."""
    try:
        data = material(task)
    except DataError as error:
        fail(str(error))
    for at, options in enumerate(task["transforms"]):
        data = _transformed(data, at, options)
    task["output"] = data
    return True


def _transformed(data: Any, at: int, options: dict[str, Any]) -> Any:
    operation = OPERATIONS.get(options["type"])
    if operation is None:
        fail(f"transforms[{at}]: there is no transform {options['type']!r}; there are {', '.join(OPERATIONS)}")
    missing = [name for name in operation.required if name not in options]
    if missing:
        fail(f"{_place(at, options)}: it needs `{'`, `'.join(missing)}`")
    try:
        return operation.apply(data, options)
    except DataError as error:
        fail(f"{_place(at, options, error.row)}: {error}")
    except RecursionError:
        fail(f"{_place(at, options)}: the data is nested too deeply")


def _place(at: int, options: dict[str, Any], row: int | None = None) -> str:
    fields = next((options[name] for name in ("field", "fields", "from", "by", "group_by") if name in options), None)
    named = "" if fields is None else f", {fields!r}"
    return f"transforms[{at}] ({options['type']}{named})" + ("" if row is None else f", row {row}")
