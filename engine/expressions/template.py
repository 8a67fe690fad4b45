"""`${{ ... }}` in the fields of a task: found once, filled in with values as often as needed.

A text that is one expression keeps the type of its value; inside other text, a text stands as it is and everything else
as compact JSON. What is filled in is never looked at again, so no value can bring an expression in. `$${{` stands for a
literal `${{`. Called by `loader` and `plan`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from engine.errors import ExpressionError
from engine.expressions.program import Expression, compile_text, evaluate
from engine.limits import Limits
from engine.problems import escape

_MARK = "${{"
_OPENING = re.compile(r"\$?\$\{\{")
# Inside an expression: texts, which may hold anything, and the braces of objects written out.
_INSIDE = re.compile(
    r'"""[\s\S]*?"""' + r"|'''[\s\S]*?'''" + r'|"(?:[^"\\\n]|\\.)*+"' + r"|'(?:[^'\\\n]|\\.)*+'" + r"|[{}]"
)
_LIMITS = Limits()

Scope = Mapping[str, Any]


class _Whole(NamedTuple):
    at: str
    expression: Expression


class _Text(NamedTuple):
    at: str
    pieces: tuple[str | Expression, ...]


class _Object(NamedTuple):
    original: dict[str, Any]
    changing: tuple[tuple[str, Any], ...]


class _List(NamedTuple):
    original: list[Any]
    changing: tuple[tuple[int, Any], ...]


class Template(msgspec.Struct, frozen=True):
    """Hold a value with expressions in it; `expressions` pairs each with the pointer of the text it stands in."""

    expressions: tuple[tuple[str, Expression], ...]
    roots: frozenset[str]
    tasks: frozenset[str]
    node: Any
    most_bytes: int

    @property
    def is_whole(self) -> bool:
        """Tell whether the value is a text that is one expression, so that any kind of value may come out."""
        return isinstance(self.node, _Whole)

    def render(self, scope: Scope) -> Any:
        """Return the value with every expression filled in; parts without any are the very objects they were.

        Raises ExpressionError with the pointer of the field.
        """
        return _Filling(scope, self.most_bytes).fill(self.node)


class _Filling:
    def __init__(self, scope: Scope, most_bytes: int) -> None:
        self._scope, self._room, self._most = scope, most_bytes, most_bytes

    def fill(self, node: Any) -> Any:
        if isinstance(node, _Whole):
            return self._value(node.at, node.expression)
        if isinstance(node, _Text):
            return self._text(node)
        if isinstance(node, _Object):
            result = dict(node.original)
            for key, inner in node.changing:
                result[key] = self.fill(inner)
            return result
        items = list(node.original)
        for index, inner in node.changing:
            items[index] = self.fill(inner)
        return items

    def _value(self, at: str, expression: Expression) -> Any:
        try:
            return evaluate(expression, self._scope)
        except ExpressionError as error:
            error.pointer = at
            raise

    def _text(self, node: _Text) -> str:
        written = []
        for piece in node.pieces:
            text = piece if isinstance(piece, str) else _written(self._value(node.at, piece))
            self._room -= len(text)
            if self._room < 0:
                message = f"the texts of the task grow beyond {self._most} bytes (the limit output_bytes)"
                error = ExpressionError(message, "".join(map(str, node.pieces[:1])), problem="expression_limit")
                error.pointer = node.at
                raise error
            written.append(text)
        return "".join(written)


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def find(value: Any, limits: Limits = _LIMITS) -> Template | None:
    """Compile what expressions a JSON value holds, at any depth; None where it holds none.

    Raises ExpressionError with the pointer of the field, for the first that cannot be used; `scan` tells of all.
    """
    template, errors = scan(value, limits)
    if errors:
        raise errors[0]
    return template


def scan(value: Any, limits: Limits = _LIMITS) -> tuple[Template | None, list[ExpressionError]]:
    """Compile what expressions a JSON value holds, and return what is wrong with any, each with its pointer.

    The template is None where the value holds none; expressions that are wrong are left out of it.
    """
    if not holds(value):
        return None, []
    finder = _Finder(limits)
    node = finder.find(value, "")
    expressions = tuple(finder.found)
    roots: frozenset[str] = frozenset().union(*(expression.roots for _, expression in expressions))
    tasks: frozenset[str] = frozenset().union(*(expression.tasks for _, expression in expressions))
    return Template(expressions, roots, tasks, node, limits.output_bytes), finder.errors


def holds(value: Any) -> bool:
    """Tell whether there is a mark anywhere, keys included: asked of every field of every task, and mostly no."""
    if isinstance(value, dict):
        for key, item in value.items():  # noqa: SIM110 -- generators take twice as long for few fields
            if _MARK in key or (_MARK in item if type(item) is str else holds(item)):
                return True
        return False
    if isinstance(value, list):
        return any(map(holds, value))
    return isinstance(value, str) and _MARK in value


class _Finder:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.found: list[tuple[str, Expression]] = []
        self.errors: list[ExpressionError] = []

    def find(self, value: Any, at: str) -> Any:
        """Build the node of a value that holds a mark."""
        if isinstance(value, str):
            pieces = tuple(self._pieces(value, at))
            first = pieces[0] if len(pieces) == 1 else None
            return _Whole(at, first) if isinstance(first, Expression) else _Text(at, pieces)
        if isinstance(value, list):
            return _List(value, tuple((i, self.find(item, f"{at}/{i}")) for i, item in enumerate(value) if holds(item)))
        for key in value:
            if _MARK in key:
                message = "an expression stands in a key, where none is evaluated"
                hint = "Only values are filled in."
                self._note(ExpressionError(message, key, problem="expression_syntax", hint=hint), f"{at}/{escape(key)}")
        changing = ((key, self.find(item, f"{at}/{escape(key)}")) for key, item in value.items() if holds(item))
        return _Object(value, tuple(changing))

    def _note(self, error: ExpressionError, at: str) -> None:
        error.pointer = at
        self.errors.append(error)

    def _pieces(self, text: str, at: str) -> Iterator[str | Expression]:
        begin = 0
        while opening := _OPENING.search(text, begin):
            if opening.start() > begin:
                yield text[begin : opening.start()]
            if len(opening[0]) > len(_MARK):
                yield _MARK
                begin = opening.end()
                continue
            end = _closing(text, opening.end())
            if end is None:
                message, hint = "a ${{ is never closed", "Close it with }}, or write $${{ for a literal ${{."
                error = ExpressionError(message, text[opening.start() :], problem="expression_syntax", hint=hint)
                self._note(error, at)
                return
            try:
                expression = compile_text(text[opening.end() : end].strip(), self._limits)
                self.found.append((at, expression))
                yield expression
            except ExpressionError as error:
                self._note(error, at)
            begin = end + len("}}")
        if begin < len(text):
            yield text[begin:]


def _closing(text: str, begin: int) -> int | None:
    """Return where the `}}` of an expression stands: outside texts, and not the end of objects written out in it."""
    depth, at = 0, begin
    while inside := _INSIDE.search(text, at):
        at = inside.end()
        if inside[0] == "{":
            depth += 1
        elif inside[0] == "}":
            if depth:
                depth -= 1
            elif text.startswith("}", at):
                return inside.start()
    return None
