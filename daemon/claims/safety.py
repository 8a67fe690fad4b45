"""Who else could drop files or swap the inbox: whoever can, runs programs as us, so an open one is refused at start.

Looks at the folder and at all above it, once, when it is opened. Called by `Claims.open`.
"""

import os
import stat
from pathlib import Path

from engine.errors import InputError

_ALLOW = "or set inbox.allow_world_writable = true if everyone on this machine may run programs through it"


def check(folder: Path) -> None:
    """Refuse an inbox that others than its owner and its group can write to or replace.

    Raises InputError that says what to do, and OSError.
    """
    real = Path(os.path.realpath(folder))
    status = real.stat()
    if status.st_uid not in {os.geteuid(), 0}:
        message = f"the inbox {folder} belongs to user {status.st_uid}, who may replace what is in it"
        raise InputError(f"{message}: make it ours (chown {os.geteuid()} {folder}), {_ALLOW}")
    if status.st_mode & stat.S_IWOTH:
        message = f"anyone on this machine may write to the inbox {folder}"
        raise InputError(f"{message}: take that away (chmod o-w {folder}), {_ALLOW}")
    for above in real.parents:
        mode = above.stat().st_mode
        # In a folder with the sticky bit, such as /tmp, only its owner may rename the inbox.
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            message = f"anyone on this machine may replace the inbox {folder}, since anyone may write to {above}"
            raise InputError(f"{message}: take that away (chmod o-w {above}), {_ALLOW}")


def check_own(folder: Path, name: str, status: os.stat_result, device: int, *, is_open_to_all: bool) -> None:
    """Refuse a folder of ours in the inbox that is on another file system, or that others may write to.

    Raises InputError.
    """
    if status.st_dev != device:
        raise InputError(f"{folder / name} is on another file system than {folder}: files are moved by renaming them")
    if is_open_to_all:
        return
    if status.st_uid not in {os.geteuid(), 0} or status.st_mode & stat.S_IWOTH:
        raise InputError(f"{folder / name} can be written to by others: only the daemon may (chmod 0750, chown)")
