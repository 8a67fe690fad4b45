"""A value that a plugin hands over, as strict JSON bytes, or the sentence that says what in it is not JSON.

Strict means that decoding gives the same value back: nothing is converted but tuples to lists. Called by the runner.
"""

import math
import re
from collections.abc import Iterator
from typing import Any

import msgspec

# Readers recurse: Python's own give up near 1000 levels, others at 100 to 500.
MAX_DEPTH = 200
_LEAST, _MOST = -(2**63), 2**63 - 1
_LONG_NUMBER = re.compile(rb"\d{19}")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
_ADVICE = {
    "datetime": "a string",
    "date": "a string",
    "time": "a string",
    "timedelta": "a number of seconds",
    "Decimal": "a float or a string",
    "UUID": "a string",
    "bytes": "a string (decode it, or use base64)",
    "bytearray": "a string (decode it, or use base64)",
    "PosixPath": "a string",
    "set": "a list",
    "frozenset": "a list",
    "generator": "a list",
    "complex": "a list of two numbers",
}


class NotJsonError(Exception):
    """The value cannot be JSON; the sentence says where in it and why."""


def encode(value: object, name: str) -> bytes:
    """Encode a value as JSON; `name` begins the path in what is said about it.

    Raises NotJsonError and, whatever the value does, nothing else.
    """
    if value is None:
        return b"null"
    data = _encode_as_it_is(value)
    return msgspec.json.encode(_plain(value, [name])) if data is None else data


def _encode_as_it_is(value: object) -> bytes | None:
    """Return its JSON if that decodes to an equal value, else None.

    msgspec quietly converts what is not JSON (dates, sets, NaN, keys that are numbers). Encoding, decoding and
    comparing, all in C, shows that for a third of what a walk in Python costs.
    """
    try:
        data = msgspec.json.encode(value)
        decoded = msgspec.json.decode(data)
        is_same = bool(decoded == value)
    except Exception:  # equality is asked of classes made by plugins, which may raise what they like
        return None
    is_bounded = is_same and not _LONG_NUMBER.search(data) and not _is_too_deep(data, decoded)
    return data if is_bounded else None


def _is_too_deep(data: bytes, decoded: object) -> bool:
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return False
    level = [decoded]
    for _ in range(MAX_DEPTH):
        level = [item for outer in level for item in _items(outer) if isinstance(item, list | dict)]
        if not level:
            return False
    return True


def _items(container: Any) -> Iterator[Any]:
    return iter(container.values() if isinstance(container, dict) else container)


def _plain(value: Any, path: list[str | int]) -> object:
    """Return the value in nothing but the types of JSON; `path` is where it stands.

    The class is looked at and its own methods are not called: a plugin's class may lie, raise or never return.
    """
    kind = type(value)
    if value is None or kind is bool:
        return value
    if issubclass(kind, str):
        return _text(str.__str__(value), path)
    if issubclass(kind, int):
        return _whole(int.__int__(value), path)
    if issubclass(kind, float):
        return _finite(float.__float__(value), path)
    if len(path) > MAX_DEPTH:
        raise NotJsonError(f"{path[0]} is nested deeper than {MAX_DEPTH} levels, or contains itself")
    if issubclass(kind, dict):
        return {(name := _key(key, path)): _inside(item, path, name) for key, item in dict.items(value)}
    if issubclass(kind, list):
        return [_inside(item, path, index) for index, item in enumerate(list.__iter__(value))]
    if issubclass(kind, tuple):
        return [_inside(item, path, index) for index, item in enumerate(tuple.__iter__(value))]
    advice = _ADVICE.get(kind.__name__, "a string, a number, a list or a dict")
    raise NotJsonError(f"{_written(path)} is {_article(kind.__name__)}; convert it to {advice}")


def _inside(value: object, path: list[str | int], place: str | int) -> object:
    path.append(place)
    plain = _plain(value, path)
    path.pop()
    return plain


def _key(key: object, path: list[str | int]) -> str:
    if not issubclass(type(key), str):
        kind = type(key).__name__
        shown = repr(key) if type(key) in {int, float, bool, type(None), bytes} else "one"
        raise NotJsonError(f"{_written(path)} has the key {shown} ({kind}); keys are strings: use str(key)")
    return _text(str.__str__(key), path)


def _text(text: str, path: list[str | int]) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = text[error.start]
        raise NotJsonError(
            f"{_written(path)} holds {half!r}, which is half a character; decode its bytes with errors='replace'"
        ) from None
    return text


def _whole(number: int, path: list[str | int]) -> int:
    if not _LEAST <= number <= _MOST:
        raise NotJsonError(f"{_written(path)} is an integer beyond 64 bits; convert it to a string")
    return number


def _finite(number: float, path: list[str | int]) -> float:
    if not math.isfinite(number):
        raise NotJsonError(f"{_written(path)} is {number}, which JSON does not have; use None or a string")
    return number


def _written(path: list[str | int]) -> str:
    written = str(path[0])
    for place in path[1:]:
        if isinstance(place, int):
            written += f"[{place}]"
        else:
            written += f".{place}" if _IDENTIFIER.fullmatch(place) else f"[{place!r}]"
    return written


def _article(noun: str) -> str:
    return f"an {noun}" if noun[:1] in "aeiouAEIOU" else f"a {noun}"
