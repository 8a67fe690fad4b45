"""The engine's own keys in a document, one row each: what its value may be, and what the model gets for it.

Tables and small checks; no state, no catalogue. A check takes the JSON value and returns the value of the model, or
raises RefusedError with what is wrong at or below it. Called by `document`.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from engine import durations
from engine.model import ISOLATIONS, TRIGGER_RULES
from engine.problems import Findings, Hint, escape, meant, quoted
from engine.states import Reason

ID = re.compile(r"[A-Za-z0-9_.\-]{1,128}")
_LONGEST_NAME = 200
_MOST_RETRIES = 1_000_000
_MOST_BACKOFF = 1_000.0
_MOST_EXIT_CODE = 255
_MOST_FAULTS = 1_000  # of one list; more are not even counted
_MOST_PRIORITY = 2**31 - 1

# What an attempt can end with; the other reasons are of tasks that never started, or of runs.
RETRIABLE = (
    Reason.ERROR,
    Reason.EXIT_CODE,
    Reason.TIMEOUT,
    Reason.WORKER_LOST,
    Reason.BAD_OUTPUT,
    Reason.OUTPUT_TOO_LARGE,
    Reason.PLUGIN_MISSING,
    Reason.PLUGIN_BROKEN,
    Reason.MEMORY_LIMIT,
    Reason.CPU_LIMIT,
    Reason.INVALID,
)


class Fault(NamedTuple):
    """Say what is wrong at a pointer `below` the value checked; `is_key` where the key is what is wrong."""

    code: str
    message: str
    hint: Hint = None
    below: str = ""
    is_key: bool = False


class RefusedError(Exception):
    """A value is not what its key asks for."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(faults)
        self.faults = faults


Check = Callable[[Any], Any]


def refuse(code: str, message: str, hint: Hint = None) -> RefusedError:
    """Make the error for one thing that is wrong with the value itself."""
    return RefusedError(Fault(code, message, hint))


def task_id(value: Any) -> str:
    """Check an id."""
    if type(value) is str and ID.fullmatch(value):
        return value
    _text(value)
    message = f"{quoted(value)} is not an id: 1 to 128 letters (a to z), digits, underscores, hyphens and dots"
    raise refuse("bad_id", message)


def _text(value: Any) -> str:
    if type(value) is str:
        return value
    raise refuse("wrong_type", f"must be a text, not {quoted(value)}")


def _filled(value: Any) -> str:
    if type(value) is str and value and not value.isspace():
        return value
    _text(value)
    raise refuse("bad_value", "must not be empty")


def _name(value: Any) -> str:
    if not _filled(value).isprintable() or len(value) > _LONGEST_NAME:
        raise refuse("bad_value", f"must be at most {_LONGEST_NAME} printable characters on one line")
    return str(value)


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise refuse("wrong_type", f"must be true or false, not {quoted(value)}")


def or_null(check: Check) -> Check:
    """Let null through, which says that there is none."""
    return lambda value: None if value is None else check(value)


def _integer(least: int, most: int | None = None) -> Check:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise refuse("wrong_type", f"must be an integer, not {quoted(value)}")
        if value < least or (most is not None and value > most):
            limits = f"{least} or more" if most is None else f"from {least} to {most}"
            raise refuse("bad_value", f"must be {limits}, not {value}")
        return value

    return check


def _number(least: float, most: float) -> Check:
    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise refuse("wrong_type", f"must be a number, not {quoted(value)}")
        if not least <= value <= most:
            raise refuse("bad_value", f"must be from {least:g} to {most:g}, not {value}")
        return float(value)

    return check


def _duration(value: Any) -> float:
    try:
        return durations.parse(value)
    except ValueError as error:
        raise refuse("bad_duration", f"{error}, not {quoted(value)}") from None


def span(value: Any) -> float:
    """Check a duration that is more than nothing, and return seconds."""
    seconds = _duration(value)
    if not seconds:
        raise refuse("bad_duration", "must be more than zero", "Leave it out where there is no limit.")
    return seconds


def _seconds(value: Any) -> float:
    if isinstance(value, str):
        raise refuse(
            "wrong_type", f"must be a number of seconds, not {quoted(value)}", 'Texts like "5m" go in timeout.'
        )
    return span(value)


def _advice(word: str, options: Collection[str], words: str) -> Hint:
    return lambda: meant(word, options) or f"{words} {', '.join(options)}."


def _choice(options: Collection[str]) -> Check:
    def check(value: Any) -> str:
        if _text(value) in options:
            return str(value)
        raise refuse("bad_value", f"{quoted(value)} is not one of its values", _advice(value, options, "There are"))

    return check


