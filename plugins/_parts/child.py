"""One program in a session of its own: started, fed, listened to, and ended with everything in its process group.

Knows nothing of tasks. One thread, one selector, no polling: the process itself is one of the things waited for, so a
grandchild that keeps a pipe open delays nobody. Called by shell.
"""

import os
import selectors
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Self

from engine.task import ticks

OUT, ERR = "stdout", "stderr"
Hear = Callable[[str, bytes], None]

_READ_BYTES = 64 * 1024
# What stands in the pipes when the program ends is read at once; longer we wait for nobody who merely holds them open.
_DRAIN_SECONDS = 0.5
_GRACE_SECONDS = 2.0


class Child:
    """Hold a running program; leaving the `with` block ends its whole group, whatever state it is in."""

    def __init__(
        self, argv: Sequence[str], *, cwd: str | None, env: Mapping[str, str], feed: bytes | None, hear: Hear
    ) -> None:
        """Start it; `feed` goes to its standard input (None: nothing to read), `hear` gets what it writes.

        Raises what `subprocess.Popen` raises.
        """
        self._feed = memoryview(feed or b"")
        self._hear = hear
        self._process = subprocess.Popen(  # noqa: S603 -- running programs is the purpose
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL if feed is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            # No terminal to ask a person on, and a group that can be ended as one.
            start_new_session=True,
        )
        self._open = ExitStack()
        self._selector = self._open.enter_context(selectors.DefaultSelector())
        self._ended = os.pidfd_open(self._process.pid)
        self._open.callback(os.close, self._ended)
        self._selector.register(self._ended, selectors.EVENT_READ)
        for pipe, name in ((self._process.stdout, OUT), (self._process.stderr, ERR), (self._process.stdin, None)):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                self._open.callback(pipe.close)
                self._selector.register(pipe, selectors.EVENT_READ if name else selectors.EVENT_WRITE, name)

    def __enter__(self) -> Self:
        """Hand out itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ask the group to end if the program still runs, then kill what is left of it, and reap the program."""
        try:
            if not self._has_ended():
                self._signal(signal.SIGTERM)
                self._listen(is_done=self._is_silent, seconds=_GRACE_SECONDS)
        finally:
            # The program is not reaped yet, so its number is still its own: no innocent group can be hit.
            self._signal(signal.SIGKILL)
            self._process.wait()
            self._open.close()

    def wait(self) -> int:
        """Feed and listen until the program has ended; return its exit code, or minus the signal that ended it."""
        self._listen(is_done=self._has_ended)
        self._listen(is_done=self._is_silent, seconds=_DRAIN_SECONDS)
        status = os.waitid(os.P_PIDFD, self._ended, os.WEXITED | os.WNOWAIT)
        if status is None:
            raise ChildProcessError(self._process.pid)
        return status.si_status if status.si_code == os.CLD_EXITED else -status.si_status

    def _listen(self, *, is_done: Callable[[], bool], seconds: float | None = None) -> None:
        deadline = None if seconds is None else ticks() + seconds
        while not is_done():
            left = None if deadline is None else deadline - ticks()
            if left is not None and left <= 0:
                return
            for key, _ in self._selector.select(left):
                if key.fd == self._ended:
                    # From now on it would be ready each time; that the program has ended is remembered by its absence.
                    self._selector.unregister(self._ended)
                elif key.data is None:
                    self._write(key)
                else:
                    self._read(key)

    def _has_ended(self) -> bool:
        return self._ended not in self._selector.get_map()

    def _is_silent(self) -> bool:
        return self._has_ended() and not any(key.data for key in self._selector.get_map().values())

    def _read(self, key: selectors.SelectorKey) -> None:
        data = os.read(key.fd, _READ_BYTES)
        if data:
            self._hear(key.data, data)
        else:
            self._selector.unregister(key.fileobj)

    def _write(self, key: selectors.SelectorKey) -> None:
        try:
            self._feed = self._feed[os.write(key.fd, self._feed) :]
        except BrokenPipeError:
            # It does not want to read (more); that is its own affair, as in a shell pipeline.
            self._feed = self._feed[:0]
        if not self._feed and self._process.stdin is not None:
            self._selector.unregister(key.fileobj)
            self._process.stdin.close()

    def _signal(self, number: signal.Signals) -> None:
        # No group any more, or one that changed its user: nothing we could still do.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)
