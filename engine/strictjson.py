"""Bytes to JSON values, strictly: RFC 8259 in UTF-8, nothing that two readers could understand differently.

One reading by the standard library when all is well; what makes it strict is counted in bytes before it and in hooks
during it. Only when something is wrong is the text walked again for what, where and what to do. Called by `loader`.
"""

import json
import math
import re
from itertools import accumulate
from typing import Any

from msgspec import UNSET

from engine import collector
from engine.errors import Problem
from engine.limits import Limits
from engine.positions import Walk, line_column, pointer_before
from engine.problems import more_problems, quoted

LARGEST, SMALLEST = 2**63 - 1, -(2**63)
_BOM = b"\xef\xbb\xbf"
_WIDE_NAMES = {"utf-16": "UTF-16", "utf-32": "UTF-32"}

_BRACKETS = b"[]{}"
_NOT_BRACKETS_OR_QUOTES = bytes(byte for byte in range(256) if byte not in b'[]{}"')
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in _BRACKETS)
_DEEPER = bytes.maketrans(_BRACKETS, b"\x01\xff\x01\xff")

# All digits become 0, so that one substring search tells whether any integer needs a closer look.
_NUMBERS = bytes(b"0"[0] if byte in b"0123456789" else b" "[0] for byte in range(256))
_MANY_DIGITS = b"0" * len(str(LARGEST))
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


def parse(data: bytes, limits: Limits) -> tuple[Any, list[Problem]]:
    """Read a document; return its value and every problem, in the order of the text.

    The value is UNSET where the text could not be read to its end. Where only values are wrong (a key twice, a number
    out of range, half a surrogate pair) it is there, with a stand-in for each of them, so that the rest can be judged.
    """
    text, problem = _decode(data, limits)
    if problem is None:
        problem = _too_deep(data, text, limits.document_depth)
    if problem is not None:
        return UNSET, [problem]
    try:
        with collector.paused():
            value, is_odd = _read(data, text)
    except json.JSONDecodeError as error:
        return UNSET, [_syntax(text, error)]
    if not is_odd:
        return value, []
    problems = _Oddities(text, limits.document_problems).search()
    if any(problem.code == "surrogate" for problem in problems):
        # What judges the rest must be able to write it, into messages and elsewhere: as pointers do.
        value = json.loads(_HALF.sub(_written_out, json.dumps(value, ensure_ascii=False)))
    return value, problems


