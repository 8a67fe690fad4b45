"""The fork server: a small process of its own that has imported runner and plugins, forks workers and ends their trees.

It is the parent of every worker and inherits their orphans, so that it alone can say when nothing of an attempt is
alive. One thread, no decisions: `pool` orders, over one socket. When that closes, the pool is dead: every tree is
killed, then the server ends. Started as `python -m engine.forkserver CONTROL BOARD PARENT`.
"""

import errno
import gc
import os
import select
import selectors
import signal
import socket
import sys
import traceback
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import msgspec

from engine import tree
from engine.board import Board
from engine.messages import End, Exited, Fork, Forked, FrameError, Frames, Load, Ready, Refused, ToServer, frame
from engine.registry import Registry, probe_file
from engine.runner import Runner
from engine.task import BrokenPlugin
from engine.worker import Worker
from engine.worker.capture import Capture

_READ_BYTES = 1 << 16
_DESCRIPTORS_OF_A_WORKER = 2
_MOST_DESCRIPTORS = 16
_NONE = -1
_PAUSE_SECONDS = 0.001
# A worker that cannot even be stopped sits in the kernel (a dead network disk): what it leaves is caught as orphans.
_STOP_ROUNDS = 500
PROBE_SECONDS = 10.0


class _Child(msgspec.Struct, gc=False):
    """A worker: its number, its pid, the reading end of its output; since when (in rounds) it is being killed."""

    worker: int
    pid: int
    reading: int
    rounds: int = -1


class ForkServer:
    """Serve one pool until its socket closes."""

    def __init__(self, control: socket.socket, board: Board, parent: int) -> None:
        """Take over the control socket; `parent` is the pid of the pool's process."""
        self._control, self._board, self._parent = control, board, parent
        self._frames: Frames[Load | Fork | End] = Frames(ToServer)
        self._descriptors: deque[int] = deque()
        self._children: dict[int, _Child] = {}
        self._gone: list[Exited] = []
        self._is_open, self._is_orphan = True, False
        self._selector = selectors.DefaultSelector()
        self._bell, self._clapper = socket.socketpair()
        self._runner: Runner | None = None
        self._log_bytes = 0

    def serve(self) -> None:
        """Load what the pool asks for, then fork and end workers until it is gone."""
        self._arm()
        while self._is_open or self._children or self._gone:
            is_quiet = not self._gone and all(child.rounds < 0 for child in self._children.values())
            for key, _ in self._selector.select(None if is_quiet else _PAUSE_SECONDS):
                key.data()
            if self._is_orphan:
                self._close()
            self._reap()
            try:
                self._kill_condemned()
                self._clear_away()
            except OSError:  # no descriptors left to look at processes: both go on where they were
                select.select([], [], [], _PAUSE_SECONDS)

    def _arm(self) -> None:
        tree.call_me("dropmill-server")
        tree.become_subreaper()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._look_for_parent)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for end in (self._bell, self._clapper):
            end.setblocking(False)  # noqa: FBT003 -- the library's signature
        signal.set_wakeup_fd(self._clapper.fileno(), warn_on_full_buffer=False)
        self._selector.register(self._bell, selectors.EVENT_READ, self._hear_bell)
        self._selector.register(self._control, selectors.EVENT_READ, self._hear_pool)
        self._is_orphan = not tree.die_with_parent(signal.SIGTERM, self._parent)

    def _look_for_parent(self, *_: object) -> None:
        # The kernel tells of the thread that started us; only the end of its process concerns us.
        self._is_orphan = os.getppid() != self._parent

    def _close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._selector.unregister(self._control)
        for child in self._children.values():
            self._condemn(child)

    def _hear_bell(self) -> None:
        with suppress(BlockingIOError):
            self._bell.recv(_READ_BYTES)

    def _hear_pool(self) -> None:
        try:
            data, descriptors, flags, _ = socket.recv_fds(
                self._control, _READ_BYTES, _MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
            )
            if flags & socket.MSG_CTRUNC:  # this process may not have that many
                _close_all(descriptors)
                descriptors = [_NONE] * _DESCRIPTORS_OF_A_WORKER
            self._descriptors.extend(descriptors)
            orders = self._frames.feed(data)
        except (OSError, FrameError):
            data, orders = b"", []
        for order in orders:
            self._obey(order)
        if not data:
            self._close()

    def _obey(self, order: Load | Fork | End) -> None:
        match order:
            case Load():
                self._load(order)
            case Fork():
                self._fork(order)
            case End(worker, hard):
                child = self._children.get(worker)
                if child is None:
                    return  # it has ended by itself, and the pool will hear of it
                if hard:
                    self._condemn(child)
                else:
                    os.kill(child.pid, signal.SIGTERM)

    def _load(self, load: Load) -> None:
        registry = Registry(load.builtin_package, load.folders)
        registry.load(skip=probe(registry.files()))
        tree.end_below_me()  # what an import started is nobody's
        self._runner = Runner(registry, load.settings, load.limits)
        self._log_bytes = load.limits.log_bytes
        # What is here now is shared with every worker for ever: the collector must not touch (and so copy) it there.
        gc.collect()
        gc.freeze()
        self._tell(Ready(registry.catalogue()))

    def _fork(self, order: Fork) -> None:
        channel, recall = self._descriptors.popleft(), self._descriptors.popleft()
        # No signal may find the server's handlers in the child.
        old_mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD, signal.SIGINT})
        try:
            pid = self._fork_worker(order, channel, recall, old_mask)
        except OSError as error:
            self._tell(Refused(order.worker, str(error)))
        else:
            self._tell(Forked(order.worker, pid))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, old_mask)
            _close_all((channel, recall))

    def _fork_worker(self, order: Fork, channel: int, recall: int, mask: set[int | signal.Signals]) -> int:
        if channel == _NONE:
            _refuse(errno.EMFILE)
        reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            os.set_blocking(writing, True)
            own_pid, pid = os.getpid(), os.fork()
            if pid == 0:
                self._become_worker(order, (channel, recall, reading, writing), own_pid, mask)
        except OSError:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        self._children[order.worker] = _Child(order.worker, pid, reading)
        return pid

    def _become_worker(
        self, order: Fork, descriptors: tuple[int, int, int, int], server: int, mask: set[int | signal.Signals]
    ) -> NoReturn:
        status = 1
        try:
            channel, recall, reading, writing = descriptors
            self._leave_server(server)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            capture = Capture(reading, writing, self._log_bytes)
            assert self._runner is not None  # noqa: S101 -- the pool loads before it forks
            own = socket.socket(fileno=channel)
            Worker(own, recall, capture, self._board, order.slot, self._runner).serve()
            status = 0
        except BaseException:  # nothing of the worker may come back into the server's loop
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(status)

    def _leave_server(self, server: int) -> None:
        """Become a process of its own: a session, so that a task's `kill 0` hits nobody else, and a subreaper."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._selector.close()
        for end in (self._control, self._bell, self._clapper):
            end.close()
        for child in self._children.values():
            os.close(child.reading)
        os.setsid()
        tree.call_me("dropmill-worker")
        tree.become_subreaper()
        # SIGTERM, not SIGKILL: a worker that is killed outright would set its children free.
        if not tree.die_with_parent(signal.SIGTERM, server):
            os._exit(1)

    def _condemn(self, child: _Child) -> None:
        """Begin to kill a worker's tree: stopped, it can neither fork nor reap, so its tree stays together."""
        if child.rounds < 0:
            child.rounds = 0
            os.kill(child.pid, signal.SIGSTOP)

    def _kill_condemned(self) -> None:
        for child in self._children.values():
            if child.rounds < 0:
                continue
            child.rounds += 1
            process = tree.look(child.pid)
            is_still = process is None or process.is_still
            if not tree.strike(child.pid) and (is_still or child.rounds > _STOP_ROUNDS):
                os.kill(child.pid, signal.SIGKILL)

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for child in self._children.values():
                if child.pid == pid:
                    seconds = usage.ru_utime + usage.ru_stime
                    said = self._last_words(child)
                    self._gone.append(Exited(child.worker, pid, status, seconds, usage.ru_maxrss * 1024, said))
                    del self._children[child.worker]
                    break

    def _last_words(self, child: _Child) -> bytes:
        try:
            return os.read(child.reading, _READ_BYTES)
        except BlockingIOError:
            return b""
        finally:
            os.close(child.reading)

    def _clear_away(self) -> None:
        """Kill what dead workers left behind; only when all of it is gone, say that they are."""
        if not self._gone:
            return
        living = {child.pid for child in self._children.values()}
        if tree.strike(os.getpid(), living):
            return
        if any(process.is_dead for process in tree.below(os.getpid(), living)):
            return  # to be reaped first
        gone, self._gone = self._gone, []
        self._tell(*gone)

    def _tell(self, *messages: Forked | Exited | Ready | Refused) -> None:
        if not self._is_open:
            return
        try:
            self._control.sendall(frame(messages))
        except OSError:
            self._close()


