"""Every setting as it is in force, and where it came from. Called by `dropmill config show` and by the API.

Passwords in addresses, and what the settings of plugins and the parameters of schedules call a secret, are masked.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect

from daemon.config.draft import dotted
from daemon.config.leaves import bare
from daemon.config.places import Key
from daemon.config.reader import section_fields
from daemon.config.settings import Config, Origin
from daemon.config.wording import written
from engine.redaction import MASK

_PASSWORD = re.compile(r"(://[^/@]*?:)[^/]*@")
_SECRET_NAME = re.compile(r"secret|passw|token|api_?key|credential|authorization", re.IGNORECASE)
_DEFAULT = Origin()


class Row(msgspec.Struct, frozen=True):
    """One setting: its dotted key, its value as the file would have it ("" for none), and where it came from."""

    key: str
    value: str
    origin: Origin


def show(config: Config) -> list[Row]:
    """List every setting in the order of the sample; of schedules, routes and further inboxes only what is set."""
    rows: list[Row] = []
    for section in section_fields():
        found = _rows(config, section.type, getattr(config, section.name), (section.name,), section.name)
        is_list = not isinstance(bare(section.type)[0], inspect.StructType)
        rows += [row for row in found if not is_list or row.origin.kind != "default"]
    return rows


def _rows(config: Config, kind: inspect.Type, value: Any, key: Key, label: str) -> Iterator[Row]:
    """Give the rows of one value; `key` is where it stands, `label` the same with entries of a list by their name."""
    kind, extra = bare(kind)
    if isinstance(kind, inspect.StructType):
        for field in kind.fields:
            inner = getattr(value, field.name)
            yield from _rows(config, field.type, inner, (*key, field.name), f"{label}.{field.name}")
    elif isinstance(kind, inspect.DictType) and value:
        for name, inner in value.items():
            yield from _rows(config, kind.value_type, inner, (*key, name), f"{label}.{name}")
    elif isinstance(kind, inspect.VarTupleType) and isinstance(bare(kind.item_type)[0], inspect.StructType):
        for number, inner in enumerate(value):
            name = getattr(inner, "name", number)
            yield from _rows(config, kind.item_type, inner, (*key, number), f"{label}.{name}")
    else:
        text = "" if value is None else written(_masked(value, str(key[-1]), kind), extra.get("unit"))
        yield Row(label, text, config.loaded.origins.get(dotted(key), _DEFAULT))


def _masked(value: Any, name: str, kind: inspect.Type) -> Any:
    if isinstance(kind, inspect.AnyType):
        if _SECRET_NAME.search(name):
            return MASK
        if isinstance(value, dict):
            return {inner: _masked(held, inner, kind) for inner, held in value.items()}
        if isinstance(value, list):
            return [_masked(held, name, kind) for held in value]
    return _PASSWORD.sub(rf"\1{MASK}@", value) if isinstance(value, str) else value
