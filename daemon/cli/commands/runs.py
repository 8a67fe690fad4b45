"""`dropmill runs`: what has run, what runs, the newest first."""

from typing import TYPE_CHECKING

import click

from daemon.cli import completing, invocation
from daemon.cli.invocation import Invocation
from daemon.cli.output import Column
from engine.states import State

if TYPE_CHECKING:
    from engine.views import RunView

_RUN_STATES = [state.value for state in State if state is not State.SKIPPED]
_TRIGGERS = ["inbox", "schedule", "api", "cli", "workflow", "rerun"]
# The trigger of a run that another one called.
_CALLED = "workflow"
_LIMIT = 20


@click.command("runs")
@click.option("--state", type=click.Choice(_RUN_STATES, case_sensitive=False), help="Only runs in this state.")
@click.option("--workflow", metavar="NAME", help="Only runs of this workflow.", shell_complete=completing.workflows)
@click.option("--trigger", type=click.Choice(_TRIGGERS), help="Only runs that this has caused.")
@click.option(
    "--since", metavar="TIME", help="Only runs from then on: 90s, 1h, 2d, today, 2027-01-31, 2027-01-31T14:00."
)
@click.option(
    "--limit", metavar="N", type=click.IntRange(min=1), default=_LIMIT, show_default=True, help="At most so many."
)
@click.option("--parent", metavar="RUN", help="Only runs that this one has called.", shell_complete=completing.runs)
@click.option("--all", "everything", is_flag=True, help="Also runs that other runs have called.")
@click.option("--before", metavar="RUN", help="The page behind this run.", shell_complete=completing.runs)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@invocation.options()
@click.pass_obj
def command(  # noqa: PLR0913 -- one argument for each option
    call: Invocation,
    *,
    state: str | None,
    workflow: str | None,
    trigger: str | None,
    since: str | None,
    limit: int,
    parent: str | None,
    everything: bool,
    before: str | None,
    as_json: bool,
) -> None:
    """List runs, the newest first.

    Runs that other runs have called are left out unless --all, --parent or --trigger workflow asks for them.
    """
    from daemon.cli import memory
    from engine.clock import wall

    now = wall()
    was_owned = memory.is_owned(call.config_in_force)
    first = None if since is None else _moment(since, now)
    found: list[RunView] = []
    if memory.is_there(call.config_in_force):
        with memory.opened(call.config_in_force) as history:
            last = None if before is None else history.run(memory.find(history, before)).id
            caller = None if parent is None else history.run(memory.find(history, parent)).id
            found = history.runs(
                state=state,
                workflow=workflow,
                trigger=trigger,
                parent=caller,
                with_called=everything or caller is not None or trigger == _CALLED,
                since=first,
                before=last,
                limit=limit,
            )
    if as_json:
        call.out.json(found)
        return
    if not found:
        is_filtered = any(value is not None for value in (state, workflow, trigger, since, parent, before))
        call.out.line("No run fits." if is_filtered else "No run is recorded yet; `dropmill run FILE` makes one.")
        return
    is_owned = was_owned or memory.is_owned(call.config_in_force)
    orphans = [] if is_owned else [run for run in found if not memory.has_ended(run)]
    _list(call, found, now, orphans)
    _comment(call, found, orphans, is_full=len(found) == limit)


def _moment(text: str, now: float) -> float:
    from daemon.cli.moments import since

    try:
        return since(text, now)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from None


def _list(call: Invocation, found: "list[RunView]", now: float, orphans: "list[RunView]") -> None:
    from daemon.cli.memory import shown_id, trigger_of
    from daemon.cli.moments import local, took
    from daemon.cli.text import Styled, state, why
    from engine.clock import epoch

    rows = []
    for run in found:
        begun, ended = (None if time is None else epoch(time) for time in (run.started_at, run.ended_at))
        seconds = None if begun is None or run in orphans else (now if ended is None else ended) - begun
        rows.append(
            (
                Styled(shown_id(call.out, run.id), "head"),
                run.workflow,
                state(run.state),
                trigger_of(run.trigger, is_short=True),
                local(epoch(run.created_at), now),
                took(seconds),
                Styled(why(run.reason, run.message), "faint"),
            )
        )
    columns = [Column("run"), Column("workflow", cut=True), Column("state"), Column("trigger", cut=True)]
    call.out.table([*columns, Column("created"), Column("took", right=True), Column("why", cut=True)], rows)


def _comment(call: Invocation, found: "list[RunView]", orphans: "list[RunView]", *, is_full: bool) -> None:
    from daemon.cli.counting import counted
    from daemon.cli.memory import ORPHANED, shown_id
    from daemon.cli.text import Styled

    for run in orphans[:1]:
        others = f" and {counted(len(orphans) - 1, 'other')}" if len(orphans) > 1 else ""
        have = "have" if others else "has"
        call.err.line(Styled("note: ", "odd"), f"{shown_id(call.err, run.id)}{others} {have} not ended; {ORPHANED}")
    if is_full and call.out.is_terminal:
        call.out.line(Styled(f"There may be more: dropmill runs --before {shown_id(call.out, found[-1].id)}", "faint"))
