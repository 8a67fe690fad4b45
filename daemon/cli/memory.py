"""What is remembered, for commands that only read: works without a daemon, beside one, and where nothing is yet.

Finds the run a person means, and tells whether anybody runs it now. Called by `runs`, `show`, `logs` and completion.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from daemon.cli.output import Output
from daemon.config import Config
from daemon.ownership import owner_of
from daemon.whereabouts import database_file, database_url, values_folder
from engine.errors import InputError, RunUnknownError
from engine.states import ENDED, State

if TYPE_CHECKING:
    from engine.history import History
    from engine.views import RunView

LAST = "last"
_WIDE = 110
_SHORT = 8  # characters at the end of an id: its beginning is the time and looks like that of its neighbours
ORPHANED = "nobody runs it now: the process that did is gone; the next `dropmill serve` takes it up"


def is_there(config: Config) -> bool:
    """Tell whether anything can be remembered; where not, a command spares itself the slow import of `history`."""
    return config.history.url is not None or database_file(config).exists()


@contextlib.contextmanager
def opened(config: Config) -> "Iterator[History]":
    """Open the history of these settings; nothing is made where there is none."""
    from engine.history import History
    from engine.values import Values

    history = History(database_url(config), values=Values(values_folder(config)))
    try:
        yield history
    finally:
        history.close()


def expect(config: Config, name: str) -> None:
    """Raise what `find` and `history` would raise, without asking them, where nothing is remembered yet."""
    if not is_there(config):
        raise _nothing_yet() if name == LAST else RunUnknownError(name)


def find(history: "History", name: str) -> str:
    """Return what `history` knows a run by: the id of the newest that none called for `last`, else the name as given.

    Raises InputError where `last` is asked for and there is no run yet.
    """
    if name != LAST:
        return name
    newest = history.runs(limit=1, with_called=False)
    if not newest:
        raise _nothing_yet()
    return newest[0].id


def is_owned(config: Config) -> bool:
    """Tell whether a process owns the state folder, and so its runs that have not ended.

    Ask before and after reading a run: who is gone both times did not end it in between.
    """
    return owner_of(config.paths.state) is not None


def has_ended(run: "RunView") -> bool:
    """Tell whether a run has."""
    return State(run.state) in ENDED


def shown_id(out: Output, run: str) -> str:
    """Return an id as it is shown: whole in a pipe and where there is room, else its end, which finds it as well."""
    return run[-_SHORT:] if out.is_terminal and out.console.width < _WIDE else run


def trigger_of(trigger: Mapping[str, Any], *, is_short: bool = False) -> str:
    """Write a trigger for a person: its type, and the schedule, file or run that it was; short, a file by its name."""
    detail = next((str(trigger[key]) for key in ("name", "file", "path", "run", "user") if trigger.get(key)), "")
    return f"{trigger.get('type', '?')} {detail.rpartition('/')[2] if is_short else detail}".rstrip()


def _nothing_yet() -> InputError:
    return InputError("no run is recorded yet; `dropmill run FILE` makes one")
