"""Text made safe and pieces of it with a style: what every command hands to `output`.

Owns which characters a terminal would act on, and how they are shown instead. Imports nothing of ours.
"""

import re
from typing import Any, NamedTuple

# Control characters, those that reorder or hide the text around them, and halves of characters.
_HIDDEN = "\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff"
_UNSAFE = re.compile(f"[\x00-\x1f\x7f-\x9f{_HIDDEN}]")
_UNSAFE_IN_JSON = re.compile(f"[\x7f-\x9f{_HIDDEN}]")
_INDENT = 2
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_STATE_STYLES = {
    "COMPLETED": "good",
    "FAILED": "bad",
    "CANCELLED": "odd",
    "SKIPPED": "faint",
    "RUNNING": "busy",
    "RETRYING": "odd",
    "WAITING": "odd",
    "PENDING": "faint",
}


class Styled(NamedTuple):
    """A piece of text and the name of its style; a plain str has none."""

    text: str
    style: str


Piece = str | Styled


def escaped(text: str) -> str:
    """Make every character that is not plain text visible, line ends included."""
    return _UNSAFE.sub(_spell, text)


def escaped_lines(text: str) -> list[str]:
    """Split text into lines and escape each; tabs become spaces, a carriage return before a line end is part of it."""
    return [escaped(line.removesuffix("\r").expandtabs()) for line in text.removesuffix("\n").split("\n")]


def encoded(value: Any) -> str:
    """Write a JSON value for `--json`: indented, and without a character that a terminal would act on."""
    import msgspec

    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def compact(value: Any) -> str:
    """Write a JSON value on one line for a person: text without its quotes."""
    import msgspec

    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def readable(output: bytes) -> str:
    """Write a task's output, which is JSON, for a person: text without its quotes, nothing for null."""
    import msgspec

    value = msgspec.json.decode(output) if output.startswith(b'"') else None
    return value if isinstance(value, str) else "" if output == b"null" else output.decode()


def laid_out(value: Any, width: int, before: int = 0) -> list[str]:
    """Write a JSON value on lines of about this width: whatever fits on one stands on one, the rest is opened up.

    `before` is how much of the first line is taken already.
    """
    import msgspec

    text = msgspec.json.format(msgspec.json.encode(value), indent=0).decode()
    if before + len(text) <= width or not value or not isinstance(value, dict | list):
        return [text]
    if isinstance(value, dict):
        parts = [(msgspec.json.encode(name).decode() + ": ", inner) for name, inner in value.items()]
    else:
        parts = [("", inner) for inner in value]
    lines = []
    for number, (name, inner) in enumerate(parts, start=1):
        first, *rest = laid_out(inner, width - _INDENT - 1, len(name))
        comma = "," if number < len(parts) else ""
        block = [f"{name}{first}", *rest]
        block[-1] += comma
        lines += [" " * _INDENT + line for line in block]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return [opening, *lines, closing]


def state(name: str) -> Styled:
    """Return the name of a state in its colour."""
    return Styled(name, _STATE_STYLES.get(name, ""))


def why(reason: str | None, message: str) -> str:
    """Return the sentence that says why something is as it is: its message, else what its reason code means."""
    if message or not reason:
        return message
    from engine.states import MEANING, Reason

    return MEANING[Reason(reason)] if reason in MEANING else reason


def plain(pieces: tuple[Piece, ...]) -> str:
    """Join pieces without their styles, escaped."""
    return "".join(escaped(piece if isinstance(piece, str) else piece.text) for piece in pieces)


def _spell(found: re.Match[str]) -> str:
    character = found[0]
    return _SHORT.get(character) or (f"\\x{ord(character):02x}" if character < "\u0100" else f"\\u{ord(character):04x}")
