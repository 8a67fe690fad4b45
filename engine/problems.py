"""What can be wrong with a document or with parameters: every code with its sentence, and the list they are kept in.

Codes are stable: `validate --json`, reject files and HTTP bodies carry them. The reference prints PROBLEMS. Also owns
JSON pointers and "did you mean". Called by whatever judges: `strictjson`, `schemas`, `loader`, `params`.
"""

import difflib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Protocol

from engine.errors import Problem

PROBLEMS: dict[str, str] = {
    # the text
    "too_large": "The document has more bytes than the limit allows.",
    "empty": "The document is empty or holds only white space.",
    "encoding": "The document is not UTF-8.",
    "nul": "The document holds the character U+0000, raw or written as an escape.",
    "too_deep": "Lists and objects are nested deeper than the limit allows.",
    "syntax": "The text is not JSON.",
    "truncated": "The text ends before the document is complete.",
    "trailing_data": "There is more text after the end of the document.",
    "duplicate_key": "An object has the same key twice.",
    "not_a_number": "A number is NaN, infinite, or too large for a 64-bit float.",
    "integer_range": "An integer does not fit in 64 bits.",
    "surrogate": "A string holds half of a surrogate pair, which is not a character.",
    "not_json": "A value handed in from Python cannot be written as JSON.",
    # the shape
    "wrong_type": "A value has the wrong JSON type.",
    "bad_value": "A value has the right type but is not one of those allowed.",
    "bad_duration": "A duration is neither a number of seconds nor a text like 30s, 5m or 1h30m.",
    "missing_key": "A key that must be there is missing.",
    "unknown_key": "An object of the engine's has a key that the engine does not know.",
    "near_miss": "A task's key looks like a misspelt one of the engine's, and its task type has no such field.",
    "conflict": "A setting is written twice, in two accepted spellings.",
    "incompatible": "Keys that exclude each other, or what they are written at, stand together.",
    "unknown_pool": "A task takes slots of a pool that the configuration does not name.",
    "workflow_depth": "Documents stand in each other deeper than the limit allows.",
    "unsupported": "The document uses something that this version does not have yet.",
    "bad_id": "A task id is not 1 to 128 letters, digits, underscores, hyphens or dots.",
    "duplicate_id": "Two tasks have the same id.",
    "no_tasks": "The list of tasks is empty.",
    "too_many_tasks": "The document has more tasks than the limit allows.",
    # the plugins
    "unknown_type": "No plugin provides this task type.",
    "missing_field": "A task lacks a field that its task type requires.",
    "invalid_field": "A field is not what the task type's PARAM_SCHEMA asks for.",
    "hidden_field": "A field has a name under which the engine hands its own values to the plugin.",
    # the graph
    "unknown_dependency": "A task depends on an id that no task has.",
    "self_dependency": "A task depends on itself.",
    "duplicate_dependency": "A task names the same dependency twice.",
    "cycle": "Tasks depend on each other in a circle.",
    # the expressions
    "expression_syntax": "An expression is not valid CEL, or a `${{` is never closed.",
    "expression_limit": "An expression is too long, too deeply nested, or would take too much work.",
    "expression_name": "An expression uses a name or function that is not available there.",
    "expression_reference": "An expression refers to a task that is not upstream, or does not say which task it means.",
    "expression_param": "An expression refers to a parameter that the workflow does not declare.",
    # the parameters
    "param_schema": "The declaration of a parameter is not a usable JSON Schema.",
    "param_default": "The default of a parameter does not fit its own declaration.",
    "param_unknown": "A submission gives a parameter that the workflow does not declare.",
    "param_missing": "A submission lacks a parameter that has no default.",
    "param_invalid": "The value of a parameter does not fit its declaration.",
    # the data of an approval
    "form_schema": "The form of an approval, as it came out of its expressions, is not a usable JSON Schema.",
    "form_invalid": "The data of an approval do not fit its form.",
    # a dropped file, or a request by name
    "unknown_workflow": "A request names a workflow that is not known here.",
    "broken_workflow": "The known workflow that a request names, or a route starts, cannot be run itself.",
    "bad_time": "A run_at is not an RFC 3339 instant with an offset.",
    "no_requests": "A file of requests holds none.",
    "too_many_requests": "A file of requests has more lines than the limit on tasks allows.",
    "not_allowed": "The inbox does not take this workflow or task type.",
    "symlink": "What was dropped is a symbolic link; it was not followed.",
    "hard_link": "What was dropped has another name elsewhere, so its content could change at any time.",
    "fifo": "What was dropped is a named pipe.",
    "device": "What was dropped is a device.",
    "socket": "What was dropped is a socket.",
    "directory": "What was dropped is a folder with the name of a document.",
    "long_name": "The name of what was dropped is longer than 255 bytes.",
    "unreadable": "What was dropped cannot be read by the daemon.",
    # the rest
    "more_problems": "There are more problems than the limit on reported problems shows.",
}

