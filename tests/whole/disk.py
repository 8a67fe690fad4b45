"""A disk as a power cut at any moment would have left it: ext4 on a loop device on a file that remembers.

`fusefile` serves the file, and writes every write and flush of the device down before it answers it: 64 bytes each in
`log`, the bytes themselves in `data`. Whoever wants to be placed among them appends records of its own: what a record
says was true before the next one reached the disk. So the log's first N records are a moment, and what a disk must hold
at it is known: all that was written before the last flush, and of the rest whatever it pleases, in any order. What was
in the page cache alone is gone. Not modelled: a disk that lies about flushes, or damages what it does not write.
"""

import os
import random
import shutil
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from tests.rules.source import ROOT
from tests.waiting import wait_for
from tests.whole.fusefile import RECORD_BYTES

_SECTOR = 512
_BYTES = 64 * 1024 * 1024
# Nothing goes on in the background that a longer-lived disk has behind it.
_MAKING = ("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0")


class Mode(StrEnum):
    """Say what of the writes since the last flush is there after the cut."""

    ALL = "all"  # a disk without a cache of its own
    NONE = "none"  # one that loses its cache
    SOME = "some"  # one that was writing it out, in whatever order, and torn between sectors


class Record(NamedTuple):
    """Hold one line of the log, in words."""

    words: tuple[str, ...]

    @property
    def is_write(self) -> bool:
        """Tell whether it is one of the disk's writes."""
        return self.words[0] == "write"

    @property
    def is_flush(self) -> bool:
        """Tell whether the disk was flushed."""
        return self.words[0] == "flush"


class Disk:
    """Make, mount and record one disk; then `cut` it as often as wanted."""

    def __init__(self, folder: Path) -> None:
        """Make an empty file system in a folder."""
        self._folder = folder
        self._base, self._image, self._point = folder / "base", folder / "image", folder / "point"
        self.log, self._data = folder / "log", folder / "data"
        self._server: subprocess.Popen[bytes] | None = None
        with self._base.open("wb") as file:
            file.truncate(_BYTES)
        subprocess.run([*_MAKING, str(self._base)], check=True)
        _copy(self._base, self._image)
        self._point.touch()

    def mount(self, at: Path) -> None:
        """Mount it, and record from now on."""
        command = [sys.executable, "-m", "tests.whole.fusefile", self._image, self.log, self._data, self._point]
        self._server = subprocess.Popen([*map(str, command)], cwd=ROOT, stdout=subprocess.PIPE)
        assert self._server.stdout is not None
        assert self._server.stdout.readline() == b"ready\n"
        mount(self._point, at)

    def unmount(self, at: Path) -> None:
        """Unmount it and end the recording."""
        unmount(at)
        unmount(self._point)
        assert self._server is not None
        assert self._server.wait(30) == 0

    def note(self, *words: str) -> None:
        """Place a record of one's own among those of the disk."""
        line = f"{' '.join(words):<{RECORD_BYTES - 1}}\n".encode()
        assert len(line) == RECORD_BYTES, line
        with self.log.open("ab", buffering=0) as file:
            file.write(line)

    def records(self) -> list[Record]:
        """Return all that has been recorded."""
        text = self.log.read_text()
        return [Record(tuple(text[at : at + RECORD_BYTES].split())) for at in range(0, len(text), RECORD_BYTES)]

    def cut(self, records: list[Record], mode: Mode, draws: random.Random) -> Path:
        """Return an image of the disk as a cut after these records leaves it; the next one takes its place."""
        image = self._folder / "cut"
        _copy(self._base, image)
        flushed = max((number for number, record in enumerate(records) if record.is_flush), default=-1)
        with image.open("r+b", buffering=0) as target, self._data.open("rb") as data:
            for number, record in enumerate(records):
                if not record.is_write or (number > flushed and mode is Mode.NONE):
                    continue
                offset, size, place = map(int, record.words[1:])
                data.seek(place)
                held = data.read(size)
                if number < flushed or mode is Mode.ALL:
                    os.pwrite(target.fileno(), held, offset)
                    continue
                for at in _kept(size, draws):
                    os.pwrite(target.fileno(), held[at : at + _SECTOR], offset + at)
        return image


def mount(image: Path, at: Path) -> None:
    """Mount an image, or a file that is one."""
    subprocess.run(["mount", "-t", "ext4", "-o", "loop", str(image), str(at)], check=True)


def unmount(at: Path) -> None:
    """Unmount what is mounted there as soon as the kernel has let go of it."""

    def is_done() -> bool:
        return not subprocess.run(["umount", str(at)], check=False, capture_output=True).returncode

    wait_for(is_done, f"{at} to be free")


def _kept(size: int, draws: random.Random) -> list[int]:
    """Draw which sectors of a write are there: all, none, those up to some place, or any."""
    sectors = list(range(0, size, _SECTOR))
    match draws.randrange(4):
        case 0:
            return sectors
        case 1:
            return []
        case 2:
            return sectors[: draws.randrange(len(sectors) + 1)]
        case _:
            return [at for at in sectors if draws.random() < 0.5]  # a coin for each


def _copy(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    subprocess.run([shutil.which("cp") or "cp", "--sparse=always", str(source), str(target)], check=True)
