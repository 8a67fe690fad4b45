"""All transforms by name, and what it takes to apply one of a list: its options checked, its place in the message.

Called by data_transform and process, whose lists of transforms are called `transforms` and `rules`.
"""

from collections.abc import Mapping
from typing import Any

from engine.task import fail
from plugins._parts import dates, figures, lists, rows, values
from plugins._parts.data import DataError, need, put
from plugins._parts.operation import Operation, Options, Schema

OPERATIONS: dict[str, Operation] = {
    **rows.OPERATIONS,
    **values.OPERATIONS,
    **figures.OPERATIONS,
    **dates.OPERATIONS,
    **lists.OPERATIONS,
}


def schema(operations: Mapping[str, Operation]) -> Schema:
    """Write the JSON Schema of one transform of these: `{type, …}` with the options of its type."""
    # `if`/`then` by type: the problem that is reported is that of the transform which was meant, not of all of them.
    return {
        "type": "object",
        "properties": {"type": {"enum": list(operations), "description": "Which transform."}},
        "required": ["type"],
        "allOf": [
            {
                "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
                "then": operation.schema(name),
            }
            for name, operation in operations.items()
        ],
    }


def apply(operations: Mapping[str, Operation], data: Any, options: Options, place: str) -> Any:
    """Apply one transform to the data, or to what lies in it at the option `at`; fail the task with its place."""
    operation = operations.get(options["type"])
    if operation is None:
        fail(f"{place}: there is no transform {options['type']!r}; there are {', '.join(operations)}")
    missing = [name for name in operation.required if name not in options]
    if missing:
        fail(f"{_named(place, options)}: it needs `{'`, `'.join(missing)}`")
    try:
        if "at" not in options:
            return operation.apply(data, options)
        return put(data, options["at"], operation.apply(need(data, options["at"]), options))
    except DataError as error:
        fail(f"{_named(place, options, error.row)}: {error}")
    except RecursionError:
        fail(f"{_named(place, options)}: the data is nested too deeply")


def _named(place: str, options: Options, row: int | None = None) -> str:
    fields = next((options[name] for name in ("field", "fields", "from", "by", "group_by") if name in options), None)
    operation = f" {options['operation']}" if options["type"] == "transform" else ""
    named = "" if fields is None else f", {fields!r}"
    where = f", at {options['at']!r}" if "at" in options else ""
    return f"{place} ({options['type']}{operation}{named}{where})" + ("" if row is None else f", row {row}")
