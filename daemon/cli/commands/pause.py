"""`dropmill pause`: no further task starts until `resume`."""

import click

from daemon.cli import invocation
from daemon.cli.invocation import Invocation


@click.command("pause")
@click.option("--reason", default="", metavar="TEXT", help="Why; `status` shows it.")
@invocation.options()
@click.pass_obj
def command(call: Invocation, /, *, reason: str) -> None:
    """Let no further task start until `resume`, also after a restart; what runs goes on.

    Without a daemon the next one starts paused.
    """
    import getpass

    from daemon import holding
    from daemon.cli import pausing

    reason = reason.strip() or f"{getpass.getuser()} paused it"
    if pausing.asked(call.config, "/api/v1/pause", {"reason": reason}):
        call.out.line(f"Paused: {reason}. What runs goes on; `dropmill resume` lets tasks start again.")
    else:
        holding.write(call.config.paths.state, reason)
        call.out.line(f"No daemon answers; the next one starts paused: {reason}")
