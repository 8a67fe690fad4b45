"""A run on a terminal, drawn in place until it ends.

Called by whatever follows a run; `frame` says what it looks like. Leaves nothing behind: the end is for `outcome`.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from daemon.cli.output import Output, ReaderGoneError
from daemon.cli.watching.frame import Frame, Line
from daemon.cli.watching.progress import Change
from engine.clock import ticks, wall

_ECHO_CELLS = 4


class LiveView:
    """Draw the frame again and again; obeys `View`."""

    patience = 0.125  # seconds between two pictures: as often as the spinner turns

    def __init__(self, output: Output, frame: Frame) -> None:
        """Draw on this output, a terminal."""
        self._output, self._frame = output, frame
        self._notice = ""
        self._live: Any = None
        self._drawn_at = -self.patience

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Hold the terminal; the cursor is back afterwards, and the picture gone."""
        from rich.live import Live

        with (
            contextlib.suppress(ReaderGoneError, OSError),
            Live(
                console=self._output.console, auto_refresh=False, transient=True, vertical_overflow="crop"
            ) as self._live,
        ):
            yield

    def take(self, changes: Sequence[Change]) -> None:
        """Leave them to the next picture."""

    def refresh(self) -> None:
        """Draw the run as it is now, unless that was done a moment ago."""
        if ticks() - self._drawn_at < self.patience / 2:
            return
        self._drawn_at = ticks()
        console = self._output.console
        # One line less than there are: the cursor stands below the last.
        lines = self._frame.draw(wall(), console.width, max(1, console.height - 1), self._notice)
        with contextlib.suppress(ReaderGoneError, OSError):
            self._live.update(self._picture(lines, console.width), refresh=True)

    def note(self, sentence: str) -> None:
        """Show a sentence under the run from now on, and at once."""
        self._notice, self._drawn_at = sentence, -self.patience

    def _picture(self, lines: Sequence[Line], width: int) -> Any:
        from rich.console import Group

        texts = [self._output.styled(line) for line in lines]
        for text in texts:
            text.no_wrap = True
            text.truncate(width, overflow="ellipsis")
        # The terminal echoes ^C behind it: that must not begin a new line, or the picture could not be taken back.
        texts[-1].truncate(max(1, width - _ECHO_CELLS), overflow="ellipsis")
        return Group(*texts)
