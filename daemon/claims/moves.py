"""Renames that never replace anything and files that are whole or not there, both by descriptors of their folders.

Every call raises OSError. Nothing here is durable before `os.fsync` of the folders, which callers do once for many.
"""

import ctypes
import errno
import fcntl
import functools
import os
import signal
from collections.abc import Callable

_NO_REPLACE = 1
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
_UNSUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}


def open_folder(name: str, within: int | None = None) -> int:
    """Open a folder; one `within` another must not be a link."""
    return os.open(name, _FOLDER if within is not None else _FOLDER & ~os.O_NOFOLLOW, dir_fd=within)


def rename(source: int, old: str, target: int, new: str) -> None:
    """Rename from one folder to another.

    Raises FileExistsError if there is something of the new name.
    """
    call = _renameat2()
    if call is not None:
        if call(source, os.fsencode(old), target, os.fsencode(new), _NO_REPLACE) == 0:
            return
        code = ctypes.get_errno()
        if code not in _UNSUPPORTED:
            raise OSError(code, os.strerror(code), old)
    # A file system that cannot say it in one call: the folder is ours, so nobody comes in between.
    if exists(target, new):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new)
    os.rename(old, new, src_dir_fd=source, dst_dir_fd=target)


def exists(folder: int, name: str) -> bool:
    """Tell whether a folder has something of this name, a broken link included."""
    try:
        os.lstat(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True


def write(folder: int, name: str, data: bytes, mode: int = 0o640) -> None:
    """Write a file and make its content durable; a leftover of this name is replaced."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, flags, mode, dir_fd=folder)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def read(folder: int, name: str, most: int) -> bytes | None:
    """Return what a regular file holds, None if it is missing, no regular file, or larger than `most` bytes."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        try:
            data = file.read(most + 1)
        except OSError:
            return None
    return data if len(data) <= most else None


def is_being_written(folder: int, name: str) -> bool:
    """Tell whether somebody has a regular file open for writing, as far as the system lets us know.

    A read lease is granted only while nobody has (fcntl(2)); it is let go of at once.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(name, flags, dir_fd=folder)
    except OSError:
        return False
    try:
        # Who opens the file in between makes the kernel send a signal, and the usual SIGIO would end the process.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        # EACCES: not our file; EINVAL: a file system without leases. Then only the settle time speaks.
        return error.errno == errno.EAGAIN
    finally:
        os.close(descriptor)
    return False


@functools.cache
def _renameat2() -> Callable[[int, bytes, int, bytes, int], int] | None:
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return None
    call.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    call.restype = ctypes.c_int

    def renameat2(source: int, old: bytes, target: int, new: bytes, flags: int) -> int:
        return int(call(source, old, target, new, flags))

    return renameat2
