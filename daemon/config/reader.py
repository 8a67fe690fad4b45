"""From a draft to typed settings: every key known, every value of its type and within its bounds, or a problem each.

Which settings there are is `settings`, how a single value is read is `leaves`, how settings fit together is `checks`.
Called by `loading`.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect

from daemon.config.draft import Draft, dotted, plain, spoken
from daemon.config.leaves import Resolve, WrongError, bare, convert, free_value
from daemon.config.places import Key
from daemon.config.settings import Config, Origin
from daemon.config.wording import found, taken
from engine.problems import nearest, quoted

_BROKEN: Any = object()  # stands for a value that has a problem: the whole that it is part of is not made


class Reader:
    """Read one draft: problems go to the draft; `built` and `origins` tell what came out well and where it was set."""

    def __init__(self, draft: Draft, resolve: Resolve, defaults: Mapping[type, msgspec.Struct]) -> None:
        self._draft = draft
        self._resolve = resolve
        self._defaults = defaults
        self.built: list[tuple[Key, msgspec.Struct]] = []
        self.origins: dict[str, Origin] = {}

    def read(self) -> dict[str, Any]:
        """Return the sections that were set, by name; those with a problem are missing."""
        sections = self._fields(section_fields(), self._draft.tree, ())
        return {name: value for name, value in sections.items() if value is not _BROKEN}

    def _value(self, kind: inspect.Type, raw: object, key: Key) -> Any:
        unmarked, _ = bare(kind)
        if isinstance(unmarked, inspect.StructType):
            return self._struct(unmarked, raw, key)
        if isinstance(unmarked, inspect.DictType):
            return self._table(unmarked, raw, key)
        if isinstance(unmarked, inspect.VarTupleType):
            return self._list(unmarked, raw, key)
        self.origins[dotted(key)] = self._draft.origin(key)
        try:
            return free_value(raw) if isinstance(unmarked, inspect.AnyType) else convert(kind, raw, self._resolve)
        except WrongError as error:
            return self._wrong(kind, raw, key, str(error))

    def _struct(self, kind: inspect.StructType, raw: object, key: Key) -> Any:
        table = plain(raw)
        if not isinstance(table, dict):
            return self._wrong(kind, raw, key)
        values = self._fields(kind.fields, table, key)
        if _BROKEN in values.values():
            return _BROKEN
        default = self._defaults.get(kind.cls)
        made = msgspec.structs.replace(default, **values) if default else kind.cls(**values)
        self.built.append((key, made))
        return made

    def _fields(self, fields: Iterable[inspect.Field], table: dict[str, Any], key: Key) -> dict[str, Any]:
        known = {field.name: field for field in fields}
        for name in table:
            if name not in known:
                self._draft.complain("unknown_key", (*key, name), _unknown(name, key), near(name, known, key))
        values = {}
        for name, field in known.items():
            if name in table:
                values[name] = self._value(field.type, table[name], (*key, name))
            elif field.required:
                self._draft.complain(
                    "missing_key", key, f"{dotted(key)} lacks `{name}`", f"It takes {taken(field.type)}"
                )
                values[name] = _BROKEN
        return values | {name: _BROKEN for name in table if name not in known}

    def _table(self, kind: inspect.DictType, raw: object, key: Key) -> Any:
        table = plain(raw)
        if not isinstance(table, dict):
            return self._wrong(kind, raw, key)
        values = {}
        for name, value in table.items():
            values[name] = self._value(kind.value_type, value, (*key, name))
            try:
                convert(kind.key_type, name, self._resolve)
            except WrongError:
                words = f"the name {quoted(name)} in [{dotted(key)}] cannot be used; it takes {taken(kind.key_type)}"
                self._draft.complain("bad_value", (*key, name), words)
                values[name] = _BROKEN
        return _BROKEN if _BROKEN in values.values() else values

    def _list(self, kind: inspect.VarTupleType, raw: object, key: Key) -> Any:
        entries = plain(raw)
        if not isinstance(entries, list):
            return self._wrong(kind, raw, key)
        self.origins[dotted(key)] = self._draft.origin(key)
        values = tuple(self._value(kind.item_type, entry, (*key, number)) for number, entry in enumerate(entries))
        return _BROKEN if _BROKEN in values else values

    def _wrong(self, kind: inspect.Type, raw: object, key: Key, sentence: str = "") -> Any:
        words = f"`{dotted(key)}` " + (sentence or f"is {found(raw)}; it takes {taken(kind)}")
        self._draft.complain("bad_value", key, words)
        return _BROKEN


@cache
def section_fields() -> tuple[inspect.Field, ...]:
    """List the sections, which are the fields of Config that can be set."""
    config = inspect.type_info(Config)
    assert isinstance(config, inspect.StructType)  # noqa: S101 -- tells the type checker
    return tuple(field for field in config.fields if field.name != "loaded")


def near(name: str, known: Iterable[str], key: Key) -> str:
    """Say what to write in place of a key that is unknown in the table at `key`."""
    close = nearest(name, known)
    if close:
        return f"Did you mean `{close}`?"
    if not key:
        homes = {inner: section.name for section in section_fields() for inner in _names(section.type)}
        close = nearest(name, homes)
        if close:
            return f"Did you mean `{close}` in [{homes[close]}]?"
    return f"Known here: {', '.join(sorted(known))}"


def _names(kind: inspect.Type) -> list[str]:
    kind, _ = bare(kind)
    return [field.name for field in kind.fields] if isinstance(kind, inspect.StructType) else []


def _unknown(name: str, key: Key) -> str:
    return f"unknown key `{spoken(name)}` in [{dotted(key)}]" if key else f"unknown key or section `{spoken(name)}`"
