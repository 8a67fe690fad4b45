"""The task type `file`: one operation on files and folders.

What it writes appears in one piece or not at all. A symbolic link that `path` itself is is followed unless
`follow_symlinks` is false; links inside folders are never followed, and one at the target is replaced by what is
written. A link that is moved or removed is itself what goes.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from engine.task import fail
from plugins._parts import files, formats
from plugins._parts.data import DataError
from plugins._parts.listing import MAX_FILES, describe, matches

TASK_TYPE = "file"
DESCRIPTION = "Copy, move, remove, archive, extract, checksum, list, read or write files."
VERSION = "1.0"
REQUIRED_FIELDS = ["operation", "path"]

Fields = dict[str, Any]
_MOST_BYTES = 1024**3
_ALGORITHMS = ("sha256", "sha512", "sha384", "sha3_256", "sha3_512", "blake2b", "blake2s", "sha1", "md5")


class Operation(NamedTuple):
    """Describe one operation: what does it, which fields it must have, and which it may have."""

    apply: Callable[[Fields], Any]
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


def run(task: dict[str, Any]) -> bool:
    """Do the operation and set the output to what it gives."""
    try:
        operation = OPERATIONS[task["operation"]]
        with files.sentences(_paths(task)[0]):
            task["output"] = operation.apply(task)
    except DataError as error:
        fail(f"{task['operation']}: {error}")
    except RecursionError:
        fail(f"{task['operation']}: the data or the folder is nested too deeply")
    return True


def _paths(task: Fields) -> list[str]:
    given: str | list[str] = task["path"]
    if isinstance(given, str):
        return [given]
    if task["operation"] != "archive":
        raise DataError("`path` is a list; only archive takes several")
    return given


def _source(task: Fields) -> Path:
    """Return `path`, which must be there, and no link where links are not followed."""
    path = Path(_paths(task)[0])
    if path.is_symlink() and not task.get("follow_symlinks", True):
        raise DataError(f"{path}: it is a symbolic link, and `follow_symlinks` is false")
    if not path.exists():
        what = "a symbolic link that leads nowhere" if path.is_symlink() else "not there"
        raise DataError(f"{path}: it is {what}")
    return path


def _target(task: Fields, source: Path | None = None) -> str:
    """Return the whole name of the target: with a `/` at its end `to` is the folder that takes the source's name."""
    to: str = task["to"]
    if source is not None and to.endswith("/"):
        to = str(Path(to, source.name or source.resolve().name))
    return _with_parents(task, to)


def _with_parents(task: Fields, to: str) -> str:
    if task.get("parents", False):
        files.make_folder(Path(to).parent)
    return to


def _copy(task: Fields) -> Fields:
    source = _source(task)
    target = _target(task, source)
    if source.is_dir():
        if Path(target).resolve().is_relative_to(source.resolve()):
            raise DataError(f"{target}: a folder cannot be copied into itself")
        overwrite = task.get("overwrite", False)
        files.place_folder(target, lambda place: files.copy_folder(source, place), overwrite=overwrite)
    else:
        overwrite = task.get("overwrite", True)
        files.place_file(target, lambda place: files.copy_into(source, place), overwrite=overwrite)
    return _described(target)


def _described(path: str) -> Fields:
    return describe(path) or {"path": path}


def _move(task: Fields) -> Fields:
    source = Path(_paths(task)[0])
    if not os.path.lexists(source):
        raise DataError(f"{source}: it is not there")
    target = _target(task, source)
    is_folder = source.is_dir() and not source.is_symlink()
    if is_folder and Path(target).resolve().is_relative_to(source.resolve()):
        raise DataError(f"{target}: a folder cannot be moved into itself")
    files.move(source, target, overwrite=task.get("overwrite", not is_folder))
    return _described(target)


def _remove(task: Fields) -> Fields:
    path = Path(_paths(task)[0])
    if not os.path.lexists(path):
        if task.get("missing_ok", False):
            return {"path": str(path), "removed": False}
        raise DataError(f"{path}: it is not there; `missing_ok: true` takes that for done")
    is_folder = path.is_dir() and not path.is_symlink()
    if is_folder and not task.get("recursive", False) and any(path.iterdir()):
        raise DataError(f"{path}: the folder is not empty; `recursive: true` removes what lies in it")
    if is_folder and path.resolve() in {Path("/"), Path.cwd(), *Path.cwd().parents}:
        raise DataError(f"{path}: the working folder lies in it; it is not removed")
    files.remove(path)
    return {"path": str(path), "removed": True}


