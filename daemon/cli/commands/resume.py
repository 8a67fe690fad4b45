"""`dropmill resume`: tasks start again after `pause`."""

import click

from daemon.cli import completing, invocation
from daemon.cli.invocation import Invocation


@click.command("resume")
@click.argument("run", metavar="[RUN]", required=False, shell_complete=completing.runs)
@click.option("--message", default="", metavar="TEXT", help="Why; it is kept with the run.")
@invocation.options()
@click.pass_obj
def command(call: Invocation, /, *, run: str | None, message: str) -> None:
    """Let tasks of RUN, or of all, start again after `pause`.

    RUN is an id, a beginning or an end of it that fits no other, or `last`. Without RUN the daemon goes on, and a run
    that was paused by itself stays so; where there is no daemon, the next one does not start paused.
    """
    from daemon import holding
    from daemon.cli import pausing

    if run is not None:
        found = pausing.of_run(call.config_in_force, run, "resume", message.strip())
        call.out.line(f"run {found['id']} of {found['workflow']} goes on")
        return
    if message:
        raise click.UsageError("--message needs a RUN")
    if pausing.asked(call.config_in_force, "/api/v1/resume", {}):
        call.out.line("Tasks start again.")
    else:
        holding.clear(call.config_in_force.paths.state)
        call.out.line("No daemon answers; the next one does not start paused.")
