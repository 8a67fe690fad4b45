"""One record as one line, for each kind of reader: a file, a program, journald, a person at a terminal.

A line cannot be forged from within: control characters and line breaks in what was logged are escaped, and each line of
a traceback is indented. Secrets are masked before anything is written. Called by `Log` for every record.
"""

import datetime as dt
import traceback
from collections.abc import Sequence
from types import TracebackType
from typing import TypeAlias

import msgspec

from engine.clock import rfc3339
from engine.redaction import MASK, escape_controls, redact

Plain: TypeAlias = str | int | float | bool | None
Raised: TypeAlias = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]

_LONGEST = 16_384  # characters of a message or a value; more is for the log of the attempt
_LONGEST_TRACEBACK = 65_536
# journald's priorities by the number of the level: the first that is not above it counts.
_PRIORITIES = ((50, 2), (40, 3), (30, 4), (20, 6), (0, 7))
_COLOURS = {"debug": "2", "warning": "33", "error": "31", "critical": "1;31"}
_INDENT = "    "


class Entry(msgspec.Struct, frozen=True):
    """What was logged, safe to show: `time` in wall seconds, `fields` as bound to the logger, `traceback` by lines."""

    time: float
    level: str
    severity: int
    source: str
    message: str
    fields: dict[str, Plain] = {}
    traceback: tuple[str, ...] = ()


class Cleaner:
    """Make what is logged safe: secrets masked, control characters escaped, nothing endless."""

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        self.secrets = tuple(secrets)

    def text(self, text: str) -> str:
        """Clean one line of text."""
        if len(text) > _LONGEST:
            text = f"{text[:_LONGEST]}... ({len(text) - _LONGEST} more characters)"
        return escape_controls(redact(text, self.secrets)).replace("\n", "\\n").replace("\t", "\\t")

    def field(self, value: object) -> Plain:
        """Clean one bound value; what is no number or the like becomes text."""
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            return value if redact(str(value), self.secrets) == str(value) else MASK
        return self.text(str(value))

    def traceback(self, raised: Raised) -> tuple[str, ...]:
        """Write an exception with its traceback, without the values of variables."""
        text = "".join(traceback.format_exception(*raised)).rstrip("\n")
        cut = text if len(text) <= _LONGEST_TRACEBACK else "... " + text[-_LONGEST_TRACEBACK:]
        return tuple(escape_controls(line) for line in redact(cut, self.secrets).split("\n"))


def plain_line(entry: Entry) -> str:
    """Write an entry for a file or a pipe."""
    head = f"{rfc3339(entry.time)} {entry.level:<8} {entry.source}: {entry.message}{_fields(entry)}"
    return "\n".join([head, *_indented(entry)])


def json_line(entry: Entry) -> str:
    """Write an entry as a JSON object: time, level, source, message, and where there are any fields and traceback."""
    written: dict[str, object] = {
        "time": rfc3339(entry.time),
        "level": entry.level,
        "source": entry.source,
        "message": entry.message,
    }
    if entry.fields:
        written["fields"] = entry.fields
    if entry.traceback:
        written["traceback"] = "\n".join(entry.traceback)
    return msgspec.json.encode(written).decode()


def journal_line(entry: Entry) -> str:
    """Write an entry for journald, which knows the time and takes the priority from the front of each line."""
    priority = next(priority for least, priority in _PRIORITIES if entry.severity >= least)
    head = f"{entry.message}{_fields(entry)}"
    return "\n".join(f"<{priority}>{line}" for line in [head, *_indented(entry)])


def terminal_line(entry: Entry, *, has_colours: bool) -> str:
    """Write an entry for a person who watches: local time, level, message."""
    time = dt.datetime.fromtimestamp(entry.time).astimezone().strftime("%H:%M:%S")
    level = f"{entry.level:<8}"
    colour = _COLOURS.get(entry.level) if has_colours else None
    shown = f"\x1b[{colour}m{level}\x1b[0m" if colour else level
    return "\n".join([f"{time} {shown} {entry.message}{_fields(entry)}", *_indented(entry)])


def _fields(entry: Entry) -> str:
    return "".join(f" {name}={_quoted(value)}" for name, value in entry.fields.items())


def _quoted(value: Plain) -> str:
    if isinstance(value, str) and value and not any(char in value for char in ' "='):
        return value
    return msgspec.json.encode(value).decode()


def _indented(entry: Entry) -> list[str]:
    return [_INDENT + line for line in entry.traceback]
