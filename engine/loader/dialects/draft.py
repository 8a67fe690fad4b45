"""A canonical document in the making: what a dialect takes over from the one written, and where each part stood.

Holds what the dialects have in common, and knows none of them. Called by their modules.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from engine.loader.dialects.translation import Translation
from engine.loader.keys import HOOKS, TASK_KEYS, WORKFLOW_KEYS
from engine.loader.spellings import SPELLINGS
from engine.problems import Findings, Hint, escape, meant, quoted

# What a document of any dialect may have; `routing` is what nodes and edges become.
_SHARED = (*(key for key in WORKFLOW_KEYS if key != "routing"), "params", "defaults", *HOOKS)
_KNOWN = TASK_KEYS.keys() | SPELLINGS.keys()
_SHORT, _LONGEST = 5, 40


class Words(NamedTuple):
    """Hold what a dialect calls the engine's keys of a task (`renamed`), and the key that holds the plugin's fields.

    `others` are words of other dialects and the one of this that is meant: hints are made of them.
    """

    fields: str
    renamed: Mapping[str, str] = {}
    others: Mapping[str, str] = {}


class Draft:
    """Build a canonical document; problems get pointers into the document as written."""

    def __init__(self, written: dict[str, Any], findings: Findings) -> None:
        """Begin with nothing of it taken over."""
        self.written = written
        self.document: dict[str, Any] = {}
        self.tasks: list[Any] = []
        self._findings = findings
        self._origins: dict[str, str] = {}
        self._keys: set[str] = set()

    def note(self, code: str, message: str, at: str, hint: Hint = None, *, at_key: bool = False) -> None:
        """Note what cannot be translated."""
        self._findings.add(code, message, at, hint, at_key=at_key)

    def came_from(self, here: str, written: str) -> None:
        """Remember where that was written which has the pointer `here` in the canonical document."""
        self._origins[here] = written

    def take_keys(self, own: tuple[str, ...], others: Mapping[str, str] | None = None) -> None:
        """Take over the keys every workflow may have; note those that are neither these nor the dialect's `own`."""
        for key, value in self.written.items():
            if key in _SHARED:
                self.document[key] = value
            elif key not in own:
                advice = partial(_advice, key, (*own, *_SHARED), others or {})
                self.note("unknown_key", f"a workflow has no key {quoted(key)}", f"/{escape(key)}", advice, at_key=True)

    def take_tasks(self, key: str, words: Words) -> None:
        """Take over the entries under a key: an object by id, or a list of objects with ids."""
        entries, at = self.written[key], f"/{key}"
        self.came_from("/tasks", at)
        if isinstance(entries, dict):
            for name, entry in entries.items():
                self.add(entry, f"{at}/{escape(name)}", words, name)
        else:
            for index, entry in enumerate(entries):
                self.add(entry, f"{at}/{index}", words)

    def add(self, entry: Any, at: str, words: Words, name: str | None = None) -> dict[str, Any]:
        """Take over one entry as a task, which is returned; `name` is its id where that is its key in an object."""
        here = f"/tasks/{len(self.tasks)}"
        self.came_from(here, at)
        task: dict[str, Any] = {}
        self.tasks.append(task if isinstance(entry, dict) else entry)
        if not isinstance(entry, dict):
            return task  # the judge says of it what it says of any task
        if name is not None:
            task["id"] = name
            self.came_from(f"{here}/id", at)
            self._keys.add(f"{here}/id")
        held = []
        for key, value in entry.items():
            word = self._word(key, at, words)
            own = words.renamed.get(word, word)
            if word == words.fields:
                held.append((key, value))
            elif own == "id" and name is not None and value == name:
                continue
            elif own in task:
                message = f"{key} says again what another key of the task says"
                self.note("conflict", message, f"{at}/{escape(key)}", "Keep one of the two.", at_key=True)
            else:
                task[own] = value
                if own != key:
                    self.came_from(f"{here}/{own}", f"{at}/{escape(key)}")
        for key, fields in held:
            self._take_fields(task, here, f"{at}/{escape(key)}", key, fields)
        return task

    def done(self) -> Translation:
        """Return what has come of it."""
        return Translation({**self.document, "tasks": self.tasks}, self._origins, frozenset(self._keys))

    def _word(self, key: str, at: str, words: Words) -> str:
        """Return the word of the dialect that a key is, or was most likely meant to be, which is a problem."""
        own = (*words.renamed, words.fields)
        if key in own or (key in _KNOWN and key not in words.others):
            return key
        near = words.others.get(key) or next((word for word in own if _is_near(key, word)), None)
        if near is None:
            return key
        hint = f"Did you mean {quoted(near)}?"
        if key not in _KNOWN:
            hint += f" A field of the task type that has this name goes into {quoted(words.fields)}."
        self.note("near_miss", f"{quoted(key)} is no key of a task here", f"{at}/{escape(key)}", hint, at_key=True)
        return near

    def _take_fields(self, task: dict[str, Any], here: str, at: str, word: str, fields: Any) -> None:
        if not isinstance(fields, dict):
            if fields is not None:
                message = f"{word} must be an object with the fields of the task type, not {quoted(fields)}"
                self.note("wrong_type", message, at)
            return
        for name, value in fields.items():
            below = f"{at}/{escape(name)}"
            if name in TASK_KEYS:
                message = f"{name} is a key of the engine's, not a field of a task type"
                self.note("incompatible", message, below, f"Write it beside {quoted(word)}.", at_key=True)
            elif name in task:
                message = f"{quoted(name)} is written beside {quoted(word)} too"
                self.note("conflict", message, below, "Keep one of the two.", at_key=True)
            else:
                task[name] = value
                self.came_from(f"{here}/{escape(name)}", below)


def _advice(key: str, known: tuple[str, ...], others: Mapping[str, str]) -> str:
    if key in others:
        return f"Did you mean {quoted(others[key])}?"
    if key in _KNOWN:
        return 'That is a key of tasks; what holds for all of them goes into "defaults".'
    return meant(key, known) or f"It has {', '.join(known)}."


def _is_near(key: str, word: str) -> bool:
    """Tell whether they differ in one letter, or only in how words are joined; short ones in that alone."""
    if len(key) > _LONGEST:
        return False
    one, other = (each.lower().replace("_", "").replace("-", "") for each in (key, word))
    if abs(len(one) - len(other)) > 1:
        return False
    return one == other or (len(other) >= _SHORT and not _shapes(one).isdisjoint(_shapes(other)))


def _shapes(word: str) -> set[str]:
    # Two words that one slip lies between share a shape: the word itself, or one letter fewer.
    return {word, *(word[:index] + word[index + 1 :] for index in range(len(word)))}
