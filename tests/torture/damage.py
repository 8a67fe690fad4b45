"""How sound texts and values are damaged: cut at each byte, each bit flipped, or at random. Pure; the caller seeds.

Called by `damaged` and its laws; knows nothing of what the texts mean.
"""

import copy
import random
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

_TOKENS = [
    b"{", b"}", b"[", b"]", b'"', b",", b":", b"\\", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\\ud800",
    b"\\u0000", b"NaN", b"-Infinity", b"1e999", b"9223372036854775808", b"-0", b"1.0", b"null", b"true", b"${{", b"}}",
    b"//", b"\r\n", b"\n", b"\x7f", b"\xc2\xa0", b"\xf0\x9f\x98\x80", b"[" * 70, b'{"a":' * 70, b"5s", b"=", b"'", b"*",
    b"2027-01-01", b"[[", b"]]", b"#", b'"""', b"-", b"/", b"99999999999", b"\xe2\x80\xae",
]  # fmt: skip
_WORDS = [
    "", "a", "b", "x", "any", "print", "log", "workflow", "approval", "5s", "1h30m", "80%", "all", "skip", "true",
    "\ud800", "\0", "é/~", "${{ params.p }}", "${{ tasks.a.output }}", "${{ item }}", "${{ 1 + }}", "${{",
    "${{ [1,2].map(x, x) }}", "tasks.a.output > 1", "tasks[params.p].state", "1 / 0 == 1", "item == 1", "run.state",
    "state.n", "all_done", "fail", "process", "a" * 200, "a b", "../x", "${{ " + "(" * 60 + "1" + ")" * 60 + " }}",
    "${{ secrets.s }}", "-5s", "1e400s",
]  # fmt: skip
_SCALARS = [None, True, False, 0, 1, -1, 2, 0.5, -0.0, 1e308, 2**63 - 1, -(2**63), 2**63, 10**400, 3.7]


class Sweep:
    """Number all the ways to cut each of some texts short and to flip one bit of them."""

    def __init__(self, texts: Sequence[bytes]) -> None:
        """Keep the texts."""
        self._texts = texts
        self._ends = list(accumulate(9 * len(text) for text in texts))

    def __len__(self) -> int:
        """Count the ways."""
        return self._ends[-1]

    def damaged(self, number: int) -> bytes:
        """Return the text that was damaged in the way of this number."""
        which = bisect_right(self._ends, number)
        text = self._texts[which]
        at = number - (self._ends[which - 1] if which else 0)
        if at < len(text):
            return text[:at]
        byte, bit = divmod(at - len(text), 8)
        return text[:byte] + bytes([text[byte] ^ 1 << bit]) + text[byte + 1 :]


def text(rng: random.Random, texts: Sequence[bytes]) -> bytes:
    """Return one of the texts with a few bytes, tokens or pieces of others changed, removed, doubled or put in."""
    data = bytearray(rng.choice(texts))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        at, length = rng.randrange(len(data) + 1), rng.choice((0, 0, 1, 2, 5, 20))
        match rng.randrange(5):
            case 0:
                data[at : at + length] = rng.choice(_TOKENS)
            case 1:
                data[at : at + length] = rng.randbytes(rng.randrange(4))
            case 2:
                other = rng.choice(texts)
                start = rng.randrange(len(other))
                data[at : at + length] = other[start : start + rng.randrange(40)]
            case 3:
                data[at:at] = data[at : at + 30]
            case _:
                del data[at : at + length]
    return bytes(data)


def value(rng: random.Random, values: Sequence[Any]) -> Any:
    """Return a copy of one of the values with a few of its parts replaced, removed, renamed, or taken from another."""
    whole = [copy.deepcopy(rng.choice(values))]
    donors = [part[key] for part, key in _places([rng.choice(values)])]
    keys = [key for _, key in _places([rng.choice(values)]) if isinstance(key, str)] or ["a"]
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        _change(rng, whole, copy.deepcopy(rng.choice(donors)), rng.choice(keys))
    return whole[0]


def _change(rng: random.Random, whole: list[Any], donor: Any, name: str) -> None:
    part, key = rng.choice(_places(whole))
    found = part[key]
    match rng.randrange(7):
        case 0:
            part[key] = rng.choice(_WORDS)
        case 1:
            part[key] = rng.choice(_SCALARS)
        case 2:
            part[key] = donor
        case 3 if part is not whole:
            del part[key]
        case 4 if isinstance(part, dict):
            part[_slip(rng, name if rng.random() < 0.5 else key)] = part.pop(key)  # a coin
        case 5 if isinstance(found, dict):
            found[name] = donor
        case 6 if isinstance(found, list):
            found.insert(rng.randrange(len(found) + 1), donor)
        case _:
            part[key] = [found] if rng.random() < 0.5 else {name: found}  # a coin


def _slip(rng: random.Random, word: str) -> str:
    if not word or rng.random() < 0.3:  # some keys stay as they are
        return word
    at = rng.randrange(len(word))
    return rng.choice((word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:], word + "s", word.upper()))


def _places(whole: list[Any]) -> list[tuple[Any, Any]]:
    """List every place in a value as the list or dict it is in and its index or key."""
    found: list[tuple[Any, Any]] = []
    todo: list[Any] = [whole]
    for part in todo:
        for key, inner in part.items() if isinstance(part, dict) else enumerate(part):
            found.append((part, key))
            if isinstance(inner, dict | list):
                todo.append(inner)
    return found
