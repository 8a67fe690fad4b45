"""A place where lines go, behind a queue: who logs never waits, and what it cannot take is counted and said once.

loguru's own `enqueue` waits when its pipe is full and does not survive a fork, so it is not used. Called by `Log`.
"""

import os
import queue
import threading
from collections.abc import Callable
from typing import Protocol

QUEUE_LINES = 10_000


class Writer(Protocol):
    """Write whole lines somewhere; OSError and ValueError mean that it could not be done."""

    def write(self, line: str) -> None:
        """Write one entry, without the line break at its end."""
        ...

    def close(self) -> None:
        """Let go of what is open."""
        ...


class Stream:
    """Write to a file descriptor, past Python's buffers: a thread caught in one would spoil the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, line: str) -> None:
        """Write the line, however many calls it takes."""
        rest = f"{line}\n".encode()
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def close(self) -> None:
        """Leave it open: it is not ours."""


class Outlet:
    """Hold one writer and the thread that feeds it."""

    def __init__(self, name: str, writer: Writer, notice: Callable[[str], str], alarm: Callable[[str], None]) -> None:
        """Name it for sentences; `notice` makes a line of our own, `alarm` says a sentence somewhere else."""
        self._name, self._writer, self._notice, self._alarm = name, writer, notice, alarm
        self._queue: queue.Queue[str | None] = queue.Queue(QUEUE_LINES)
        self._thread = threading.Thread(target=self._run, name=f"log to {name}", daemon=True)
        self._dropped = 0  # written by those who put
        self._failed = 0  # written by the thread
        self._told = 0  # of those lost, how many the outlet itself has told of
        self._is_broken = False

    @property
    def lost(self) -> int:
        """Count the lines that this outlet did not take."""
        return self._dropped + self._failed

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def put(self, line: str) -> None:
        """Hand over a line and return at once."""
        try:
            self._queue.put_nowait(line)
        except queue.Full:
            self._dropped += 1

    def stop(self, seconds: float) -> None:
        """Write what is waiting, for at most so many seconds, and close; harmless twice."""
        try:
            self._queue.put(None, timeout=seconds)
        except queue.Full:
            return  # it stands still: the thread is a daemon and ends with the process
        self._thread.join(seconds)

    def _run(self) -> None:
        while (line := self._queue.get()) is not None:
            self._write(line)
        try:
            self._writer.close()
        except (OSError, ValueError) as error:
            self._fail(error)

    def _write(self, line: str) -> None:
        lost = self.lost
        try:
            if lost > self._told:
                self._writer.write(self._notice(f"{lost - self._told} lines of this log are lost before this one"))
                self._told = lost
            self._writer.write(line)
            self._is_broken = False
        except (OSError, ValueError) as error:
            self._fail(error)

    def _fail(self, error: OSError | ValueError) -> None:
        self._failed += 1
        if not self._is_broken:
            self._is_broken = True
            reason = (getattr(error, "strerror", None) or str(error)).lower()
            self._alarm(f"the log cannot be written to {self._name} ({reason}); until it can, its lines are lost")
