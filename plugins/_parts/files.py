"""Files and folders changed in one piece: made beside the target under a hidden name, synced, renamed.

A reader sees the old or the new, also after a power cut; what a crash leaves is a hidden `.NAME.….tmp`, which the inbox
does not take. A link at the target is replaced and never written through. Called by input, output and file.
"""

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from plugins._parts.data import DataError

MAX_BYTES = 64 * 1024 * 1024
_CHUNK_BYTES = 1024 * 1024
_NO_HARD_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV})
# Of a copied file only the permissions for people go along, not set-user-id and the like.
_PERMISSIONS = 0o777


@contextmanager
def sentences(what: str) -> Iterator[None]:
    """Turn what the system says into a DataError that names the file."""
    try:
        yield
    except DataError:
        raise
    except shutil.Error as error:
        raise DataError(f"{what}: {error}") from None
    except UnicodeError:
        raise DataError(f"{what}: the name cannot be written in the file system's encoding") from None
    except OSError as error:
        named = f": {os.fsdecode(error.filename)}" if error.filename and str(error.filename) != what else ""
        raise DataError(f"{what}: {error.strerror or error}{named}") from None
    except ValueError as error:
        # A null byte in a name.
        raise DataError(f"{what!r} is no file name: {error}") from None


def contents(path: str, max_bytes: int = MAX_BYTES) -> bytes:
    """Read a regular file; raise DataError for anything else and for more than `max_bytes`."""
    with sentences(path), opened(path) as file:
        data = bytearray()
        while chunk := os.read(file, min(_CHUNK_BYTES, max_bytes + 1 - len(data))):
            data += chunk
            if len(data) > max_bytes:
                raise DataError(f"{path}: it is larger than {max_bytes:,} bytes (`max_bytes`)")
        return bytes(data)


@contextmanager
def opened(path: str | Path, *, follow: bool = True) -> Iterator[int]:
    """Open a regular file for reading; a pipe or a device is refused without waiting for it. May raise OSError."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW))
    try:
        mode = os.fstat(file).st_mode
        if not stat.S_ISREG(mode):
            raise DataError(f"{path}: it is {kind_of(mode)}, not a file")
        yield file
    finally:
        os.close(file)


def kind_of(mode: int) -> str:
    """Say in words what a file's mode says it is."""
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    return "a file" if stat.S_ISREG(mode) else "a pipe, socket or device"


def write_file(path: str, data: bytes, *, overwrite: bool = True, mode: int | None = None) -> Path:
    """Write a file in one piece; raise DataError where it cannot be, or exists and must not be replaced."""

    def fill(place: Path) -> None:
        with place.open("xb") as file:
            file.write(data)
            file.flush()
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())

    return place_file(path, fill, overwrite=overwrite)


def place_file(path: str, fill: Callable[[Path], None], *, overwrite: bool) -> Path:
    """Let `fill` make a synced file under a hidden name, then give it its name; return that."""
    target = Path(path)
    with sentences(path):
        _check_target(target, overwrite=overwrite)
        place = hidden(target)
        try:
            fill(place)
            _give_name(place, target, overwrite=overwrite)
        finally:
            with suppress(FileNotFoundError):
                place.unlink()
        sync_folder(target.parent)
    return target


def hidden(target: Path) -> Path:
    """Name a hidden neighbour of a target that nobody else uses."""
    # A name may have 255 bytes.
    return target.with_name(f".{os.fsdecode(os.fsencode(target.name)[:200])}.{os.urandom(6).hex()}.tmp")


def _check_target(target: Path, *, overwrite: bool) -> None:
    if not target.name or target.name == "..":
        raise DataError(f"{target}: it names a folder; give the whole name of the file")
    if not target.parent.is_dir():
        raise DataError(f"{target}: there is no folder {target.parent}; `parents: true` makes it")
    if target.is_dir() and not target.is_symlink():
        raise DataError(f"{target}: a folder of this name exists")
    if not overwrite and os.path.lexists(target):
        raise DataError(f"{target}: it exists already, and `overwrite` is false")


