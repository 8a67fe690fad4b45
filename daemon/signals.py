"""Signals set a flag and wake the main loop; what they mean is decided there.

A byte in a pipe, not a lock: a handler interrupts the main thread anywhere, also inside a wait.
"""

import os
import select
import signal
from types import FrameType

_WATCHED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Signals:
    """Catch TERM and INT (stop), HUP (reload) until `restore`; any thread may `wake` the loop that waits."""

    def __init__(self) -> None:
        """Take over the signals; call in the main thread."""
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.stops = 0
        self.reloads = 0
        self._before = {number: signal.signal(number, self._handle) for number in _WATCHED}

    def wait(self, seconds: float) -> None:
        """Return when something happened or the time is over."""
        ready, _, _ = select.select([self._reader], [], [], seconds)
        if ready:
            os.read(self._reader, 4096)

    def wake(self) -> None:
        """Make `wait` return; a full pipe wakes as well."""
        try:
            os.write(self._writer, b"\0")
        except BlockingIOError:
            return

    def restore(self) -> None:
        """Give the signals back and close the pipe."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._reader)
        os.close(self._writer)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self.reloads += 1
        else:
            self.stops += 1
        self.wake()
