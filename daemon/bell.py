"""The doorbell of the inbox: inotify through watchdog, which only says that something came in, and under which name.

What it says shortens a wait and decides nothing; the scan is the truth. Where it cannot work it says why, and the inbox
polls. Uses watchdog's reader of inotify and not its observers: those ask for the moves out of a folder too (each of our
claims is one) and hold back what follows one for half a second; they also keep an overflow to themselves.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from watchdog.observers.inotify_c import CallbackId, InotifyConstants, InotifyEvent, InotifyFD, Mask, WatchDescriptor

# IN_CREATE tells of links, pipes and folders, which nobody closes.
_MASK = Mask(
    InotifyConstants.IN_MOVED_TO
    | InotifyConstants.IN_CLOSE_WRITE
    | InotifyConstants.IN_CREATE
    | InotifyConstants.IN_DELETE_SELF
    | InotifyConstants.IN_MOVE_SELF
    | InotifyConstants.IN_ONLYDIR
)
_GONE = InotifyConstants.IN_DELETE_SELF | InotifyConstants.IN_MOVE_SELF | InotifyConstants.IN_UNMOUNT
# Where files come in from other machines, or the kernel does not see them come.
_REMOTE = {
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "drvfs", "fuse", "fuseblk", "glusterfs", "gpfs", "lustre",
    "ncpfs", "nfs", "nfs4", "prl_fs", "smb2", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs",
}  # fmt: skip
_MOUNTS = Path("/proc/self/mountinfo")


class Heard(NamedTuple):
    """Say what came into a folder; without a name, that anything may have come."""

    folder: Path
    name: str | None = None
    is_moved: bool = False


class Bell:
    """Watch folders; `hear` is called in the bell's own thread and must return at once."""

    def __init__(self, hear: Callable[[Heard], None]) -> None:
        """Watch nothing yet."""
        self._hear = hear
        self._reader: InotifyFD | None = None
        self._ears: dict[Path, tuple[WatchDescriptor, _Ear]] = {}

    def watch(self, folder: Path) -> str | None:
        """Hear what comes into a folder from now on, also after it was replaced; return None, or why that cannot be."""
        kind = remote_kind(folder)
        if kind is not None:
            return f"{folder} is on a file system of the kind {kind}, which does not tell what other machines write"
        if not self.is_alive:
            self.stop()
        self.leave(folder)
        try:
            if self._reader is None:
                self._reader = InotifyFD()
                self._reader.start()
            ear = _Ear(folder, self._hear)
            descriptor = self._reader.add_callback(os.fsencode(folder), _MASK, ear, CallbackId(id(ear)))
        except OSError as error:
            return f"inotify cannot watch {folder}: {error.strerror or error}"
        if descriptor == WatchDescriptor(-1):
            # watchdog takes EACCES for no error.
            return f"inotify cannot watch {folder}: permission denied"
        self._ears[folder] = descriptor, ear
        return None

    def leave(self, folder: Path) -> None:
        """Hear no more of a folder; harmless twice."""
        descriptor, ear = self._ears.pop(folder, (None, None))
        if self._reader is not None and descriptor is not None and ear is not None and not ear.is_deaf:
            self._reader.remove_callbacks([(descriptor, CallbackId(id(ear)))])

    @property
    def is_alive(self) -> bool:
        """Tell whether anything can be heard; after a death of the reader every folder has to be watched anew."""
        return self._reader is not None and self._reader.is_alive()

    def stop(self) -> None:
        """Hear nothing more and end the thread; harmless twice."""
        reader, self._reader = self._reader, None
        self._ears.clear()
        if reader is not None:
            reader.stop()
            reader.join()


class _Ear:
    """What watchdog calls; the names of the methods are its own."""

    def __init__(self, folder: Path, hear: Callable[[Heard], None]) -> None:
        self._folder, self._hear = folder, hear
        self.is_deaf = False

    def on_event(self, event: InotifyEvent) -> None:
        if event.mask & _GONE or not event.name:
            self._hear(Heard(self._folder))
        else:
            self._hear(Heard(self._folder, os.fsdecode(event.name), event.is_moved_to))

    def on_watch_deleted(self, _descriptor: WatchDescriptor) -> None:
        self.is_deaf = True
        self._hear(Heard(self._folder))

    def on_queue_overflow(self) -> None:
        self._hear(Heard(self._folder))


def remote_kind(folder: Path, mounts: str | None = None) -> str | None:
    """Return the kind of the file system a folder is on if others may write to it unseen, else None.

    `mounts` is the text of /proc/self/mountinfo, which is read if it is not given.
    """
    if mounts is None:
        try:
            mounts = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return None
    place = os.path.realpath(folder)
    longest, found = -1, ""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(" "), after.partition(" ")[0]
        point = _unescaped(fields[4]) if len(fields) > 4 else ""  # noqa: PLR2004 -- the fifth field, proc_pid_mountinfo(5)
        is_around = place == point or place.startswith(point.rstrip("/") + "/")
        # Of two mounts on one place the later one is seen.
        if point and is_around and len(point) >= longest:
            longest, found = len(point), kind
    return found if found.partition(".")[0] in _REMOTE else None


def _unescaped(point: str) -> str:
    r"""Read a mount point: space, tab, line break and backslash are written as \040 and so on."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        point = point.replace(code, character)
    return point
