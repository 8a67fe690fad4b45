"""The task type `data_transform`: reshapes an object or a list of objects, one transform after the other.

The transforms are those of `transforms`, which makes the PARAM_SCHEMA and says which of them failed where. The data it
is handed is never changed.
"""

from typing import Any

from engine.task import fail
from plugins._parts.data import ONTO, DataError, material
from plugins._parts.transforms import OPERATIONS, apply, schema

TASK_TYPE = "data_transform"
DESCRIPTION = "Reshape an object or a list of objects: rename, cast, filter, sort, aggregate, query and the like."
VERSION = "1.0"
REQUIRED_FIELDS = ["transforms"]

PARAM_SCHEMA = {
    "type": "object",
    "properties": {
        "data": {
            "description": "What is reshaped. Without it the output of the only task it depends on, or an object "
            "of the outputs by task id.",
        },
        "onto": ONTO,
        "transforms": {
            "type": "array",
            "examples": [[{"type": "sort", "by": "total"}]],
            "description": "The transforms, in order; each takes what the one before left, the last gives the "
            "output. Fields inside objects are written `a.b`, elements of lists `items.0`.",
            "items": schema(OPERATIONS),
        },
    },
    "dependentSchemas": {"data": {"properties": {"onto": False}}},
    "additionalProperties": False,
}


def run(task: dict[str, Any]) -> bool:
    """Apply the transforms to the data and set the output to what comes out."""
    try:
        data = material(task)
    except DataError as error:
        fail(str(error))
    for at, options in enumerate(task["transforms"]):
        data = apply(OPERATIONS, data, options, f"transforms[{at}]")
    task["output"] = data
    return True
