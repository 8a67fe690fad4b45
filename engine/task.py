"""The plugin contract: what a plugin file may import from us, and what the engine knows of a task type.

A plugin is a module with `TASK_TYPE` and `run(task) -> bool`, or a function decorated with `@task("type")`.
The registry collects both; the runner calls them. A plugin that needs the time takes `wall` and `ticks` from here.
"""

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import msgspec

from engine.clock import ticks as ticks  # noqa: PLC0414 -- handed on: a plugin imports nothing of ours but this module
from engine.clock import wall as wall  # noqa: PLC0414 -- likewise

RESERVED_FIELDS = frozenset(
    {
        "id",
        "type",
        "description",
        "depends_on",
        "when",
        "trigger_rule",
        "foreach",
        "loop",
        "timeout",
        "retry",
        "pool",
        "priority",
        "deadline",
        "continue_on_failure",
        "cache",
        "isolation",
        "memory_limit",
        "cpu_limit",
    }
)
# What the runner adds to the dict that `run(task)` receives; a field of the same name would be hidden.
HANDED_FIELDS = frozenset({"inputs", "output", "memo", "run", "attempt", "settings", "origin"})


class TaskType(msgspec.Struct, frozen=True, kw_only=True):
    """Describe a task type without its code: what `validate`, `plan` and `plugins` need to know.

    `fields` names every field the plugin declares (None when it declares nothing and takes any); `overrides` is the
    built-in file whose place a user's file took.
    """

    type: str
    description: str = ""
    version: str = ""
    required_fields: tuple[str, ...] = ()
    param_schema: dict[str, Any] | None = None
    fields: tuple[str, ...] | None = None
    source: str = ""
    is_builtin: bool = False
    overrides: str = ""


class BrokenPlugin(msgspec.Struct, frozen=True, kw_only=True):
    """Describe a plugin file that cannot be used, and why; `type` is the task type its text names, as far as known."""

    source: str
    code: str
    message: str
    type: str = ""


class Catalogue(msgspec.Struct, frozen=True):
    """List the task types at hand and the plugin files that are not usable."""

    types: dict[str, TaskType] = {}
    broken: tuple[BrokenPlugin, ...] = ()


class LaterError(Exception):
    """Ask the engine to call the plugin again later; raised by `later`, understood by the runner alone."""

    def __init__(self, seconds: float, memo: object) -> None:
        """Keep the delay in seconds and any JSON value that the next call finds as `task["memo"]`."""
        super().__init__(f"call again in {seconds} s")
        self.seconds, self.memo = seconds, memo


class FailedError(Exception):
    """Fail an attempt with a sentence and, where known, a reason code or exit code, without a traceback."""

    def __init__(self, message: str, *, reason: str | None = None, exit_code: int | None = None) -> None:
        """Keep what the report will hold."""
        super().__init__(message)
        self.message, self.reason, self.exit_code = message, reason, exit_code


class InterruptedByEngineError(BaseException):
    """Raised inside a plugin when its attempt has to end (timeout or cancel); clean up and let it pass."""


def later(seconds: float, memo: object = None) -> NoReturn:
    """End this call without an outcome: the engine calls again after `seconds` and holds no worker until then.

    The next call is of the same attempt and finds `memo` (any JSON value) in `task["memo"]`.
    """
    raise LaterError(seconds, memo)


def fail(message: str, *, reason: str | None = None, exit_code: int | None = None) -> NoReturn:
    """End this attempt as failed with a sentence for the person who reads it, without a traceback."""
    raise FailedError(message, reason=reason, exit_code=exit_code)


class TaskFunction(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what `@task` was told about a function; the registry turns it into a plugin."""

    type: str
    function: Callable[..., Any]
    description: str | None = None
    version: str = ""


MARK = "__dropmill_task__"


def task(
    type: str,  # noqa: A002 -- the word of the document
    *,
    description: str | None = None,
    version: str = "",
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a typed function a task type: its parameters are the fields, what it returns is the output.

    The annotations become the PARAM_SCHEMA; a parameter without a default is a required field.
    The function itself is unchanged and can be called as before.
    """

    def mark(function: Callable[..., Any]) -> Callable[..., Any]:
        setattr(function, MARK, TaskFunction(type=type, function=function, description=description, version=version))
        return function

    return mark


Fields = Mapping[str, Any]