def _archive(task: Fields) -> Fields:
    from plugins._parts import archives  # noqa: PLC0415 -- every worker would pay for them at its start

    sources = [_source({**task, "path": path}) for path in _paths(task)]
    names = [source.name for source in sources]
    if len(set(names)) != len(names):
        raise DataError("two of the paths end in the same name, which an archive can hold once")
    target = _target(task)
    form = task.get("format") or archives.by_ending(target)
    count = 0

    def fill(place: Path) -> None:
        nonlocal count
        count = archives.pack(sources, place, form)

    files.place_file(target, fill, overwrite=task.get("overwrite", True))
    return {**_described(target), "entries": count}


def _extract(task: Fields) -> Fields:
    from plugins._parts import archives  # noqa: PLC0415 -- every worker would pay for them at its start

    source = _source(task)
    target = _target(task)
    found: Fields = {}

    def fill(place: Path) -> None:
        max_bytes, max_files = task.get("max_bytes", _MOST_BYTES), task.get("max_files", MAX_FILES)
        found.update(archives.unpack(str(source), place, max_bytes, max_files))

    files.place_folder(target, fill, overwrite=task.get("overwrite", False))
    return {"path": target, **found}


def _checksum(task: Fields) -> Fields:
    source, algorithm = _source(task), task.get("algorithm", "sha256")
    import hashlib  # noqa: PLC0415 -- every worker would pay for it at its start

    digest = hashlib.new(algorithm, usedforsecurity=False)
    with files.opened(source) as file:
        size = 0
        while chunk := os.read(file, 1024 * 1024):
            digest.update(chunk)
            size += len(chunk)
    checksum = digest.hexdigest()
    expected = task.get("expected")
    if expected is not None and expected.strip().lower() != checksum:
        raise DataError(f"{source}: its {algorithm} is {checksum}, not {expected}")
    return {"path": str(source), "algorithm": algorithm, "checksum": checksum, "size": size}


def _glob(task: Fields) -> list[Fields]:
    folder = _source(task)
    if not folder.is_dir():
        raise DataError(f"{folder}: it is not a folder; `pattern` says what is looked for in it")
    return matches(str(folder), task.get("pattern", "*"), task.get("max_files", MAX_FILES))


def _read(task: Fields) -> Any:
    path = str(_source(task))
    form = task.get("format") or formats.by_ending(path, "text")
    data = files.contents(path, task.get("max_bytes", files.MAX_BYTES))
    try:
        return formats.read(data, form, encoding=task.get("encoding", "utf-8"), delimiter=task.get("delimiter", ","))
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _write(task: Fields) -> Fields:
    path = _with_parents(task, _paths(task)[0])
    form = task.get("format") or formats.by_ending(path, "text" if isinstance(task["data"], str) else "json")
    data = formats.write(
        task["data"], form, encoding=task.get("encoding", "utf-8"), delimiter=task.get("delimiter", ",")
    )
    mode = int(task["mode"], 8) if "mode" in task else None
    files.write_file(path, data, overwrite=task.get("overwrite", True), mode=mode)
    return _described(path)


def _mkdir(task: Fields) -> Fields:
    path = Path(_paths(task)[0])
    if os.path.lexists(path) and not path.is_dir():
        raise DataError(f"{path}: it exists already and is not a folder")
    if not path.is_dir():
        if not path.parent.is_dir() and not task.get("parents", False):
            raise DataError(f"{path}: there is no folder {path.parent}; `parents: true` makes it")
        files.make_folder(path)
    return _described(str(path))


def _exists(task: Fields) -> Fields:
    path = _paths(task)[0]
    found = describe(path, follow=task.get("follow_symlinks", True))
    return {"path": path, "exists": found is not None, "type": found and found["type"]}


def _stat(task: Fields) -> Fields:
    path = _paths(task)[0]
    found = describe(path, follow=task.get("follow_symlinks", True))
    if found is None:
        raise DataError(f"{path}: it is not there")
    return found


_TEXT = ("format", "encoding", "delimiter")
OPERATIONS: dict[str, Operation] = {
    "copy": Operation(_copy, ("to",), ("overwrite", "parents", "follow_symlinks")),
    "move": Operation(_move, ("to",), ("overwrite", "parents")),
    "remove": Operation(_remove, (), ("recursive", "missing_ok")),
    "archive": Operation(_archive, ("to",), ("format", "overwrite", "parents", "follow_symlinks")),
    "extract": Operation(_extract, ("to",), ("overwrite", "parents", "max_bytes", "max_files", "follow_symlinks")),
    "checksum": Operation(_checksum, (), ("algorithm", "expected", "follow_symlinks")),
    "glob": Operation(_glob, (), ("pattern", "max_files", "follow_symlinks")),
    "read": Operation(_read, (), (*_TEXT, "max_bytes", "follow_symlinks")),
    "write": Operation(_write, ("data",), (*_TEXT, "overwrite", "parents", "mode")),
    "mkdir": Operation(_mkdir, (), ("parents",)),
    "exists": Operation(_exists, (), ("follow_symlinks",)),
    "stat": Operation(_stat, (), ("follow_symlinks",)),
}

