"""The task type `log`: writes one line with a level to the task's log.

Names in braces are replaced by values from `data` and from the outputs of the tasks it depends on. This is plain
replacement, not `str.format`: no attributes, no indexes, and a name that is not there stays as it was written.
"""

import logging
import re
from typing import Any

import msgspec

TASK_TYPE = "log"
DESCRIPTION = "Write one line with a level to the task's log."
VERSION = "1.0"
REQUIRED_FIELDS = ["message"]
PARAM_SCHEMA = {
    "type": "object",
    "properties": {
        "message": {
            "type": "string",
            "description": "The line. `{name}` is replaced by the value of that name in `data`, else in an output that "
            "is an object, else by the output of the task with that id, else in `onto`; a name that is nowhere stays "
            "as it is. "
            "The output of the task is the finished line.",
        },
        "level": {
            "enum": ["debug", "info", "warning", "error", "critical"],
            "default": "info",
            "description": "How grave it is.",
        },
        "data": {"type": "object", "description": "Values for the message; they are written behind it as JSON."},
        "onto": {"type": "object", "description": "Values for the message where no output and no `data` has one."},
    },
    "additionalProperties": False,
}

_NAME = re.compile(r"\{([A-Za-z_][A-Za-z0-9_.-]*)\}")
_logger = logging.getLogger(__name__)


def run(task: dict[str, Any]) -> bool:
    """Log the message with its names filled in and set the output to the line."""
    data = task.get("data") or {}
    names = {**(task.get("onto") or {}), **_names(task.get("inputs") or {}), **data}
    line = _NAME.sub(lambda match: _text(names.get(match[1], match[0])), task["message"])
    _logger.log(getattr(logging, task.get("level", "info").upper()), "%s", f"{line} {_text(data)}" if data else line)
    task["output"] = line
    return True


def _names(inputs: dict[str, Any]) -> dict[str, Any]:
    inner = {key: value for output in inputs.values() if isinstance(output, dict) for key, value in output.items()}
    return {**inputs, **inner}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
