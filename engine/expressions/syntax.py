"""What an expression names: read from its text, after the library has found it valid.

The library tells neither which tasks are meant by `tasks.a` nor which names a macro binds. Operators are kept in a row,
without precedence: to know names and to estimate work nothing more is needed. Called by `program` and `cost`.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

_SPACE = r"(?:[ \t\r\n\f]|//[^\n]*+)*+"
_RAW = r'[bB]?[rR](?:"""[\s\S]*?"""|' + r"'''[\s\S]*?'''" + r'|"[^"\n]*+"|' + r"'[^'\n]*+')"
_COOKED = (
    r'[bB]?(?:"""(?:[^\\]|\\.)*?"""|' + r"'''(?:[^\\]|\\.)*?'''" + r'|"(?:[^"\\\n]|\\.)*+"|' + r"'(?:[^'\\\n]|\\.)*+')"
)
_NUMBER = r"0[xX][0-9a-fA-F]++[uU]?|(?:[0-9]++(?:\.[0-9]++)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?[uU]?"
_BLANK = re.compile(_SPACE)
_LEXEME = re.compile(
    rf"{_SPACE}(?:(?P<text>{_RAW}|{_COOKED})|(?P<number>{_NUMBER})|(?P<name>[A-Za-z_][A-Za-z0-9_]*+)"
    r"|(?P<sign>&&|\|\||[<>=!]=|[-+*/%<>!?:,.()\[\]{}]))",
    re.DOTALL,
)
_BEFORE_OPERAND = frozenset({"!", "-"})
_BETWEEN_OPERANDS = frozenset({"&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "?", ":", "in"})
MACROS = {"all": 2, "exists": 2, "exists_one": 2, "existsOne": 2, "filter": 2, "map": 2}
LONG_MAP = 3  # map(x, condition, value)
DEEPEST = 32


class UnreadableError(Exception):
    """The text is valid to the library, but uses what this reading does not know."""


class TooNestedError(UnreadableError):
    """Brackets, calls or objects stand more than DEEPEST deep in each other."""


class Word(NamedTuple):
    """A text, number or other constant, as written; `value` where it is a text that needs no decoding."""

    source: str
    value: str | None = None


class Name(NamedTuple):
    """An identifier at the head of a chain."""

    name: str


class Items(NamedTuple):
    """A list or an object written out."""

    parts: tuple["Row", ...]


class Group(NamedTuple):
    """What stands in round brackets."""

    inside: "Row"


class Field(NamedTuple):
    """`.name` behind something."""

    name: str


class At(NamedTuple):
    """`[key]` behind something; `key` is the constant where it is one."""

    inside: "Row"
    constant: str | int | None


class Call(NamedTuple):
    """`name(...)`, at the head of a chain or behind a dot; `variable` is what a macro binds."""

    name: str
    parts: tuple["Row", ...]
    variable: str | None = None


class Chain(NamedTuple):
    """A head with what is selected from it, one after the other."""

    head: Word | Name | Items | Group | Call
    links: tuple[Field | At | Call, ...]


class Row(NamedTuple):
    """Operands with the operators between and before them."""

    operands: tuple[Chain, ...]
    operators: frozenset[str]


class _Reader:
    def __init__(self, text: str) -> None:
        self._lexemes = list(_split(text))
        self._at = 0
        self._depth = 0

    def read(self) -> Row:
        row = self._row()
        if self._at != len(self._lexemes):
            raise UnreadableError
        return row

    def _peek(self) -> tuple[str, str]:
        return self._lexemes[self._at] if self._at < len(self._lexemes) else ("end", "")

    def _take(self) -> tuple[str, str]:
        lexeme = self._peek()
        self._at += 1
        return lexeme

    def _accept(self, sign: str) -> bool:
        if self._peek() != ("sign", sign):
            return False
        self._at += 1
        return True

    def _expect(self, sign: str) -> None:
        if not self._accept(sign):
            raise UnreadableError

    def _row(self) -> Row:
        self._depth += 1
        if self._depth > DEEPEST:
            raise TooNestedError
        operators: set[str] = set()
        operands = [self._operand(operators)]
        while self._peek()[1] in _BETWEEN_OPERANDS and self._peek()[0] in {"sign", "name"}:
            if self._peek()[1] == ":" and "?" not in operators:
                break  # the colon of an object written out
            operators.add(self._take()[1])
            operands.append(self._operand(operators))
        self._depth -= 1
        return Row(tuple(operands), frozenset(operators))

    def _operand(self, operators: set[str]) -> Chain:
        while self._peek()[0] == "sign" and self._peek()[1] in _BEFORE_OPERAND:
            operators.add(self._take()[1])
        head = self._head()
        links: list[Field | At | Call] = []
        while True:
            if self._accept("."):
                kind, name = self._take()
                if kind != "name":
                    raise UnreadableError
                links.append(self._call(name, is_behind=True) if self._accept("(") else Field(name))
            elif self._accept("["):
                inside = self._row()
                self._expect("]")
                links.append(At(inside, _constant(inside)))
            else:
                return Chain(head, tuple(links))

    def _head(self) -> Word | Name | Items | Group | Call:
        kind, lexeme = self._take()
        if kind == "text":
            return Word(lexeme, _plain(lexeme))
        if kind == "number" or lexeme in {"true", "false", "null"}:
            return Word(lexeme)
        if kind == "name":
            return self._call(lexeme, is_behind=False) if self._accept("(") else Name(lexeme)
        if lexeme == "(":
            inside = self._row()
            self._expect(")")
            return Group(inside)
        if lexeme in {"[", "{"}:
            return Items(self._parts("]" if lexeme == "[" else "}"))
        raise UnreadableError

    def _call(self, name: str, *, is_behind: bool) -> Call:
        parts = self._parts(")")
        is_macro = is_behind and (len(parts) == MACROS.get(name) or (name == "map" and len(parts) == LONG_MAP))
        variable = _lone_name(parts[0]) if is_macro else None
        return Call(name, parts, variable)

    def _parts(self, closer: str) -> tuple[Row, ...]:
        parts = []
        while not self._accept(closer):
            parts.append(self._row())
            if not (self._accept(",") or (closer == "}" and self._accept(":"))):
                self._expect(closer)
                break
        return tuple(parts)


def read(text: str) -> Row:
    """Read a valid expression.

    Raises TooNestedError, or UnreadableError for what this reading does not know.
    """
    return _Reader(text).read()


def _split(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while match := _LEXEME.match(text, at):
        yield str(match.lastgroup), match[str(match.lastgroup)]
        at = match.end()
    if not _BLANK.fullmatch(text, at):
        raise UnreadableError


def _plain(lexeme: str) -> str | None:
    """Return the value of a text without escapes; None for others, and for bytes."""
    if lexeme[0] not in "\"'" or "\\" in lexeme:
        return None
    quotes = 3 if lexeme[:3] in {'"""', "'''"} and len(lexeme) > len('""') + 3 else 1
    return lexeme[quotes:-quotes]


