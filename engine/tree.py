"""Process trees on Linux: who descends from whom, and ending all of them, also those that tried to get away.

A process that is a subreaper inherits the orphans below it, so a daemonised grandchild stays in the tree of its worker.
Called by fork server and worker for their own trees, by pool and recovery for the trees of a dead fork server, which
they know by a mark in the environment.
"""

import ctypes
import os
import select
import signal
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from engine.clock import ticks

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_PAUSE_SECONDS = 0.001
_READ_BYTES = 1 << 16
# Gone meanwhile, or not for our eyes. Anything else (no descriptors left) is raised: it must not pass for "nothing".
_GONE = (FileNotFoundError, ProcessLookupError, PermissionError)
_DEAD = frozenset("ZXx")
# One that sleeps in the kernel (D), perhaps until a stopped child goes on, stops before its next instruction once told.
_STILL = frozenset("TtD") | _DEAD


class Process(NamedTuple):
    """Tell what /proc/PID/stat says; `started`, in clock ticks since boot, tells it from a later one with that pid."""

    pid: int
    state: str
    parent: int
    started: int

    @property
    def is_dead(self) -> bool:
        """Tell whether only its exit status is left."""
        return self.state in _DEAD

    @property
    def is_still(self) -> bool:
        """Tell whether it can do nothing any more, given that it was sent SIGSTOP before; dead ones included."""
        return self.state in _STILL


def become_subreaper() -> None:
    """Inherit from now on every orphan that descends from this process; forked children do not inherit that role."""
    _prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1))


def die_with_parent(number: int, parent: int) -> bool:
    """Ask for this signal when the thread that forked this process ends; False if `parent` is already gone."""
    _prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(number))
    return os.getppid() == parent


def call_me(name: str) -> None:
    """Set what `ps` and `top` call this thread: at most 15 bytes."""
    _prctl(_PR_SET_NAME, ctypes.c_char_p(name.encode()))


def _prctl(option: int, value: ctypes.c_ulong | ctypes.c_char_p) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")


def look(pid: int) -> Process | None:
    """Return what /proc says about a process, None if there is none."""
    try:
        stat = _read(f"/proc/{pid}/stat")
    except _GONE:
        return None
    # The name stands in parentheses and may hold any character, so count from the last one.
    rest = stat[stat.rindex(b")") + 2 :].split()
    return Process(pid, rest[0].decode(), int(rest[1]), int(rest[19]))


def children(pid: int) -> list[int]:
    """List the children of a process, dead ones that nobody has waited for included."""
    found: list[int] = []
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(ProcessLookupError):
                found += map(int, _read(f"{thread}/children").split())
    except FileNotFoundError:
        # The process or a thread has just ended, or this kernel was built without these files.
        return [process.pid for process in everyone() if process.parent == pid]
    except ProcessLookupError:
        return []
    return found


def everyone() -> list[Process]:
    """List every process that can be seen."""
    found = (look(int(path.name)) for path in Path("/proc").iterdir() if path.name.isdigit())
    return [process for process in found if process is not None]


def below(root: int, spare: Collection[int] = ()) -> list[Process]:
    """List the living and dead processes below `root`, parents first, without `spare` and what is below those."""
    found: list[Process] = []
    ahead = [root]
    while ahead:
        parent = ahead.pop()
        for pid in children(parent):
            process = look(pid) if pid not in spare else None
            if process is not None and process.parent == parent:
                found.append(process)
                ahead.append(pid)
    return found


def strike(root: int, spare: Collection[int] = ()) -> int:
    """Kill what is alive below `root` now, and return how many that were; call again until it is 0.

    What may not be signalled (it has become another user's) is not counted: waiting for it would never end.
    """
    count = 0
    for process in below(root, spare):
        # A dead one is struck too: it may be a process whose first thread has ended while others run.
        count += kill(process) and not process.is_dead
    return count


def kill(process: Process, number: int = signal.SIGKILL) -> bool:
    """Signal exactly this process, not one that got its number since; True if it was there and ours to signal."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    try:
        now = look(process.pid)
        if now is None or now.started != process.started:
            return False
        signal.pidfd_send_signal(descriptor, number)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        os.close(descriptor)
    return True


def end_below_me() -> None:
    """Kill and reap everything below this process; returns when it has no child left that may be killed."""
    me = os.getpid()
    while reap():
        if strike(me):
            _pause()
        elif not any(process.is_dead for process in below(me)):
            return


def reap() -> bool:
    """Wait for every dead child without blocking; tell whether children remain."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True


def marked(mark: str) -> list[Process]:
    """List the living processes, but not this one, whose environment at their start held `mark` ("NAME=value")."""
    wanted = mark.encode()
    found = []
    for process in everyone():
        if process.pid == os.getpid() or process.is_dead:
            continue
        try:
            environment = _read(f"/proc/{process.pid}/environ")
        except _GONE:
            continue
        if wanted in environment.split(b"\0"):
            found.append(process)
    return found


def end_marked(mark: str, patience: float) -> list[Process]:
    """Kill every marked process with all below it; return what is still alive after `patience` seconds."""
    until = ticks() + patience
    is_first = True
    while left := marked(mark):
        # All are stopped before one is killed: who runs may fork, and who is killed sets free what is below it.
        frozen = _freeze(left)
        is_late = ticks() >= until
        if is_late or (not is_first and all(process.is_still for process in frozen)):
            for process in reversed(frozen):
                kill(process)
        if is_late:
            return marked(mark)
        is_first = False
        _pause()
    return []


def _freeze(roots: Iterable[Process]) -> list[Process]:
    """Stop these processes and all below them; return them as they were just before, parents first."""
    found: dict[int, Process] = {}
    for root in roots:
        now = look(root.pid)
        if now is not None and now.started == root.started:
            found[now.pid] = now
            found |= {process.pid: process for process in below(now.pid)}
    for process in found.values():
        kill(process, signal.SIGSTOP)
    return list(found.values())


def _pause() -> None:
    select.select([], [], [], _PAUSE_SECONDS)


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        pieces = []
        while piece := os.read(descriptor, _READ_BYTES):
            pieces.append(piece)
    finally:
        os.close(descriptor)
    return b"".join(pieces)
