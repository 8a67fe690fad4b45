"""What lies in folders, by pattern: `*`, `?` and `[…]` in names, `**` for any depth, in the order of the paths.

A link is listed as a link and never followed; a hidden name is found only by a pattern that begins with a dot.
Called by file and wait_for.
"""

import os
import re
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from fnmatch import translate
from pathlib import Path
from typing import Any

from plugins._parts.data import DataError

MAX_FILES = 10_000
_SPECIAL = re.compile(r"[*?\[]")
_KINDS = ((stat.S_ISREG, "file"), (stat.S_ISDIR, "folder"), (stat.S_ISLNK, "link"))


def is_pattern(path: str) -> bool:
    """Tell whether a path holds what stands for other characters."""
    return _SPECIAL.search(path) is not None


def split(path: str) -> tuple[str, str]:
    """Split a path with a pattern into the folder before the first special part, and the pattern under it."""
    parts = Path(path).parts
    first = next(at for at, part in enumerate(parts) if is_pattern(part))
    return str(Path(*parts[:first])), "/".join(parts[first:])


def matches(folder: str, pattern: str, most: int) -> list[dict[str, Any]]:
    """Describe everything under a folder whose path from there matches; raise DataError for more than `most`.

    Folders that cannot be read raise OSError, those that vanish meanwhile hold nothing.
    """
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    if ".." in parts or not parts or pattern.startswith("/"):
        raise DataError(f"{pattern!r} is no pattern for what lies in a folder; `..` and a leading `/` are not allowed")
    found: dict[str, dict[str, Any]] = {}
    for path in _walk(folder, parts):
        if path not in found:
            described = describe(path)
            if described is not None:
                found[path] = described
            if len(found) > most:
                raise DataError(f"more than {most:,} match {pattern!r} in {folder}; set `max_files` or narrow it")
    return [found[path] for path in sorted(found)]


def _walk(folder: str, parts: list[str]) -> Iterator[str]:
    head, rest = parts[0], parts[1:]
    if head == "**":
        # No folder at all, or one more of them.
        if rest:
            yield from _walk(folder, rest)
        for path, is_folder in _entries(folder, re.compile(r"[^.]")):
            if not rest:
                yield path
            if is_folder:
                yield from _walk(path, parts)
        return
    name = re.compile(translate(head)) if head.startswith(".") else re.compile(rf"(?!\.){translate(head)}")
    for path, is_folder in _entries(folder, name):
        if not rest:
            yield path
        elif is_folder:
            yield from _walk(path, rest)


def _entries(folder: str, name: re.Pattern[str]) -> list[tuple[str, bool]]:
    try:
        with os.scandir(folder) as entries:
            return [
                (str(Path(folder, entry.name)), entry.is_dir(follow_symlinks=False))
                for entry in entries
                if name.match(entry.name)
            ]
    except FileNotFoundError:
        return []


def describe(path: str, *, follow: bool = False) -> dict[str, Any] | None:
    """Describe what is at a path: `{path, name, type, size, modified, mode}`; None where there is nothing."""
    try:
        found = Path(path).stat(follow_symlinks=follow)
    except (FileNotFoundError, NotADirectoryError):
        return None
    modified = datetime.fromtimestamp(found.st_mtime_ns // 1000 / 1_000_000, UTC)
    return {
        "path": path,
        "name": Path(path).name,
        "type": next((word for is_kind, word in _KINDS if is_kind(found.st_mode)), "other"),
        "size": found.st_size,
        "modified": modified.isoformat().replace("+00:00", "Z"),
        "mode": f"{stat.S_IMODE(found.st_mode):04o}",
    }
