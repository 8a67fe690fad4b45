"""The task type `python`: calls a function from a folder of the operator and hands on what it returns.

It finds, checks and calls the function; `modules` imports. The operator's setting `folders` lists where modules may
lie; a document can name nothing else, also not what such a module imported from elsewhere.
"""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from engine.task import fail
from plugins._parts.modules import ModuleUnusableError, imported, is_inside, searchable
from plugins._parts.settings import read

TASK_TYPE = "python"
DESCRIPTION = "Call a Python function from a folder that the operator allows and hand on what it returns."
VERSION = "1.0"
REQUIRED_FIELDS = ["function"]
PARAM_SCHEMA = {
    "type": "object",
    "properties": {
        "function": {
            "type": "string",
            "pattern": "^[A-Za-z_][A-Za-z0-9_]*(\\.[A-Za-z_][A-Za-z0-9_]*)*[.:][A-Za-z_][A-Za-z0-9_]*$",
            "examples": ["reports:weekly"],
            "description": "`package.module:function` or `module.function`, in one of the folders of the setting "
            "`folders`. It may be async. A module whose file changed is imported anew.",
        },
        "args": {"type": "array", "description": "Arguments by position."},
        "kwargs": {"type": "object", "description": "Arguments by name."},
    },
    "additionalProperties": False,
}

SETTINGS: dict[str, Any] = {"folders": []}


def run(task: dict[str, Any]) -> bool:
    """Call the function and set the output to what it returns; what it raises fails the task with its traceback."""
    folders = _folders(read(task, SETTINGS))
    args, kwargs = task.get("args") or [], task.get("kwargs") or {}
    with searchable(folders):
        function = _found(task["function"], folders)
        try:
            inspect.signature(function).bind(*args, **kwargs)
        except TypeError as error:
            fail(f"{task['function']} cannot be called with these arguments: {error}")
        result = function(*args, **kwargs)
        task["output"] = _awaited(result) if inspect.iscoroutine(result) else result
    return True


def _folders(settings: dict[str, Any]) -> list[str]:
    folders: list[str] = settings["folders"]
    if not folders:
        fail('no folder is allowed; the operator can set `folders = ["/path/to/modules"]` in [plugins.python]')
    for folder in folders:
        if not Path(folder).is_absolute() or not Path(folder).is_dir():
            fail(f"the setting `folders` holds {folder!r}, which is not the whole path of a folder")
    return folders


def _found(name: str, folders: Sequence[str]) -> Callable[..., Any]:
    module_name, _, function_name = name.replace(":", ".").rpartition(".")
    if function_name.startswith("_"):
        fail(f"{name} is private: its name begins with an underscore")
    try:
        module = imported(module_name, folders)
    except ModuleUnusableError as error:
        fail(str(error))
    function: Callable[..., Any] | None = getattr(module, function_name, None)
    if function is None or not callable(function):
        fail(f"the module {module_name!r} has no function {function_name!r}")
    if not is_inside(inspect.getmodule(function), folders):
        fail(f"{name} comes from {function.__module__!r}; only functions written in the allowed folders can be called")
    return function


def _awaited(coroutine: Any) -> Any:
    import asyncio  # noqa: PLC0415 -- every worker would pay for it at its start

    return asyncio.run(coroutine)
