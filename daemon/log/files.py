"""The log file: begun anew by size and time of day, old ones packed and deleted, opened again after any failure.

loguru does the writing, rotating and packing, in a logger of its own that nobody else sees, so that its errors come
here instead of to whoever logs. Called by one outlet's thread.
"""

import datetime as dt
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO

from engine.clock import Clock

if TYPE_CHECKING:
    from loguru import Logger, Message

_FOLDER_MODE, _FILE_MODE = 0o750, 0o640
_MOMENT = r"(\.\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_\d{6}(\.\d+)?)+"  # as loguru names what it rotates
_DAY = dt.timedelta(days=1)


class FileSettings(Protocol):
    """What the settings say about the file."""

    @property
    def rotation(self) -> int:
        """Size in bytes at which a new file is begun; 0 is never."""
        ...

    @property
    def rotation_time(self) -> str | None:
        """Local time of day (`HH:MM`) at which a new file is begun."""
        ...

    @property
    def retention(self) -> float:
        """Age in seconds at which old files are deleted; 0 is never."""
        ...

    @property
    def retention_files(self) -> int:
        """Most old files to keep; 0 is no bound."""
        ...

    @property
    def compression(self) -> str:
        """How old files are packed: gz, bz2, xz or none."""
        ...


class LogFile:
    """Write lines to one file, and keep as many old ones as the settings say."""

    def __init__(self, path: Path, settings: FileSettings, inner: "Logger", clock: Clock) -> None:
        """Take a logger without handlers that nobody else uses; the file is opened at the first line."""
        self._path, self._settings, self._inner, self._clock = path, settings, inner, clock
        self._is_open = False
        self._is_torn = False
        self._file: TextIO | None = None
        stem, ending = os.path.splitext(path.name)  # noqa: PTH122 -- split as loguru does
        self._old = re.compile(re.escape(stem) + _MOMENT + re.escape(ending) + r"(\.(gz|bz2|xz))?")

    def write(self, line: str) -> None:
        """Write one entry; the file is opened first where it is not open.

        Raises OSError; the next call begins with opening the file anew.
        """
        try:
            if not self._is_open:
                self._open()
            self._inner.opt(raw=True).info(f"\n{line}\n" if self._is_torn else f"{line}\n")
            self._is_torn = False
        except OSError:
            with suppress(OSError):
                self.close()
            raise

    def close(self) -> None:
        """Close the file; harmless twice.

        Raises OSError when what is buffered cannot be written; it is closed all the same.
        """
        self._is_open = False
        try:
            self._inner.remove()
        finally:
            if self._file is not None:  # loguru leaves it open where writing the rest of it fails
                self._file.close()

    def _open(self) -> None:
        self._path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        packing = self._settings.compression
        self._inner.add(
            str(self._path).replace("{", "{{").replace("}", "}}"),
            level=0,
            format="{message}",
            catch=False,
            backtrace=False,
            diagnose=False,
            rotation=self._is_full,
            retention=self._delete_old,
            compression=None if packing == "none" else packing,
            encoding="utf-8",
            watch=True,
            opener=lambda path, flags: os.open(path, flags | os.O_CLOEXEC, _FILE_MODE),
        )
        self._is_open = True
        # A line that a failure or a crash cut off must not run into the next one.
        self._is_torn = _ends_within_line(self._path)
        self._delete_old([str(path) for path in self._path.parent.iterdir()])

    def _is_full(self, message: "Message", file: TextIO) -> bool:
        """Tell whether this line begins a new file: too much is in the old one, or its time of day has come."""
        self._file = file
        now = os.fstat(file.fileno())
        if not now.st_size:
            return False
        if self._settings.rotation and now.st_size + len(message.encode()) > self._settings.rotation:
            return True
        return self._settings.rotation_time is not None and now.st_mtime < self._last_rotation_time()

    def _last_rotation_time(self) -> float:
        now = dt.datetime.fromtimestamp(self._clock.wall()).astimezone()
        hour, minute = map(int, str(self._settings.rotation_time).split(":"))
        due = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
        return (due if due <= now else due - _DAY).timestamp()

    def _delete_old(self, paths: list[str]) -> None:
        """Delete what is too old or too much of these files, if it is one of ours that was rotated."""
        old = []
        for path in map(Path, paths):
            if self._old.fullmatch(path.name):
                with suppress(FileNotFoundError):
                    old.append((path.stat().st_mtime, path.name, path))
        old.sort(reverse=True)
        most, age = self._settings.retention_files, self._settings.retention
        for number, (changed, _, path) in enumerate(old):
            if (most and number >= most) or (age and changed <= self._clock.wall() - age):
                path.unlink(missing_ok=True)


def _ends_within_line(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if not size:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"
