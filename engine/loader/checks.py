"""Small checks of values of the engine's keys: take a JSON value, return the model's, or say what is wrong with it.

Know no key but `id`; what a key may hold is said in `keys` and `control`. Called by whatever judges a document.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from engine import durations
from engine.problems import Findings, Hint, escape, meant, quoted

ID = re.compile(r"[A-Za-z0-9_.\-]{1,128}")
LONGEST_NAME = 200
MOST_FAULTS = 1_000  # of one list; more are not even counted


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
    text(value)
    message = f"{quoted(value)} is not an id: 1 to 128 letters (a to z), digits, underscores, hyphens and dots"
    raise refuse("bad_id", message)


def text(value: Any) -> str:
    """Check a text."""
    if type(value) is str:
        return value
    raise refuse("wrong_type", f"must be a text, not {quoted(value)}")


def filled(value: Any) -> str:
    """Check a text that is more than white space."""
    if type(value) is str and value and not value.isspace():
        return value
    text(value)
    raise refuse("bad_value", "must not be empty")


def name(value: Any) -> str:
    """Check a name that is shown to people."""
    if not filled(value).isprintable() or len(value) > LONGEST_NAME:
        raise refuse("bad_value", f"must be at most {LONGEST_NAME} printable characters on one line")
    return str(value)


def truth(value: Any) -> bool:
    """Check true or false."""
    if isinstance(value, bool):
        return value
    raise refuse("wrong_type", f"must be true or false, not {quoted(value)}")


def or_null(check: Check) -> Check:
    """Let null through, which says that there is none."""
    return lambda value: None if value is None else check(value)


def integer(least: int, most: int | None = None) -> Check:
    """Make the check of an integer within bounds."""

    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise refuse("wrong_type", f"must be an integer, not {quoted(value)}")
        if value < least or (most is not None and value > most):
            limits = f"{least} or more" if most is None else f"from {least} to {most}"
            raise refuse("bad_value", f"must be {limits}, not {value}")
        return value

    return check


def number(least: float, most: float) -> Check:
    """Make the check of a number within bounds."""

    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise refuse("wrong_type", f"must be a number, not {quoted(value)}")
        if not least <= value <= most:
            raise refuse("bad_value", f"must be from {least:g} to {most:g}, not {value}")
        return float(value)

    return check


def duration(value: Any) -> float:
    """Check a duration, and return seconds."""
    try:
        return durations.parse(value)
    except ValueError as error:
        raise refuse("bad_duration", f"{error}, not {quoted(value)}") from None


def span(value: Any) -> float:
    """Check a duration that is more than nothing, and return seconds."""
    seconds = duration(value)
    if not seconds:
        raise refuse("bad_duration", "must be more than zero", "Leave it out where there is no limit.")
    return seconds


def advice(word: str, options: Collection[str], words: str) -> Hint:
    """Make the hint for a word that is none of the options, which `words` introduce."""
    return lambda: meant(word, options) or f"{words} {', '.join(options)}."


def choice(options: Collection[str]) -> Check:
    """Make the check of a text that is one of the options."""

    def check(value: Any) -> str:
        if text(value) in options:
            return str(value)
        raise refuse("bad_value", f"{quoted(value)} is not one of its values", advice(value, options, "There are"))

    return check


def each(check: Check, what: str) -> Check:
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
                if len(faults) >= MOST_FAULTS:
                    break
                faults += [fault._replace(below=f"/{index}{fault.below}") for fault in refused.faults]
        if faults:
            raise RefusedError(*faults)
        return tuple(found)

    return of_list


def _bracketed(value: Any) -> str | None:
    return f"Write [{quoted(value)}]." if isinstance(value, str | int) else None


def checked(value: Any, table: Mapping[str, Check], what: str, required: Collection[str] = ()) -> dict[str, Any]:
    """Check an object of the engine's, whose keys are those of a table, the `required` ones among them.

    Raises RefusedError with all that is wrong in it; `what` names it in sentences.
    """
    if not isinstance(value, dict):
        raise refuse("wrong_type", f"must be an object, not {quoted(value)}")
    found = {}
    faults = [Fault("missing_key", f"{what} has no {quoted(key)}") for key in required if key not in value]
    for key, item in value.items():
        check = table.get(key)
        below = f"/{escape(key)}"
        if check is None:
            hint = advice(key, table, "It has")
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


def refuse_at(at: str, key: str, refused: RefusedError, findings: Findings) -> None:
    """Note what is wrong with the value of a key that stands at a pointer."""
    for fault in refused.faults:
        findings.add(fault.code, said(key, fault), at + fault.below, fault.hint, at_key=fault.is_key)
