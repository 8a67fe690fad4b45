"""An upper estimate of the work an expression takes with given values, made before it is evaluated.

An evaluation cannot be stopped, and the library copies: `map` and `filter` copy the list so far for every element, `+`
copies both sides, a result is converted as a whole. One step is about one element copied. Called by `program`.
"""

import re
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any, NamedTuple

from engine.expressions.syntax import LONG_MAP, At, Call, Chain, Field, Group, Items, Name, Path, Row, Word, path_of

_VISIT = 8  # one turn of a macro's loop, beside what its body does
_OBJECT, _KEY = 5, 3  # an object and each of its keys, beside what they hold
_LETTERS = 16  # characters that cost as much to copy as one element
# The library compiles a pattern for every match; a class such as \\w is thousands of ranges, once for each repetition.
_CLASS, _CHARACTER, _PATTERN = 4_000, 10, 1_000_000
_ESCAPED_CLASS = re.compile(r"\\[a-zA-Z]")
_REPEATED = re.compile(r"\{(\d*)(?:,(\d*))?\}")


class TooMuchError(Exception):
    """The estimate is above the limit."""


class Level(NamedTuple):
    """Bound the lists and objects at one depth of a value: the longest, and whether there are objects among them."""

    length: int = 0
    has_objects: bool = False

    def weight(self, of_each: int) -> int:
        """Bound the weight of one of them, from that of its elements."""
        return _OBJECT + self.length * (_KEY + of_each) if self.has_objects else 1 + self.length * of_each

    def beside(self, other: "Level", *, is_joined: bool = False) -> "Level":
        """Bound either of two, or both joined by `+`."""
        length = self.length + other.length if is_joined else max(self.length, other.length)
        return Level(length, self.has_objects or other.has_objects)


class Size(NamedTuple):
    """Bound a value: level by level, all its elements together, and the longest text in it."""

    levels: tuple[Level, ...] = ()
    weight: int = 1
    text: int = 1

    @property
    def length(self) -> int:
        """The number of elements, at most."""
        return self.levels[0].length if self.levels else 0

    def inside(self) -> "Size":
        """Bound anything found in it."""
        if not self.levels:
            return self
        weight = self.text
        for level in reversed(self.levels[1:]):
            weight = level.weight(weight)
        return Size(self.levels[1:], min(self.weight, weight), self.text)

    def beside(self, other: "Size", *, is_joined: bool) -> "Size":
        """Bound either of two values, or both joined by `+`."""
        pairs = zip_longest(self.levels, other.levels, fillvalue=Level())
        levels = tuple(one.beside(two, is_joined=is_joined and not depth) for depth, (one, two) in enumerate(pairs))
        text = self.text + other.text if is_joined else max(self.text, other.text)
        return Size(levels, self.weight + other.weight, text)


SCALAR = Size()


def measure(value: Any, most: int) -> Size:
    """Bound a JSON value, level by level; gives up, TooMuchError, where it weighs more than `most`."""
    levels, weight, text = [], 0, 1
    items = [value]
    while items:
        deeper: list[Any] = []
        level = Level()
        for item in items:
            if isinstance(item, str):
                letters = len(item) // _LETTERS
                weight += letters
                text = max(text, 1 + letters)
            elif isinstance(item, dict):
                level = level.beside(Level(len(item), has_objects=True))
                weight += _OBJECT + _KEY * len(item)
                deeper.extend(item)
                deeper.extend(item.values())
            elif isinstance(item, list | tuple):
                level = level.beside(Level(len(item)))
                deeper.extend(item)
        weight += len(items)
        if weight > most:
            raise TooMuchError
        if deeper:
            levels.append(level)
        items = deeper
    return Size(tuple(levels), weight, text)


