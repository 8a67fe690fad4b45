"""The folders of one inbox and every move of a dropped file between them; only renames, each where it was checked.

Knows nothing of documents, runs and the memory: that is `inbox`, which calls it from its one thread. All names
are looked up in descriptors opened at start, so that nobody can swap a folder under a path.
"""

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from daemon.claims import moves, names, safety
from engine.errors import InputError, Problem
from engine.points import sync_point
from engine.values import make_folder

CLAIMED, DONE, FAILED, REJECTED, DUPLICATE = ".claimed", "done", "failed", "rejected", "duplicate"
_MODES = {CLAIMED: 0o700, DONE: 0o750, FAILED: 0o750, REJECTED: 0o750, DUPLICATE: 0o750}
_ODD = (
    (stat.S_ISLNK, "symlink", "a symbolic link", "Drop the file itself."),
    (stat.S_ISDIR, "directory", "a folder", "Drop the files that are in it."),
    (stat.S_ISFIFO, "fifo", "a named pipe", "Write to a file, and rename it into the inbox."),
    (stat.S_ISSOCK, "socket", "a socket", "Write to a file, and rename it into the inbox."),
    (stat.S_ISBLK, "device", "a device", "Drop a file."),
    (stat.S_ISCHR, "device", "a device", "Drop a file."),
)


class Wanted(NamedTuple):
    """Name what is to be taken: its name in the inbox, what it becomes, and what was checked."""

    name: str
    held: str
    identity: tuple[int, int]


class Ending(NamedTuple):
    """Say where a claimed file goes, and what stands beside it: `suffix` and bytes of its result or error."""

    claim: str
    name: str
    held: str
    folder: str
    day: str
    suffix: str
    note: bytes


