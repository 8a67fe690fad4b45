"""Run workflow documents: `engine.run(document)` from a script, `await engine.execute(document)` from async code.

This face imports on first use, so that `import engine.states` in a worker process costs nothing.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.authoring import Graph as Graph
    from engine.authoring import Workflow as Workflow
    from engine.decisions import Decision as Decision
    from engine.library import Engine as Engine
    from engine.library import Surroundings as Surroundings
    from engine.library import execute as execute
    from engine.library import run as run
    from engine.registry import Registry as Registry
    from engine.task import fail as fail
    from engine.task import later as later
    from engine.task import task as task

__all__ = [
    "Decision",
    "Engine",
    "Graph",
    "Registry",
    "Surroundings",
    "Workflow",
    "execute",
    "fail",
    "later",
    "run",
    "task",
]

_HOMES = {
    "Decision": "engine.decisions",
    "Graph": "engine.authoring",
    "Workflow": "engine.authoring",
    "Registry": "engine.registry",
    "Engine": "engine.library",
    "Surroundings": "engine.library",
    "execute": "engine.library",
    "fail": "engine.task",
    "later": "engine.task",
}


class _Face(ModuleType):
    """The package itself. Two of its names are modules too: here they are the functions, in imports the modules."""

    @property
    def run(self) -> Any:
        from engine.library import run

        return run

    @run.setter
    def run(self, module: ModuleType) -> None:
        """Let the import system think that it put the module here."""

    @property
    def task(self) -> Any:
        from engine.task import task

        return task

    @task.setter
    def task(self, module: ModuleType) -> None:
        """Let the import system think that it put the module here."""

    def __getattr__(self, name: str) -> Any:
        from importlib import import_module

        if name not in _HOMES:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)


sys.modules[__name__].__class__ = _Face
