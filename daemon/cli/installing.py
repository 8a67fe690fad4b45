"""What a unit of this installation must say, where it belongs, and whether the file there is ours to replace.

Owns the mark by which a unit is known as written here and unchanged since. Called by `dropmill service`.
"""

import hashlib
import os
import pwd
import shlex
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path

import click

from daemon.cli import unit
from daemon.config import Config, load
from daemon.config.locations import SYSTEM_FILE, absolute, find_file, user_file

_SYSTEM_UNIT = Path("/etc/systemd/system/dropmill.service")
_MADE_BY_SYSTEMD = (Path("/var/lib") / unit.FOLDER_NAME, Path("/var/log") / unit.FOLDER_NAME)
_MARK = "# Written by `dropmill service install`; put changes into a drop-in (systemctl edit dropmill). sha256 "
_UNIT_MODE = 0o644


class Standing(StrEnum):
    """What the file of a unit is to us."""

    ABSENT = "absent"
    OURS = "ours"
    CHANGED = "changed"
    FOREIGN = "foreign"


class Installation:
    """Hold the unit of this installation: `file` is where it belongs, `text` what it says, `config` its settings."""

    def __init__(self, environ: Mapping[str, str], named: Path | None, *, is_user: bool) -> None:
        """Read the settings that the daemon will run with: the ones named, else the system's or the person's own.

        Raises ConfigInvalidError, and ClickException where the program is not installed.
        """
        self.is_user = is_user
        self.file = _unit_file(environ, is_user=is_user)
        self.config, is_usual = _config_file(environ, named, is_user=is_user)
        self.needs_config = is_usual and not os.path.lexists(self.config)
        settings = None if self.needs_config else load(self.config, environ)
        self.place = _place(self.config, settings, is_user=is_user)
        self.text = _marked(unit.for_person(self.place) if is_user else unit.for_system(self.place))

    def write(self) -> bool:
        """Put the unit where it belongs; return False if exactly this stood there already.

        Raises ClickException if what stands there was not written here, or was changed by hand.
        """
        standing = standing_of(self.file)
        refuse_if_not_ours(self.file, standing)
        if standing is Standing.OURS and self.file.read_text(encoding="utf-8") == self.text:
            return False
        self.file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.file.with_name(f".{self.file.name}.tmp")
        fresh.write_text(self.text, encoding="utf-8")
        fresh.chmod(_UNIT_MODE)
        fresh.replace(self.file)
        return True

    def next_commands(self) -> Iterator[str]:
        """Say what is left to do, as commands for a shell, in their order."""
        if not self.is_user and not _has_account():
            yield (
                "useradd --system --user-group --no-create-home "
                f"--home-dir /var/lib/{unit.FOLDER_NAME} --shell /usr/sbin/nologin {unit.ACCOUNT}"
            )
        if self.needs_config:  # an empty file: every setting has its default
            yield f"install -D -m 0644 /dev/null {shlex.quote(str(self.config))}"
        for folder in (*self.place.writes, *self.place.hidden_writes):
            yield from _handing_over(folder)
        control = "systemctl --user" if self.is_user else "systemctl"
        yield f"{control} daemon-reload"
        yield f"{control} enable dropmill"
        yield f"{control} restart dropmill"
        if self.is_user:
            yield "loginctl enable-linger"


def unit_file(environ: Mapping[str, str], *, is_user: bool) -> Path:
    """Return where the unit of the daemon belongs."""
    return _unit_file(environ, is_user=is_user)


def standing_of(file: Path) -> Standing:
    """Tell what the file of a unit is to us."""
    try:
        mark, _, rest = file.read_text(encoding="utf-8", errors="replace").partition("\n")
    except FileNotFoundError:
        return Standing.ABSENT
    if not mark.startswith(_MARK):
        return Standing.FOREIGN
    return Standing.OURS if mark == _mark(rest) else Standing.CHANGED


def refuse_if_not_ours(file: Path, standing: Standing) -> None:
    """Go on only where nothing is lost by replacing or removing the file.

    Raises ClickException that says what to do.
    """
    if standing is Standing.FOREIGN:
        raise click.ClickException(f"{file} was not written by `dropmill service install`; move it away first")
    if standing is Standing.CHANGED:
        raise click.ClickException(
            f"{file} was changed by hand; move the changes into a drop-in (systemctl edit dropmill) and the file away"
        )


