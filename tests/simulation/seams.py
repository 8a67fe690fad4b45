"""Where the simulation gets into the real parts: the sync points, waiting for an answer, the metronome, and renames.

`simulated` puts all of it in place for as long as it lasts. A crash is an exception that nobody catches on its way out:
after it every further seam raises it again, so that nothing of a life that is over becomes durable.
"""

import contextlib
import errno
import hashlib
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import cache
from typing import Any
from unittest.mock import patch

from loguru import logger
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from daemon import schedules
from daemon.claims import moves
from engine import calls, inquiries, points, store
from engine.statements import Statements


class CrashError(BaseException):
    """The process dies here."""


class Seams:
    """What is passed is counted and goes into the trace; what was armed happens when its turn has come."""

    def __init__(self) -> None:
        self._trace = hashlib.sha256()
        self.passed: Counter[str] = Counter()
        self.die_in = self.full = self.failing_moves = 0
        self.die_at = ""
        self.is_over = False
        self.deaths: Counter[str] = Counter()

    def note(self, *words: Any) -> None:
        self._trace.update(repr(words).encode())

    @property
    def trace(self) -> str:
        return self._trace.hexdigest()

    def begin(self, die_in: int) -> None:
        """Start another life."""
        self.is_over = False
        self.arm(die_in)

    def arm(self, die_in: int, name: str = "") -> None:
        """Die at the so-manieth seam from now on, of those of this name if there is one; 0 is never."""
        self.die_in, self.die_at = die_in, name

    def calm(self) -> None:
        """Let nothing more break."""
        self.die_in = self.full = self.failing_moves = 0

    def __eq__(self, name: object) -> bool:
        """Pass the sync point of this name: `sync_point` asks whether it is the one to die at."""
        self.passed[str(name)] += 1
        self.note(name)
        if self.die_in and not self.is_over and self.die_at in ("", name):
            self.die_in -= 1
            self.is_over = not self.die_in
            self.deaths[str(name)] += self.is_over
        if self.is_over:
            raise CrashError(name)
        if name == "store.written" and self.full:
            self.full -= 1
            raise _disk_full()
        return False

    __hash__ = None

    def move(self, rename: Callable[..., None], *names: Any) -> None:
        """Rename a file, or fail as a disk does."""
        if self.is_over:
            raise CrashError
        if self.failing_moves:
            self.failing_moves -= 1
            raise OSError(errno.EIO, "the disk says no")
        rename(*names)


@cache
def _statements() -> Statements:
    return Statements(create_engine("sqlite://").dialect)


def _disk_full() -> OperationalError:
    cause = sqlite3.OperationalError("database or disk is full")
    cause.sqlite_errorcode = sqlite3.SQLITE_FULL
    return OperationalError("COMMIT", None, cause)


class Beat:
    """Stand in for the metronome: remember when it is to ring."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self.at: float | None = None

    def start(self) -> None:
        pass

    def stop(self) -> None:
        self.at = None

    def set(self, at: float | None) -> None:
        self.at = at


class Finder:
    """Stand in for the thread in which called workflows are looked for: it has found them at once."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def submit(self, work: Callable[..., Any], *of: Any) -> "Future[Any]":
        found: Future[Any] = Future()
        try:
            found.set_result(work(*of))
        except Exception as error:
            found.set_exception(error)
        return found

    def shutdown(self, **_: Any) -> None:
        pass


@contextlib.contextmanager
def simulated(seams: Seams, pump: Callable[[Callable[[], bool]], None]) -> Iterator[None]:
    """Put the seams in place; who waits for an answer calls `pump` with the question whether it is there."""

    class Answer(Future):
        def result(self, timeout: float | None = None) -> Any:
            pump(self.done)
            return super().result(0)

    rename = moves.rename
    with contextlib.ExitStack() as stack:
        stack.enter_context(patch.object(points, "_wanted", seams))
        stack.enter_context(patch.object(inquiries, "Future", Answer))
        stack.enter_context(patch.object(calls, "ThreadPoolExecutor", Finder))
        # Compiled anew for each life they would take as long as all that happens in it.
        stack.enter_context(patch.object(store, "Statements", lambda _dialect: _statements()))
        stack.enter_context(patch.object(schedules, "Metronome", Beat))
        stack.enter_context(patch.object(moves, "rename", lambda *names: seams.move(rename, *names)))
        logger.disable("daemon")
        stack.callback(logger.enable, "daemon")
        yield