def _each(check: Check, what: str) -> Check:
    """Check a list element by element."""

    def of_list(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise refuse("wrong_type", f"must be a list of {what}, not {quoted(value)}", _bracketed(value))
        found: list[Any] = []
        faults: list[Fault] = []
        for index, item in enumerate(value):
            try:
                found.append(check(item))
            except RefusedError as refused:
                if len(faults) >= _MOST_FAULTS:
                    break
                faults += [fault._replace(below=f"/{index}{fault.below}") for fault in refused.faults]
        if faults:
            raise RefusedError(*faults)
        return tuple(found)

    return of_list


def _bracketed(value: Any) -> str | None:
    return f"Write [{quoted(value)}]." if isinstance(value, str | int) else None


def _dependencies(value: Any) -> tuple[str, ...]:
    if type(value) is list:
        found = tuple(value)
        for name in found:
            if type(name) is not str:
                break
        else:
            if len(found) < len("ab") or len(set(found)) == len(found):
                return found
    given = _each(_text, "task ids")(value)
    seen: set[str] = set()
    faults: list[Fault] = []
    for index, name in enumerate(given):
        if name in seen and len(faults) < _MOST_FAULTS:
            faults.append(
                Fault("duplicate_dependency", f"{quoted(name)} is named twice", "Remove one of them.", f"/{index}")
            )
        seen.add(name)
    raise RefusedError(*faults)


def checked(value: Mapping[str, Any], table: Mapping[str, Check], what: str) -> dict[str, Any]:
    """Check an object of the engine's, whose keys are those of a table.

    Raises RefusedError with all that is wrong in it; `what` names it in sentences.
    """
    found, faults = {}, []
    for key, item in value.items():
        check = table.get(key)
        below = f"/{escape(key)}"
        if check is None:
            hint = _advice(key, table, "It has")
            faults.append(Fault("unknown_key", f"{what} has no key {quoted(key)}", hint, below, is_key=True))
            continue
        try:
            found[key] = check(item)
        except RefusedError as refused:
            faults += [fault._replace(below=below + fault.below, message=said(key, fault)) for fault in refused.faults]
    if faults:
        raise RefusedError(*faults)
    return found


def said(key: str, fault: Fault) -> str:
    """Word a fault of a value with the key in front, unless it is one of something below or names itself."""
    return f"{key} {fault.message}" if fault.message.startswith("must ") and not fault.below else fault.message


def _retry(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        hint = f'Write {{"max_retries": {value}}}.' if isinstance(value, int) and not isinstance(value, bool) else None
        raise refuse("wrong_type", f"must be an object, not {quoted(value)}", hint)
    return checked(value, RETRY_KEYS, "retry")


def _later(what: str) -> Check:
    def check(_value: Any) -> None:
        raise refuse("unsupported", f"{what} is not part of this version")

    return check


retries = _integer(0, _MOST_RETRIES)

RETRY_KEYS: dict[str, Check] = {
    "max_retries": retries,
    "delay": _duration,
    "backoff": _number(1.0, _MOST_BACKOFF),
    "max_delay": _duration,
    "jitter": _number(0.0, 1.0),
    "on": or_null(_each(lambda value: Reason(_choice(RETRIABLE)(value)), "reason codes")),
    "exit_codes": or_null(_each(_integer(0, _MOST_EXIT_CODE), "exit codes")),
}

DEFAULT_KEYS: dict[str, Check] = {
    "trigger_rule": _choice(TRIGGER_RULES),
    "timeout": or_null(span),
    "retry": _retry,
    "pool": _later("pool"),
    "priority": _integer(-_MOST_PRIORITY, _MOST_PRIORITY),
    "continue_on_failure": _truth,
    "cache": _later("cache"),
    "isolation": _choice(ISOLATIONS),
    "memory_limit": or_null(_integer(1)),
    "cpu_limit": or_null(span),
}

TASK_KEYS: dict[str, Check] = {
    "id": task_id,
    "type": _filled,
    "description": _text,
    "depends_on": _dependencies,
    "when": or_null(_filled),
    "foreach": _later("foreach"),
    "loop": _later("loop"),
    **DEFAULT_KEYS,
}

WORKFLOW_KEYS: dict[str, Check] = {
    "name": _name,
    "description": _text,
    "timeout": or_null(span),
    "max_parallel": or_null(_integer(1)),
    "fail_fast": _truth,
    "priority": _integer(-_MOST_PRIORITY, _MOST_PRIORITY),
}


def refuse_at(at: str, key: str, refused: RefusedError, findings: Findings) -> None:
    """Note what is wrong with the value of a key that stands at a pointer."""
    for fault in refused.faults:
        is_key = fault.is_key or fault.code == "unsupported"
        findings.add(fault.code, said(key, fault), at + fault.below, fault.hint, at_key=is_key)
