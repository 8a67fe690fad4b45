"""The one way in: from a path and an environment to a whole, checked Config, or to all that is wrong with it.

Called by every command and by the daemon's reload. Reads only the configuration itself: no secret, no workflow.
"""

from collections.abc import Mapping
from pathlib import Path

from daemon.config.checks import check
from daemon.config.draft import Draft, File
from daemon.config.environment import override
from daemon.config.locations import absolute, find_file, starting_folder, usual_paths
from daemon.config.reader import Reader
from daemon.config.settings import Config, Loaded, Paths
from daemon.config.sources import SCHEDULES_FOLDER, gather, remains
from engine.errors import ConfigInvalidError, Problem

MOST_PROBLEMS = 100


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Read the configuration: this file, or without a path the one that is found, or built-in defaults.

    `environ` says where to look ($DROPMILL_CONFIG, $HOME, $XDG_CONFIG_HOME, $XDG_STATE_HOME) and overrides single
    settings (DROPMILL__SECTION__KEY). Raises ConfigInvalidError with all problems, at most a hundred.
    """
    file = absolute(str(path), _here()) if path else find_file(environ, _here())
    folder = starting_folder(file, environ)
    draft = gather(file, folder)
    if draft.is_whole:  # else variables would be blamed for what is missing
        override(draft, environ)
    usual = usual_paths(file, environ)
    reader = Reader(draft, lambda text: absolute(text, folder, environ), {Paths: usual})
    sections = {"paths": usual} | reader.read()
    check(draft, reader.built, sections["paths"])
    if draft.problems:
        raise ConfigInvalidError(_shortened(draft.problems), str(file) if file else None)
    watched = (*([file] if file else []), folder / SCHEDULES_FOLDER)
    loaded = Loaded(file=file, folder=folder, watched=watched, origins=reader.origins)
    return Config(**sections, loaded=loaded)


def salvage(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Make what can be made of settings that are not sound: enough to find a daemon that goes on with earlier ones.

    What stands behind a fault of syntax is left out, and every section with a problem.
    """
    file = absolute(str(path), _here()) if path else find_file(environ, _here())
    folder = starting_folder(file, environ)
    draft = Draft(File(str(file or "")), remains(file) if file else {})
    override(draft, environ)
    usual = usual_paths(file, environ)
    reader = Reader(draft, lambda text: absolute(text, folder, environ), {Paths: usual})
    sections = {"paths": usual} | reader.read()
    return Config(**sections, loaded=Loaded(file=file, folder=folder, watched=(), origins=reader.origins))


def _here() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:  # somebody removed the folder that we stand in
        return Path("/")


def _shortened(problems: list[Problem]) -> list[Problem]:
    rest = len(problems) - MOST_PROBLEMS
    if rest <= 0:
        return problems
    return [*problems[:MOST_PROBLEMS], Problem(code="more_problems", message=f"and {rest} more problems")]
