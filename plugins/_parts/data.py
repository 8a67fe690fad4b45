"""The data a task type works on, and places in it: dotted paths, what kind a value is, equality as JSON sees it.

Nothing here changes what it is handed: `put` and `without` return new values that share what did not change.
Called by conditional, data_transform and their private modules.
"""

import re
from collections.abc import Hashable
from math import isfinite
from typing import Any, Final

import msgspec

ABSENT: Final = object()
_SHOWN_CHARS = 60
_INDEX = re.compile(r"[0-9]{1,9}")


class DataError(ValueError):
    """Data, an option or a condition that cannot be used as asked; `row` is its place in a list, counted from 0."""

    def __init__(self, message: str, *, row: int | None = None) -> None:
        super().__init__(message)
        self.row = row


ONTO: dict[str, Any] = {
    "type": "object",
    "description": "An object that the outputs of the tasks it depends on are laid over, in the order of `depends_on`: "
    "an object key by key, anything else but null under the id of its task.",
}


def material(task: dict[str, Any]) -> Any:
    """Return the field `data`; without it the output of the only dependency, or an object of outputs by task id.

    With the field `onto` it is that object with the outputs laid over it. Raises DataError where there is nothing.
    """
    if "data" in task:
        return task["data"]
    if "onto" in task:
        return laid_over(task["onto"], task.get("inputs") or {})
    inputs = task.get("inputs") or {}
    if not inputs:
        raise DataError("there is no data: give `data`, or name a task in `depends_on`")
    return next(iter(inputs.values())) if len(inputs) == 1 else dict(inputs)


def laid_over(whole: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:
    """Return an object with outputs laid over it: objects key by key, anything else but null under its name."""
    whole = dict(whole)
    for name, output in inputs.items():
        if output is not None:
            whole |= output if isinstance(output, dict) else {name: output}
    return whole


def find(data: Any, path: str) -> Any:
    """Return the value at a dotted path (`a.b`, `items.0.name`), or ABSENT.

    On each level a key that equals the whole rest of the path goes first, so keys with dots in them are found too.
    """
    while True:
        if isinstance(data, dict) and path in data:
            return data[path]
        head, dot, path = path.partition(".")
        data = _inside(data, head)
        if data is ABSENT or not dot:
            return data


def _inside(data: Any, name: str) -> Any:
    if isinstance(data, dict):
        return data.get(name, ABSENT)
    if isinstance(data, list) and _INDEX.fullmatch(name):
        return data[int(name)] if int(name) < len(data) else ABSENT
    return ABSENT


def need(data: Any, path: str) -> Any:
    """Return the value at a dotted path; raise DataError where there is none."""
    found = find(data, path)
    if found is ABSENT:
        raise DataError(f"there is no field {path!r}")
    return found


def put(data: Any, path: str, value: Any) -> Any:
    """Return the data with a value at a dotted path; objects on the way are made where they are missing."""
    head, dot, rest = path.partition(".")
    if isinstance(data, dict):
        if not dot or path in data:
            return {**data, path: value}
        return {**data, head: put(data.get(head, {}), rest, value)}
    inner = _inside(data, head)
    if inner is ABSENT:
        raise DataError(f"no field {path!r} can be set in {kind(data)}: {short(data)}")
    return [
        put(inner, rest, value) if dot and at == int(head) else value if at == int(head) else item
        for at, item in enumerate(data)
    ]


def without(data: Any, path: str) -> Any:
    """Return the data without what is at a dotted path; what is not there need not go.

    Raises DataError where the path leads into a list: taking one element away would move the others.
    """
    if not isinstance(data, dict):
        if find(data, path) is not ABSENT:
            raise DataError(f"{path!r} lies in a list and cannot be taken away from there")
        return data
    if path in data:
        return {key: value for key, value in data.items() if key != path}
    head, dot, rest = path.partition(".")
    return {**data, head: without(data[head], rest)} if dot and head in data else data


def kind(value: Any) -> str:
    """Say in words what kind of JSON value this is."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "an object"


def key(value: Any) -> Hashable:
    """Return something hashable that is equal exactly where JSON values are: 1 and 1.0 are, 1 and true are not."""
    if isinstance(value, dict):
        return ("an object", frozenset((name, key(inner)) for name, inner in value.items()))
    if isinstance(value, list):
        return ("a list", tuple(map(key, value)))
    return (kind(value), value)


def sound(number: float) -> float:
    """Return a number that JSON can hold; raise DataError where it is infinite or does not fit 64 bits."""
    if isinstance(number, int) and not -(2**63) <= number < 2**64:
        raise DataError(f"the result {number} does not fit 64 bits")
    if not isfinite(number):
        raise DataError("the result is too large for a number")
    return number


def text(value: Any) -> str:
    """Write a value as text: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def short(value: Any) -> str:
    """Write a value as JSON for a message, cut after some sixty characters."""
    written = msgspec.json.encode(value).decode(errors="replace")
    return written if len(written) <= _SHOWN_CHARS else written[:_SHOWN_CHARS] + "..."
