"""Functions of a program as task types of the documents it writes: named after themselves, kept in a registry."""

import inspect
from collections.abc import Callable
from typing import Any

from engine.registry import Registry

Function = Callable[..., Any]


class Functions:
    """Give functions the names of task types in a registry, each its own."""

    def __init__(self, registry: Registry | None) -> None:
        """Take a registry to add to, or make one with the built-in task types."""
        if registry is None:
            registry = Registry()
            registry.load()
        self.registry = registry
        self._names: dict[Function, str] = {}

    def type_of(self, function: Function, wrapped: Function | None = None) -> str:
        """Return the task type of a function, which is registered the first time; `wrapped` is what to call instead.

        Raises ValueError where it cannot be a task type.
        """
        name = self._names.get(function)
        if name is None:
            name = self._free_name(getattr(function, "__name__", type(function).__name__).strip("<>"))
            self.registry.register(name, wrapped or function, inspect.getdoc(function) or "")
            self._names[function] = name
        return name

    def _free_name(self, name: str) -> str:
        taken, number, free = self.registry.list(), 1, name
        while free in taken:
            number += 1
            free = f"{name}-{number}"
        return free


def parameters_of(function: Function) -> tuple[str, ...]:
    """Return the names of the parameters of a function."""
    return tuple(inspect.signature(function).parameters)
