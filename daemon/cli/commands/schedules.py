"""`dropmill schedules`: when each is due, what became of it last, and why one is not."""

from typing import TYPE_CHECKING

import click

from daemon.cli import completing, invocation
from daemon.cli.invocation import Invocation
from daemon.cli.output import Column
from daemon.cli.text import Piece, Styled

if TYPE_CHECKING:
    from daemon.schedules import ScheduleView
    from engine.views import DueView

_LIMIT = 20


@click.command("schedules")
@click.argument("name", metavar="[NAME]", required=False, shell_complete=completing.schedules)
@click.option(
    "--limit", metavar="N", type=click.IntRange(min=1), default=_LIMIT, show_default=True, help="Due times of NAME."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@invocation.options()
@click.pass_obj
def command(call: Invocation, *, name: str | None, limit: int, as_json: bool) -> None:
    """List the schedules: when each is due, what became of it last, and why one is not.

    With NAME also what became of its due times: the runs, and what was missed or skipped and why. Needs no daemon.
    """
    from daemon.cli import timetable

    views = timetable.shown(call.config_in_force)
    if name is not None:
        view, happened = timetable.find(views, name), timetable.due_times(call.config_in_force, name, limit)
        _show(call, view, happened, as_json=as_json)
    elif as_json:
        call.out.json(views)
    elif not views:
        call.out.line("There is no schedule; `dropmill schedule add` makes one.")
    else:
        _list(call, views)


def _list(call: Invocation, views: "list[ScheduleView]") -> None:
    rows = [
        (Styled(view.name, "head"), view.workflow, _when(view), _next(view), _last(view.last), _state(view))
        for view in views
    ]
    columns = [Column("name"), Column("workflow", cut=True), Column("when", cut=True), Column("next")]
    call.out.table([*columns, Column("last", cut=True), Column("state", wrapped=True)], rows)


def _when(view: "ScheduleView") -> str:
    return view.when if view.timezone == "UTC" else f"{view.when} {view.timezone}"


def _next(view: "ScheduleView") -> str:
    from daemon.cli.moments import ago
    from engine.clock import epoch, wall

    if view.next is None:
        return "never"
    return f"{view.next[:16].replace('T', ' ')} ({ago(epoch(view.next), wall())})"


def _last(due: "DueView | None") -> str:
    from daemon.cli.moments import ago
    from engine.clock import epoch, wall

    return "" if due is None else f"{due.state} {ago(epoch(due.due), wall())}"


def _state(view: "ScheduleView") -> Piece:
    if view.broken:
        return Styled(f"broken: {view.broken}", "bad")
    if not view.is_enabled:
        return Styled("not enabled", "faint")
    if view.is_paused:
        return Styled(f"paused: {view.message}", "odd")
    if view.runs:
        waiting = f", {len(view.waiting)} more wait" if view.waiting else ""
        return Styled(f"running{waiting}", "busy")
    return Styled(f"on, {view.failures} failed in a row" if view.failures else "on", "good")


def _show(call: Invocation, view: "ScheduleView", happened: "list[DueView]", *, as_json: bool) -> None:
    from daemon.cli.moments import local
    from engine.clock import epoch, wall

    if as_json:
        import msgspec

        call.out.json(msgspec.structs.asdict(view) | {"due_times": happened})
        return
    now, out = wall(), call.out
    out.line(Styled(view.name, "head"), f"  {_when(view)}  runs {view.workflow}  ", _state(view))
    out.line(Styled("next  ", "faint"), _next(view))
    for run in view.runs:
        out.line(Styled("runs  ", "faint"), run)
    if not happened:
        out.line("Nothing was due yet.")
        return
    rows = [
        (
            local(epoch(due.due), now),
            due.state,
            due.run or "",
            Styled(due.message + (f" ({due.count:,} of them)" if due.count > 1 else ""), "faint"),
        )
        for due in happened
    ]
    out.table([Column("due"), Column("became"), Column("run"), Column("why", wrapped=True)], rows)
