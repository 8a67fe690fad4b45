"""One owner per state folder: a lock that the kernel lets go of when its holder dies, whatever way it dies.

`assembly` takes it; everybody else asks who has it. The file holds who that is, for the sentence a person reads.
"""

import fcntl
import os
import struct
from pathlib import Path

import msgspec

from engine.clock import rfc3339, wall
from engine.errors import StateBusyError

# struct flock of Linux. Open-file-description locks: asking who has one takes none, and closing another descriptor of
# the same file does not lose it, as it would with the older POSIX locks.
_FLOCK = "hhqqi0q"


class Owner(msgspec.Struct, frozen=True):
    """Say who owns a state folder: `kind` is `daemon` or `run`, `since` wall seconds."""

    pid: int
    kind: str
    since: float

    def __str__(self) -> str:
        """Write it for a person."""
        what = "the daemon" if self.kind == "daemon" else f"a `dropmill {self.kind}`"
        return f"{what} with process id {self.pid} since {rfc3339(self.since)}"


class Ownership:
    """Hold the lock of a state folder; `release` lets go, and so does the end of the process."""

    def __init__(self, folder: Path) -> None:
        """Name the folder; nothing is locked yet."""
        self._folder = folder
        self._descriptor: int | None = None

    def acquire(self, kind: str) -> None:
        """Become the owner; harmless twice. The folder is made, for its user alone, if it is missing.

        Raises StateBusyError that names the owner.
        """
        if self._descriptor is not None:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(lock_file(self._folder), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _whole_file(fcntl.F_WRLCK))
        except (BlockingIOError, PermissionError):
            os.close(descriptor)
            raise StateBusyError(str(self._folder), str(owner_of(self._folder) or "another process")) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, msgspec.json.encode(Owner(os.getpid(), kind, wall())), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go; harmless twice. The file stays, so that two newcomers never lock two different files."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def lock_file(folder: Path) -> Path:
    """Return where the lock of a state folder is."""
    return folder / "lock"


def owner_of(folder: Path) -> Owner | None:
    """Return who owns a state folder now, None if nobody does; takes no lock that another could trip over."""
    try:
        descriptor = os.open(lock_file(folder), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _whole_file(fcntl.F_RDLCK))
        is_free = struct.unpack(_FLOCK, answer)[0] == fcntl.F_UNLCK
        return None if is_free else _read(descriptor)
    finally:
        os.close(descriptor)


def _whole_file(kind: int) -> bytes:
    return struct.pack(_FLOCK, kind, os.SEEK_SET, 0, 0, 0)


def _read(descriptor: int) -> Owner:
    try:
        return msgspec.json.decode(os.pread(descriptor, 4096, 0), type=Owner)
    except msgspec.DecodeError:
        # It has the lock and has not yet written who it is.
        return Owner(0, "daemon", 0.0)
