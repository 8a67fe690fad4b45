"""`dropmill serve`: the daemon, in the foreground."""

from typing import TYPE_CHECKING

import click

from daemon.cli import invocation
from daemon.cli.invocation import Invocation

if TYPE_CHECKING:
    from daemon.config import Config


@click.command("serve")
@invocation.options()
@click.pass_obj
def command(call: Invocation, /) -> int:
    """Run the daemon: watch the inbox, keep the schedules, until it is told to stop.

    It stays in the foreground. SIGTERM or Ctrl-C stops it: what runs gets its grace, twice ends it at once. SIGHUP
    reads the settings again. The exit status says how it ended; README has the table.
    """
    from daemon.service import Service

    def banner(config: "Config") -> None:
        call.err.line(f"dropmill is ready. Drop workflows into {config.paths.inbox}")
        call.err.line(f"  state    {config.paths.state}")
        call.err.line(f"  logs     {config.paths.logs}")
        call.err.line("  look     dropmill status, dropmill runs, dropmill show last")

    return int(Service(call.config_file, call.environ, banner=banner).run())