def _unit_file(environ: Mapping[str, str], *, is_user: bool) -> Path:
    if not is_user:
        return _SYSTEM_UNIT
    # Beside dropmill/dropmill.toml: systemd and we look for a person's files in the same place.
    return user_file(environ).parents[1] / "systemd" / "user" / _SYSTEM_UNIT.name


def _config_file(environ: Mapping[str, str], named: Path | None, *, is_user: bool) -> tuple[Path, bool]:
    """Return the configuration to run with, and whether it is the usual one, which may not be there yet."""
    chosen = str(named) if named else environ.get("DROPMILL_CONFIG")
    if chosen:
        return absolute(chosen, Path.cwd()), False
    if not is_user:
        return SYSTEM_FILE, True
    found = find_file(environ, Path.cwd())
    return (user_file(environ), True) if found is None or found == SYSTEM_FILE else (found, False)


def _place(file: Path, config: Config | None, *, is_user: bool) -> unit.Place:
    grace = unit.SHIPPED.grace if config is None else config.executor.grace
    if is_user:
        return unit.Place(_program(), file, grace)
    writes = [] if config is None else [path for path in _written(config) if not _is_below(path, _MADE_BY_SYSTEMD)]
    reads = [*_code(), file.parent, *([] if config is None else _read(config))]
    _refuse_odd([path for path in (*reads, *writes) if _is_below(path, unit.HIDDEN)])
    return unit.Place(
        _program(),
        file,
        grace,
        writes=_outermost(path for path in writes if not _is_below(path, unit.HIDDEN)),
        hidden=_outermost(path for path in reads if _is_below(path, unit.HIDDEN)),
        hidden_writes=_outermost(path for path in writes if _is_below(path, unit.HIDDEN)),
    )


def _refuse_odd(hidden: Iterable[Path]) -> None:
    """Refuse what would open a whole home to the service, and what systemd cannot read."""
    for path in hidden:
        if path.parent in unit.HOMES or path in unit.HIDDEN:
            raise click.ClickException(
                f"the service would have to see all of {path}: move the configuration and its folders into a folder of "
                "their own, such as /etc/dropmill, or use --user"
            )
        if ":" in str(path):
            raise click.ClickException(f"{path} cannot be opened to the service: a colon parts two paths for systemd")


def _program() -> Path:
    program = Path(sysconfig.get_path("scripts")) / "dropmill"
    if not os.access(program, os.X_OK):
        raise click.ClickException(
            f"{program} is missing: a service needs Dropmill installed (make run, or pip install)"
        )
    return program


def _code() -> list[Path]:
    """List where the interpreter, the libraries and our own code are."""
    return [Path(sys.prefix), Path(sys.base_prefix), Path(__file__).parents[2]]


def _written(config: Config) -> list[Path]:
    paths = config.paths
    routes = [route.path for route in config.routes]
    further = [inbox.path for inbox in config.inboxes.values()]
    folder = config.executor.working_directory
    return [paths.inbox, paths.state, paths.logs, *routes, *further, *([folder] if folder else [])]


def _read(config: Config) -> list[Path]:
    folder = config.secrets.folder
    files = config.secrets.files.values()
    return [*config.paths.workflows, *config.paths.plugins, *([folder] if folder else []), *files]


def _outermost(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Leave out paths that lie in another one."""
    kept: list[Path] = []
    for path in sorted(set(paths)):
        if not _is_below(path, kept):
            kept.append(path)
    return tuple(kept)


def _is_below(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _has_account() -> bool:
    try:
        pwd.getpwnam(unit.ACCOUNT)
    except KeyError:
        return False
    return True


def _handing_over(folder: Path) -> Iterator[str]:
    """Make a folder, or give it, to the account: systemd does that only for its own."""
    name = shlex.quote(str(folder))
    if not folder.exists():
        yield f"install -d -m 0750 -o {unit.ACCOUNT} -g {unit.ACCOUNT} {name}"
    elif not _has_account() or folder.stat().st_uid != pwd.getpwnam(unit.ACCOUNT).pw_uid:
        yield f"chown -R {unit.ACCOUNT}: {name}"


def _mark(text: str) -> str:
    return _MARK + hashlib.sha256(text.encode()).hexdigest()


def _marked(text: str) -> str:
    return f"{_mark(text)}\n{text}"
