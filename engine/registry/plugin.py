"""One plugin file, imported and read: the task types in it, or what is wrong with them.

Nothing that a plugin does at import comes out of here but a process that ends or hangs: `probe_file` is for a child.
Called by the registry and, for files seen for the first time, by the fork server's probing child.
"""

import importlib
import inspect
import re
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import jsonschema_rs
import msgspec

from engine.model import ENGINE_TYPES
from engine.registry import neighbours, signature
from engine.task import HANDED_FIELDS, MARK, RESERVED_FIELDS, BrokenPlugin, TaskFunction, TaskType

_TYPE = re.compile(r"[A-Za-z0-9_./-]{1,128}")
_TYPE_IN_SOURCE = re.compile(r"""^(?:TASK_TYPE\s*=|@(?:\w+\.)?task\()\s*["']([^"'\n]+)["']""", re.MULTILINE)


class Plugin(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one task type with its code."""

    type: str
    run: Callable[[dict[str, Any]], Any]
    description: str = ""
    version: str = ""
    required_fields: tuple[str, ...] = ()
    param_schema: dict[str, Any] | None = None
    source: str = ""
    is_builtin: bool = False
    function: Callable[..., Any] | None = None

    def entry(self) -> dict[str, Any]:
        """Return what the registry shows of it: exactly these keys."""
        return {
            "run": self.run,
            "description": self.description,
            "version": self.version,
            "required_fields": list(self.required_fields),
            "param_schema": self.param_schema,
        }

    def task_type(self, overrides: str = "") -> TaskType:
        """Return what is known of it without its code."""
        return TaskType(
            type=self.type,
            description=self.description,
            version=self.version,
            required_fields=self.required_fields,
            param_schema=self.param_schema,
            fields=self._fields(),
            source=self.source,
            is_builtin=self.is_builtin,
            overrides=overrides,
        )

    def _fields(self) -> tuple[str, ...] | None:
        described = (self.param_schema or {}).get("properties", {})
        return tuple(dict.fromkeys([*self.required_fields, *described])) or None


class Found(NamedTuple):
    """What a file holds: usable task types, and what is broken in it."""

    plugins: list[Plugin]
    broken: list[BrokenPlugin]


class UnusableError(Exception):
    """A task type that cannot be used; `code` is stable."""

    def __init__(self, code: str, message: str) -> None:
        """Keep both."""
        super().__init__(message)
        self.code, self.message = code, message


def read_file(path: Path) -> Found:
    """Import a file of a plugin folder and read its task types."""
    return _guarded(str(path), lambda: neighbours.import_file(path), is_builtin=False)


def read_builtin(name: str, path: Path) -> Found:
    """Import a module of the built-in package in the ordinary way and read its task types."""
    return _guarded(str(path), lambda: importlib.import_module(name), is_builtin=True)


def probe_file(path: Path | str) -> BrokenPlugin | None:
    """Import a file of a plugin folder in this process, which may not survive it; None if that went well."""
    path = Path(path)
    neighbours.install([path.parent])
    found = read_file(path)
    return found.broken[0] if found.broken else None


def takes_a_task(function: Callable[..., Any]) -> bool:
    """Tell whether a function is a `run(task)`: its only parameter is called so."""
    try:
        return list(inspect.signature(function).parameters) == ["task"]
    except (TypeError, ValueError):
        return False


def from_function(
    task_type: str, function: Callable[..., Any], description: str | None, version: str, source: str
) -> Plugin:
    """Make a plugin of a typed function.

    Raises UnusableError.
    """
    try:
        read = signature.read(function)
    except signature.SignatureError as error:
        raise UnusableError("bad_signature", f"{_name(function)} cannot be a task type: {error}") from None
    plugin = Plugin(
        type=_check_type(task_type),
        run=read.run,
        description=_first_line(function.__doc__) if description is None else description,
        version=version,
        required_fields=read.required,
        param_schema=read.schema,
        source=source,
        function=function,
    )
    return _check_fields(plugin)


def from_run(task_type: Any, run: Any, metadata: dict[str, Any], source: str) -> Plugin:
    """Make a plugin of `run(task)` and the metadata beside it.

    Raises UnusableError.
    """
    plugin = Plugin(
        type=_check_type(task_type),
        run=_check_run(run),
        description=_text("DESCRIPTION", metadata.get("DESCRIPTION", _first_line(metadata.get("__doc__")))),
        version=_text("VERSION", metadata.get("VERSION", "")),
        required_fields=_names(metadata.get("REQUIRED_FIELDS", ())),
        param_schema=metadata.get("PARAM_SCHEMA"),
        source=source,
    )
    return _check_fields(plugin)


def _guarded(source: str, load: Callable[[], ModuleType], *, is_builtin: bool) -> Found:
    try:
        module = load()
        found = _read(module, source)
    except SyntaxError as error:
        place = "" if error.filename == source else f"{error.filename}, "
        return Found([], [_broken(source, "syntax_error", f"{place}line {error.lineno}: {error.msg}")])
    except BaseException as error:  # whatever a plugin raises at import, SystemExit too, is its own affair
        return Found([], [_broken(source, "import_error", _where(error, source) + _said(error))])
    return Found([msgspec.structs.replace(plugin, is_builtin=is_builtin) for plugin in found.plugins], found.broken)


def _read(module: ModuleType, source: str) -> Found:
    functions = _marked(module)
    found = Found([], [])
    makers = [partial(_from_marked, function, source) for function in functions]
    if hasattr(module, "TASK_TYPE") or not functions:
        makers.insert(0, partial(_from_module, module, source))
    for make in makers:
        try:
            found.plugins.append(make())
        except UnusableError as error:
            found.broken.append(_broken(source, error.code, error.message))
    return found


def _from_module(module: ModuleType, source: str) -> Plugin:
    names = vars(module)
    if "TASK_TYPE" not in names:
        hint = "a module that is no plugin gets a name that begins with _"
        raise UnusableError("missing_task_type", f"it defines no TASK_TYPE and has no function with @task; {hint}")
    if "run" not in names:
        raise UnusableError("missing_run", f"it defines TASK_TYPE = {names['TASK_TYPE']!r} but no run(task)")
    return from_run(names["TASK_TYPE"], names["run"], names, source)


def _from_marked(function: Callable[..., Any], source: str) -> Plugin:
    mark: TaskFunction = getattr(function, MARK)
    return from_function(mark.type, function, mark.description, mark.version, source)


def _marked(module: ModuleType) -> list[Callable[..., Any]]:
    """List the functions with `@task` that this module defines (not those it imports), in order, each once."""
    values = {id(value): value for value in vars(module).values() if isinstance(_mark(value), TaskFunction)}
    return [value for value in values.values() if getattr(value, "__module__", None) == module.__name__]


def _mark(value: object) -> object:
    return vars(value).get(MARK) if hasattr(value, "__dict__") and callable(value) else None


def _check_type(task_type: Any) -> str:
    if isinstance(task_type, str) and task_type in ENGINE_TYPES:
        raise UnusableError(
            "reserved_type", f"the task type {task_type!r} is the engine's own; give this one another name"
        )
    if isinstance(task_type, str) and _TYPE.fullmatch(task_type):
        return task_type
    allowed = "1 to 128 letters, digits, _ - . /"
    raise UnusableError("bad_task_type", f"TASK_TYPE is {task_type!r}; it has to be a string of {allowed}")


def _check_run(run: Any) -> Callable[[dict[str, Any]], Any]:
    if not callable(run):
        raise UnusableError("bad_run", f"run is a {type(run).__name__}; it has to be a function run(task)")
    try:
        inspect.signature(run).bind({})
    except TypeError:
        raise UnusableError("bad_run", f"run{inspect.signature(run)} cannot be called as run(task)") from None
    except ValueError:  # written in C, without a signature
        pass
    return signature.synchronous(run)


def _check_fields(plugin: Plugin) -> Plugin:
    schema = plugin.param_schema
    if schema is not None:
        _check_schema(schema)
    declared = dict.fromkeys([*plugin.required_fields, *(schema or {}).get("properties", {})])
    for name in declared:
        if name in RESERVED_FIELDS | HANDED_FIELDS:
            raise UnusableError("reserved_field", f"the field {name!r} has a name that the engine reserves; rename it")
    return plugin


def _check_schema(schema: Any) -> None:
    if not isinstance(schema, dict):
        kind = type(schema).__name__
        raise UnusableError("bad_param_schema", f"PARAM_SCHEMA is a {kind}; it has to be a dict or None")
    try:
        compile_schema(schema)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError, TypeError) as error:
        place = "/".join(str(part) for part in getattr(error, "instance_path", ()))
        sentence = getattr(error, "message", str(error)) + (f" (at {place})" if place else "")
        raise UnusableError("bad_param_schema", f"PARAM_SCHEMA is not a JSON Schema: {sentence}") from None


def compile_schema(schema: dict[str, Any]) -> Any:
    """Compile a JSON Schema; nothing is fetched for it.

    Raises what jsonschema-rs raises for a schema that is none.
    """
    return jsonschema_rs.validator_for(schema, offline=True)


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, list | tuple) and all(isinstance(name, str) and name for name in value):
        return tuple(value)
    raise UnusableError("bad_required_fields", f"REQUIRED_FIELDS is {value!r}; it has to be a list of field names")


def _text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and name == "VERSION":  # VERSION = 1.0 is what people write
        return str(value)
    raise UnusableError("bad_metadata", f"{name} is {value!r}; it has to be a string")


def _first_line(doc: Any) -> str:
    return doc.strip().partition("\n")[0].strip() if isinstance(doc, str) else ""


def _broken(source: str, code: str, message: str) -> BrokenPlugin:
    try:
        match = _TYPE_IN_SOURCE.search(Path(source).read_text(encoding="utf-8", errors="replace"))
    except OSError:
        match = None
    return BrokenPlugin(source=source, code=code, message=message, type=match[1] if match else "")


def _where(error: BaseException, source: str) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == source]
    return f"line {lines[-1]}: " if lines else ""


def _said(error: BaseException) -> str:
    sentence = str(traceback.TracebackException(type(error), error, None))
    return f"{type(error).__name__}: {sentence}" if sentence else type(error).__name__


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", type(function).__name__)
