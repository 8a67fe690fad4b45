"""Where each key of a TOML text stands: path of the key to line and column, both from 1.

`tomllib` tells no positions, and a problem without its line is half a problem. Only for text that `tomllib` has
accepted, so this reads just enough of the grammar to skip values. Called by `sources`.
"""

import re
import tomllib
from bisect import bisect_right

Key = tuple[str | int, ...]
Place = tuple[int, int]

_SPACE = re.compile(r"[ \t]*")
_GAP = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SIMPLE_KEY = re.compile(r'[A-Za-z0-9_-]+|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'')
_TEXT = re.compile(r'"""(?:\\.|[^\\])*?""""{0,2}' r"|'''.*?''''{0,2}" r'|"(?:\\.|[^"\\\n])*"' r"|'[^'\n]*'", re.DOTALL)
_SCALAR = re.compile(r"[^,\]}#\n]+")


def locate(text: str) -> dict[Key, Place]:
    """Find the first place of every key, table and list entry of a TOML text that `tomllib.loads` has accepted."""
    return _Scan(text).run()


class _Scan:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line_starts = [0, *(found.end() for found in re.finditer("\n", text))]
        self._lengths: dict[Key, int] = {}  # of the arrays of tables seen so far
        self._found: dict[Key, Place] = {}

    def run(self) -> dict[Key, Place]:
        table: Key = ()
        self._skip(_GAP)
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._read_header()
            else:
                self._read_pair(table)
            self._skip(_GAP)
        return self._found

    def _skip(self, what: re.Pattern[str]) -> None:
        found = what.match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _note(self, key: Key, at: int) -> None:
        line = bisect_right(self._line_starts, at)
        self._found.setdefault(key, (line, at - self._line_starts[line - 1] + 1))

    def _read_header(self) -> Key:
        start, is_list = self._at, self._text.startswith("[[", self._at)
        self._at += 2 if is_list else 1
        table: Key = ()
        names = self._read_dotted()
        for number, name in enumerate(names):
            table = (*table, name)
            self._note(table, start)
            if is_list and number == len(names) - 1:
                self._lengths[table] = self._lengths.get(table, 0) + 1
            if table in self._lengths:
                table = (*table, self._lengths[table] - 1)
                self._note(table, start)
        self._at += 2 if is_list else 1
        return table

    def _read_dotted(self) -> list[str]:
        names = []
        while True:
            self._skip(_SPACE)
            found = _SIMPLE_KEY.match(self._text, self._at)
            if not found:
                raise ValueError(self._at)
            self._at = found.end()
            names.append(tomllib.loads(f"k={found[0]}")["k"] if found[0][0] in "\"'" else found[0])
            self._skip(_SPACE)
            if self._text[self._at] != ".":
                return names
            self._at += 1

    def _read_pair(self, table: Key) -> None:
        start = self._at
        names = self._read_dotted()
        for number in range(1, len(names) + 1):
            self._note((*table, *names[:number]), start)
        self._at += 1
        self._skip(_SPACE)
        self._read_value((*table, *names))

    def _read_value(self, key: Key) -> None:
        opening = self._text[self._at]
        if opening in "[{":
            self._read_entries(key, "]" if opening == "[" else "}")
        else:
            self._skip(_TEXT if opening in "\"'" else _SCALAR)

    def _read_entries(self, key: Key, closing: str) -> None:
        number = 0
        self._at += 1
        self._skip(_GAP)
        while self._text[self._at] != closing:
            before = self._at
            if closing == "]":
                self._note((*key, number), self._at)
                self._read_value((*key, number))
                number += 1
            else:
                self._read_pair(key)
            self._skip(_GAP)
            if self._text[self._at] == ",":
                self._at += 1
                self._skip(_GAP)
            if self._at == before:
                raise ValueError(before)
        self._at += 1