_NEAR = 0.7  # difflib's ratio: "compress" finds "compression", "copy" does not find "move"
_CANDIDATES = 2000  # comparing one word with more names than this costs more than the hint is worth


def escape(part: str | int) -> str:
    """Write one part of a JSON pointer."""
    return str(part).replace("~", "~0").replace("/", "~1")


def pointer(parts: Iterable[str | int]) -> str:
    """Write a JSON pointer (RFC 6901)."""
    text = "".join(f"/{escape(part)}" for part in parts)
    # A key may hold half a surrogate pair; what reports the problem must be able to write it.
    return text.encode("utf-8", "backslashreplace").decode()


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that a person most likely meant, or None; only the first 2,000 are looked at."""
    names = list(islice(candidates, _CANDIDATES))
    # Another case, or letters in another order (dya, tiemout): shorter words than difflib finds near.
    letters = sorted(word.casefold())
    same = next((name for name in names if sorted(name.casefold()) == letters), None)
    if same is not None:
        return same
    found = difflib.get_close_matches(word, names, n=1, cutoff=_NEAR)
    return found[0] if found else None


def meant(word: str, candidates: Iterable[str]) -> str | None:
    """Return the hint "did you mean ...?" where a candidate is near, else None."""
    found = nearest(word, candidates)
    return None if found is None else f"Did you mean {quoted(found)}?"


_SHOWN = 60


def quoted(value: object) -> str:
    """Show a value in a sentence: short, on one line, text in JSON's own double quotes, lists and objects by name."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    if not isinstance(value, str):
        return shortened(json.dumps(value, default=repr))
    text = shortened(value)
    return json.dumps(text, ensure_ascii=not text.isprintable())


def shortened(text: str, most: int = _SHOWN) -> str:
    """Cut a text that is too long for a sentence."""
    return text if len(text) <= most else text[: most - 3] + "..."


def more_problems(count: int) -> list[Problem]:
    """Return the problem that says how many more there are than are shown; none where there are none."""
    if count <= 0:
        return []
    what = "is 1 more problem" if count == 1 else f"are {count} more problems"
    hint = "Mend those above first, or raise the limit document_problems."
    return [Problem(code="more_problems", message=f"there {what}", hint=hint)]


# Looking for the name that was meant takes longer than finding out that it is wrong: only done for what is shown.
Hint = str | Callable[[], str | None] | None


class Placing(Protocol):
    """Say where a pointer, of a key or of a value, leads in another document, and whether to a key there."""

    def __call__(self, at: str, *, is_key: bool) -> tuple[str, bool]:
        """Take a pointer and whether it is a key's; return both as they are there."""


class Findings:
    """Gather problems up to a limit, and count the rest.

    They carry no line yet: `at_keys` holds the pointers of those that speak of a key rather than of its value.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.shown: list[Problem] = []
        self.count = 0
        self.at_keys: set[str] = set()
        self._muted: frozenset[str] = frozenset()
        self._placings: list[Placing] = []

    def mute(self, pointers: Iterable[str]) -> None:
        """Say no more about these places: there is a problem of the text there, and what stands there is a stand-in."""
        self._muted = frozenset(pointers)

    @contextmanager
    def moved(self, placing: Placing) -> Iterator[None]:
        """Take pointers within as those of a document made of, or standing in, the one spoken of outside."""
        self._placings.append(placing)
        try:
            yield
        finally:
            self._placings.pop()

    @property
    def is_full(self) -> bool:
        """Tell whether further problems are only counted, so that nobody need word them well."""
        return len(self.shown) >= self._limit

    def add(self, code: str, message: str, at: str, hint: Hint = None, *, at_key: bool = False) -> None:
        """Note a problem at a pointer; `at_key` where the key is what is wrong."""
        for placing in reversed(self._placings):
            at, at_key = placing(at, is_key=at_key)
        if at in self._muted:
            return
        self.count += 1
        if self.is_full:
            return
        advice = hint() if callable(hint) else hint
        self.shown.append(Problem(code=code, message=message, pointer=at, hint=advice))
        if at_key:
            self.at_keys.add(at)