class RefusedError(Exception):
    """What was claimed is not to be read; `problem` says why."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.problem = Problem(code=code, message=message, hint=hint)


class Claims:
    """Move files between the folders of one inbox."""

    def __init__(self, path: Path) -> None:
        """Touch nothing yet."""
        self.path = path
        self._inbox = -1
        self._folders: dict[str, int] = {}
        self._parts = contextlib.ExitStack()

    def open(self, *, is_open_to_all: bool = False) -> None:
        """Make what is missing, check who else may write here, and keep the folders open; harmless twice.

        Raises InputError with what is wrong and what to do; `is_open_to_all` allows an inbox that anyone can write to.
        """
        self.close()
        try:
            make_folder(self.path)
            if not is_open_to_all:
                safety.check(self.path)
            self._inbox = self._keep(moves.open_folder(str(self.path)))
            device = os.fstat(self._inbox).st_dev
            for name, mode in _MODES.items():
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, mode, dir_fd=self._inbox)
                self._folders[name] = self._keep(moves.open_folder(name, self._inbox))
                status = os.fstat(self._folders[name])
                safety.check_own(self.path, name, status, device, is_open_to_all=is_open_to_all)
            os.fsync(self._inbox)
        except OSError as error:
            self.close()
            what = f"the inbox {self.path} cannot be used: {error.strerror or error}"
            raise InputError(
                f"{what} ({error.filename or self.path}); its folders must be real ones, and ours"
            ) from None
        except InputError:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the folders; harmless twice."""
        self._parts.close()
        self._folders.clear()
        self._inbox = -1

    def was_replaced(self) -> bool:
        """Tell whether the path no longer leads to the folder that was opened."""
        try:
            found, ours = self.path.stat(), os.fstat(self._inbox)
        except OSError:
            return True
        return (found.st_dev, found.st_ino) != (ours.st_dev, ours.st_ino)

    def names(self) -> Iterator[str]:
        """Yield the names of all that lies in the inbox.

        Raises OSError.
        """
        with os.scandir(self._inbox) as entries:
            for entry in entries:
                yield entry.name

    def look(self, name: str) -> os.stat_result | None:
        """Look at what has this name in the inbox, without following or opening it; None where nothing has.

        Raises OSError.
        """
        try:
            return os.lstat(name, dir_fd=self._inbox)
        except FileNotFoundError:
            return None

    def is_being_written(self, name: str) -> bool:
        """Tell whether somebody has this file of the inbox open for writing, as far as the system lets us know."""
        return moves.is_being_written(self._inbox, name)

    def take(self, wanted: Sequence[Wanted]) -> dict[str, OSError]:
        """Rename files of the inbox to what they are called as ours, durably; return by name which stayed, and why.

        Raises OSError when it could not be made durable.
        """
        stayed: dict[str, OSError] = {}
        for want in wanted:
            try:
                moves.rename(self._inbox, want.name, self._folders[CLAIMED], want.held)
                self._compare(want)
            except OSError as error:
                stayed[want.name] = error
        if len(stayed) < len(wanted):
            sync_point("claims.renamed")
            self.sync()
            sync_point("claims.taken")
        return stayed

    def sync(self) -> None:
        """Make durable what was taken.

        Raises OSError.
        """
        os.fsync(self._folders[CLAIMED])
        os.fsync(self._inbox)

    def _compare(self, want: Wanted) -> None:
        """Put back what is not the file that was checked: it came in between and may not be whole."""
        status = os.lstat(want.held, dir_fd=self._folders[CLAIMED])
        if (status.st_dev, status.st_ino) != want.identity:
            # Where its name is taken by a third one it stays ours: it is replaced already, as a rename would have done.
            with contextlib.suppress(FileExistsError):
                moves.rename(self._folders[CLAIMED], want.held, self._inbox, want.name)
                raise FileNotFoundError(want.name)

    def held(self) -> list[str]:
        """List what is claimed, and remove what a former life had begun to write.

        Raises OSError.
        """
        found = []
        with os.scandir(self._folders[CLAIMED]) as entries:
            listed = sorted(entry.name for entry in entries)
        for name in listed:
            if name.endswith(".tmp") and names.claim_of(name):
                os.unlink(name, dir_fd=self._folders[CLAIMED])
            else:
                found.append(name)
        return found

    def place(self, held: str) -> str:
        """Return the absolute path of a claimed file."""
        return os.path.join(os.path.abspath(self.path), CLAIMED, held)  # noqa: PTH100, PTH118 -- bytes that are no text

    def check(self, held: str) -> os.stat_result:
        """Look at what was claimed without opening it.

        Raises RefusedError for anything but a file with one name, and OSError.
        """
        status = os.lstat(held, dir_fd=self._folders[CLAIMED])
        for is_odd, code, what, hint in _ODD:
            if is_odd(status.st_mode):
                raise RefusedError(code, f"it is {what}", hint)
        if status.st_nlink > 1:
            message = f"it has {status.st_nlink} names (hard links), so its content may change at any time"
            raise RefusedError("hard_link", message, "Drop a copy.")
        return status

    def read(self, held: str, most: int) -> bytes:
        """Return what a claimed file holds, read once.

        Raises RefusedError if it is none to be read, or larger than `most` bytes; OSError.
        """
        status = self.check(held)
        if status.st_size > most:
            raise _too_large(status.st_size, most)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(held, flags, dir_fd=self._folders[CLAIMED])
        except PermissionError:
            hint = "Make it readable for the daemon's user or the group of the inbox (chmod g+r), and drop it again."
            raise RefusedError("unreadable", "the daemon may not read it", hint) from None
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(most + 1)
        if len(data) > most:
            raise _too_large(len(data), most)
        return data

    def file(self, endings: Sequence[Ending]) -> dict[str, str | OSError]:
        """Move claimed files to their last folders, each after its result or error is durable there.

        Returns by claim the path below the inbox, or why it stayed. Raises OSError when it could not be made durable.
        """
        outcome: dict[str, str | OSError] = {}
        chosen: list[tuple[Ending, int, str]] = []
        with contextlib.ExitStack() as parts:
            targets: dict[str, int] = {}
            taken: set[tuple[int, str]] = set()
            for ending in endings:
                try:
                    os.lstat(ending.held, dir_fd=self._folders[CLAIMED])
                    target = self._target(ending, targets, parts)
                    name = self._write_note(ending, target, taken)
                except OSError as error:
                    outcome[ending.claim] = error
                else:
                    taken.add((target, name))
                    chosen.append((ending, target, name))
            sync_point("claims.noted")
            _sync(targets.values())
            for ending, target, name in chosen:
                try:
                    moves.rename(self._folders[CLAIMED], ending.held, target, name)
                    outcome[ending.claim] = os.path.join(ending.folder, ending.day, name)  # noqa: PTH118 -- likewise
                except OSError as error:
                    outcome[ending.claim] = error
            sync_point("claims.moved")
            _sync([*targets.values(), self._folders[CLAIMED]])
        return outcome

    def _target(self, ending: Ending, targets: dict[str, int], parts: contextlib.ExitStack) -> int:
        """Open the last folder of a file; one for its day is made where it is missing."""
        above = self._folders[ending.folder]
        if not ending.day:
            return targets.setdefault(ending.folder, above)
        key = f"{ending.folder}/{ending.day}"
        if key not in targets:
            with contextlib.suppress(FileExistsError):
                os.mkdir(ending.day, _MODES[ending.folder], dir_fd=above)
                os.fsync(above)
            targets[key] = moves.open_folder(ending.day, above)
            parts.callback(os.close, targets[key])
        return targets[key]

    def _write_note(self, ending: Ending, target: int, taken: set[tuple[int, str]]) -> str:
        """Write the result or error of a file and return the name that the file gets beside it."""
        part = f"{ending.claim}.tmp"
        for name in names.candidates(ending.name, ending.claim):
            note = names.beside(name, ending.claim, ending.suffix)
            if (target, name) in taken or moves.exists(target, name):
                continue
            if moves.exists(target, note):
                # A former life may have come as far as this; what it wrote is the same to the byte.
                if moves.read(target, note, len(ending.note)) == ending.note:
                    return name
                continue
            moves.write(self._folders[CLAIMED], part, ending.note)
            sync_point("claims.written")
            try:
                moves.rename(self._folders[CLAIMED], part, target, note)
            except FileExistsError:
                continue
            return name
        raise AssertionError(ending.name)

    def _keep(self, descriptor: int) -> int:
        self._parts.callback(os.close, descriptor)
        return descriptor


def _too_large(size: int, most: int) -> RefusedError:
    message = f"it has {size} bytes; the limit is {most}"
    return RefusedError("too_large", message, "Split it, or raise the limit document_bytes.")


def _sync(folders: Iterable[int]) -> None:
    for folder in set(folders):
        os.fsync(folder)
