"""The task type `conditional`: decides which branch a run takes.

The output is `{"result": …, "branch": …}`: what follows says `when: tasks.ID.output.result`, or passes the branch on.
"""

from typing import Any

from engine.task import fail
from plugins._parts.conditions import NEED_VALUE, OPERATORS, holds
from plugins._parts.data import ONTO, DataError, material

TASK_TYPE = "conditional"
DESCRIPTION = "Decide which branch is taken: compare a field of the data with a value."
VERSION = "1.0"
REQUIRED_FIELDS = ["condition"]

_CONDITIONS = {"type": "array", "items": {"$ref": "#/$defs/condition"}, "minItems": 1}
_CONDITION = {
    "type": "object",
    "properties": {
        "field": {
            "type": "string",
            "minLength": 1,
            "maxLength": 256,
            "description": "Field that is compared, dotted where it lies deeper; without it the data itself.",
        },
        "operator": {
            "enum": list(OPERATORS),
            "description": "How it is compared. Values of different kinds and fields that are not there are errors, "
            "except for exists and not_exists; `matches` looks for a regular expression anywhere in a text.",
        },
        "value": {"description": f"What it is compared with; needed by {', '.join(NEED_VALUE)}."},
        "all": {
            **_CONDITIONS,
            "description": "Conditions that must all hold; the first that does not ends the search.",
        },
        "any": {
            **_CONDITIONS,
            "description": "Conditions of which one must hold; the first that does ends the search.",
        },
        "not": {"$ref": "#/$defs/condition", "description": "A condition that must not hold."},
    },
    "minProperties": 1,
    "dependentRequired": {"field": ["operator"], "value": ["operator"]},
    "dependentSchemas": {name: {"maxProperties": 1} for name in ("all", "any", "not")},
    "if": {"properties": {"operator": {"enum": list(NEED_VALUE)}}, "required": ["operator"]},
    "then": {"required": ["value"]},
    "additionalProperties": False,
}
PARAM_SCHEMA = {
    "type": "object",
    "properties": {
        "condition": {
            "$ref": "#/$defs/condition",
            "examples": [{"field": "total", "operator": ">=", "value": 100}],
            "description": "A comparison `{field, operator, value}`, or `{all: […]}`, `{any: […]}` or `{not: …}` of "
            "conditions.",
        },
        "data": {
            "description": "What is compared. Without it the output of the only task it depends on, or an object of "
            "the outputs by task id.",
        },
        "onto": ONTO,
        "then": {"default": "true", "description": "The branch where the condition holds: any value."},
        "else": {"default": "false", "description": "The branch where it does not: any value."},
    },
    "dependentSchemas": {"data": {"properties": {"onto": False}}},
    "additionalProperties": False,
    "$defs": {"condition": _CONDITION},
}


def run(task: dict[str, Any]) -> bool:
    """Set the output to `{"result": true, "branch": "true"}`, or what `then` and `else` name as branches.

    The task succeeds whichever branch it is; it fails where the condition cannot be decided.
    """
    try:
        result = holds(material(task), task["condition"])
    except DataError as error:
        fail(f"the condition cannot be decided: {error}")
    task["output"] = {
        "result": result,
        "branch": task.get("then", "true") if result else task.get("else", "false"),
    }
    return True
