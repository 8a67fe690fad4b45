"""One fork server as the pool sees it: starting the process, speaking with it, and cleaning up after it.

A pool has one at a time; when plugin files change, the next one takes over and this one ends when its workers have.
Called by `crew`.
"""

import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

from engine import tree
from engine.errors import BackendError
from engine.messages import End, Exited, Fork, Forked, FrameError, Frames, FromServer, Load, Ready, Refused, frame
from engine.pool.lane import Lane
from engine.task import Catalogue

STATE_MARK = "DROPMILL_STATE"
_SERVER_MARK = "DROPMILL_SERVER"
# What a service manager tells the daemon is not for tasks: they could speak for it, or read its credentials.
_PRIVATE = ("NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_", "CREDENTIALS_DIRECTORY", "DROPMILL__")
_READ_BYTES = 1 << 16
_TAIL_BYTES = 2000
_PATIENCE_SECONDS = 5.0

Heard = Forked | Exited | Ready | Refused


class Generation:
    """Own one fork server process."""

    def __init__(self, state: str, environment: Mapping[str, str], page: int, directory: Path | None = None) -> None:
        """Start the process in `directory`, or where this one is; `page` is the board's descriptor.

        Raises BackendError when it cannot be started.
        """
        self.catalogue: Catalogue | None = None
        self.is_finishing = False
        self.lanes: dict[int, Lane] = {}
        self._mark = f"{_SERVER_MARK}={os.urandom(8).hex()}"
        self._frames: Frames[Heard] = Frames(FromServer)
        self._unsent: deque[tuple[bytes, tuple[int, ...]]] = deque()
        with ExitStack() as made:
            try:
                self._said = os.memfd_create("dropmill-server", os.MFD_CLOEXEC)
                made.callback(os.close, self._said)
                self._control, theirs = socket.socketpair()
                made.callback(self._control.close)
                self._control.setblocking(False)  # noqa: FBT003 -- the library's signature
                with theirs:
                    self._process = self._spawn(state, environment, theirs.fileno(), page, directory)
            except OSError as error:
                raise BackendError(f"{sys.executable}: {error.strerror}") from error
            made.pop_all()

    def _spawn(
        self, state: str, environment: Mapping[str, str], control: int, page: int, directory: Path | None
    ) -> "subprocess.Popen[bytes]":
        name, _, value = self._mark.partition("=")
        marks = {STATE_MARK: state, name: value}
        passed_on = {key: text for key, text in environment.items() if not key.startswith(_PRIVATE)}
        # Its own session: what is typed at a terminal concerns the daemon alone, which then decides for its workers.
        return subprocess.Popen(  # noqa: S603 -- our own program
            [sys.executable, "-P", "-m", "engine.forkserver", str(control), str(page), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=self._said,
            env=passed_on | marks,
            cwd=directory,
            pass_fds=(control, page),
            start_new_session=True,
        )

    @property
    def descriptor(self) -> int:
        """Return what becomes readable when the server says something."""
        return self._control.fileno()

    @property
    def pid(self) -> int:
        """Return the pid of the server."""
        return self._process.pid

    def load(self, load: Load) -> bool:
        """Have the plugins imported; Ready comes back. False: see `flush`."""
        return self._send(frame([load]))

    def fork(self, lane: Lane) -> bool:
        """Have a worker forked; Forked or Refused comes back. False: see `flush`.

        Raises OSError when this process has no descriptors left.
        """
        descriptors = lane.connect()
        self.lanes[lane.number] = lane
        return self._send(frame([Fork(lane.number, lane.slot)]), descriptors)

    def end(self, lane: Lane, *, hard: bool) -> bool:
        """Have a worker asked to end, or its tree killed. False: see `flush`."""
        return self._send(frame([End(lane.number, hard)]))

    def flush(self) -> bool:
        """Send what waits; False if some still has to, until the socket takes more."""
        while self._unsent:
            data, descriptors = self._unsent[0]
            try:
                sent = socket.send_fds(self._control, [data], descriptors) if descriptors else self._control.send(data)
            except BlockingIOError:
                return False
            except OSError:  # the server is gone, which is told apart
                sent = len(data)
            for descriptor in descriptors:
                os.close(descriptor)
            if sent < len(data):
                self._unsent[0] = (data[sent:], ())
            else:
                self._unsent.popleft()
        return True

    def _send(self, data: bytes, descriptors: tuple[int, ...] = ()) -> bool:
        self._unsent.append((data, descriptors))
        return self.flush()

    def receive(self) -> list[Heard] | None:
        """Return what the server says; None when it is gone."""
        try:
            data = self._control.recv(_READ_BYTES)
        except BlockingIOError:
            return []
        except OSError:
            return None
        try:
            return self._frames.feed(data) if data else None
        except FrameError:
            return None

    def finish(self) -> None:
        """Tell a server without workers to end; it closes its side then."""
        self.is_finishing = True
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)

    def abort(self) -> None:
        """Kill a server that is loading; it has no workers."""
        self._process.kill()

    def _end_rest(self) -> str:
        try:
            left = tree.end_marked(self._mark, _PATIENCE_SECONDS)
        except OSError as error:
            return f"; whether its workers are alive cannot be seen ({error.strerror})"
        return f"; processes {', '.join(str(process.pid) for process in left)} cannot be killed" if left else ""

    def bury(self) -> str:
        """Clean up after a server that has closed its side: end it and all its trees; say how it ended."""
        if not self.is_finishing:
            self._process.kill()
        try:
            status = self._process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        # A server that ended in order has ended its workers before.
        alive = self._end_rest() if status or not self.is_finishing else ""
        size = os.fstat(self._said).st_size
        tail = os.pread(self._said, _TAIL_BYTES, max(0, size - _TAIL_BYTES)).decode("utf-8", "replace").strip()
        self._control.close()
        os.close(self._said)
        for _, descriptors in self._unsent:
            for descriptor in descriptors:
                os.close(descriptor)
        self._unsent.clear()
        return f"the fork server ended with status {status}{alive}" + (f": {tail}" if tail else "")
