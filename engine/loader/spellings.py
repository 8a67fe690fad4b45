"""Other spellings of the engine's keys in a task: those accepted from elsewhere, and those most likely meant. Pure.

Called by `tasks` and `document`; a key that the plugin declares as a field is none of them.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from engine.loader.checks import Check, Fault, RefusedError, or_null, refuse, said, span
from engine.loader.keys import TASK_KEYS, retries
from engine.problems import escape, quoted


def _seconds(value: Any) -> float:
    if isinstance(value, str):
        hint = 'A text like "5m" is written under timeout.'
        raise refuse("wrong_type", f"must be a number of seconds, not {quoted(value)}", hint)
    return span(value)


class Spelling(NamedTuple):
    """Which of the engine's keys a key from elsewhere means: `timeout`, or `max_retries` in `retry`."""

    means: str
    check: Check


SPELLINGS: dict[str, Spelling] = {
    "max_retries": Spelling("max_retries", retries),
    "retry_count": Spelling("max_retries", retries),
    "timeout_seconds": Spelling("timeout", or_null(_seconds)),
}


def respell(given: Mapping[str, Any], own: Mapping[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """Read accepted spellings beside the engine's `own` keys, checked already, of a task or of `defaults`.

    Returns checked values by the engine's own keys (a whole new `retry`), and what is wrong, at pointers below the two:
    also where a setting is written twice.
    """
    written = {"timeout": "timeout"} if "timeout" in own else {}
    if "max_retries" in own.get("retry", {}):
        written["max_retries"] = "retry"
    found: dict[str, Any] = {}
    faults = []
    for key, value in given.items():
        means, check = SPELLINGS[key]
        below = f"/{escape(key)}"
        if means in written:
            message = f"{key} says again what {written[means]} says"
            faults.append(Fault("conflict", message, "Keep one of the two.", below, is_key=True))
            continue
        written[means] = key
        try:
            found[means] = check(value)
        except RefusedError as refused:
            faults += [fault._replace(message=said(key, fault), below=below + fault.below) for fault in refused.faults]
    if "max_retries" in found:
        found["retry"] = {**own.get("retry", {}), "max_retries": found.pop("max_retries")}
    return found, faults


# What others call depends_on: a task that runs too early because nobody said so is the worst of all typing errors.
_OTHER_WORDS = {
    "needs": "depends_on",
    "dependencies": "depends_on",
    "depends": "depends_on",
    "retries": "max_retries",
    "max_retry": "max_retries",
    "if": "when",
}
# Words of their own, one letter away from a key of the engine's.
_ORDINARY = frozenset({"headline"})
_SHORT = 5


def _shapes(word: str) -> set[str]:
    """All that is left of a word without one of its letters, and the word itself: near words share one."""
    return {word, *(word[:index] + word[index + 1 :] for index in range(len(word)))}


def _squashed(key: str) -> str:
    return key.lower().replace("_", "").replace("-", "")


def _nearby() -> dict[str, str]:
    table: dict[str, str] = {}
    for key in [*SPELLINGS, *TASK_KEYS]:
        word = _squashed(key)
        if len(word) > _SHORT:
            table |= dict.fromkeys(_shapes(word), key)
    return table


_NEARBY = _nearby()
# One slip leaves either the first or the last three letters of a long word as they were.
_BEGINNINGS = {_squashed(key)[:3] for key in _NEARBY.values()}
_ENDS = {_squashed(key)[-3:] for key in _NEARBY.values()}
_SHORT_WORDS = {key: key for key in TASK_KEYS if len(key) <= _SHORT and key != "id"}
_LONGEST_KEY = max(map(len, TASK_KEYS)) + 4


def misspelt(key: str) -> str | None:
    """Return the engine's key that a key of a task was most likely meant to be, or None.

    Long words may differ in one letter, in its place, or in how words are joined; short ones only by a letter left out
    or two swapped, since `tool` is not `pool`.
    """
    if key in _OTHER_WORDS:
        return _OTHER_WORDS[key]
    if len(key) > _LONGEST_KEY or key in _ORDINARY:
        return None
    if key.lower() == "id" != key:
        return "id"
    word = _squashed(key)
    if word in _SHORT_WORDS and word != key:
        return word
    if word[:3] in _BEGINNINGS or word[-3:] in _ENDS:
        near = next((_NEARBY[shape] for shape in _shapes(word) if shape in _NEARBY), None)
        if near is not None:
            return near
    for short in _SHORT_WORDS:
        is_shorter = len(word) == len(short) - 1 and word in _shapes(short)
        is_swapped = (
            len(word) == len(short) and word != short and sorted(word) == sorted(short) and _is_swap(word, short)
        )
        if is_shorter or is_swapped:
            return short
    return None


def _is_swap(word: str, other: str) -> bool:
    differing = [index for index in range(len(word)) if word[index] != other[index]]
    return len(differing) == len("ab") and differing[1] == differing[0] + 1