def _give_name(place: Path, target: Path, *, overwrite: bool) -> None:
    if overwrite:
        place.rename(target)
        return
    try:
        # Unlike rename, link fails where somebody else has made the target meanwhile.
        os.link(place, target, follow_symlinks=False)
    except FileExistsError:
        raise DataError(f"{target}: it exists already, and `overwrite` is false") from None
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        _check_target(target, overwrite=False)
        place.rename(target)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, where they are missing."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        sync_folder(path.parent)


def copy_into(source: str | Path, place: Path, *, follow: bool = True) -> None:
    """Copy a regular file's bytes, permissions and times into a new file, synced."""
    with opened(source, follow=follow) as file, place.open("xb") as copy:
        found = os.fstat(file)
        while chunk := os.read(file, _CHUNK_BYTES):
            copy.write(chunk)
        copy.flush()
        os.fchmod(copy.fileno(), found.st_mode & _PERMISSIONS)
        os.utime(copy.fileno(), ns=(found.st_atime_ns, found.st_mtime_ns))
        os.fsync(copy.fileno())


def place_folder(path: str, fill: Callable[[Path], None], *, overwrite: bool) -> Path:
    """Let `fill` make a folder under a hidden name, then give it its name.

    An empty folder is replaced in any case, a filled one only with `overwrite`: it is gone for a moment then.
    """
    target = Path(path)
    with sentences(path):
        _check_folder(target, overwrite=overwrite)
        place = hidden(target)
        try:
            fill(place)
            _swap(place, target, overwrite=overwrite)
        finally:
            shutil.rmtree(place, ignore_errors=True)
        sync_folder(target.parent)
    return target


def _check_folder(target: Path, *, overwrite: bool) -> None:
    if not target.name or target.name == "..":
        raise DataError(f"{target}: give the name of the new folder")
    if not target.parent.is_dir():
        raise DataError(f"{target}: there is no folder {target.parent}; `parents: true` makes it")
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise DataError(f"{target}: it exists already and is not a folder")
    if not overwrite and target.is_dir() and any(target.iterdir()):
        raise DataError(f"{target}: the folder exists already and is not empty; `overwrite: true` replaces it")


def _swap(place: Path, target: Path, *, overwrite: bool) -> None:
    if not overwrite or not target.is_dir():
        place.rename(target)
        return
    old = hidden(target)
    target.rename(old)
    try:
        place.rename(target)
    except BaseException:
        old.rename(target)
        raise
    shutil.rmtree(old)


def move(source: Path, path: str, *, overwrite: bool) -> None:
    """Move a file, a link itself or a folder by one rename; to another file system by a copy and a removal."""
    target = Path(path)
    is_folder = source.is_dir() and not source.is_symlink()
    with sentences(path):
        (_check_folder if is_folder else _check_target)(target, overwrite=overwrite)
        if target.name == source.name and target.parent.samefile(source.parent):
            raise DataError(f"{path}: it would be moved to where it is")
        try:
            (_swap if is_folder else _give_name)(source, target, overwrite=overwrite)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            if is_folder:
                place_folder(path, lambda place: copy_folder(source, place), overwrite=overwrite)
            else:
                place_file(path, lambda place: _copy_or_link(source, place), overwrite=overwrite)
        sync_folder(target.parent)
    # What was copied, or was given a second name, is still there under the first.
    with sentences(str(source)):
        if os.path.lexists(source):
            remove(source)
        else:
            sync_folder(source.parent)


def _copy_or_link(source: Path, place: Path) -> None:
    if source.is_symlink():
        place.symlink_to(source.readlink())
    else:
        copy_into(source, place)


def remove(path: Path) -> None:
    """Remove a file, a link itself, or a folder with all that lies in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    sync_folder(path.parent)


def copy_folder(source: Path, place: Path) -> None:
    """Copy a folder with all that lies in it; links are made anew as links, pipes and devices are refused."""
    place.mkdir()
    with os.scandir(source) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            target = place / entry.name
            if entry.is_symlink():
                target.symlink_to(Path(entry.path).readlink())
            elif entry.is_dir(follow_symlinks=False):
                copy_folder(Path(entry.path), target)
            else:
                copy_into(entry.path, target, follow=False)
    place.chmod(source.stat().st_mode & _PERMISSIONS)
    sync_folder(place)