_PATH: Fields = {"type": "string", "minLength": 1}
_FIELDS: dict[str, Fields] = {
    "operation": {"enum": list(OPERATIONS), "description": "What is done."},
    "path": {
        "anyOf": [_PATH, {"type": "array", "items": _PATH, "minItems": 1}],
        "examples": ["/var/lib/reports/today.csv"],
        "description": "The file or folder; for archive also a list of them. A relative one begins in the worker's "
        "working folder.",
    },
    "to": {
        **_PATH,
        "description": "The whole name of the target; with a `/` at its end copy and move put it into that folder. For "
        "archive the file, for extract the folder.",
    },
    "data": {"description": "What write writes: text as it is, anything else as `format` says."},
    "format": {
        "enum": [*formats.FORMATS, *formats.ARCHIVES],
        "description": "How read and write understand a file (json, jsonl, csv, text, base64) or what archive makes "
        "(tar.gz, tar.bz2, tar.xz, tar, zip); without it by the ending of the name. Without that either, read takes "
        "text, write takes text for text and JSON for the rest.",
    },
    "encoding": formats.ENCODING,
    "delimiter": formats.DELIMITER,
    "overwrite": {
        "type": "boolean",
        "description": "Whether what is at the target is replaced. Without it a file is, a folder with something in it "
        "is not; one that is replaced is gone for a moment.",
    },
    "parents": {
        "type": "boolean",
        "default": False,
        "description": "Whether folders above the target are made where they are missing.",
    },
    "recursive": {
        "type": "boolean",
        "default": False,
        "description": "Whether remove takes a folder with all that lies in it.",
    },
    "missing_ok": {
        "type": "boolean",
        "default": False,
        "description": "Whether remove is content where there is nothing.",
    },
    "follow_symlinks": {
        "type": "boolean",
        "default": True,
        "description": "Whether `path` may be a symbolic link that is followed; if not, stat and exists look at the "
        "link itself and the others refuse it. move and remove always take the link itself, links inside folders are "
        "never followed (copy and tar keep them as links, glob lists them), and a link at the target is replaced.",
    },
    "pattern": {
        "type": "string",
        "minLength": 1,
        "default": "*",
        "examples": ["**/*.csv"],
        "description": "What glob looks for in the folder: `*`, `?` and `[…]` in names, `**` for any depth; a hidden "
        "name is found only by a pattern with a dot. The output is a list of `{path, name, type, size, modified, "
        "mode}` in the order of the paths.",
    },
    "algorithm": {"enum": list(_ALGORITHMS), "default": "sha256", "description": "How checksum computes it."},
    "expected": {"type": "string", "minLength": 1, "description": "Checksum in hex that the file must have."},
    "mode": {
        "type": "string",
        "pattern": "^[0-7]{3,4}$",
        "examples": ["0640"],
        "description": "Permissions of a written file in octal; without it as the worker's umask has it.",
    },
    "max_bytes": {
        "type": "integer",
        "minimum": 0,
        "description": f"Most bytes that read takes (without it {files.MAX_BYTES:,}), or that extract takes out "
        f"({_MOST_BYTES:,}).",
    },
    "max_files": {
        "type": "integer",
        "minimum": 0,
        "default": MAX_FILES,
        "description": "Most files and folders that extract takes out, or that glob lists.",
    },
}


def _of(name: str, operation: Operation) -> Fields:
    """Write what holds for one operation: a field that says nothing to it is a mistake."""
    known = {"operation", "path", *operation.required, *operation.optional}
    properties: Fields = {field: False for field in _FIELDS if field not in known}
    if name == "archive":
        properties["format"] = {"enum": list(formats.ARCHIVES)}
    elif "format" in known:
        properties["format"] = {"enum": list(formats.FORMATS)}
    if name != "archive":
        properties["path"] = _PATH
    required = [*operation.required]
    return {
        "if": {"properties": {"operation": {"const": name}}, "required": ["operation"]},
        "then": {"properties": properties, "required": required},
    }


PARAM_SCHEMA = {
    "type": "object",
    "properties": _FIELDS,
    "allOf": [_of(name, operation) for name, operation in OPERATIONS.items()],
    "additionalProperties": False,
    "examples": [
        {"operation": "copy", "path": "today.csv", "to": "archive/", "parents": True},
        {"operation": "archive", "path": ["today.csv", "notes"], "to": "today.tar.gz"},
        {"operation": "glob", "path": "archive", "pattern": "**/*.csv"},
    ],
}
