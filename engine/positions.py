"""Where things stand in a JSON text: offsets of keys and values by pointer, and lines and columns of offsets.

Only looked at when there is a problem, so nobody pays for positions otherwise. Reads valid JSON, or the valid part
before an error. Called by `strictjson` and `loader`.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from engine.problems import pointer

_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TOKEN = re.compile(rf'[ \t\n\r]*+({_STRING}|[{{}}\[\],:]|[^ \t\n\r{{}}\[\],:"]++)', re.DOTALL)
_BRACKET = re.compile(rf'[^"\[\]{{}}]*+({_STRING}|[\[\]{{}}])', re.DOTALL)


class Spot(NamedTuple):
    """Say where a member stands: offset of its key (None in lists and at the top) and offset of its value."""

    key: int | None
    value: int


class Walk:
    """Step through the values of a JSON text in their order, without recursion.

    Yields a Spot and the first lexeme of each value; `path` then holds its keys and indexes. `skip` after a bracket
    passes over what is inside. Stops quietly where the text stops being JSON; `end` is the offset it came to.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self.path: list[str | int] = []
        self.end = 0
        self._closers: list[str] = []
        self._is_between = False

    def __iter__(self) -> Iterator[tuple[Spot, str]]:
        while True:
            key_at = None
            lexeme = self._next()
            if lexeme and self._closers[-1:] == [lexeme]:
                if not self._close():
                    return
                continue
            if self._closers[-1:] == ["}"]:
                key_at = self.end - len(lexeme)
                if not self._take_key(lexeme):
                    return
                lexeme = self._next()
            if lexeme in {"", "]", "}", ",", ":"}:
                return
            yield Spot(key_at, self.end - len(lexeme)), lexeme
            if lexeme in {"{", "["}:
                self._open(lexeme)
            elif not self._go_on():
                return

    def _take_key(self, lexeme: str) -> bool:
        """Put a key into the path and pass over its colon; return False where this is no key."""
        if lexeme[:1] != '"':
            return False
        try:
            self.path[-1] = lexeme[1:-1] if "\\" not in lexeme else json.loads(lexeme, strict=False)
        except ValueError:
            return False  # an escape that is none
        self._is_between = False
        return self._next() == ":"

    def skip(self) -> None:
        """Pass over the inside of the list or object just yielded: its closing bracket comes next."""
        depth, at = 1, self.end
        while depth:
            match = _BRACKET.match(self._text, at)
            if match is None:
                self.end = len(self._text)
                return
            bracket, at = match[1], match.end()
            depth += (bracket in {"{", "["}) - (bracket in {"}", "]"})
        self.end = at - 1

    @property
    def pointer(self) -> str:
        """Name the value that the walk stands at; between the members of an object, the object."""
        return pointer(self.path[:-1] if self._is_between else self.path)

    def _next(self) -> str:
        match = _TOKEN.match(self._text, self.end)
        if match is None:
            return ""
        self.end = match.end()
        return match[1]

    def _open(self, bracket: str) -> None:
        self._is_between = is_object = bracket == "{"
        self._closers.append("}" if is_object else "]")
        self.path.append("" if is_object else 0)

    def _close(self) -> bool:
        """Leave a list or object; return False when that was the end of the text or what follows is not JSON."""
        self._closers.pop()
        self.path.pop()
        return self._go_on()

    def _go_on(self) -> bool:
        """Go on behind a value: to the next member, or out of everything that ends here."""
        while self._closers:
            lexeme = self._next()
            if lexeme == ",":
                last = self.path[-1]
                self._is_between = not isinstance(last, int)
                if isinstance(last, int):
                    self.path[-1] = last + 1
                return True
            if lexeme != self._closers[-1]:
                return False
            self._closers.pop()
            self.path.pop()
        return False


class _Node:
    """A part of the pointers looked for; `wanted` is the pointer that ends here, if one does."""

    __slots__ = ("children", "wanted")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.wanted: str | None = None


def _tree(pointers: Iterable[str]) -> _Node:
    root = _Node()
    for wanted in pointers:
        node = root
        for part in wanted.split("/")[1:]:
            node = node.children.setdefault(part.replace("~1", "/").replace("~0", "~"), _Node())
        node.wanted = wanted
    return root


def spots(text: str, pointers: Iterable[str]) -> dict[str, Spot]:
    """Find where pointers point to in one pass; of keys written twice the last counts, as it does in the value.

    A pointer that leads nowhere gets no entry.
    """
    found: dict[str, Spot] = {}
    trail: list[_Node | None] = []
    root = _tree(pointers)
    walk = Walk(text)
    for spot, lexeme in walk:
        depth = len(walk.path)
        above = trail[depth - 1] if depth else None
        node = root if not depth else above.children.get(str(walk.path[-1])) if above else None
        if node is not None and node.wanted is not None:
            found[node.wanted] = spot
        if lexeme in {"{", "["}:
            if node is None or not node.children:
                walk.skip()
            trail[depth:] = [node]
    return found


def line_column(text: str, offset: int) -> tuple[int, int]:
    """Count lines and columns (characters) from 1."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def locate(data: bytes, at: str, *, of_key: bool = False) -> tuple[int, int]:
    """Return line and column of the value that a pointer names (or of its key), or of the nearest value around it."""
    text = data.decode("utf-8-sig", "replace")
    return place(text, spots(text, lineage(at)), at, of_key=of_key)


def lineage(at: str) -> list[str]:
    """List a pointer and all that lead to it, the nearest first, the whole document last."""
    ends = [index for index, character in enumerate(at) if character == "/"]
    return [at, *(at[:end] for end in reversed(ends))]


def place(text: str, found: dict[str, Spot], at: str, *, of_key: bool = False) -> tuple[int, int]:
    """Turn what `spots` found into line and column; a pointer it did not find stands where its parent stands."""
    near = next((name for name in lineage(at) if name in found), None)
    if near is None:
        return 1, 1
    spot = found[near]
    is_key = of_key and near == at and spot.key is not None
    return line_column(text, spot.key if is_key and spot.key is not None else spot.value)


def pointer_before(text: str, offset: int) -> str:
    """Return the pointer of the value that the text is in, or about to begin, where it stops being JSON."""
    walk = Walk(text[:offset])
    for _ in walk:
        pass
    return walk.pointer
