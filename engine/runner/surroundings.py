"""What an attempt finds around it in its process, and how that is put back when it has ended.

Environment variables, working directory, umask, `sys.path` and `sys.argv`, the root logger, signal handlers, the
recursion limit and the state of `random`. Standard streams and descriptors are `capture`'s. Everything is compared
before it is written, so an attempt that changes nothing costs next to nothing. Called by the runner alone.
"""

import contextlib
import logging
import os
import signal
import sys
from _signal import getsignal  # type: ignore[import-not-found]  # the public one makes enums: fifty times dearer
from collections.abc import Callable
from typing import Any

from engine.messages import Dispatch
from engine.runner.lastwords import LastWords

_SIGNALS = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGALRM,
    signal.SIGCHLD,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGPIPE,
)


class Visit:
    """Only listen to what one attempt logs, and leave all else alone: for a process that is not the engine's."""

    def __init__(self) -> None:
        """Listen to this thread, in which the attempt will run."""
        self.words = LastWords(only_this_thread=True)

    def enter(self, dispatch: Dispatch) -> None:  # noqa: ARG002 -- same as Surroundings
        """Begin to listen."""
        logging.root.addHandler(self.words.handler)

    def leave(self) -> None:
        """Stop listening."""
        logging.root.removeHandler(self.words.handler)


class Surroundings:
    """Set up and put back what an attempt can change, for one process and one attempt at a time.

    What the first attempt of the process finds is what all others will: nothing is looked at before.
    """

    def __init__(self) -> None:
        """Touch nothing yet."""
        self.words = LastWords()
        self._place: _Place | None = None

    def enter(self, dispatch: Dispatch) -> None:
        """Hand the attempt its names, and the root logger to our handler."""
        self.words.forget()
        root = logging.root
        self._logging = root.handlers, root.level, root.manager.disable
        root.handlers = [self.words.handler]
        if root.level != logging.INFO:
            root.setLevel(logging.INFO)
        self._handlers = [getsignal(number) for number in _SIGNALS]
        self._recursion_limit = sys.getrecursionlimit()
        if self._place is None:
            self._place = _Place()
        self._place.name(dispatch)

    def leave(self) -> None:
        """Put back what the attempt changed."""
        if self._place is not None:
            self._place.put_back()
        self._put_back_logging()
        handlers = [getsignal(number) for number in _SIGNALS]
        if handlers != self._handlers:
            self._put_back_signals()
        if sys.getrecursionlimit() != self._recursion_limit:
            sys.setrecursionlimit(self._recursion_limit)

    def _put_back_logging(self) -> None:
        root = logging.root
        root.handlers, level, disabled = self._logging
        if root.filters:
            root.filters.clear()
        if root.level != level:
            root.setLevel(level)
        if root.manager.disable != disabled:
            logging.disable(disabled)

    def _put_back_signals(self) -> None:
        for number, handler in zip(_SIGNALS, self._handlers, strict=True):
            if handler is not None and getsignal(number) != handler:
                signal.signal(number, handler)
                if number == signal.SIGALRM:  # who took it has set a timer, which would go off in a later attempt
                    signal.setitimer(signal.ITIMER_REAL, 0)


class _Place:
    """Remember the environment, the folder and the search path of this process as they were before any attempt."""

    def __init__(self) -> None:
        self._environ = os.environ
        self._raw: dict[bytes, bytes] = os.environ._data  # type: ignore[attr-defined]  # noqa: SLF001 -- compared, far cheaper than through the mapping
        self._expected = dict(self._raw)
        self._named: dict[str, str] = {}
        self._folder = _folder() or "/"
        self._umask = os.umask(0o022)
        os.umask(self._umask)
        self._path, self._path_before = sys.path, sys.path[:]
        self._argv, self._argv_before = sys.argv, sys.argv[:]
        self._drawn: float | None = None

    def name(self, dispatch: Dispatch) -> None:
        """Set the variables that say which attempt this is."""
        self._set("DROPMILL_RUN_ID", dispatch.run)
        self._set("DROPMILL_TASK_ID", dispatch.task)
        self._set("DROPMILL_ATTEMPT", str(dispatch.attempt))
        self._set("DROPMILL_IDEMPOTENCY_KEY", f"{dispatch.run}/{dispatch.task}")

    def put_back(self) -> None:
        """Undo every change since the process began to run attempts."""
        if os.environ is not self._environ:
            os.environ = self._environ  # noqa: B003 -- the very object that was here before
        if self._raw != self._expected:
            self._put_back_environment()
        self._put_back_folder()
        os.umask(self._umask)
        if sys.path is not self._path or sys.path != self._path_before:
            sys.path = self._path
            sys.path[:] = self._path_before
        if sys.argv is not self._argv or sys.argv != self._argv_before:
            sys.argv = self._argv
            sys.argv[:] = self._argv_before
        self._reseed()

    def _set(self, name: str, value: str) -> None:
        if self._named.get(name) != value:
            os.environ[name] = self._named[name] = value
            key = name.encode()
            self._expected[key] = self._raw[key]

    def _put_back_environment(self) -> None:
        for key in [key for key in self._raw if key not in self._expected]:
            del os.environ[os.fsdecode(key)]
        for key, value in self._expected.items():
            if self._raw.get(key) != value:
                os.environ[os.fsdecode(key)] = os.fsdecode(value)

    def _put_back_folder(self) -> None:
        if _folder() != self._folder:
            with contextlib.suppress(OSError):  # gone: the next attempt fails where it needs it, and says so
                os.chdir(self._folder)

    def _reseed(self) -> None:
        """Seed `random` anew if the attempt seeded it, or the next one would draw the same numbers as the last.

        Seeding costs more than all the rest, so it is done only when needed: `random` keeps the second half of each
        pair of normal numbers for the next call of `gauss`, and forgets it when it is seeded. Ours is there, or not.
        """
        module: Any = sys.modules.get("random")
        if module is None:
            return
        seed: Callable[..., None] = module.seed
        generator: Any = getattr(seed, "__self__", None)
        kept = getattr(generator, "gauss_next", None)
        if kept is None or kept is not self._drawn:
            seed()
            module.gauss(0.0, 1.0)
            self._drawn = getattr(generator, "gauss_next", None)


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 -- one path object would have to be made for each attempt
    except OSError:  # removed under our feet
        return None