def _decode(data: bytes, limits: Limits) -> tuple[str, Problem | None]:
    if len(data) > limits.document_bytes:
        message = f"the document has {len(data)} bytes; the limit is {limits.document_bytes}"
        return "", Problem(code="too_large", message=message, hint="Split it, or raise the limit document_bytes.")
    if data and not data.strip(b"\0"):
        return "", _nul(1, 1)
    wide = _WIDE_NAMES.get(json.detect_encoding(data)[:6]) if data else None
    if wide is not None:
        message = f"the document is written in {wide}; only UTF-8 is read"
        return "", Problem(code="encoding", message=message, line=1, column=1, hint="Save it as UTF-8.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return "", _undecodable(data, error)
    if not text or text.isspace():
        return "", Problem(code="empty", message="the document is empty", hint='The smallest one is {"tasks": [...]}.')
    if "\0" in text:
        return "", _nul(*line_column(text, text.index("\0")))
    return text, None


def _nul(line: int, column: int) -> Problem:
    hint = "The file was damaged (a power cut leaves such files) or is not text; write it again."
    return Problem(code="nul", message="the document holds a NUL byte", line=line, column=column, hint=hint)


def _undecodable(data: bytes, error: UnicodeDecodeError) -> Problem:
    # The offset counts without the byte-order mark where there is one.
    before = data.removeprefix(_BOM)[: error.start].decode("utf-8", "replace")
    line, column = line_column(before, len(before))
    message = f"the byte 0x{error.object[error.start]:02x} is not UTF-8"
    hint = "Save the document as UTF-8; it looks like Latin-1 or Windows-1252, or it is damaged."
    return Problem(code="encoding", message=message, line=line, column=column, hint=hint)


def _too_deep(data: bytes, text: str, most: int) -> Problem | None:
    """Measure the nesting in the bytes, strings left out, before anything recursive sees them."""
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Two quotes side by side do not change what is inside and what outside of texts; most texts hold no brackets.
    outside = data.translate(None, _NOT_BRACKETS_OR_QUOTES).replace(b'""', b"")
    outside = b"".join(outside.split(b'"')[::2])
    if len(outside) <= most:
        return None
    depths = accumulate(memoryview(outside.translate(_DEEPER, _NOT_BRACKETS)).cast("b"))
    if max(depths, default=0) <= most:
        return None
    walk = Walk(text)
    spot = next((spot for spot, lexeme in walk if lexeme in {"{", "["} and len(walk.path) == most), None)
    line, column = line_column(text, spot.value) if spot else (None, None)
    message = f"lists and objects are nested more than {most} deep"
    hint = "Flatten the document, or raise the limit document_depth."
    return Problem(code="too_deep", message=message, pointer=walk.pointer, line=line, column=column, hint=hint)


def _read(data: bytes, text: str) -> tuple[Any, bool]:
    """Parse; tell beside the value whether anything in it has to be looked at again."""
    is_odd = b"\\u0000" in data or _SURROGATE_ESCAPE.search(data) is not None

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal is_odd
        result = dict(pairs)
        if len(result) != len(pairs):
            is_odd = True
        return result

    def whole(digits: str) -> int:
        nonlocal is_odd
        number = _whole(digits)
        is_odd = is_odd or number is None
        return number or 0

    def real(digits: str) -> float:
        nonlocal is_odd
        number = float(digits)
        is_odd = is_odd or math.isinf(number)
        return 0.0 if math.isinf(number) else number

    def constant(_name: str) -> float:
        nonlocal is_odd
        is_odd = True
        return 0.0

    hooks: dict[str, Any] = {"parse_int": whole} if _MANY_DIGITS in data.translate(_NUMBERS) else {}
    value = json.loads(text, object_pairs_hook=members, parse_float=real, parse_constant=constant, **hooks)
    return value, is_odd


def _whole(digits: str) -> int | None:
    """Read an integer of at most 64 bits; None for a larger one, however long."""
    if len(digits) > len(str(SMALLEST)):
        return None
    number = int(digits)
    return number if SMALLEST <= number <= LARGEST else None


class _Oddities:
    """Walks a readable text for everything in its values that strict JSON forbids; words the first, counts the rest."""

    def __init__(self, text: str, most: int) -> None:
        self._text, self._most = text, most
        self._walk = Walk(text)
        self._line, self._begin, self._counted = 1, 0, 0
        self._count = 0
        self._problems: list[Problem] = []

    def search(self) -> list[Problem]:
        seen: list[set[str]] = []
        walk = self._walk
        for spot, lexeme in walk:
            depth = len(walk.path)
            if spot.key is not None:
                key = str(walk.path[-1])
                self._look_at_text(key, "a key", spot.key)
                if key in seen[depth - 1]:
                    message = f"the key {quoted(key)} stands twice in one object"
                    self._note("duplicate_key", spot.key, message, "Remove one of them.")
                seen[depth - 1].add(key)
            if lexeme in {"{", "["}:
                seen[depth:] = [set()]
            elif lexeme[0] != '"':
                self._look_at_number(lexeme, spot.value)
            elif "\\" in lexeme:
                self._look_at_text(json.loads(lexeme), "a string", spot.value)
        return self._problems + more_problems(self._count - len(self._problems))

    def _note(self, code: str, at: int, message: str, hint: str) -> None:
        self._count += 1
        if self._count > self._most:
            return
        # Offsets only grow, so lines are counted on from the last problem: many problems stay linear.
        self._line += self._text.count("\n", self._counted, at)
        self._begin = self._text.rfind("\n", self._begin, at) + 1 or self._begin
        self._counted = at
        place = {"line": self._line, "column": at - self._begin + 1}
        self._problems.append(Problem(code=code, message=message, pointer=self._walk.pointer, hint=hint, **place))

    def _look_at_text(self, decoded: str, what: str, at: int) -> None:
        if "\0" in decoded:
            hint = "Programs and databases cut text off there; leave it out."
            self._note("nul", at, f"{what} holds the character \\u0000", hint)
        half = _HALF.search(decoded)
        if half is not None:
            message = f"{what} holds \\u{ord(half[0]):04x}, which is half of a surrogate pair"
            self._note("surrogate", at, message, "Write the character itself, or both halves of its pair.")

    def _look_at_number(self, lexeme: str, at: int) -> None:
        digits = lexeme.removeprefix("-")
        if digits in {"NaN", "Infinity"}:
            self._note("not_a_number", at, f"{lexeme} is not a JSON number", "Write null, or a text.")
        elif not digits[0].isdigit():
            return
        elif not digits.isdigit():
            if math.isinf(float(lexeme)):
                hint = "The largest is about 1.8e308; write a text where more is meant."
                self._note("not_a_number", at, f"the number {quoted(lexeme)} is too large", hint)
        elif _whole(lexeme) is None:
            message = f"the integer {quoted(lexeme)} does not fit in 64 bits"
            self._note("integer_range", at, message, f"The largest is {LARGEST}; write a text instead.")


_HALF = re.compile("[\ud800-\udfff]")


def _written_out(half: re.Match[str]) -> str:
    return f"\\\\u{ord(half[0]):04x}"


_AT_END = re.compile(r"(?:t(?:ru?)?|f(?:a(?:ls?)?)?|n(?:ul?)?|[\d.eE+\-]*)\s*\Z")
_WORD = re.compile(r"[A-Za-z_$][\w$]*")
_WORDS = {
    "True": "true",
    "TRUE": "true",
    "False": "false",
    "FALSE": "false",
    "None": "null",
    "NULL": "null",
    "nil": "null",
    "undefined": "null",
}


def _syntax(text: str, error: json.JSONDecodeError) -> Problem:
    at, message, hint = error.pos, "", None
    code = "syntax"
    if error.msg.startswith("Extra data"):
        code, message = "trailing_data", f"the document ends here, but {quoted(_next(text, at))} follows"
        hint = "A document is one JSON value. Several requests go into a .jsonl file, one a line."
    elif error.msg.startswith("Unterminated string"):
        code, message = "truncated", "the text that begins here is never closed"
        hint = "The document was cut off, or a double quote is missing."
    elif _AT_END.match(text, at) and not error.msg.startswith("Invalid"):
        code, message = "truncated", "the document ends in the middle"
        hint = "It was cut off, or closing brackets are missing."
    else:
        at = _blamed(text, at)
        message, hint = _advice(text, at, error.msg)
    line, column = line_column(text, at)
    return Problem(code=code, message=message, pointer=pointer_before(text, at), line=line, column=column, hint=hint)


def _next(text: str, at: int) -> str:
    return text[at : at + 20].partition("\n")[0].strip()


def _blamed(text: str, at: int) -> int:
    """Move to the comma before a closing bracket, and to the backslash of an escape: Python versions differ there."""
    before = text[:at].rstrip(" \t\n\r")
    if text[at] in {"]", "}"} and before.endswith(","):
        return len(before) - 1
    return at - 1 if text[at] == "u" and before.endswith("\\") else at


def _advice(text: str, at: int, said: str) -> tuple[str, str | None]:
    """Word what is wrong at an offset, and what to do, from what stands there and what the parser was looking for."""
    here = text[at]
    word = _WORD.match(text, at)
    if text.startswith(("//", "/*", "#"), at):
        return "a comment stands here, and JSON has none", 'Put the words into a "description".'
    if said.startswith("Invalid control character"):
        return f"a text holds a raw {_control(here)}", "Write \\n for a new line and \\t for a tab."
    if said.startswith("Invalid"):
        sign = text[at + 1 : at + 2]
        what = f"\\{sign}" if sign.isprintable() else f"a backslash before a {_control(sign)}"
        return f"{what} is not an escape that JSON knows", "A backslash itself is written \\\\."
    if here == "," and text[at + 1 :].lstrip()[:1] in {"]", "}"}:
        return "a comma stands before a closing bracket", "Remove the comma."
    if here == "'":
        return "a text stands in single quotes", 'JSON wants double quotes: "...".'
    if word and word[0] in _WORDS:
        return f"{word[0]} is not JSON", f"Write {_WORDS[word[0]]}."
    if said.startswith("Expecting property name"):
        hint = f'Write "{word[0]}".' if word else None
        return f"a key in double quotes is missing before {quoted(_next(text, at))}", hint
    if said.startswith("Expecting ':'"):
        return "a colon is missing between a key and its value", None
    if here in {"+", "-", "."}:
        return "this is not how JSON writes numbers", "Write them like 0.5, 1.0, -3 or 1e6."
    if here.isdigit() and text[at - 1 : at] == "0":
        return "a number begins with 0", "Remove the zeros before it, or write a text."
    if said.startswith("Expecting ','"):
        return f"a comma or a closing bracket is missing before {quoted(_next(text, at))}", None
    return _no_value(quoted(_next(text, at)), here, word[0] if word else "")


def _no_value(shown: str, here: str, word: str) -> tuple[str, str | None]:
    if here in "]},:":
        return f"a value is missing before {shown}", None
    hint = f'Write a text in double quotes, as in "{word}".' if word else "A document is an object in JSON: {...}."
    return f"{shown} is not JSON", hint


def _control(character: str) -> str:
    return {"\n": "line break", "\t": "tab", "\r": "carriage return"}.get(
        character, f"control character 0x{ord(character):02x}"
    )
