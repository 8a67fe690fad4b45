"""One worker as the pool sees it: its socket, the line of attempts it was given, and what it was asked.

Keeps books and moves bytes; decides nothing. The first attempt of the line is the one that runs; what stands behind it
is small by estimate, and there so that the worker never waits for the pool.
"""

import math
import os
import socket
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from engine.backend import Assignment
from engine.facts import Report
from engine.messages import Dispatch, Frames, FromWorker, frame
from engine.reports import Doom

NEVER = math.inf
_READ_BYTES = 1 << 16
# Beside the output a report holds a message; a frame longer than both comes from a plugin that wrote into our socket.
_BESIDE_OUTPUT_BYTES = 16 * 1024 * 1024


class Flight(msgspec.Struct):
    """An attempt that was dispatched and has not come back.

    `fields` is JSON, `seq` its number with its present worker, `seconds` what it is expected to take, `dropped` what it
    said too much, in bytes.
    """

    assignment: Assignment
    fields: bytes
    seq: int = 0
    seconds: float = 0.0
    doom: Doom | None = None
    has_said: bool = False
    dropped: int = 0

    @property
    def needs_process(self) -> bool:
        """Tell whether it needs a process of its own: limits hold for one, and stay when the attempt has ended."""
        asked = self.assignment
        return asked.isolation == "process" or asked.memory_limit is not None or asked.cpu_limit is not None

    @property
    def key(self) -> tuple[str, str, int]:
        """Return run, task and attempt."""
        return self.assignment.run, self.assignment.task, self.assignment.attempt


class Lane:
    """Hold one worker; `since`, `deadline` and `hard_at` are monotonic seconds, NEVER where there is none.

    `count` and `held_seconds` are what stands in the line and what is reserved. A closed lane gets nothing new; it is
    dismissed when its line is empty; it is ready when its worker has said so. `parting` holds reports until the worker
    is gone.
    """

    __slots__ = (
        "_frames",
        "_socket",
        "_unsent",
        "attempts",
        "count",
        "deadline",
        "descriptor",
        "fault",
        "hard_at",
        "has_hung_up",
        "held_seconds",
        "is_closed",
        "is_dismissed",
        "is_ended",
        "is_fresh",
        "is_ready",
        "is_recalled",
        "line",
        "number",
        "parting",
        "pid",
        "recall_descriptor",
        "since",
        "slot",
    )

    def __init__(self, number: int, slot: int, output_bytes: int, *, is_fresh: bool) -> None:
        """Begin the books; the worker does not exist before `connect` and a fork."""
        self.number, self.slot, self.is_fresh = number, slot, is_fresh
        self.pid: int | None = None
        self.line: deque[Flight] = deque()
        self.count, self.held_seconds, self.attempts = 0, 0.0, 0
        self.since = self.deadline = self.hard_at = NEVER
        self.has_hung_up, self.is_ready, self.fault = False, False, ""
        self.is_closed, self.is_dismissed, self.is_ended, self.is_recalled = is_fresh, False, False, False
        self.parting: list[tuple[str, Report]] = []
        self.descriptor = self.recall_descriptor = -1
        self._socket: socket.socket | None = None
        self._unsent = bytearray()
        self._frames: Frames[FromWorker] = Frames(FromWorker, output_bytes + _BESIDE_OUTPUT_BYTES)

    def connect(self) -> tuple[int, int]:
        """Make what pool and worker speak through; return the worker's ends: its socket, and what it is recalled by.

        Raises OSError when there are no descriptors left; `disconnect` then closes what there was.
        """
        self.recall_descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        theirs = os.dup(self.recall_descriptor)
        try:
            self._socket, other = socket.socketpair()
        except OSError:
            os.close(theirs)
            raise
        self._socket.setblocking(False)  # noqa: FBT003 -- the library's signature
        self.descriptor = self._socket.fileno()
        return other.detach(), theirs

    def send(self, dispatches: Sequence[Dispatch]) -> bool:
        """Send attempts as one frame; False if some of it has to wait until the socket takes more."""
        self._unsent += frame(dispatches)
        return self.flush()

    def flush(self) -> bool:
        """Send what waits; False if some still has to. A dead worker takes all of it: the fork server tells of that."""
        if self._socket is None:
            return True
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            return False
        except OSError:
            sent = len(self._unsent)
        del self._unsent[:sent]
        return not self._unsent

    def receive(self) -> list[FromWorker] | None:
        """Return what the worker says, at most one piece of it; None when there is no more for now, or at all.

        Raises FrameError for what no worker says.
        """
        if self._socket is None:
            return None
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            data = b""
        if not data:
            self.has_hung_up = True
            return None
        return self._frames.feed(data)

    def rest(self) -> None:
        """Take note that the line is empty."""
        self.since = self.deadline = NEVER
        if not self.count:
            self.held_seconds = 0.0  # sums of fractions leave a rest

    def recall(self) -> None:
        """Ask for everything back that has not begun; the worker answers at once, whatever it runs."""
        self.is_recalled = True
        with suppress(BlockingIOError):
            os.eventfd_write(self.recall_descriptor, 1)

    def dismiss(self) -> None:
        """Tell a worker without attempts to end."""
        self.is_closed = self.is_dismissed = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)

    def disconnect(self) -> None:
        """Close the descriptors; harmless twice."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self.recall_descriptor >= 0:
            os.close(self.recall_descriptor)
            self.recall_descriptor = -1
