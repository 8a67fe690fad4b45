"""`dropmill drain`: the daemon ends when its work is done."""

import click

from daemon.cli import invocation
from daemon.cli.invocation import Invocation


@click.command("drain")
@invocation.options()
@click.pass_obj
def command(call: Invocation, /) -> None:
    """Let the daemon take nothing new, finish the runs that live, and stop.

    Dropped files stay in the inbox for the next one. SIGTERM is for who cannot wait for the runs.
    """
    from daemon.cli.calling import Daemon
    from daemon.cli.counting import counted

    daemon = Daemon(call.config_in_force)
    daemon.post("/api/v1/drain")
    live = sum(daemon.get("/api/v1/status")["runs"].values())
    call.out.line(f"It takes nothing new and stops when {counted(live, 'live run')} ended." if live else "It stops.")