class Estimate:
    """Add up the work of one evaluation, in steps.

    Raises TooMuchError as soon as it exceeds `most`.
    """

    def __init__(self, row: Row, scope: Mapping[str, Any], most: int) -> None:
        self._scope, self._most = scope, most
        self._known: dict[Path, Size] = {}
        self.work = 0
        result = self._row(row, {}, 1)
        self._spend(result.weight)

    def _spend(self, work: int) -> None:
        self.work += work
        if self.work > self._most:
            raise TooMuchError

    def _row(self, row: Row, bound: Mapping[str, Size], times: int) -> Size:
        sizes = [self._chain(operand, bound, times) for operand in row.operands]
        size = sizes[0]
        for other in sizes[1:]:
            size = size.beside(other, is_joined="+" in row.operators)
            self._spend(times * size.weight)
        return size

    def _chain(self, chain: Chain, bound: Mapping[str, Size], times: int) -> Size:
        self._spend(times)
        size, links = self._head(chain, bound, times)
        for link in links:
            if isinstance(link, Call):
                size = self._call(link, size, bound, times)
            else:
                if isinstance(link, At):
                    self._row(link.inside, bound, times)
                size = size.inside()
        return size

    def _head(self, chain: Chain, bound: Mapping[str, Size], times: int) -> tuple[Size, tuple[Field | At | Call, ...]]:
        head, links = chain.head, chain.links
        if isinstance(head, Name):
            if head.name in bound:
                return bound[head.name], links
            path = path_of(chain)
            return self._of_scope(path), links[len(path) - 1 :]
        if isinstance(head, Word):
            return Size((), 1, 1 + len(head.source) // _LETTERS), links
        if isinstance(head, Group):
            return self._row(head.inside, bound, times), links
        if isinstance(head, Items):
            return self._items(head, bound, times), links
        return self._call(head, SCALAR, bound, times), links

    def _of_scope(self, path: Path) -> Size:
        if path not in self._known:
            value: Any = self._scope
            for part in path:
                try:
                    value = value[part]
                except (KeyError, IndexError, TypeError):
                    value = None
                    break
            self._known[path] = measure(value, self._most)
        return self._known[path]

    def _items(self, items: Items, bound: Mapping[str, Size], times: int) -> Size:
        inner = SCALAR
        weight = 1
        for part in items.parts:
            size = self._row(part, bound, times)
            inner = inner.beside(size, is_joined=False)
            weight += size.weight
        self._spend(times * weight)
        return Size((Level(len(items.parts), has_objects=True), *inner.levels), weight, inner.text)

    def _call(self, call: Call, on: Size, bound: Mapping[str, Size], times: int) -> Size:
        if call.variable is not None:
            return self._macro(call, call.variable, on, bound, times)
        sizes = [self._row(part, bound, times) for part in call.parts]
        weight = on.weight + sum(size.weight for size in sizes)
        if call.name == "matches":
            self._spend(times * (_pattern_work(call) + on.text * _LETTERS))
        self._spend(times * weight)
        if call.name == "dyn" and sizes:
            return sizes[0]
        # Nothing else hands a list on; a text made here is no longer than what went in, or a few dozen characters.
        return Size((), 1 + on.text, 4 + weight)

    def _macro(self, call: Call, variable: str, on: Size, bound: Mapping[str, Size], times: int) -> Size:
        count = on.length
        element = on.inside()
        turns = times * count
        self._spend(turns * (_VISIT + element.weight))
        inner = {**bound, variable: element}
        sizes = [self._row(part, inner, turns) for part in call.parts[1:]]
        if call.name not in {"map", "filter"}:
            return SCALAR
        made = sizes[-1] if call.name == "map" or len(call.parts) == LONG_MAP else element
        self._spend(turns * count * made.weight // 2)
        return Size((Level(count), *made.levels), 1 + count * made.weight, made.text)


def _pattern_work(call: Call) -> int:
    """Estimate what compiling the pattern of a `matches` takes; one that is not written out counts as the worst."""
    chains = [part.operands[0] for part in call.parts]
    head = chains[-1].head if chains else None
    if not isinstance(head, Word):
        return _PATTERN
    repeated = 1
    for least, most in _REPEATED.findall(head.source):
        repeated = min(_PATTERN, repeated * max(1, int((most or least or "1")[:9])))
    classes = len(_ESCAPED_CLASS.findall(head.source))
    return min(_PATTERN, repeated * (len(head.source) * _CHARACTER + classes * _CLASS))
