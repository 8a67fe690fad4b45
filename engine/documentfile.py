"""A document in a file that somebody named: read no further than a document may be long, and never waited for.

What the file holds is not looked at. Called by whoever finds workflows by name or path.
"""

import errno
import os
import stat
from pathlib import Path


def read(path: Path, most: int) -> bytes:
    """Return what a regular file holds, of one that is too long `most` + 1 bytes.

    Raises OSError and nothing else, also for what can be no path and for a pipe or a device.
    """
    try:
        file = open(path, "rb", opener=_opened)  # noqa: SIM115 -- closed below; a Path takes no opener
    except ValueError:
        raise OSError(errno.EINVAL, "this can be no path") from None
    with file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        return file.read(most + 1)


def _opened(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
