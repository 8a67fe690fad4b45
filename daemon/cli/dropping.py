"""A file put into the inbox as the inbox likes it: written beside under a hidden name, made durable, renamed in whole.

Called by `submit` where no daemon answers. What becomes of the file is up to the next daemon.
"""

import os
import re
from pathlib import Path

from engine.clock import wall
from engine.errors import InputError
from engine.ids import new_id
from engine.values import make_folder, sync_folder

_UNFIT = re.compile(r"[^A-Za-z0-9_.-]+")
_LONGEST = 100


def drop(inbox: Path, name: str, data: bytes) -> Path:
    """Put a document into the inbox under a name of its own that begins like `name`, durably; return the path.

    Raises InputError that says what is in the way.
    """
    stem = _UNFIT.sub("-", name).strip(".-")[:_LONGEST] or "workflow"
    path = inbox / f"{stem}.{new_id(wall(), os.urandom(10))}.json"
    hidden = inbox / f".{path.name}.tmp"
    try:
        make_folder(inbox)
        with hidden.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        hidden.rename(path)
        sync_folder(inbox)
    except OSError as error:
        hidden.unlink(missing_ok=True)
        raise InputError(f"nothing can be put into the inbox {inbox}: {error.strerror or error}") from None
    return path
