"""The task type `delay`: waits for a time without holding a worker.

It only works out how long; `later` makes the engine wait.
"""

from typing import Any

from engine.task import fail, later, wall
from plugins._parts.moments import bounded, instant, seconds

TASK_TYPE = "delay"
DESCRIPTION = "Wait for a while or until a moment, without holding a worker."
VERSION = "1.0"
REQUIRED_FIELDS: list[str] = []
PARAM_SCHEMA = {
    "type": "object",
    "properties": {
        "seconds": {
            "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "minLength": 1}],
            "examples": ["30s"],
            "description": 'How long to wait: a number of seconds, or "250ms", "30s", "5m", "1h30m", "2d".',
        },
        "until": {
            "type": "string",
            "description": "The moment to wait for, as RFC 3339 with an offset (2027-01-01T00:00:00Z). "
            "A moment that has passed is not waited for.",
        },
    },
    # One of the two, said so that the problem names the field that is missing or too much.
    "if": {"not": {"required": ["until"]}},
    "then": {"required": ["seconds"]},
    "dependentSchemas": {"seconds": {"properties": {"until": False}}},
    "additionalProperties": False,
}


def run(task: dict[str, Any]) -> bool:
    """Ask to be called again when the time has come, then set the output to `{"waited": seconds}`."""
    memo = task.get("memo") or {"waited": 0.0}
    left = _left(task, has_waited=bool(task.get("memo")))
    if left > 0:
        later(left, {"waited": memo["waited"] + left})
    task["output"] = memo
    return True


def _left(task: dict[str, Any], *, has_waited: bool) -> float:
    if ("seconds" in task) == ("until" in task):
        fail("give either `seconds` or `until`")
    if "until" in task:
        # Asked again after the wait: a clock that was set back meanwhile makes it wait for the rest.
        return bounded(instant("until", task["until"]) - wall())
    return 0.0 if has_waited else bounded(seconds("seconds", task["seconds"]))
