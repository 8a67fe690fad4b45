"""The task type `process`: rules over the outputs of the tasks before it, merged by kind, or over `data`.

Every transform of data_transform is a rule; beside them stand `transform` with an `operation`, `validate`, and the
names `remove` and `select`. The data it is handed is never changed.
"""

from typing import Any

from engine.task import fail
from plugins._parts.conditions import NEED_VALUE, OPERATORS, compare
from plugins._parts.data import DataError, short
from plugins._parts.merging import DEPENDENT, FIELDS, gathered
from plugins._parts.operation import Operation, Options, Schema, path
from plugins._parts.schemas import FIELD as SCHEMA
from plugins._parts.schemas import check
from plugins._parts.transforms import OPERATIONS, apply, schema

TASK_TYPE = "process"
DESCRIPTION = "Merge what the tasks before it gave and apply rules to it: transform, filter, rename, validate and more."
VERSION = "1.0"
REQUIRED_FIELDS: list[str] = []

_AT = path("Where in the data the rule works; without it on the whole.")


def _casting(to: str, description: str) -> Operation:
    cast = OPERATIONS["cast"]
    fields = {"field": cast.options["field"]}
    return Operation(lambda data, options: cast.apply(data, {**options, "to": to}), description, fields)


_OF_FIELDS = ("uppercase", "lowercase", "title", "trim", "replace", "split", "join", "round", "map_values", "date")
_OF_NUMBERS = ("add", "subtract", "multiply", "divide", "modulo", "absolute", "floor", "ceil")
TRANSFORMS: dict[str, Operation] = {
    **{name: OPERATIONS[name] for name in (*_OF_FIELDS, *_OF_NUMBERS)},
    "to_number": _casting("number", "Make a number of a text."),
    "to_integer": _casting("integer", "Make a whole number of a text or number."),
    "to_boolean": _casting("boolean", "Make true or false of a text or number."),
    "to_text": _casting("string", "Write a value as text, anything but text as JSON."),
    "to_json": _casting("json", "Read a text as JSON."),
}


def _transform(data: Any, options: Options) -> Any:
    operation = TRANSFORMS.get(options["operation"])
    if operation is None:
        raise DataError(f"there is no operation {options['operation']!r}; there are {', '.join(TRANSFORMS)}")
    missing = [name for name in operation.required if name not in options and name != "field"]
    if missing:
        raise DataError(f"it needs `{'`, `'.join(missing)}`")
    if "field" in options:
        return operation.apply(data, options)
    return operation.apply({"data": data}, {**options, "field": "data"})["data"]


def _validate(data: Any, options: Options) -> Any:
    if ("schema" in options) == ("operator" in options):
        raise DataError("it needs either `schema` or `operator`")
    if "schema" in options:
        check(options["schema"], data)
        return data
    for at, item in enumerate(data) if isinstance(data, list) else [(None, data)]:
        if not _holds(item, options, at):
            wanted = f" {short(options['value'])}" if "value" in options else ""
            raise DataError(f"{options['operator']}{wanted} does not hold for {short(item)}", row=at)
    return data


def _holds(item: Any, options: Options, at: int | None) -> bool:
    try:
        return compare(item, options)
    except DataError as error:
        raise DataError(str(error), row=at) from None


RULES: dict[str, Operation] = {
    **OPERATIONS,
    "remove": OPERATIONS["drop"],
    "select": OPERATIONS["pick"],
    "validate": Operation(
        _validate,
        "Fail where the data is not as it should be, with all violations of a schema, or the first comparison "
        "that does not hold.",
        {
            "schema": {**SCHEMA, "description": "JSON Schema that the data must fit."},
            "field": path("Field that is compared; without it the data itself, or each item of a list."),
            "operator": {"enum": list(OPERATORS), "description": "How it is compared, as in `conditional`."},
            "value": {"description": f"What it is compared with; needed by {', '.join(NEED_VALUE)}."},
        },
        frozenset({"schema", "field", "operator", "value"}),
    ),
    "transform": Operation(
        _transform,
        "Change the values of a field.",
        {"operation": {"enum": list(TRANSFORMS), "description": "What is done to them."}},
    ),
}


def _placed(operation: Operation) -> Operation:
    return operation._replace(options={**operation.options, "at": _AT}, optional=operation.optional | {"at"})


def _rule() -> Schema:
    rule = schema({name: _placed(rule) for name, rule in RULES.items() if name != "transform"})
    rule["properties"]["type"]["enum"] = list(RULES)
    is_transform: Schema = {"properties": {"type": {"const": "transform"}}, "required": ["type"]}
    operation = {"operation": RULES["transform"].options["operation"]}
    rule["allOf"].append({"if": is_transform, "then": {"required": ["operation"], "properties": operation}})
    for name, inner in TRANSFORMS.items():
        placed = _placed(inner._replace(optional=inner.optional | {"field"})).schema("transform")
        placed["properties"]["operation"] = {"const": name}
        chosen = {**is_transform["properties"], "operation": {"const": name}}
        rule["allOf"].append({"if": {"properties": chosen, "required": ["type", "operation"]}, "then": placed})
    return rule


PARAM_SCHEMA = {
    "type": "object",
    "properties": {
        "rules": {
            "type": "array",
            "examples": [[{"type": "transform", "field": "message", "operation": "uppercase"}]],
            "description": "The rules, in order; each takes what the one before left, the last gives the output. "
            "Every transform of `data_transform` is one; `transform` does an `operation` to a field (without `field` "
            "to the data itself), `validate` fails where a `schema` or a comparison does not hold, `remove` and "
            "`select` are `drop` and `pick`. With `at` a rule works on one place in the data. Fields inside objects "
            "are written `a.b`, elements of lists `items.0`.",
            "items": _rule(),
        },
        "data": {"description": "What the rules work on. Without it the outputs of the tasks it depends on, merged."},
        **FIELDS,
    },
    "dependentSchemas": DEPENDENT,
    "additionalProperties": False,
    "examples": [
        {"data": {"message": "hello"}, "rules": [{"type": "transform", "field": "message", "operation": "uppercase"}]},
        {
            "depends_on": ["orders", "prices"],
            "merge": "list",
            "rules": [
                {"type": "validate", "field": "count", "operator": ">", "value": 0},
                {"type": "transform", "operation": "multiply", "field": "price", "other": "count", "to": "total"},
                {"type": "select", "fields": ["name", "total"]},
            ],
        },
    ],
}


def run(task: dict[str, Any]) -> bool:
    """Merge, apply the rules, and set the output to what comes out."""
    try:
        data = gathered(task)
    except DataError as error:
        fail(str(error))
    except RecursionError:
        fail("the data is nested too deeply")
    for at, options in enumerate(task.get("rules") or []):
        data = apply(RULES, data, options, f"rules[{at}]")
    task["output"] = data
    return True
