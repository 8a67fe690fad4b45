"""The configuration as written, before any type is known: one tree of raw values that knows where each came from.

`sources` and `environment` fill it; `reader` and `checks` make every problem through it, so that each has its place.
Decides nothing about what the values mean.
"""

import re
import tomllib
from itertools import pairwise
from typing import Any, TypeVar

import msgspec

from daemon.config.places import Key, Place
from daemon.config.settings import Origin
from engine.errors import Problem
from engine.problems import pointer, quoted

V = TypeVar("V")
_BARE = re.compile("[A-Za-z0-9_-]+")


class FromEnvironment(msgspec.Struct, frozen=True):
    """A value as an environment variable holds it: TOML if that is what the setting takes, else plain text."""

    text: str

    def value(self) -> Any:
        """Read it as a TOML value, or leave it as it is when it is none."""
        try:
            document = tomllib.loads(f"value = {self.text}")
        except (ValueError, RecursionError):
            return self.text
        return document["value"] if document.keys() == {"value"} else self.text


class File(msgspec.Struct, frozen=True):
    """One file that was read: its name as shown, its number in the order of reading, and where its keys stand."""

    name: str
    number: int = 0
    places: dict[Key, Place] = {}


class Draft:
    """Hold the merged tree, the file or variable that each part came from, and the problems found so far.

    `is_whole` is false where the main file could not be read, so that nothing is known of what it sets.
    """

    def __init__(self, main: File | None = None, tree: dict[str, Any] | None = None) -> None:
        self.tree: dict[str, Any] = tree or {}
        self._main = main
        self.is_whole = main is None or tree is not None
        self._variables: dict[Key, str] = {}
        # Schedules of further files stand after those of the main one: number in the tree -> file, number in that file.
        self._moved: dict[int, tuple[File, int]] = {}
        self._noted: list[tuple[int, int, Problem]] = []

    @property
    def problems(self) -> list[Problem]:
        """The problems, in the order of files and lines, those of the environment last."""
        return [problem for *_, problem in sorted(self._noted, key=lambda noted: noted[:2])]

    def add_schedules(self, file: File, entries: list[Any]) -> None:
        """Put the schedules of a further file after those that are there."""
        there = self.tree.setdefault("schedules", [])
        if isinstance(there, list):  # else it is a problem of the main file, found when that is read
            for number, entry in enumerate(entries):
                self._moved[len(there)] = (file, number)
                there.append(entry)

    def override(self, key: Key, variable: str, text: str) -> None:
        """Put what a variable holds in the place of whatever is there, with the tables that lead to it."""
        node: Any = self.tree
        for part, inner in pairwise(key):
            child = plain(node[part] if isinstance(part, int) else node.get(part))
            node[part] = child if isinstance(child, list if isinstance(inner, int) else dict) else {}
            node = node[part]
        node[key[-1]] = FromEnvironment(text)
        self._variables[key] = variable

    def origin(self, key: Key) -> Origin:
        """Say where the value at this key, or the nearest thing around it, was set."""
        variable = _nearest(self._variables, key)
        if variable is not None:
            return Origin(kind="environment", name=variable)
        file, own = self._home(key)
        if file is None:
            return Origin()
        place = _nearest(file.places, own)
        return Origin(kind="file", name=file.name, line=place[0] if place else None)

    def complain(self, code: str, key: Key, message: str, hint: str | None = None) -> None:
        """Note a problem with the value at this key."""
        variable = _nearest(self._variables, key)
        if variable is not None:
            self.complain_of_variable(variable, code, message, hint)
            return
        file, own = self._home(key)
        place = _nearest(file.places, own) if file else None
        self.complain_of_file(file or File(""), code, message, hint, place=place, at=pointer(own))

    def complain_of_variable(self, variable: str, code: str, message: str, hint: str | None = None) -> None:
        """Note a problem with an environment variable."""
        words = f"{message}, in the environment variable {spoken(variable)}"
        self._noted.append((2**31, 0, Problem(code=code, message=words, hint=hint)))

    def complain_of_file(
        self, file: File, code: str, message: str, hint: str | None = None, *, place: Place | None, at: str = ""
    ) -> None:
        """Note a problem with a file; one beside the main file is named in the message."""
        words = message if file is self._main or not file.name else f"{message}, in {file.name}"
        line, column = place or (None, None)
        problem = Problem(code=code, message=words, pointer=at, line=line, column=column, hint=hint)
        self._noted.append((file.number, line or 0, problem))

    def _home(self, key: Key) -> tuple[File | None, Key]:
        number = key[1] if len(key) > 1 and key[0] == "schedules" else None
        if isinstance(number, int) and number in self._moved:
            file, own = self._moved[number]
            return file, ("schedules", own, *key[2:])
        return self._main, key


def plain(raw: Any) -> Any:
    """Look through text from the environment at the value that it writes; anything else is what it is."""
    return raw.value() if isinstance(raw, FromEnvironment) else raw


def dotted(key: Key) -> str:
    """Write a key as people say it: `executor.workers`, `schedules[2].cron`; names that TOML would quote are quoted."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{spoken(part)}" for part in key).lstrip(".")


def spoken(name: str) -> str:
    """Write one name so that no character of it can hurt a line or a terminal."""
    return name if _BARE.fullmatch(name) else quoted(name)


def _nearest(known: dict[Key, V], key: Key) -> V | None:
    for length in range(len(key), 0, -1):
        if key[:length] in known:
            return known[key[:length]]
    return None
