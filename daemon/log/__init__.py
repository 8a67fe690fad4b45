"""The daemon's log, set up once: a file that rotates, and standard error for journald, a person or a pipe.

Who logs never waits and never fails (`outlets`), no line shows a secret and none can be forged (`lines`). `service` and
the command line call `configure`; everybody else uses `from loguru import logger`, or the standard library's logging.
Attempts have logs of their own (`engine.attemptlog`).
"""

import copy
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO, TypeAlias

from loguru import logger

from daemon.log.files import FileSettings, LogFile
from daemon.log.intercept import intercept
from daemon.log.lines import Cleaner, Entry, journal_line, json_line, plain_line, terminal_line
from daemon.log.outlets import Outlet, Stream, Writer
from engine.clock import Clock, SystemClock

if TYPE_CHECKING:
    from loguru import Message

_CLOSE_SECONDS = 2.0
_WARNING = 30

Form: TypeAlias = Callable[[Entry], str]


class LogSettings(FileSettings, Protocol):
    """What `configure` asks of the settings; `daemon.config.Log` has it."""

    @property
    def level(self) -> str:
        """The least that is worth a line: debug, info, warning or error."""
        ...

    @property
    def json(self) -> bool:
        """Whether the file holds one JSON object a line."""
        ...

    @property
    def file(self) -> str:
        """Name of the file; empty for none."""
        ...


def configure(
    settings: LogSettings,
    folder: Path,
    *,
    to_terminal: bool,
    secrets: Sequence[str] = (),
    stream: TextIO | None = None,
    environ: Mapping[str, str] = os.environ,
    clock: Clock | None = None,
) -> "Log":
    """Send everything that is logged from now on to the file in `folder` and, where asked, to standard error.

    What loguru and the standard library's root logger had before is taken away. Raises nothing for a folder or a disk
    that cannot be written: that is said on the other outlet, and counted.
    """
    logger.remove()
    log = Log(Cleaner(secrets), clock or SystemClock())
    if settings.file:
        inner = copy.deepcopy(logger)  # loguru's way to a second logger with handlers of its own
        file = LogFile(folder / settings.file, settings, inner, clock or SystemClock())
        log.add_outlet(str(folder / settings.file), file, json_line if settings.json else plain_line)
    stream = stream or sys.stderr
    if to_terminal and stream is not None:  # it is, where the process was started without one
        log.add_outlet("standard error", Stream(stream.fileno()), _form_for(stream, environ))
    log.start(settings.level)
    return log


class Log:
    """Hold what `configure` set up, until `close`."""

    def __init__(self, cleaner: Cleaner, clock: Clock) -> None:
        """Begin without outlets."""
        self._cleaner, self._clock = cleaner, clock
        self._outlets: list[tuple[Outlet, Form]] = []
        self._endings: list[Callable[[], None]] = []

    @property
    def lost(self) -> int:
        """Count the lines that an outlet did not take."""
        return sum(outlet.lost for outlet, _ in self._outlets)

    def protect(self, secrets: Sequence[str]) -> None:
        """Mask these values, and no others, from now on."""
        self._cleaner = Cleaner(secrets)

    def add_outlet(self, name: str, writer: Writer, form: Form) -> None:
        """Send lines there too, each entry in this form."""
        number = len(self._outlets)
        outlet = Outlet(name, writer, lambda sentence: form(self._own(sentence)), partial(self._alarm, number))
        self._outlets.append((outlet, form))

    def start(self, level: str) -> None:
        """Take what is logged from this level on."""
        for outlet, _ in self._outlets:
            outlet.start()
        number = logger.add(
            self._take,
            level=level.upper(),
            format="{message}",
            colorize=False,
            backtrace=False,
            diagnose=False,  # it would show the values of variables
            catch=True,
        )
        self._endings = [partial(logger.remove, number), intercept(level)]

    def close(self, seconds: float = _CLOSE_SECONDS) -> None:
        """Write what is waiting, let go, and give up on an outlet that stands still so long; harmless twice."""
        while self._endings:
            self._endings.pop()()
        for outlet, _ in self._outlets:
            outlet.stop(seconds)

    def _take(self, message: "Message") -> None:
        record, clean = message.record, self._cleaner
        raised = record["exception"]
        entry = Entry(
            time=record["time"].timestamp(),
            level=record["level"].name.lower(),
            severity=record["level"].no,
            source=clean.text(record["name"] or "?"),
            message=clean.text(record["message"]),
            fields={clean.text(str(name)): clean.field(value) for name, value in record["extra"].items()},
            traceback=clean.traceback(raised) if raised and raised.value else (),
        )
        for outlet, form in self._outlets:
            outlet.put(form(entry))

    def _alarm(self, number: int, sentence: str) -> None:
        """Say that one outlet is broken where it is not: on the others."""
        for other, (outlet, form) in enumerate(self._outlets):
            if other != number:
                outlet.put(form(self._own(sentence)))

    def _own(self, sentence: str) -> Entry:
        message = self._cleaner.text(sentence)
        return Entry(time=self._clock.wall(), level="warning", severity=_WARNING, source=__name__, message=message)


def _form_for(stream: TextIO, environ: Mapping[str, str]) -> Form:
    if _is_journal(stream, environ.get("JOURNAL_STREAM", "")):
        return journal_line
    if not stream.isatty():
        return plain_line
    has_colours = not environ.get("NO_COLOR") and environ.get("TERM", "dumb") != "dumb"
    return partial(terminal_line, has_colours=has_colours)


def _is_journal(stream: TextIO, journal: str) -> bool:
    """Tell whether journald reads this stream: it says in $JOURNAL_STREAM which device and inode it gave us."""
    status = os.fstat(stream.fileno())
    return journal == f"{status.st_dev}:{status.st_ino}"
