"""The files of a configuration: the TOML file itself and the `schedules.d/*.toml` beside it, parsed into one draft.

Every way in which a file can be unreadable is a problem of the draft. Called by `loading` and `schedulefiles`.
"""

import re
import stat
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from daemon.config.draft import Draft, File, spoken
from daemon.config.places import Key, Place, locate
from daemon.config.reader import near
from engine.problems import pointer
from engine.redaction import escape_controls

SCHEDULES_FOLDER = "schedules.d"
_LARGEST = 16 * 1024 * 1024  # bytes, as much as a document may have: 10,000 schedules are one
_TOML_ERROR = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)
_HINTS = {
    "Cannot overwrite": "Each key stands once in its table",
    "Cannot declare": "Each table stands once; [[name]] begins one more of several",
    "Invalid value": 'Text stands in quotes: key = "text"',
    "Invalid statement": "A line is a [section], or key = value",
}


class FileFaultError(Exception):
    """A file cannot be read as TOML: the parts of the problem that says so."""

    def __init__(self, code: str, message: str, hint: str | None = None, place: Place | None = None) -> None:
        """Keep the parts; `place` is line and column, from 1."""
        super().__init__(message)
        self.code, self.message, self.hint, self.place = code, message, hint, place


def gather(path: Path | None, folder: Path) -> Draft:
    """Read the file, if there is one, and the schedules in `folder`/schedules.d into one draft."""
    draft = Draft()
    if path:
        main = File(_shown(path))
        try:
            text = read_text(path)
            tree = parse(text)
            draft = Draft(msgspec.structs.replace(main, places=_places(text)), tree)
        except FileFaultError as fault:
            draft = Draft(main)
            draft.complain_of_file(main, fault.code, fault.message, fault.hint, place=fault.place)
    for number, extra in enumerate(_schedule_files(draft, folder / SCHEDULES_FOLDER), start=1):
        _add(draft, extra, number)
    return draft


def remains(path: Path) -> dict[str, Any]:
    """Return what can be read of a file that may not be TOML: what stands before its first fault."""
    try:
        text = read_text(path)
    except FileFaultError:
        return {}
    while True:
        try:
            return parse(text)
        except FileFaultError as fault:
            before = fault.place[0] - 1 if fault.place else 0
            kept = text.splitlines(keepends=True)[:before]
            if not kept:
                return {}
            text = "".join(kept)


def read_text(path: Path) -> str:
    """Read a regular file as UTF-8, a byte-order mark and carriage returns left out.

    Raises FileFaultError.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a FIFO would wait for ever
            raise FileFaultError(
                "unreadable_file", f"{_shown(path)} is not a regular file", "Name a TOML file with --config"
            )
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except FileNotFoundError:
        hint = "Write one with `dropmill init`, or name another with --config"
        raise FileFaultError("unreadable_file", f"the file {_shown(path)} does not exist", hint) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise FileFaultError("unreadable_file", f"the file {_shown(path)} cannot be read: {reason}") from None
    if len(data) > _LARGEST:
        raise FileFaultError("unreadable_file", f"the file {_shown(path)} is larger than {_LARGEST >> 20} MiB")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", "replace")
        place = (before.count("\n") + 1, len(before) - before.rfind("\n"))
        message = f"the byte 0x{data[error.start]:02x} is not UTF-8"
        raise FileFaultError("toml_syntax", message, "Save the file in UTF-8", place) from None


def parse(text: str) -> dict[str, Any]:
    """Parse TOML.

    Raises FileFaultError with line and column.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _TOML_ERROR.fullmatch(str(error))
        message = found[1] if found else str(error)
        place = (int(found[2]), int(found[3])) if found and found[2] else _end(text)
        hint = next((hint for start, hint in _HINTS.items() if message.startswith(start)), None)
        raise FileFaultError("toml_syntax", f"this is not TOML: {_lowered(message)}", hint, place) from None
    except RecursionError:
        raise FileFaultError("toml_syntax", "tables or lists are nested too deep to be read") from None
    except ValueError as error:  # a number of thousands of digits
        raise FileFaultError("toml_syntax", f"this is not TOML: {_lowered(str(error))}") from None


def _schedule_files(draft: Draft, folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".toml" and not path.name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        if isinstance(error, NotADirectoryError) and not folder.exists():
            return []  # it is the main file's folder that is none
        message = f"the folder {_shown(folder)} cannot be read: {(error.strerror or str(error)).lower()}"
        draft.complain_of_file(File(""), "unreadable_file", message, place=None)
        return []


def _add(draft: Draft, path: Path, number: int) -> None:
    file = File(f"{SCHEDULES_FOLDER}/{_shown(path.name)}", number)
    try:
        text = read_text(path)
        tree, file = parse(text), msgspec.structs.replace(file, places=_places(text))
    except FileFaultError as fault:
        draft.complain_of_file(file, fault.code, fault.message, fault.hint, place=fault.place)
        return
    for name in tree.keys() - {"schedules"}:
        hint = near(name, ["schedules"], ("schedules",))
        place = file.places.get((name,))
        message = f"`{spoken(name)}` cannot stand here: a file of schedules.d holds [[schedules]] only"
        draft.complain_of_file(file, "unknown_key", message, hint, place=place, at=pointer((name,)))
    entries = tree.get("schedules", [])
    if isinstance(entries, list):
        draft.add_schedules(file, entries)
    else:
        message = "`schedules` is not a list of tables"
        place = file.places.get(("schedules",))
        draft.complain_of_file(file, "bad_value", message, "Begin each with [[schedules]]", place=place)


def _places(text: str) -> dict[Key, Place]:
    try:
        return locate(text)
    except (ValueError, IndexError, RecursionError):  # a problem without its line is better than no problem
        return {}


def _shown(path: Path | str) -> str:
    """Write a path so that no byte of it can hurt a line or a terminal."""
    return escape_controls(str(path)).replace("\n", "\\n")


def _end(text: str) -> Place:
    return (text.count("\n") + 1, len(text) - text.rfind("\n"))


def _lowered(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
