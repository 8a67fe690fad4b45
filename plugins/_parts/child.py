"""One program in a session of its own: started, fed, listened to, and ended with everything in its process group.

Knows nothing of tasks. One thread, one selector: the process itself is one of the things waited for, so a
grandchild that keeps a pipe open delays nobody. Called by shell.
"""

import os
import selectors
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress

from engine.task import ticks

OUT, ERR = "stdout", "stderr"
Hear = Callable[[str, bytes], None]

_READ_BYTES = 64 * 1024
# What stands in the pipes when the program ends is read at once; longer we wait for nobody who merely holds them open.
_DRAIN_SECONDS = 0.5
_GRACE_SECONDS = 2.0
# A signal that comes just before a wait begins interrupts nothing: Python sees it only when the wait is over.
_LOOK_SECONDS = 0.25


class Child:
    """Hold one program: `start` it, `wait` for it, and `end` it in any case, also when `start` was interrupted."""

    def __init__(self, feed: bytes | None, hear: Hear) -> None:
        """Remember what goes to its standard input (None: nothing to read) and who hears what it writes."""
        self._feed = memoryview(feed or b"")
        self._has_feed = feed is not None
        self._hear = hear
        self._process: subprocess.Popen[bytes] | None = None
        self._open = ExitStack()
        self._selector = self._open.enter_context(selectors.DefaultSelector())
        self._pidfd = -1
        self._has_ended = False

    def start(self, argv: Sequence[str], cwd: str | None, env: Mapping[str, str]) -> None:
        """Start it; raise what `subprocess.Popen` raises."""
        self._process = subprocess.Popen(  # noqa: S603 -- running programs is the purpose
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.PIPE if self._has_feed else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            # No terminal to ask a person on, and a group that can be ended as one.
            start_new_session=True,
        )
        self._pidfd = os.pidfd_open(self._process.pid)
        self._open.callback(os.close, self._pidfd)
        self._selector.register(self._pidfd, selectors.EVENT_READ)
        for pipe, name in ((self._process.stdout, OUT), (self._process.stderr, ERR), (self._process.stdin, None)):
            if pipe is not None:
                self._open.callback(pipe.close)
                os.set_blocking(pipe.fileno(), False)
                self._selector.register(pipe, selectors.EVENT_READ if name else selectors.EVENT_WRITE, name)

    def end(self) -> None:
        """Ask the group to end if the program still runs, then kill what is left of it, reap, and close everything."""
        try:
            if self._process is not None and not self._has_ended:
                self._signal(self._process, signal.SIGTERM)
                self._listen(is_done=self._is_silent, seconds=_GRACE_SECONDS)
        finally:
            if self._process is not None:
                # It is not reaped yet, so its number is still its own: no innocent group can be hit.
                self._signal(self._process, signal.SIGKILL)
                self._process.wait()
            self._open.close()

    def wait(self) -> int:
        """Feed and listen until the program has ended; return its exit code, or minus the signal that ended it."""
        self._listen(is_done=lambda: self._has_ended)
        self._listen(is_done=self._is_silent, seconds=_DRAIN_SECONDS)
        status = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOWAIT)
        if status is None:
            raise ChildProcessError("the program has not ended")
        return status.si_status if status.si_code == os.CLD_EXITED else -status.si_status

    def _listen(self, *, is_done: Callable[[], bool], seconds: float | None = None) -> None:
        deadline = None if seconds is None else ticks() + seconds
        while not is_done():
            left = _LOOK_SECONDS if deadline is None else deadline - ticks()
            if left <= 0:
                return
            for key, _ in self._selector.select(min(left, _LOOK_SECONDS)):
                if key.fd == self._pidfd:
                    self._has_ended = True
                    self._selector.unregister(self._pidfd)
                elif key.data is None:
                    self._write(key)
                else:
                    self._read(key)

    def _is_silent(self) -> bool:
        return self._has_ended and not any(key.data for key in self._selector.get_map().values())

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
        if not self._feed and self._process is not None and self._process.stdin is not None:
            self._selector.unregister(key.fileobj)
            self._process.stdin.close()

    @staticmethod
    def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
        # No group any more, or one that changed its user: nothing we could still do.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
