"""A pause of the whole daemon, kept in the state folder so that it outlives a restart; the file holds the reason."""

import os
from pathlib import Path

_NAME = "held"


def read(state: Path) -> str | None:
    """Return why the daemon is paused, None if it is not."""
    try:
        return (state / _NAME).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def write(state: Path, reason: str) -> None:
    """Remember the pause, durably."""
    fresh = state / f".{_NAME}.tmp"
    with fresh.open("w", encoding="utf-8") as file:
        file.write(reason)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(state / _NAME)
    _sync(state)


def clear(state: Path) -> None:
    """Forget the pause, durably; harmless if there is none."""
    (state / _NAME).unlink(missing_ok=True)
    _sync(state)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
