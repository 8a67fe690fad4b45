"""Schedules that the command line writes: one file each in schedules.d, never one that a person wrote or changed.

A file of ours says so in its first line, with a digest of the rest: once it was changed by hand it is no longer ours.
"""

import errno
import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daemon.config.checks import check
from daemon.config.draft import Draft
from daemon.config.reader import Reader
from daemon.config.schedule import Schedule
from daemon.config.settings import Config
from daemon.config.sources import SCHEDULES_FOLDER, FileFaultError, read_text
from engine.errors import ConfigInvalidError, Problem
from engine.problems import meant, quoted

_MARK = "# Written by `dropmill schedule add` ({digest}); `dropmill schedule remove {name}` takes it away.\n"
_MODE = 0o644  # the daemon may be another user than the one who adds


def add_schedule(config: Config, table: Mapping[str, Any]) -> Path:
    """Write a schedule, as it would stand in a [[schedules]] table, into a file of its own, durably; return the file.

    Raises ConfigInvalidError with everything that is wrong with it, its name being taken included.
    """
    schedule = _checked(config, table)
    holder = _holder(config, schedule.name)
    if holder is not None:
        hint = f"Remove it first: dropmill schedule remove {schedule.name}"
        raise _refusal(
            "duplicate_schedule", f"the schedule {quoted(schedule.name)} is there already, in {holder}", hint
        )
    folder = config.loaded.folder / SCHEDULES_FOLDER
    file = folder / f"{schedule.name}.toml"
    try:
        _make_folder(folder)
        _write_new(file, _text(schedule.name, table))
    except FileExistsError:
        hint = "Give the schedule another name, or move that file away"
        raise _refusal("foreign_file", f"the file {file} is there already, and holds something else", hint) from None
    except OSError as error:
        raise _refusal("unwritable_file", f"the file {file} cannot be written: {_reason(error)}") from None
    return file


def remove_schedule(config: Config, name: str) -> Path:
    """Delete the file of a schedule that `add_schedule` wrote, durably; return what it was.

    Raises ConfigInvalidError for an unknown name and for a file that a person wrote or changed.
    """
    holder = _holder(config, name)
    if holder is None:
        names = [schedule.name for schedule in config.schedules]
        hint = meant(name, names) or "`dropmill schedules` lists them"
        raise _refusal("unknown_schedule", f"no schedule is called {quoted(name)}", hint)
    file = config.loaded.folder / SCHEDULES_FOLDER / f"{name}.toml"
    if not holder.startswith(f"{SCHEDULES_FOLDER}/{name}.toml:") or not _is_ours(file, name):
        message = f"the schedule {quoted(name)} stands in {holder}, which a person wrote or changed"
        raise _refusal("foreign_file", message, "Take it out of there by hand, or set `enabled = false`")
    try:
        file.unlink()
        _sync_folder(file.parent)
    except OSError as error:
        raise _refusal("unwritable_file", f"the file {file} cannot be removed: {_reason(error)}") from None
    return file


def _checked(config: Config, table: Mapping[str, Any]) -> Schedule:
    """Read the one table with the rules of a whole configuration."""
    draft = Draft(tree={"schedules": [dict(table)]})
    reader = Reader(draft, Path, {})
    (schedule,) = reader.read().get("schedules") or (None,)
    check(draft, reader.built, config.paths)
    if draft.problems or not isinstance(schedule, Schedule):
        raise ConfigInvalidError(draft.problems, "of the new schedule")
    return schedule


def _holder(config: Config, name: str) -> str | None:
    """Say where a schedule stands, as file and line or as environment variable; None if there is none of this name."""
    for number, schedule in enumerate(config.schedules):
        if schedule.name == name:
            return str(config.loaded.origins[f"schedules[{number}].name"])
    return None


def _text(name: str, table: Mapping[str, Any]) -> str:
    import tomli_w  # noqa: PLC0415 -- only this function of the configuration pays for it

    body = tomli_w.dumps({"schedules": [dict(table)]})
    return _MARK.format(digest=_digest(body), name=name) + body


def _is_ours(file: Path, name: str) -> bool:
    try:
        first, newline, body = read_text(file).partition("\n")
    except FileFaultError:
        return False
    return first + newline == _MARK.format(digest=_digest(body), name=name)


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, "schedules.d is not a folder") from error


def _write_new(file: Path, text: str) -> None:
    """Make a file that is there completely or not at all, and never in the place of another."""
    descriptor, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=file.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fchmod(stream.fileno(), _MODE)
            os.fsync(stream.fileno())
        os.link(name, file)  # unlike a rename it does not replace what somebody else just made
    finally:
        Path(name).unlink()
    _sync_folder(file.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refusal(code: str, message: str, hint: str | None = None) -> ConfigInvalidError:
    return ConfigInvalidError([Problem(code=code, message=message, hint=hint)])


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
