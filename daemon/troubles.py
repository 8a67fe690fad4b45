"""What is wrong at the moment, each said once when it begins and once when it is over.

`service` notes what it sees; `status`, `doctor` and systemd's status line show it.
"""

import resource
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from loguru import logger

from engine.task import BrokenPlugin

_FREE_BYTES = 200 * 1024 * 1024
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


def shortages(state: Path) -> dict[str, str]:
    """Look at free disk space and free file descriptors; an empty sentence says that there is enough."""
    return {"disk": _disk(state), "descriptors": _descriptors()}


def _disk(state: Path) -> str:
    try:
        free = shutil.disk_usage(state).free
    except OSError as error:
        return f"the free space where {state} is cannot be seen: {error.strerror}"
    return f"only {free // 2**20} MiB are free where {state} is" if free < _FREE_BYTES else ""


def _descriptors() -> str:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    try:
        used = sum(1 for _ in Path("/proc/self/fd").iterdir())
    except OSError:  # counting takes one itself
        return f"all {limit} file descriptors are in use"
    return f"{used} of {limit} file descriptors are in use" if limit - used < _FREE_DESCRIPTORS else ""