def _lone(row: Row) -> Word | Name | Items | Group | Call | None:
    is_lone = len(row.operands) == 1 and not row.operators and not row.operands[0].links
    return row.operands[0].head if is_lone else None


def _lone_name(row: Row) -> str | None:
    head = _lone(row)
    return head.name if isinstance(head, Name) else None


def _constant(row: Row) -> str | int | None:
    head = _lone(row)
    if not isinstance(head, Word):
        return None
    return int(head.source) if head.source.isdecimal() else head.value


Path = tuple[str | int, ...]


class Names:
    """Gather what an expression takes from its scope: `paths` as far as they are constant, and the functions it calls.

    A path that begins with a name a macro binds is not one of the scope. `guarded` are the paths that stand in `has()`.
    `can_grow` tells whether its work or its result may be more than the values that go in.
    """

    def __init__(self, row: Row) -> None:
        self.paths: dict[Path, None] = {}
        self.guarded: set[Path] = set()
        self.functions: set[str] = set()
        self.can_grow = False
        self._row(row, frozenset())

    def _row(self, row: Row, bound: frozenset[str]) -> None:
        self.can_grow = self.can_grow or "+" in row.operators
        for chain in row.operands:
            self._chain(chain, bound)

    def _chain(self, chain: Chain, bound: frozenset[str]) -> None:
        head = chain.head
        if isinstance(head, Name):
            if head.name not in bound:
                self.paths[path_of(chain)] = None
        elif isinstance(head, Items):
            self.can_grow = True
            self._rows(head.parts, bound)
        elif isinstance(head, Group):
            self._row(head.inside, bound)
        elif isinstance(head, Call):
            self._call(head, bound)
        for link in chain.links:
            if isinstance(link, At):
                self._row(link.inside, bound)
            elif isinstance(link, Call):
                self._call(link, bound)

    def _rows(self, rows: tuple[Row, ...], bound: frozenset[str]) -> None:
        for row in rows:
            self._row(row, bound)

    def _call(self, call: Call, bound: frozenset[str]) -> None:
        if call.variable is not None:
            self.can_grow = True
            self._rows(call.parts[1:], bound | {call.variable})
            return
        self.functions.add(call.name)
        self.can_grow = self.can_grow or call.name == "matches"
        if call.name == "has" and len(call.parts) == 1:
            tested = call.parts[0].operands[0]
            if isinstance(tested.head, Name) and tested.head.name not in bound:
                self.guarded.add(path_of(tested))
        self._rows(call.parts, bound)


def path_of(chain: Chain) -> Path:
    """Return the constant names and indexes that a chain begins with, its head first."""
    path: list[str | int] = [chain.head.name] if isinstance(chain.head, Name) else []
    for link in chain.links:
        part = link.name if isinstance(link, Field) else link.constant if isinstance(link, At) else None
        if part is None:
            break
        path.append(part)
    return tuple(path)
