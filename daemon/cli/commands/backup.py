"""`dropmill backup`: a copy of the memory as it is at one moment, made beside a running daemon."""

import contextlib
import os
import shutil
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.cli import invocation
from daemon.cli.invocation import Invocation

if TYPE_CHECKING:
    from daemon.config import Config


@click.command("backup")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@invocation.options()
@click.pass_obj
def command(call: Invocation, *, file: Path) -> None:
    """Copy the history into FILE, as it is at one moment; the daemon may go on meanwhile.

    FILE must not be there yet. Large outputs are copied into FILE.values beside it. To restore, stop the daemon and put
    both in the place of state.db and values in the state folder. Logs and the inbox are files: copy them as such.
    """
    from daemon.whereabouts import values_folder
    from engine.errors import InputError

    source = _database(call.config)
    values = file.with_name(file.name + ".values")
    for path in (file, values):
        if os.path.lexists(path):
            raise InputError(f"{path} is there already; name a file that is not")
    try:
        size = _copy(source, file)
        count = _copy_values(values_folder(call.config), values)
    except (OSError, sqlite3.Error) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise InputError(f"the backup {file} cannot be made: {reason.lower()}") from None
    more = f", and {count:,} large outputs in {values}" if count else ""
    call.out.line(f"Wrote {file} ({size:,} bytes){more}")


def _database(config: "Config") -> Path:
    from daemon.whereabouts import database_url
    from engine.database import file_of
    from engine.errors import InputError

    file = file_of(database_url(config))
    if file is None:
        raise InputError("the history is in a database server (history.url); use its own tool, such as pg_dump")
    if not Path(file).exists():
        raise InputError(f"there is no history yet at {file}")
    return Path(file)


def _copy(source: Path, target: Path) -> int:
    """Write a copy that is there whole or not at all; return its size in bytes."""
    hidden = target.with_name(f".{target.name}.tmp")
    hidden.unlink(missing_ok=True)
    # Only its owner may read it, as the original; the copy goes into the empty file.
    os.close(os.open(hidden, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    try:
        with contextlib.closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("VACUUM INTO ?", (str(hidden),))
        with hidden.open("rb") as file:
            os.fsync(file.fileno())
        os.link(hidden, target)  # unlike a rename it does not replace what somebody else just made
    finally:
        hidden.unlink(missing_ok=True)
    _sync(target.parent)
    return target.stat().st_size


def _copy_values(source: Path, target: Path) -> int:
    """Copy every large output that is there; one deleted meanwhile is one that no row of the copy needs for long."""
    count = 0
    for path in sorted(source.rglob("*")) if source.is_dir() else ():
        if path.is_file():
            goal = target / path.relative_to(source)
            goal.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                shutil.copy2(path, goal)
                count += 1
    return count


def _sync(folder: Path) -> None:
    from engine.values import sync_folder

    sync_folder(folder)
