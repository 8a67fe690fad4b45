"""What the operator says about a task type in the table `[plugins.TYPE]`, checked.

A misspelt or mistyped setting fails the task: most of them are about safety, and one that is not understood must not be
taken for one that was never set. Called by the task types that have settings.
"""

from collections.abc import Mapping
from typing import Any

from engine.task import fail

_WORDS = {bool: "true or false", list: "a list of texts"}


def read(task: dict[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return all settings of the task's type: those of the operator, else the default, whose type they must have.

    Fails the task for one that is unknown or of another type.
    """
    given = task.get("settings") or {}
    for name, value in given.items():
        if name not in defaults:
            _refuse(task, f"{name!r} is no setting; there are {', '.join(defaults)}")
        kind = type(defaults[name])
        if type(value) is not kind or (kind is list and not all(isinstance(item, str) for item in value)):
            _refuse(task, f"`{name}` is {value!r}; it has to be {_WORDS[kind]}")
    return {**defaults, **given}


def _refuse(task: dict[str, Any], problem: str) -> None:
    fail(f"the settings of the operator in [plugins.{task['type']}] are wrong: {problem}")
