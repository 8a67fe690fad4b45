"""Where commands write: text for people, on a terminal or in a pipe, and JSON for programs.

Owns colours, widths and what happens when the reader has gone. Everything is escaped on its way out, so that no
workflow name or log line can move the cursor. rich is imported for terminals only. What is said is up to the commands.
"""

import functools
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from daemon.cli.text import Piece, encoded, escaped, plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_GAP = "  "
_NARROWEST = 8
_THEME = {
    "good": "green",
    "bad": "red",
    "busy": "cyan",
    "odd": "yellow",
    "faint": "dim",
    "head": "bold",
}


class ReaderGoneError(Exception):
    """Whoever read our output has closed it (`dropmill runs | head`): nobody is left to tell."""


class Column(NamedTuple):
    """Describe a column: numbers stand `right`; in a narrow terminal `cut` ones are shortened, `wrapped` ones fold."""

    title: str
    right: bool = False
    cut: bool = False
    wrapped: bool = False


Row = Sequence[Piece]


class Output:
    """Write to one stream; `is_terminal` says whether a person looks at it now. None is a stream closed before us."""

    def __init__(self, stream: TextIO | None, environ: Mapping[str, str], *, wants_color: bool = True) -> None:
        """Look at the stream once."""
        self.stream, self._environ = stream, environ
        self.is_terminal = stream is not None and stream.isatty() and environ.get("TERM", "dumb") != "dumb"
        self._wants_color = wants_color and not environ.get("NO_COLOR")
        self.has_symbols = stream is not None and (stream.encoding or "").lower().startswith("utf")

    @functools.cached_property
    def console(self) -> "Console":
        """Return rich's view of the terminal; only asked for where there is one."""
        from rich.console import Console
        from rich.theme import Theme

        return Console(
            file=self.stream,
            force_terminal=True,
            no_color=not self._wants_color,
            theme=Theme(_THEME),
            highlight=False,
            markup=False,
            emoji=False,
            _environ=self._environ,
        )

    def line(self, *pieces: Piece) -> None:
        """Write one line of pieces; on a terminal it wraps between words."""
        if self.is_terminal:
            self._show(self.styled(pieces))
        else:
            self.write(plain(pieces) + "\n")

    def table(self, columns: Sequence[Column], rows: Sequence[Row]) -> None:
        """Write rows under their titles; a terminal's width is kept to, a pipe gets everything."""
        if self.is_terminal:
            self._show(self._grid(columns, rows))
            return
        texts = [[column.title.upper() for column in columns]]
        texts += [[plain((cell,)) for cell in row] for row in rows]
        widths = [max(map(len, cells)) for cells in zip(*texts, strict=True)]
        for cells in texts:
            padded = [
                cell.rjust(width) if column.right else cell.ljust(width)
                for cell, column, width in zip(cells, columns, widths, strict=True)
            ]
            self.write(_GAP.join(padded).rstrip() + "\n")

    def json(self, value: Any) -> None:
        """Write a value as JSON."""
        self.write(encoded(value) + "\n")

    def styled(self, pieces: Sequence[Piece]) -> "Text":
        """Make rich's text of pieces, escaped."""
        from rich.text import Text

        text = Text()
        for piece in pieces:
            if isinstance(piece, str):
                text.append(escaped(piece))
            else:
                text.append(escaped(piece.text), piece.style or None)
        return text

    def write(self, text: str) -> None:
        """Write text as it is.

        Raises ReaderGoneError if nobody reads any more.
        """
        if self.stream is None:
            return
        try:
            self.stream.write(text)
        except BrokenPipeError:
            self.silence()
            raise ReaderGoneError from None

    def flush(self) -> None:
        """Hand on what was written.

        Raises ReaderGoneError if nobody reads any more.
        """
        if self.stream is None:
            return
        try:
            self.stream.flush()
        except BrokenPipeError:
            self.silence()
            raise ReaderGoneError from None

    def silence(self) -> None:
        """Let everything written from now on, and what is still in the buffer, go nowhere."""
        if self.stream is not None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stream.fileno())
            os.close(nowhere)

    def _show(self, thing: Any) -> None:
        try:
            self.console.print(thing)
        except BrokenPipeError:
            self.silence()
            raise ReaderGoneError from None

    def _grid(self, columns: Sequence[Column], rows: Sequence[Row]) -> Any:
        from rich.table import Table

        cells = [[self.styled((cell,)) for cell in row] for row in rows]
        natural = [
            max([len(column.title), *(row[number].cell_len for row in cells)]) for number, column in enumerate(columns)
        ]
        widths = _fitted(columns, natural, self.console.width)
        grid = Table(box=None, pad_edge=False, padding=(0, len(_GAP), 0, 0), header_style="faint")
        for column, width in zip(columns, widths, strict=True):
            grid.add_column(
                column.title,
                justify="right" if column.right else "left",
                overflow="fold" if column.wrapped else "ellipsis",
                no_wrap=not column.wrapped,
                width=width,
            )
        for row in cells:
            grid.add_row(*row)
        return grid


def _fitted(columns: Sequence[Column], natural: Sequence[int], room: int) -> list[int]:
    """Return the widths that fit into `room`: columns that may give way do, the widest first."""
    widths = list(natural)
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - room
    while excess > 0:
        giving = [
            number
            for number, column in enumerate(columns)
            if (column.cut or column.wrapped) and widths[number] > _NARROWEST
        ]
        if not giving:
            break
        widest = max(giving, key=lambda number: widths[number])
        widths[widest] -= 1
        excess -= 1
    return widths
