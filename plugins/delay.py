"""The task type `delay`: waits for a time without holding a worker.

It only works out how long; `later` makes the engine wait.
"""

import re
from datetime import datetime
from typing import Any

from engine.task import fail, later, wall

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

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|[smhd]))+")
_PART = re.compile(r"([0-9.]+)(ms|[smhd])")
# Longer waits belong to a schedule; the bound also keeps every due time a date that can be written.
_MOST_SECONDS = 366 * 86400.0


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
        return _bounded(_moment(task["until"]) - wall())
    return 0.0 if has_waited else _bounded(_seconds(task["seconds"]))


def _bounded(seconds: float) -> float:
    if seconds > _MOST_SECONDS:
        fail(f"a delay of {seconds / 86400:.0f} days is longer than a year; use a schedule for that")
    return seconds


def _seconds(given: Any) -> float:
    if isinstance(given, int | float) and not isinstance(given, bool) and given >= 0:
        return float(given)
    if not isinstance(given, str) or not _DURATION.fullmatch(given):
        fail(f'`seconds` is {given!r}; write a number of seconds or a duration such as "250ms", "30s" or "1h30m"')
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(given))


def _moment(given: Any) -> float:
    try:
        moment = datetime.fromisoformat(given)
        seconds = moment.timestamp()
    except (TypeError, ValueError, OverflowError):
        moment, seconds = None, 0.0
    if moment is None or moment.tzinfo is None:
        fail(f"`until` is {given!r}; write an instant with its offset, such as 2027-01-01T00:00:00Z")
    return seconds
