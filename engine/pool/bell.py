"""The bell of a pool: what any thread rings so that the pool's own, which waits for descriptors, looks up.

Owns one descriptor until it is taken down. Called by `pool`.
"""

import os
import threading
from contextlib import suppress

_GONE = -1


class Bell:
    """Hold the descriptor that becomes readable when somebody has rung."""

    def __init__(self) -> None:
        """Hang it up; raises OSError when there are no descriptors left."""
        self.descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        # Reentrant: a signal handler may ring while its own thread does.
        self._lock = threading.RLock()

    def ring(self) -> None:
        """Make the descriptor readable; safe from any thread, from a signal handler, and after the end."""
        # Not while it is taken down: the number of a closed descriptor may be another file's already.
        with self._lock, suppress(BlockingIOError):  # rung so often already that once more makes no difference
            if self.descriptor != _GONE:
                os.eventfd_write(self.descriptor, 1)

    def hush(self) -> None:
        """Take note that it was rung; only when it is readable."""
        os.eventfd_read(self.descriptor)

    def take_down(self) -> None:
        """Close the descriptor; harmless twice."""
        with self._lock:
            descriptor, self.descriptor = self.descriptor, _GONE
            if descriptor != _GONE:
                os.close(descriptor)
