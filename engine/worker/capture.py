"""What an attempt says: standard output and error of its worker as one pipe, whoever writes to them.

`print`, `logging`, child processes and C code all end in the pipe, so their order is the true one. The worker reads it
(live, and to the last byte when an attempt ends); the fork server holds the reading end too and saves what is left when
a worker dies.
"""

import io
import os
import select
import sys
from typing import TextIO

_READ_BYTES = 1 << 16
_STANDARD_OUTPUTS = (1, 2)


class Capture:
    """Own descriptors 0, 1 and 2 and `sys.stdout`, `sys.stderr` of this process; put them right between attempts."""

    def __init__(self, reading: int, writing: int, most_bytes: int) -> None:
        """Take over both ends of a pipe, the reading end non-blocking; pass on at most `most_bytes` an attempt."""
        self.reading, self._writing, self._most_bytes = reading, writing, most_bytes
        self._nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._readable = select.poll()
        self._readable.register(reading, select.POLLIN)
        self._taken = 0
        self._streams: list[TextIO] = []
        self._set_descriptors()
        self._set_streams()

    def settle(self) -> None:
        """Push out what streams still hold, and undo what the attempt did to the standard streams."""
        out, err = self._streams
        try:
            out.flush()
            err.flush()
            is_whole = sys.stdout is out and sys.stderr is err and sys.stdin is self._stdin
            is_whole = is_whole and not (out.closed or err.closed or self._stdin.closed)
        except (OSError, ValueError):  # the attempt closed the descriptor, or closed or detached the stream
            is_whole = False
        self._set_descriptors()
        if not is_whole:
            self._set_streams()

    def read(self) -> tuple[bytes, int]:
        """Take what is in the pipe, at most one piece: (what is to be passed on, bytes taken); never blocks."""
        if not self._readable.poll(0):
            return b"", 0
        data = os.read(self.reading, _READ_BYTES)
        self._taken += len(data)
        return data[: max(0, len(data) - max(0, self._taken - self._most_bytes))], len(data)

    def end(self) -> int:
        """Return how many bytes of this attempt were dropped, and count anew."""
        dropped, self._taken = max(0, self._taken - self._most_bytes), 0
        return dropped

    def _set_descriptors(self) -> None:
        os.dup2(self._nothing, 0)
        for descriptor in _STANDARD_OUTPUTS:
            os.dup2(self._writing, descriptor)

    def _set_streams(self) -> None:
        sys.stdin = self._stdin = io.TextIOWrapper(io.FileIO(0, closefd=False), encoding="utf-8")
        self._streams = [_stream(descriptor) for descriptor in _STANDARD_OUTPUTS]
        sys.stdout, sys.stderr = self._streams


def _stream(descriptor: int) -> TextIO:
    # What cannot be encoded is shown rather than raised: a print must not fail an attempt. Closing it must not free the
    # descriptor, or the next file that is opened would be standard output.
    raw = io.BufferedWriter(io.FileIO(descriptor, "w", closefd=False))
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", line_buffering=True)
