"""The task types at hand: finds plugin files, knows which plugin answers for a type, and checks fields against it.

Built-in plugins are modules of a package, the operator's are files in folders, and a program may register functions.
Called by the runner, by whoever starts workers (probing, changes) and by users of the library. Knows no attempt.
"""

import contextlib
import importlib.util
import inspect
import os
import stat
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.registry import neighbours
from engine.registry.handlers import Handler, running
from engine.registry.plugin import (
    Found,
    Plugin,
    UnusableError,
    compile_schema,
    from_function,
    from_run,
    probe_file,
    read_builtin,
    read_file,
    takes_a_task,
)
from engine.task import BrokenPlugin, Catalogue, FailedError

__all__ = ["Registry", "probe_file"]

_MOST_PROBLEMS = 20


class Registry:
    """Map each task type to its plugin; empty until `load` or `register`."""

    def __init__(self, builtin_package: str = "plugins", folders: Sequence[Path | str] = ()) -> None:
        """Remember where plugins are; the first folder goes before the second."""
        self.tasks: dict[str, dict[str, Any]] = {}
        self._builtin_package = builtin_package
        self._folders = [Path(folder).absolute() for folder in folders]
        self._looked: tuple[tuple[str, int, int, int], ...] = ()
        self._registered: dict[str, Plugin] = {}
        self._plugins: dict[str, Plugin] = {}
        self._overridden: dict[str, str] = {}
        self._broken: tuple[BrokenPlugin, ...] = ()
        self._validators: dict[str, tuple[object, Any]] = {}

    def load(self, skip: Iterable[BrokenPlugin] = ()) -> Catalogue:
        """Import every plugin anew and return what there is now.

        Files named by `skip` did not survive a probe: they are listed as broken and not touched.
        """
        skipped = {broken.source: broken for broken in skip}
        builtin = [read_builtin(f"{self._builtin_package}.{path.stem}", path) for path in self._builtin_files()]
        finder = neighbours.install(self._folders)
        found = [self._read_folder(folder, finder, skipped) for folder in self._folders]
        own = [plugin for each in found for plugin in each.plugins]
        chosen, duplicates = _first_of_each([plugin for each in builtin for plugin in each.plugins], own)
        self._overridden = {
            plugin.type: plugin.source
            for each in builtin
            for plugin in each.plugins
            if not chosen[plugin.type].is_builtin
        }
        self._plugins = chosen | self._registered
        self._broken = (*(broken for each in builtin + found for broken in each.broken), *duplicates)
        self.tasks = {task_type: plugin.entry() for task_type, plugin in sorted(self._plugins.items())}
        return self.catalogue()

    def catalogue(self) -> Catalogue:
        """Return the task types without their code, and the files that cannot be used."""
        types = {
            name: plugin.task_type(self._overridden.get(name, "")) for name, plugin in sorted(self._plugins.items())
        }
        return Catalogue(types, self._broken)

    def files(self) -> Sequence[Path]:
        """List the plugin files of the folders, in the order in which they are imported."""
        return [path for folder in self._folders for path in _plugin_files(folder)]

    def fingerprint(self) -> Hashable:
        """Return a value that changes when a Python file in a plugin folder does; take it before `load`."""
        # Where nobody can look (no file descriptors left) nothing has changed for all we know.
        with contextlib.suppress(OSError):
            self._looked = tuple(entry for folder in self._folders for entry in _states(str(folder)))
        return self._looked

    def problems(self, task_type: str, fields: Mapping[str, Any]) -> Sequence[str]:
        """Say everything that the task type has against these fields; a type nobody has answers with KeyError."""
        entry = self.tasks[task_type]
        missing = [name for name in entry["required_fields"] if name not in fields]
        found = [f"the field {name!r} is missing" for name in missing]
        validator = self._validator(task_type, entry["param_schema"])
        if validator is not None and not validator.is_valid(fields):
            found += [_sentence(error) for error in validator.iter_errors(fields) if not _is_said(error, missing)]
        return found[:_MOST_PROBLEMS]

    def register(
        self, task_type: str | Handler, function: Callable[..., Any] | None = None, description: str = ""
    ) -> None:
        """Make a function a task type: as it is if its only parameter is called `task`, else as a typed function.

        Or make it of a handler alone, an object with `task_type` and `execute(config, input, timeout)`. It goes before
        a plugin file of the same type. Raises ValueError where it cannot be one.
        """
        if not isinstance(task_type, str):
            handler = task_type
            task_type, description = handler.task_type, description or inspect.getdoc(type(handler)) or ""
            self._register(task_type, running(handler), description, type(handler), has_task=True)
        elif function is not None:
            self._register(task_type, function, description, function, has_task=takes_a_task(function))
        else:
            raise ValueError(f"no function was given for the task type {task_type!r}")

    def _register(
        self, task_type: str, function: Callable[..., Any], description: str, origin: Any, *, has_task: bool
    ) -> None:
        source = f"{getattr(origin, '__module__', '')}.{getattr(origin, '__qualname__', type(origin).__name__)}"
        try:
            if has_task:
                plugin = from_run(task_type, function, {"DESCRIPTION": description}, source)
            else:
                plugin = from_function(task_type, function, description or None, "", source)
        except UnusableError as error:
            raise ValueError(f"{source} cannot be the task type {task_type!r}: {error}") from None
        self._registered[task_type] = self._plugins[task_type] = plugin
        self.tasks[task_type] = plugin.entry()

    def get(self, task_type: str) -> dict[str, Any]:
        """Return the entry of a task type; KeyError if there is none."""
        return self.tasks[task_type]

    def call(self, task_type: str, *arguments: Any, **fields: Any) -> Any:
        """Call a task type here and now, without a run, and return its output.

        A typed function takes its arguments as they are; another plugin gets the fields as its task, and FailedError is
        raised when it does not return True.
        """
        plugin = self._plugins.get(task_type)
        if plugin is not None and plugin.function is not None:
            return plugin.function(*arguments, **fields)
        task: dict[str, Any] = {"id": task_type, "type": task_type, **fields, "inputs": {}, "settings": {}}
        if self.tasks[task_type]["run"](task, *arguments) is not True:
            raise FailedError(f"the plugin {task_type!r} did not return True")
        return task.get("output")

    def list(self) -> tuple[str, ...]:
        """Name the task types, in order."""
        return tuple(sorted(self.tasks))

    def broken_plugin_of(self, task_type: str) -> BrokenPlugin | None:
        """Return the broken file that says it has this task type, if there is one."""
        return next((broken for broken in self._broken if broken.type == task_type), None)

    def _builtin_files(self) -> Sequence[Path]:
        spec = importlib.util.find_spec(self._builtin_package) if self._builtin_package else None
        folders = (spec.submodule_search_locations or []) if spec else []
        return [path for folder in folders for path in _plugin_files(Path(folder))]

    def _read_folder(self, folder: Path, finder: neighbours.Neighbours, skipped: Mapping[str, BrokenPlugin]) -> Found:
        finder.prefer(folder)
        all_found = Found([], [])
        for path in _plugin_files(folder):
            if str(path) in skipped:
                all_found.broken.append(skipped[str(path)])
                continue
            found = read_file(path)
            all_found.plugins.extend(found.plugins)
            all_found.broken.extend(found.broken)
        return all_found

    def _validator(self, task_type: str, schema: dict[str, Any] | None) -> Any:
        if schema is None:
            return None
        kept = self._validators.get(task_type)
        if kept is None or kept[0] is not schema:
            kept = self._validators[task_type] = (schema, compile_schema(schema))
        return kept[1]


