"""`dropmill schedule`: schedules added and removed, in files of their own, and held for a while."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from daemon.cli import completing, invocation, origins
from daemon.cli.invocation import Invocation

if TYPE_CHECKING:
    from daemon.cli.documents import Document
    from daemon.schedules.entry import Entry

_NAME = click.argument("name", metavar="NAME")
_KNOWN = click.argument("name", metavar="NAME", shell_complete=completing.schedules)


@click.group("schedule")
@invocation.options()
def command() -> None:
    """Add, remove, pause and resume schedules."""


@command.command("add")
@_NAME
@click.option("--workflow", required=True, metavar="FILE", help="A known workflow, or the path of a document.")
@click.option("--cron", metavar="LINE", help="Five fields as cron reads them, or @daily and the like.")
@click.option("--every", metavar="TIME", help="Elapsed time between two starts: 15m.")
@click.option("--at", metavar="INSTANT", help="Once: 2027-01-01T00:00:00+01:00.")
@click.option("--hourly", metavar="MINUTES", help="Minutes of each hour: ':15'.")
@click.option("--daily", metavar="TIMES", help="Times of each day: 02:30.")
@click.option("--weekly", metavar="DAYS", help="Weekdays and times: 'mon-fri 08:00'.")
@click.option("--monthly", metavar="DAYS", help="Days of the month and times: '1,last 02:30'.")
@click.option("--timezone", metavar="ZONE", help="Whose wall clock counts; without it UTC.")
@click.option("--on-missed", type=click.Choice(["skip", "last", "all"]), help="About due times nobody could start.")
@click.option(
    "--overlap", type=click.Choice(["skip", "queue", "replace", "allow"]), help="While its last run has not ended."
)
@click.option("--jitter", metavar="TIME", help="Longest delay, to spread load.")
@click.option("--start", metavar="TIME", help="Not due before.")
@click.option("--end", metavar="TIME", help="Not due after.")
@click.option("--priority", type=int, metavar="N", help="Runs with a higher number start their tasks first.")
@click.option("--stop-after-failures", type=click.IntRange(min=0), metavar="N", help="Pause after so many in a row.")
@click.option("--param", "pairs", multiple=True, metavar="NAME=VALUE", help="A parameter; may be given several times.")
@invocation.options()
@click.pass_obj
def add(call: Invocation, /, *, name: str, workflow: str, pairs: tuple[str, ...], **settings: Any) -> None:
    """Add a schedule, in a file of its own in schedules.d; a daemon takes it up within seconds.

    Exactly one of --cron, --every, --at, --hourly, --daily, --weekly and --monthly says when.
    """
    from daemon.cli.documents import read
    from daemon.config import add_schedule

    document = read(call, workflow)
    params = _checked_params(call, document, origins.pairs_of(pairs))
    place = workflow if document.is_known else str(Path(workflow).resolve())
    table = {"name": name, "workflow": place}
    table |= {key: value for key, value in settings.items() if value is not None}
    file = add_schedule(call.config, table | ({"params": params} if params else {}))
    call.out.line(f"Added to {file}")
    _tell_next(call, name)


@command.command("remove")
@_KNOWN
@invocation.options()
@click.pass_obj
def remove(call: Invocation, /, *, name: str) -> None:
    """Remove a schedule that `schedule add` made; one that a person wrote stays, and stays theirs."""
    from daemon.config import remove_schedule

    call.out.line(f"Removed {remove_schedule(call.config, name)}")


@command.command("pause")
@_KNOWN
@click.option("--message", default="", metavar="TEXT", help="Why; it is shown with the schedule.")
@invocation.options()
@click.pass_obj
def pause(call: Invocation, /, *, name: str, message: str) -> None:
    """Hold a schedule: what is due is skipped, with that reason, until `schedule resume`, also across restarts."""
    import getpass

    from daemon.cli import pausing, timetable
    from engine.states import Reason

    message = message.strip() or f"{getpass.getuser()} paused it"

    def hold(entry: "Entry") -> None:
        entry.pause(Reason.USER, message)

    if not pausing.asked(call.config, "/api/v1/parts/schedules/pause", {"name": name, "message": message}):
        timetable.change(call.config, name, hold)
    call.out.line(f"{name} is paused: {message}")


@command.command("resume")
@_KNOWN
@invocation.options()
@click.pass_obj
def resume(call: Invocation, /, *, name: str) -> None:
    """Let a schedule go on from now; failures that paused it are forgotten."""
    from daemon.cli import pausing, timetable
    from engine.clock import wall

    def release(entry: "Entry") -> None:
        entry.resume(wall())

    if not pausing.asked(call.config, "/api/v1/parts/schedules/resume", {"name": name}):
        timetable.change(call.config, name, release)
    call.out.line(f"{name} goes on.")


def _checked_params(call: Invocation, document: "Document", pairs: dict[str, str]) -> dict[str, Any]:
    """Judge the workflow and give the parameters the types it wants, now and not in the middle of the night."""
    from daemon.cli.catalogue import StockTaking
    from daemon.intake import judge
    from engine import params

    config = call.config
    plan = judge(document.data, StockTaking(config).result(), config.limits, name=document.name)
    given = params.from_text(plan.workflow, pairs)
    params.resolve(plan.workflow, given)
    return given


def _tell_next(call: Invocation, name: str) -> None:
    from datetime import datetime

    from daemon.calendar import parse_zone
    from daemon.config import calendar_of, load
    from engine.clock import wall

    fresh = load(call.config_file, call.environ)
    schedule = next(each for each in fresh.schedules if each.name == name)
    due = calendar_of(schedule).next_after(wall())
    if due is not None:
        call.out.line(f"Next: {datetime.fromtimestamp(due, parse_zone(schedule.timezone)).isoformat()}")
