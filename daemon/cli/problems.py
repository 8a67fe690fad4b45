"""What is wrong, as a compiler shows it: `file:line:column: sentence`, the line itself, and a caret under the place.

Called by every command that judges a document, and by the guard for errors of any kind. Judges nothing.
"""

import unicodedata
from collections.abc import Iterable, Sequence

from daemon.cli.output import Output
from daemon.cli.text import Styled, escaped
from engine.errors import (
    ConfigInvalidError,
    DecisionInvalidError,
    DocumentInvalidError,
    DropmillError,
    ParamsInvalidError,
    Problem,
    ScheduleInvalidError,
)

_WIDEST = 100
_BEFORE = 0.6  # how much of a long line stands before the caret


def complain(err: Output, error: DropmillError, document: bytes | None = None, name: str = "") -> None:
    """Say what an error is about: its problems one by one if it has some, else its sentence.

    `document` is the text that a DocumentInvalidError speaks of, `name` what to call it.
    """
    if isinstance(error, DocumentInvalidError) and document is not None:
        show(err, error.problems, name, document)
    elif isinstance(error, ConfigInvalidError) and error.source is None:
        # What is in the way of a change of the settings; they themselves are sound.
        for problem in error.problems:
            err.line(Styled("error: ", "bad"), str(problem))
    elif isinstance(
        error,
        DocumentInvalidError | ParamsInvalidError | DecisionInvalidError | ConfigInvalidError | ScheduleInvalidError,
    ):
        subject = f"{error.what} {error.source}" if error.source else error.what
        err.line(Styled("error: ", "bad"), f"{subject} cannot be used:")
        for problem in error.problems:
            err.line(f"  {problem}")
    else:
        err.line(Styled("error: ", "bad"), str(error))


def show(out: Output, problems: Sequence[Problem], name: str, document: bytes) -> None:
    """Show the problems of one document, each with the line it stands on."""
    lines = document.decode("utf-8-sig", "backslashreplace").split("\n")
    width = min(out.console.width, _WIDEST) if out.is_terminal else _WIDEST
    for problem in problems:
        place = f"{name}:{problem.line}:{problem.column}: " if problem.line else f"{name}: "
        where = f" (at {problem.pointer})" if problem.pointer and not problem.line else ""
        out.line(Styled(place, "head"), Styled("error: ", "bad"), f"{problem.message}{where}")
        margin = " " * 6
        if problem.line and problem.line <= len(lines):
            margin = " " * (max(4, len(str(problem.line))) + 1)
            excerpt, caret = _excerpt(lines[problem.line - 1], problem.column or 1, width - len(margin) - 2)
            out.line(Styled(f"{problem.line:>{len(margin) - 1}} | ", "faint"), excerpt)
            out.line(Styled(f"{margin}| ", "faint"), " " * caret, Styled("^", "bad"))
        if problem.hint:
            out.line(Styled(f"{margin}= ", "faint"), Styled("hint: ", "busy"), problem.hint)


def _excerpt(line: str, column: int, room: int) -> tuple[str, int]:
    """Cut a window of `room` cells out of a line around a column; return it, escaped, and the cell of the caret."""
    cells = [escaped(" " if character == "\t" else character) for character in line.rstrip("\r")]
    at = min(column - 1, len(cells))
    room -= 2  # for what says that something was cut off
    rest = sum(map(_width, cells[at : at + room]))
    start = at - _fitting(reversed(cells[:at]), max(int(room * _BEFORE), room - rest))
    end = start + _fitting(cells[start:], room)
    before, after = ("…" if start else ""), ("…" if end < len(cells) else "")
    caret = len(before) + sum(map(_width, cells[start:at]))
    return before + "".join(cells[start:end]) + after, caret


def _fitting(cells: Iterable[str], room: int) -> int:
    """Count how many cells, from the first, fit into a room."""
    count = 0
    for cell in cells:
        room -= _width(cell)
        if room < 0:
            break
        count += 1
    return count


def _width(cell: str) -> int:
    if len(cell) > 1 or cell.isascii():
        return len(cell)
    return 0 if unicodedata.combining(cell) else 2 if unicodedata.east_asian_width(cell) in "WF" else 1
