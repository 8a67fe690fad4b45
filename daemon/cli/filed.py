"""What lies in the folders of the inboxes, as a person sees it, and files that go back to be taken again.

Called by `inbox`. Works with and without a daemon: a file that is renamed into an inbox is dropped, whoever does it.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from daemon.claims import CLAIMED, DONE, DUPLICATE, FAILED, REJECTED, moves, names
from daemon.config import Config
from engine.clock import rfc3339
from engine.errors import InputError, Problem
from engine.values import sync_folder

LAST_FOLDERS = (REJECTED, FAILED, DUPLICATE, DONE)
_NOTES = (names.ERROR, names.RESULT, names.RESULTS)
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_MOST_NOTE = 1 << 20


class _Note(msgspec.Struct):
    """What is read of a result or an error beside a file."""

    id: str = ""
    state: str = ""
    message: str = ""
    problems: tuple[Problem, ...] = ()


class Found(NamedTuple):
    """A file: in which inbox, in which of its folders ("" is the inbox itself), since when, and what is said of it."""

    inbox: Path
    folder: str
    path: Path
    at: float
    why: str

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        name = names.shown(self.path.name)
        return {"inbox": str(self.inbox), "folder": self.folder or "inbox", "file": name, "at": rfc3339(self.at)} | {
            "why": self.why
        }


def inboxes(config: Config) -> list[Path]:
    """List every folder that is dropped into."""
    further = [inbox.path for inbox in config.inboxes.values()]
    return list(dict.fromkeys([config.paths.inbox, *further, *(route.path for route in config.routes)]))


def find(config: Config, *, wants_done: bool) -> list[Found]:
    """List what waits, what is being worked on and what came to a bad end; what is done only if it is wanted."""
    folders = [folder for folder in ("", CLAIMED, *LAST_FOLDERS) if wants_done or folder != DONE]
    return [found for inbox in inboxes(config) for folder in folders for found in sorted(_in(inbox, folder), key=_age)]


def requeue(config: Config, name: str) -> Path:
    """Rename a filed document back into its inbox and take the note beside it away; return where it is.

    Raises InputError where there is none, or more than one, of this name.
    """
    places = [
        found
        for inbox in inboxes(config)
        for folder in LAST_FOLDERS
        for found in _in(inbox, folder)
        if name in (names.shown(found.path.name), str(found.path), f"{folder}/{names.shown(found.path.name)}")
    ]
    if not places:
        raise InputError(
            f"no file called {name!r} is in failed/, rejected/, duplicate/ or done/; `dropmill inbox ls` lists"
        )
    if len(places) > 1:
        raise InputError(
            f"{name!r} is there more than once: {', '.join(str(place.path) for place in places)}; give the path"
        )
    [found] = places
    target = found.inbox / found.path.name
    try:
        _move(found.path, target)
    except FileExistsError:
        raise InputError(f"{target} is there already; wait until it is taken") from None
    except OSError as error:
        raise InputError(f"{found.path} cannot be moved: {error.strerror or error}") from None
    for suffix in _NOTES:
        with contextlib.suppress(OSError):
            Path(f"{found.path}{suffix}").unlink()
    return target


def _move(path: Path, target: Path) -> None:
    source, goal = moves.open_folder(str(path.parent)), moves.open_folder(str(target.parent))
    try:
        moves.rename(source, path.name, goal, target.name)
    finally:
        os.close(source)
        os.close(goal)
    sync_folder(target.parent)
    sync_folder(path.parent)


def _in(inbox: Path, folder: str) -> Iterator[Found]:
    for path in _files(inbox / folder):
        if folder or names.is_ours(path.name):
            with contextlib.suppress(OSError):
                yield Found(inbox, folder, path, path.lstat().st_ctime, _why(path) if folder in LAST_FOLDERS else "")


def _files(folder: Path) -> Iterator[Path]:
    """Yield the documents in a folder and in its folders of days, without the notes beside them."""
    try:
        found = sorted(folder.iterdir())
    except OSError:
        return
    for path in found:
        if path.is_dir() and not path.is_symlink():
            if _DAY.fullmatch(path.name):
                yield from _files(path)
        elif not path.name.endswith(_NOTES):
            yield path


def _why(path: Path) -> str:
    """Read from the note beside a file what became of it."""
    for suffix in _NOTES:
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            with Path(f"{path}{suffix}").open("rb") as file:
                text = file.readline() if suffix == names.RESULTS else file.read(_MOST_NOTE)
            note = msgspec.json.decode(text, type=_Note, strict=False)
            first = note.problems[0].message if note.problems else ""
            run = f"run {note.id}: " if note.id else ""
            return f"{run}{first or note.message or note.state}"
    return ""


def _age(found: Found) -> float:
    return found.at
