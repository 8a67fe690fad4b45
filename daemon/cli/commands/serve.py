"""`dropmill serve`: the daemon, in the foreground."""

from typing import TYPE_CHECKING

import click

from daemon.cli import invocation
from daemon.cli.invocation import Invocation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.config import Config

_MOST_LOOKED_AT = 500
_SHOWN = 3


@click.command("serve")
@invocation.options()
@click.pass_obj
def command(call: Invocation, /) -> int:
    """Run the daemon: watch the inbox, keep the schedules, until it is told to stop.

    It stays in the foreground. SIGTERM or Ctrl-C stops it: what runs gets its grace, twice ends it at once. SIGHUP
    reads the settings again. The exit status says how it ended; REFERENCE.md has the table.
    """
    from daemon.service import Service

    def banner(config: "Config") -> None:
        call.err.line(f"dropmill is ready. Drop workflows into {config.paths.inbox}")
        call.err.line(f"  state    {config.paths.state}")
        call.err.line(f"  logs     {config.paths.logs}")
        for line in _coming(config):
            call.err.line(f"  next     {line}")
        call.err.line("  look     dropmill status, dropmill runs, dropmill show last")

    return int(Service(call.config_file, call.environ, banner=banner).run())


def _coming(config: "Config") -> "Iterator[str]":
    """Say which schedules are due next, or how many there are where looking at all would take long."""
    from daemon.config import calendar_of
    from engine.clock import wall

    enabled = [schedule for schedule in config.schedules if schedule.enabled]
    if len(enabled) > _MOST_LOOKED_AT:
        yield f"{len(enabled):,} schedules; `dropmill schedules` says when"
        return
    from daemon.cli.moments import ago, local

    now = wall()
    due = [(moment, schedule) for schedule in enabled if (moment := calendar_of(schedule).next_after(now)) is not None]
    for moment, schedule in sorted(due, key=lambda pair: pair[0])[:_SHOWN]:
        yield f"{schedule.name} {local(moment, now)} ({ago(moment, now)})"
