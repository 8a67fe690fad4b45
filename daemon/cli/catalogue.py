"""The task types at hand, for commands that judge documents without running any.

Plugins are imported in a forked child: one that hangs, exits or prints at import hurts nobody, and the verdict is the
one that worker processes come to. The fork takes a millisecond, and the caller may import meanwhile.
"""

import os
import weakref
from typing import NoReturn

import msgspec

from daemon.config import Config
from engine import natives, tree
from engine.errors import BackendError
from engine.forkserver import probe
from engine.registry import Registry
from engine.task import Catalogue

_STANDARD_STREAMS = (0, 1, 2)


class StockTaking:
    """Import every plugin in a child from now on; `result` waits for what there is. Not for a process with threads."""

    def __init__(self, config: Config) -> None:
        """Start the child."""
        reading, writing = os.pipe2(os.O_CLOEXEC)
        self._pid = os.fork()
        if self._pid == 0:
            os.close(reading)  # else the child would wait for ever for itself to read, where the caller gives up
            _answer(Registry(folders=config.paths.plugins), writing)
        os.close(writing)
        self._reading = reading
        # A command that gives up before it asks for the result closes the pipe, which ends the child.
        self._give_up = weakref.finalize(self, os.close, reading)

    def result(self) -> Catalogue:
        """Return the task types, the engine's own too, and the files that cannot be used.

        Raises BackendError if the child died of it.
        """
        self._give_up.detach()
        with os.fdopen(self._reading, "rb") as pipe:
            answer = pipe.read()
        _, status = os.waitpid(self._pid, 0)
        if status:
            how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"status {os.WEXITSTATUS(status)}"
            raise BackendError(f"importing the plugins together ended the process that did it ({how})")
        return natives.beside(msgspec.msgpack.decode(answer, type=Catalogue))


def _answer(registry: Registry, writing: int) -> NoReturn:
    status = 1
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in _STANDARD_STREAMS:
            os.dup2(nowhere, descriptor)
        tree.become_subreaper()
        catalogue = registry.load(skip=probe(registry.files()))
        tree.end_below_me()
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(msgspec.msgpack.encode(catalogue))
        status = 0
    finally:
        os._exit(status)
