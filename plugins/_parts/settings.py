"""What the operator says about a task type in the table `[plugins.TYPE]`, checked.

A misspelt or mistyped setting fails the task: most of them are about safety, and one that is not understood must not be
taken for one that was never set. Called by the task types that have settings.
"""

import re
from collections.abc import Mapping
from typing import Any

from engine.task import fail


class Seconds(float):
    """The default of a setting that is a time: a number of seconds, or a text such as "30s" or "1h30m"."""


_WORDS = {
    bool: "true or false",
    list: "a list of texts",
    str: "a text",
    int: "a whole number, 0 or more",
    float: "a number, 0 or more",
    Seconds: 'a number of seconds or a text such as "30s" or "5m"',
}
# Never shown, not even where it is of the wrong type.
_SECRET = frozenset({"api_key", "password"})
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|[smhd]))+")
_PART = re.compile(r"([0-9.]+)(ms|[smhd])")


def read(task: dict[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return all settings of the task's type: those of the operator, else the default, whose type they must have.

    A default of the type `Seconds` takes a duration and gives seconds. Fails the task for a setting that is unknown or
    of another type.
    """
    given = task.get("settings") or {}
    said = {name: float(value) if isinstance(value, Seconds) else value for name, value in defaults.items()}
    for name, value in given.items():
        if name not in defaults:
            _refuse(task, f"{name!r} is no setting; there are {', '.join(defaults)}")
        kind = type(defaults[name])
        said[name] = _taken(kind, value)
        if said[name] is None:
            shown = "no such value" if name in _SECRET else repr(value)
            _refuse(task, f"`{name}` is {shown}; it has to be {_WORDS[kind]}")
    return said


def is_set(task: dict[str, Any], name: str) -> bool:
    """Tell whether the operator has said anything about a setting."""
    return name in (task.get("settings") or {})


def _taken(kind: type, value: Any) -> Any:
    """Return the value as this kind of setting, or None where it is of another kind."""
    if kind is list:
        return value if type(value) is list and all(isinstance(item, str) for item in value) else None
    if kind is Seconds and isinstance(value, str):
        return _seconds(value)
    if kind in {float, Seconds}:
        return float(value) if type(value) in (int, float) and float(value) >= 0 else None
    is_negative = kind is int and isinstance(value, int) and value < 0
    return value if type(value) is kind and not is_negative else None


def _seconds(text: str) -> float | None:
    if not _DURATION.fullmatch(text):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def _refuse(task: dict[str, Any], problem: str) -> None:
    fail(f"the settings of the operator in [plugins.{task['type']}] are wrong: {problem}")