def _refuse(number: int) -> NoReturn:
    raise OSError(number, os.strerror(number))


def _close_all(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        if descriptor != _NONE:
            os.close(descriptor)


def probe(files: Sequence[Path], seconds: float = PROBE_SECONDS) -> list[BrokenPlugin]:
    """Import plugin files in a child first, and return those that ended it or never came back.

    Files that are broken in ordinary ways are left to the registry, which reports them better.
    """
    broken = []
    position = 0
    while position < len(files):
        position += _probe_from(files[position:], seconds)
        if position < len(files):
            message = f"importing it ended the process or took longer than {seconds:g} s; do that in run(task)"
            broken.append(BrokenPlugin(source=str(files[position]), code="import_died", message=message))
            position += 1
    return broken


def _probe_from(files: Sequence[Path], seconds: float) -> int:
    """Return how many of these files a child has imported, one after the other, before it died or hung."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    server, pid = os.getpid(), os.fork()
    if pid == 0:
        # It holds the server's sockets: were it to outlive the server, the pool would not see that one end.
        if not tree.die_with_parent(signal.SIGKILL, server):
            os._exit(1)
        for path in files:
            probe_file(path)
            os.write(writing, b".")
        os._exit(0)
    os.close(writing)
    survived = 0
    while survived < len(files) and select.select([reading], [], [], seconds)[0] and os.read(reading, 1):
        survived += 1
    os.close(reading)
    tree.end_below_me()
    return survived


def main() -> None:
    """Serve on the descriptors that the pool handed over."""
    control, page, parent = map(int, sys.argv[1:4])
    os.set_inheritable(control, False)  # noqa: FBT003 -- the library's signature
    board = Board(page)
    os.close(page)
    ForkServer(socket.socket(fileno=control), board, parent).serve()


if __name__ == "__main__":
    main()
