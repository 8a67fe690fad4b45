"""Where a configuration is found, and where things are when it does not say.

Knows folders and environment variables, opens no file. Called by `loading`.
"""

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from daemon.config.settings import Paths

SYSTEM_FILE = Path("/etc/dropmill/dropmill.toml")


def find_file(environ: Mapping[str, str], folder: Path) -> Path | None:
    """Find the configuration when none is named: the first that is there; None when there is none.

    In this order: $DROPMILL_CONFIG (taken unseen), etc/dropmill.toml in `folder` (the current one),
    $XDG_CONFIG_HOME/dropmill/dropmill.toml (~/.config), /etc/dropmill/dropmill.toml.
    """
    named = environ.get("DROPMILL_CONFIG")
    if named:
        return absolute(named, folder)
    here = folder / "etc" / "dropmill.toml"
    if os.path.lexists(here):  # where we may not look, as after `sudo -u`, there is nothing for us
        return here
    return next((file for file in (user_file(environ), SYSTEM_FILE) if _is_there(file)), None)


def user_file(environ: Mapping[str, str]) -> Path:
    """Return where a person's own configuration is."""
    return _xdg(environ, "XDG_CONFIG_HOME", ".config") / "dropmill" / "dropmill.toml"


def starting_folder(file: Path | None, environ: Mapping[str, str]) -> Path:
    """Return the folder where relative paths start and schedules.d is: the file's, or $XDG_STATE_HOME/dropmill."""
    return file.parent if file else _state_home(environ)


def usual_paths(file: Path | None, environ: Mapping[str, str]) -> Paths:
    """Say which [paths] hold where none are set, all absolute; they follow from where the configuration is.

    For /etc/dropmill it is the layout of a service, in /var/lib/dropmill and /var/log/dropmill; for ~/.config/dropmill,
    and without a file, everything is in $XDG_STATE_HOME/dropmill (~/.local/state). Any other file is taken for the
    `etc/dropmill.toml` of a folder that holds all; where its folder is not called etc, that folder holds all itself.
    """
    folder = starting_folder(file, environ)
    workflows = folder / "workflows"
    if file is None or folder == user_file(environ).parent:
        state = _state_home(environ)
        return _paths(inbox=state / "inbox", state=state, logs=state / "log", workflows=workflows)
    if folder == SYSTEM_FILE.parent:
        state = Path("/var/lib/dropmill")
        return _paths(inbox=state / "inbox", state=state, logs=Path("/var/log/dropmill"), workflows=workflows)
    root = folder.parent if folder.name == "etc" else folder
    return _paths(inbox=root / "inbox", state=root / "var", logs=root / "var" / "log", workflows=workflows)


def absolute(path: str, folder: Path, environ: Mapping[str, str] | None = None) -> Path:
    """Make a path absolute from a folder; with an environment, `~/` is the home folder.

    `..` is resolved by name and not by what links point to: what a person reads is what is meant.
    """
    if environ is not None and (path == "~" or path.startswith("~/")):
        return Path(os.path.normpath(_home(environ) / path[2:]))
    return Path(os.path.normpath(folder / path))


def _paths(*, inbox: Path, state: Path, logs: Path, workflows: Path) -> Paths:
    return Paths(inbox=inbox, state=state, logs=logs, workflows=(workflows,), plugins=(state / "plugins",))


def _state_home(environ: Mapping[str, str]) -> Path:
    return _xdg(environ, "XDG_STATE_HOME", ".local/state") / "dropmill"


def _xdg(environ: Mapping[str, str], variable: str, usual: str) -> Path:
    named = Path(environ.get(variable, ""))
    return named if named.is_absolute() else _home(environ) / usual


def _home(environ: Mapping[str, str]) -> Path:
    if environ.get("HOME"):
        return Path(environ["HOME"])
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:  # a user that only a container runtime knows
        return Path("/")


def _is_there(file: Path) -> bool:
    try:
        file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # there, but not for us: reading it will say why
        return True
    return True