def _first_of_each(builtin: list[Plugin], own: list[Plugin]) -> tuple[dict[str, Plugin], list[BrokenPlugin]]:
    """Choose one plugin a type: an operator's before a built-in one, of two operator's the first."""
    chosen: dict[str, Plugin] = {}
    duplicates = []
    for plugin in own:
        first = chosen.setdefault(plugin.type, plugin)
        if first is not plugin:
            where = "this file" if first.source == plugin.source else first.source
            message = f"its task type {plugin.type!r} is already that of {where}, which is used; rename one of them"
            duplicates.append(
                BrokenPlugin(source=plugin.source, code="duplicate_type", message=message, type=plugin.type)
            )
    return {**{plugin.type: plugin for plugin in reversed(builtin)}, **chosen}, duplicates


def _plugin_files(folder: Path) -> list[Path]:
    try:
        paths = sorted(folder.glob("*.py"))
    except OSError:
        return []
    return [path for path in paths if path.name[0] not in "_." and _is_readable_file(path)]


def _is_readable_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)  # a pipe of that name would hang whoever opens it
    except OSError:
        return path.is_symlink()  # leads nowhere: reading it says so


def _states(folder: str) -> Iterable[tuple[str, int, int, int]]:
    """Yield path, size, change time and inode of every Python file that a plugin of this folder may be made of.

    A folder that is not there, or not for us, has none; raises OSError where that cannot be seen.
    """
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    for entry in entries:
        try:
            state = entry.stat()
        except OSError:
            continue
        if entry.name.endswith(".py"):
            yield entry.path, state.st_size, state.st_mtime_ns, state.st_ino
        elif entry.name.isidentifier() and entry.name != "__pycache__" and entry.is_dir(follow_symlinks=False):
            yield from _states(entry.path)


def _is_said(error: Any, missing: list[str]) -> bool:
    return error.kind.name == "required" and error.kind.property in missing and not error.instance_path


def _sentence(error: Any) -> str:
    place = ".".join(str(part) for part in error.instance_path)
    return f"{place}: {error.message}" if place else error.message
