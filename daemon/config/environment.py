"""Settings from environment variables: `DROPMILL__EXECUTOR__WORKERS=8` sets `executor.workers`.

Owns how a variable's name leads to a setting, in any case; entries of a list are named by their number or their `name`
(`DROPMILL__SCHEDULES__NIGHTLY_REPORT__ENABLED=false`). What the value means is left to `reader`. Called by `loading`.
"""

import re
from collections.abc import Mapping

from msgspec import inspect

from daemon.config.draft import Draft, dotted, plain, spoken
from daemon.config.leaves import bare
from daemon.config.places import Key
from daemon.config.reader import near, section_fields

PREFIX = "DROPMILL__"


class _UnknownError(Exception):
    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


def override(draft: Draft, environ: Mapping[str, str]) -> None:
    """Put every variable that begins with DROPMILL__ in the place of what the files say."""
    names = [name for name in environ if name.upper().startswith(PREFIX)]
    set_by: dict[Key, str] = {}
    for name in sorted(names, key=lambda name: (name.count("__"), name)):  # tables before what is in them
        try:
            key = _find_section(draft, name[len(PREFIX) :].split("__"))
        except _UnknownError as error:
            draft.complain_of_variable(name, "unknown_key", error.message, error.hint)
            continue
        if key in set_by:
            message = f"the same setting as {spoken(set_by[key])}"
            draft.complain_of_variable(name, "bad_value", message, "Keep one of the two")
        set_by[key] = name
        draft.override(key, name, environ[name])


def _find_section(draft: Draft, parts: list[str]) -> Key:
    return _find_field(section_fields(), draft.tree, parts, ())


def _find_field(fields: tuple[inspect.Field, ...], node: object, parts: list[str], key: Key) -> Key:
    known = {field.name: field for field in fields}
    name = parts[0].lower()
    if name not in known:
        raise _UnknownError(f"unknown key `{dotted((*key, name))}`", near(name, known, key))
    return _find(known[name].type, _inside(node, name), parts[1:], (*key, name))


def _find(kind: inspect.Type, node: object, parts: list[str], key: Key) -> Key:
    if not parts:
        return key
    kind, _ = bare(kind)
    if isinstance(kind, inspect.StructType):
        return _find_field(kind.fields, node, parts, key)
    if isinstance(kind, inspect.DictType | inspect.AnyType):
        name = _same_name(node, parts[0])
        inner = kind.value_type if isinstance(kind, inspect.DictType) else kind
        return _find(inner, _inside(node, name), parts[1:], (*key, name))
    if isinstance(kind, inspect.VarTupleType) and isinstance(bare(kind.item_type)[0], inspect.StructType):
        number = _number(plain(node), parts[0], key)
        return _find(kind.item_type, _inside(node, number), parts[1:], (*key, number))
    raise _UnknownError(f"`{dotted(key)}` has nothing inside it", "Set it as a whole")


def _same_name(node: object, part: str) -> str:
    """Find the name that is there and reads the same in capitals, or make a new one in small letters."""
    node = plain(node)
    there = [name for name in node if _folded(name) == _folded(part)] if isinstance(node, dict) else []
    return there[0] if there else part.lower()


def _number(entries: object, part: str, key: Key) -> int:
    entries = entries if isinstance(entries, list) else []
    names = [str(entry.get("name", "")) if isinstance(entry, dict) else "" for entry in entries]
    if re.fullmatch(r"[0-9]{1,6}", part) and int(part) < len(names):
        return int(part)
    found = [number for number, name in enumerate(names) if name and _folded(name) == _folded(part)]
    if len(found) == 1:
        return found[0]
    there = ", ".join(spoken(name) if name else str(number) for number, name in enumerate(names)) or "none"
    raise _UnknownError(f"no entry of `{key[0]}` is called {spoken(part.lower())}", f"There are: {there}")


def _inside(node: object, part: str | int) -> object:
    node = plain(node)
    if isinstance(node, list) and isinstance(part, int):
        return node[part]
    return node.get(part) if isinstance(node, dict) else None


def _folded(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "_", name.lower())
