"""`dropmill pause`: no further task of a run, or of any, starts until `resume`."""

import click

from daemon.cli import completing, invocation
from daemon.cli.invocation import Invocation


@click.command("pause")
@click.argument("run", metavar="[RUN]", required=False, shell_complete=completing.runs)
@click.option("--message", "--reason", "message", default="", metavar="TEXT", help="Why; `status` shows it.")
@invocation.options()
@click.pass_obj
def command(call: Invocation, /, *, run: str | None, message: str) -> None:
    """Let no further task of RUN, or of any, start until `resume`, also after a restart.

    What runs goes on, and so do timeouts and deadlines. RUN is an id, a beginning or an end of it that fits no other,
    or `last`. Without RUN the daemon pauses; where there is none, the next one starts paused.
    """
    import getpass

    from daemon import holding
    from daemon.cli import pausing

    message = message.strip()
    if run is not None:
        found = pausing.of_run(call.config_in_force, run, "pause", message)
        how = f"has ended meanwhile ({found['state']})" if found["ended_at"] else f"is paused by {found['message']}"
        call.out.line(f"run {found['id']} of {found['workflow']} {how}")
        return
    reason = message or f"{getpass.getuser()} paused it"
    if pausing.asked(call.config_in_force, "/api/v1/pause", {"reason": reason}):
        call.out.line(f"Paused: {reason}. What runs goes on; `dropmill resume` lets tasks start again.")
    else:
        holding.write(call.config_in_force.paths.state, reason)
        call.out.line(f"No daemon answers; the next one starts paused: {reason}")
