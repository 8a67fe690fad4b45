"""The task type `print`: writes a message to the task's log and hands it on as output.

It does as little as a task can do: an empty message writes nothing at all, so it is the no-op of the benchmarks too.
"""

from typing import Any

import msgspec

TASK_TYPE = "print"
DESCRIPTION = "Write a message to the task's log and hand it on as output."
VERSION = "1.0"
REQUIRED_FIELDS = ["message"]
PARAM_SCHEMA = {
    "type": "object",
    "properties": {
        "message": {
            "description": "What to write: text as it is, any other value as JSON. Empty text writes nothing. "
            "The output is the message, type and all.",
        },
    },
    "additionalProperties": False,
}


def run(task: dict[str, Any]) -> bool:
    """Print the message and set the output to it."""
    message = task["message"]
    if message != "":
        print(message if isinstance(message, str) else msgspec.json.encode(message).decode())
    task["output"] = message
    return True
