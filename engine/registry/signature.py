"""Typed functions as plugins: parameters become fields with a schema, what the function returns becomes the output.

Called by `plugin` for functions marked with `@task`, and by the registry for functions that are registered.
"""

import inspect
import typing
from collections.abc import Callable, Mapping
from inspect import Parameter
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from engine.task import HANDED_FIELDS, RESERVED_FIELDS, FailedError

# Parameters of these names receive what the engine hands over, not a field; `task` is the whole dict.
HANDED_PARAMETERS = frozenset({"inputs", "memo", "settings", "run", "attempt", "task"})


class SignatureError(Exception):
    """The function cannot be a plugin; the sentence says which parameter is in the way."""


class Signature(msgspec.Struct, frozen=True):
    """Hold a typed function as a plugin: `run(task)`, its PARAM_SCHEMA, and its parameters without a default."""

    run: Callable[[dict[str, Any]], bool]
    schema: dict[str, Any]
    required: tuple[str, ...]


def read(function: Callable[..., Any]) -> Signature:
    """Read the parameters of a function.

    Raises SignatureError where they cannot be fields.
    """
    parameters = _parameters(function)
    named = [parameter for parameter in parameters if parameter.kind is not Parameter.VAR_KEYWORD]
    fields = [parameter for parameter in named if parameter.name not in HANDED_PARAMETERS]
    handed = [parameter.name for parameter in named if parameter.name in HANDED_PARAMETERS]
    takes_any = len(named) < len(parameters)
    shape = _shape(function, fields, takes_any=takes_any)
    required = tuple(parameter.name for parameter in fields if parameter.default is Parameter.empty)
    schema = _schema(shape, {field.name: field.default for field in fields})
    return Signature(_runner(function, shape, handed, takes_any=takes_any), schema, required)


def synchronous(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function itself, or, if it is a coroutine function, one that runs it to its end."""
    if not inspect.iscoroutinefunction(function):
        return function

    def run(*arguments: Any, **fields: Any) -> Any:
        import asyncio  # noqa: PLC0415 -- costs 15 ms and 3 MB that most workers never need

        return asyncio.run(function(*arguments, **fields))

    run.__doc__ = function.__doc__
    return run


def _parameters(function: Callable[..., Any]) -> list[Parameter]:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise SignatureError(f"its parameters cannot be read ({error})") from None
    for parameter in parameters:
        if parameter.kind in {Parameter.VAR_POSITIONAL, Parameter.POSITIONAL_ONLY}:
            raise SignatureError(f"the parameter {parameter} is positional only; fields are given by name")
        if parameter.name in (RESERVED_FIELDS | HANDED_FIELDS) - HANDED_PARAMETERS:
            raise SignatureError(f"the parameter {parameter.name!r} has a name that the engine reserves; rename it")
    return parameters


def _shape(function: Callable[..., Any], fields: list[Parameter], *, takes_any: bool) -> type[msgspec.Struct]:
    """Make a struct of the fields: it converts them all at once and knows their schema."""
    holder = function if hasattr(function, "__annotations__") else type(function).__call__
    try:
        hints = typing.get_type_hints(holder, include_extras=True)
    except (NameError, TypeError, AttributeError) as error:
        raise SignatureError(f"its annotations cannot be read ({error})") from None
    members: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for field in fields:
        kind = hints.get(field.name, Any)
        kind = Any if kind is object else kind
        _check_kind(field.name, kind)
        # UNSET stands for "not given": then the function's own default holds.
        is_required = field.default is Parameter.empty
        members.append((field.name, kind) if is_required else (field.name, kind | UnsetType, UNSET))
    return msgspec.defstruct("Fields", members, kw_only=True, forbid_unknown_fields=not takes_any)


def _check_kind(name: str, kind: Any) -> None:
    try:
        msgspec.json.schema_components([kind], schema_hook=_schema_of_other)
        msgspec.convert(None, kind | None, dec_hook=_convert_other)
    except (TypeError, NotImplementedError) as error:
        sentence = str(error).strip().splitlines()[-1]
        raise SignatureError(f"the parameter {name!r} has a type that JSON cannot give: {sentence}") from None


def _schema(shape: type[msgspec.Struct], defaults: Mapping[str, Any]) -> dict[str, Any]:
    (reference,), components = msgspec.json.schema_components(
        [shape], schema_hook=_schema_of_other, ref_template="#/$defs/{name}"
    )
    schema: dict[str, Any] = components.pop(reference["$ref"].rpartition("/")[2])
    del schema["title"]
    for name, default in defaults.items():
        if default is None or type(default) in {str, int, float, bool}:
            schema["properties"][name]["default"] = default
    return schema | ({"$defs": components} if components else {})


def _runner(
    function: Callable[..., Any], shape: type[msgspec.Struct], handed: list[str], *, takes_any: bool
) -> Callable[[dict[str, Any]], bool]:
    call = synchronous(function)
    names = shape.__struct_fields__
    not_fields = (HANDED_FIELDS | {"id", "type", "timeout"}) - set(names)

    def run(task: dict[str, Any]) -> bool:
        given = {name: value for name, value in task.items() if name not in not_fields}
        try:
            fields = msgspec.convert(given, shape, dec_hook=_convert_other)
        except msgspec.ValidationError as error:
            raise FailedError(str(error), reason="invalid") from None
        arguments = {name: value for name in names if (value := getattr(fields, name)) is not UNSET}
        arguments |= {name: task if name == "task" else task[name] for name in handed}
        if takes_any:
            arguments |= {name: value for name, value in given.items() if name not in names}
        task["output"] = call(**arguments)
        return True

    run.__doc__ = function.__doc__
    return run


def _convert_other(kind: type[Any], value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError(f"{kind.__name__} cannot be made from a {type(value).__name__}")


def _schema_of_other(kind: type[Any]) -> dict[str, Any]:
    if kind is Path:
        return {"type": "string", "format": "path"}
    raise NotImplementedError(f"type {kind.__name__} is not supported")
