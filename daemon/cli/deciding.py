"""A decision as it is handed to the daemon and told: what `approve` and `reject` have in common."""

from typing import Any, Literal
from urllib.parse import quote

from daemon.cli.calling import Daemon, of_run
from daemon.cli.invocation import Invocation
from daemon.cli.text import Styled

_DONE = {"approve": "approved", "reject": "rejected"}


def decide(
    call: Invocation,
    run: str,
    task: str,
    verb: Literal["approve", "reject"],
    wish: dict[str, Any],
    *,
    as_json: bool,
) -> None:
    """Tell the daemon what somebody decided, and the person that it is recorded."""
    path = of_run(run, "tasks", quote(task, safe="", errors="backslashreplace"), verb)
    found = Daemon(call.config_in_force).post(path, wish)
    if as_json:
        call.out.json(found)
    else:
        call.out.line(Styled(task, "head"), f" of run {found['id']} ({found['workflow']}) is {_DONE[verb]}")
