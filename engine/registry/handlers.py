"""Handlers as plugins: objects with a `task_type` and an `execute(config, input, timeout)`.

Called by the registry for objects that are registered.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from engine.registry.signature import synchronous
from engine.task import HANDED_FIELDS, RESERVED_FIELDS

_NOT_CONFIG = HANDED_FIELDS | RESERVED_FIELDS


@runtime_checkable
class Handler(Protocol):
    """An object that carries out the tasks of one type; what `execute` returns is the output."""

    @property
    def task_type(self) -> str:
        """The task type it answers for."""
        ...

    def execute(self, config: Mapping[str, Any], input: Mapping[str, Any], timeout: float | None) -> Any:  # noqa: A002 -- the words of those who write handlers
        """Carry out an attempt: the fields of the task, the outputs it depends on by id, its timeout in seconds."""
        ...


def running(handler: Handler) -> Callable[[dict[str, Any]], bool]:
    """Return the `run(task)` that calls a handler."""
    execute = synchronous(handler.execute)

    def run(task: dict[str, Any]) -> bool:
        config = {name: value for name, value in task.items() if name not in _NOT_CONFIG}
        task["output"] = execute(config, task["inputs"], task.get("timeout"))
        return True

    run.__doc__ = type(handler).__doc__
    return run
