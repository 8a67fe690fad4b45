"""What is wrong at the moment, each said once when it begins and once when it is over.

`service` notes what it sees; `status`, `doctor` and systemd's status line show it.
"""

import os
import resource
from collections.abc import Mapping, Sequence
from pathlib import Path

from loguru import logger

from engine.task import BrokenPlugin

_FREE_BYTES = 200 * 1024 * 1024
_FREE_FILES = 1000
_FREE_DESCRIPTORS = 64


class Troubles:
    """Keep the troubles that last, by what they are about."""

    def __init__(self) -> None:
        """Start without any."""
        self._lasting: dict[str, str] = {}

    def note(self, what: str, sentence: str) -> None:
        """Take down a trouble, or with an empty sentence that it is over; log the change."""
        before = self._lasting.get(what)
        if sentence:
            self._lasting[what] = sentence
            if before is None:
                logger.warning("{}", sentence)
        elif before is not None:
            del self._lasting[what]
            logger.info("over: {}", before)

    def note_all(self, found: Mapping[str, str]) -> None:
        """Take down several at once."""
        for what, sentence in found.items():
            self.note(what, sentence)

    def note_broken(self, broken: Sequence[BrokenPlugin]) -> None:
        """Take down the plugin files that cannot be used now, and that others are over."""
        now = {f"plugin {each.source}": f"{each.source} cannot be used: {each.message}" for each in broken}
        former = [what for what in self._lasting if what.startswith("plugin ") and what not in now]
        self.note_all(now | dict.fromkeys(former, ""))

    def sentences(self) -> list[str]:
        """Return what lasts, a sentence each."""
        return list(self._lasting.values())


def shortages(state: Path, *others: Path) -> dict[str, str]:
    """Look at free file descriptors, and at the room on the disks of these folders; empty sentences say "enough".

    Of several folders on one disk the first speaks; of the `others`, those that are missing are passed over.
    """
    found = {"disk": _disk(state), "descriptors": _descriptors()}
    seen = {_device(state), None}
    for folder in others:
        device = _device(folder)
        if device not in seen:
            seen.add(device)
            found[f"disk {folder}"] = _disk(folder)
    return found


def _device(folder: Path) -> int | None:
    try:
        return folder.stat().st_dev
    except OSError:
        return None


def _disk(folder: Path) -> str:
    try:
        seen = os.statvfs(folder)
    except OSError as error:
        return f"the free space where {folder} is cannot be seen: {error.strerror}"
    free = seen.f_bavail * seen.f_frsize
    if free < _FREE_BYTES:
        return f"only {free // 2**20} MiB are free where {folder} is"
    # Some file systems count no files.
    if seen.f_files and seen.f_favail < _FREE_FILES:
        return f"only {seen.f_favail} more files can be made where {folder} is"
    return ""


def _descriptors() -> str:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    try:
        used = sum(1 for _ in Path("/proc/self/fd").iterdir())
    except OSError:  # counting takes one itself
        return f"all {limit} file descriptors are in use"
    return f"{used} of {limit} file descriptors are in use" if limit - used < _FREE_DESCRIPTORS else ""
