"""`dropmill resume`: tasks start again after `pause`."""

import click

from daemon.cli import invocation
from daemon.cli.invocation import Invocation


@click.command("resume")
@invocation.options()
@click.pass_obj
def command(call: Invocation, /) -> None:
    """Let tasks start again after `pause`; without a daemon, the next one does not start paused."""
    from daemon import holding
    from daemon.cli import pausing

    if pausing.asked(call.config, "/api/v1/resume", {}):
        call.out.line("Tasks start again.")
    else:
        holding.clear(call.config.paths.state)
        call.out.line("No daemon answers; the next one does not start paused.")
