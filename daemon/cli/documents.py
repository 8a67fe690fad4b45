"""Where a command's document comes from: a file, standard input, or the name of a known workflow.

Called by `run`, `validate` and `plan`. Reads bytes and judges nothing.
"""

import os
import sys
from pathlib import Path
from typing import NamedTuple

from daemon.cli.invocation import Invocation
from engine.errors import InputError

STDIN = "-"


class Document(NamedTuple):
    """Hold a document as written: what to call it in messages, and the workflow's name where it gives itself none.

    `is_known` says that it was found by that name.
    """

    data: bytes
    shown: str
    name: str
    is_known: bool = False


def read(call: Invocation, what: str) -> Document:
    """Read standard input for `-`, a file where there is one or a path is meant, else the workflow of this name.

    Reads no more than one byte over the limit, so that the loader can say that it is too large.
    Raises InputError, or WorkflowUnknownError with the nearest known name.
    """
    if what == STDIN:
        return Document(_read_stdin(call), "<stdin>", "")
    path = Path(what)
    is_file = os.path.isfile(what)  # noqa: PTH113 -- Path raises where the name is too long for any file
    is_known = not (is_file or "/" in what or what.endswith(".json"))
    if is_known:
        from daemon.library import Library

        path = Library(call.config.paths.workflows).find(what)
    return Document(read_file(path, call.config.limits.document_bytes + 1), str(path), path.stem, is_known)


def read_file(path: Path, most_bytes: int) -> bytes:
    """Read at most so many bytes of a file.

    Raises InputError that says why it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(most_bytes)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        message = f"{path} cannot be read: {reason}"
        raise InputError(message) from None


def _read_stdin(call: Invocation) -> bytes:
    if sys.stdin is None:
        message = "standard input is closed, so there is no document to read"
        raise InputError(message)
    return sys.stdin.buffer.read(call.config.limits.document_bytes + 1)
