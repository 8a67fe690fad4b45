"""What the threads of the in-process backend print and log, told apart by thread.

`sys.stdout`, `sys.stderr` and the root logger belong to the whole program, so stand-ins sort by thread and pass on what
is not ours. Called by `inline`; owns the stand-ins while it is open.
"""

import logging
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, TextIO

_FORMAT = "%(levelname)s %(message)s"


class Ears:
    """Hear what some threads print and log, and leave everybody else's words where they would go anyway."""

    def __init__(self) -> None:
        """Hear nothing yet."""
        self._speakers: dict[int, Callable[[str], None]] = {}
        self._out: _Stream | None = None
        self._err: _Stream | None = None
        self._handler = _Handler(self)
        self._is_listening = False
        self._level_before: int | None = None
        self._others: list[logging.Handler] = []

    def open(self) -> None:
        """Stand in for the standard streams as they are now, and listen to the root logger. Harmless twice."""
        if sys.stdout is not self._out:
            sys.stdout = self._out = _Stream(sys.stdout, self)
        if sys.stderr is not self._err:
            sys.stderr = self._err = _Stream(sys.stderr, self)
        if self._is_listening:
            return
        self._is_listening = True
        root = logging.root
        if root.level > logging.INFO:
            # A task's info belongs into its log; everybody else goes on seeing what they saw.
            self._level_before = root.level
            self._others = root.handlers[:]
            self._handler.last_resort = None if self._others else logging.lastResort
            for handler in self._others:
                handler.addFilter(self._as_before)
            root.setLevel(logging.INFO)
        root.addHandler(self._handler)

    def _as_before(self, record: logging.LogRecord) -> bool:
        return self._level_before is None or record.levelno >= self._level_before

    def close(self) -> None:
        """Undo that, where nobody has stood in for us since. Harmless twice."""
        if self._out is not None and sys.stdout is self._out:
            sys.stdout = self._out.beneath
        if self._err is not None and sys.stderr is self._err:
            sys.stderr = self._err.beneath
        self._out = self._err = None
        self._is_listening = False
        logging.root.removeHandler(self._handler)
        if self._level_before is not None:
            logging.root.setLevel(self._level_before)
            for handler in self._others:
                handler.removeFilter(self._as_before)
            self._handler.last_resort = self._level_before = None

    def listen_to(self, thread: threading.Thread, hear: Callable[[str], None]) -> None:
        """Call `hear`, in that thread, with everything it prints and logs."""
        self._speakers[thread.ident or 0] = hear

    def leave(self, thread: threading.Thread) -> None:
        """Leave its words alone from now on."""
        self._speakers.pop(thread.ident or 0, None)

    def hearer(self, thread: int | None) -> Callable[[str], None] | None:
        """Return who hears this thread, None for one that is not ours."""
        return self._speakers.get(thread or 0)


class _Stream:
    """Stand in for `sys.stdout` or `sys.stderr`."""

    def __init__(self, beneath: TextIO, ears: Ears) -> None:
        self.beneath, self._ears = beneath, ears

    def write(self, text: str) -> int:
        """Write to the log of the attempt that runs in this thread, or else to the stream beneath."""
        hear = self._ears.hearer(threading.get_ident())
        if hear is None:
            return self.beneath.write(text)
        hear(text)
        return len(text)

    def writelines(self, lines: Sequence[str]) -> None:
        """Write them one after another."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.beneath, name)


class _Handler(logging.Handler):
    """Take what our threads log."""

    def __init__(self, ears: Ears) -> None:
        super().__init__()
        self._ears = ears
        self.last_resort: logging.Handler | None = None
        self.setFormatter(logging.Formatter(_FORMAT))

    def emit(self, record: logging.LogRecord) -> None:
        """Write to the log of the attempt that runs in the record's thread."""
        hear = self._ears.hearer(record.thread)
        if hear is not None:
            hear(self.format(record) + "\n")
        elif self.last_resort is not None and record.levelno >= self.last_resort.level:
            self.last_resort.handle(record)
