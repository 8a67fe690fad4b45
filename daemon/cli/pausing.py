"""A wish that the daemon fulfils if there is one, and that can be fulfilled without one too; a pause of one run cannot.

Called by the commands that change what lies in the state folder: `pause`, `resume`, `schedule`, `prune`.
"""

from typing import Any

from daemon.cli import calling
from daemon.cli.calling import Daemon
from daemon.config import Config
from daemon.ownership import owner_of
from engine.errors import DaemonAbsentError
from engine.values import make_folder


def asked(config: Config, path: str, wish: dict[str, Any]) -> bool:
    """Ask the daemon; False if there is none, and the state folder is there then to be written to.

    Raises DaemonAbsentError if there is one that does not answer, and what the daemon refuses.
    """
    try:
        Daemon(config).post(path, wish)
    except DaemonAbsentError:
        owner = owner_of(config.paths.state)
        if owner is not None and owner.kind == "daemon":
            raise
        make_folder(config.paths.state)
        return False
    return True


def of_run(config: Config, run: str, verb: str, message: str) -> Any:
    """Have one run paused or resumed, and return it; raises as `Daemon.post` does."""
    return Daemon(config).post(calling.of_run(run, verb), {"message": message} if message else {})
