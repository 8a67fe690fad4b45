"""`dropmill show`: one run as it stands or as it ended."""

from typing import TYPE_CHECKING

import click

from daemon.cli import completing, invocation
from daemon.cli.invocation import Invocation
from daemon.cli.output import Column

if TYPE_CHECKING:
    from daemon.cli.standing import Shape
    from engine.views import EventView, RunView


@click.command("show")
@click.argument("run", metavar="RUN", shell_complete=completing.runs)
@click.option("--events", is_flag=True, help="Also everything that happened to it, in order.")
@click.option("--all", "everything", is_flag=True, help="Leave no task out, however many there are.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@invocation.options()
@click.pass_obj
def command(call: Invocation, *, run: str, events: bool, everything: bool, as_json: bool) -> None:
    """Show one run: its tasks, their outcome and what came of them.

    Instances stand under their task, and so do the runs that it called; hooks stand apart, and of a graph every visit
    in its order. Of many, a terminal shows what is not plain success. RUN is its id, a beginning or an end of it that
    fits no other, or `last` for the newest.
    """
    from daemon.cli import memory, standing

    was_owned = memory.is_owned(call.config_in_force)
    memory.expect(call.config_in_force, run)
    with memory.opened(call.config_in_force) as history:
        found = history.run(memory.find(history, run))
        happened = history.events(found.id) if events else []
        shape = None if as_json else standing.shape_of(history.document_of(found.id), call.config_in_force.limits)
    is_orphan = not (was_owned or memory.has_ended(found) or memory.is_owned(call.config_in_force))
    if as_json:
        import msgspec

        # Keys that are absent stay so: this is the object that the API and the result files hold.
        value = {name: part for name, part in msgspec.structs.asdict(found).items() if part is not msgspec.UNSET}
        call.out.json(value | ({"events": happened} if events else {}))
        return
    _head(call, found, is_orphan=is_orphan)
    _tasks(call, found, shape, is_short=call.out.is_terminal and not everything)
    if events:
        _events(call, happened)


def _head(call: Invocation, run: "RunView", *, is_orphan: bool) -> None:
    from daemon.cli import memory
    from daemon.cli.moments import ago, local, took
    from daemon.cli.text import Styled, compact, readable, state, why
    from engine.clock import epoch, wall

    now, out = wall(), call.out
    begun, ended = (None if time is None else epoch(time) for time in (run.started_at, run.ended_at))
    seconds = None if begun is None or (is_orphan and ended is None) else (now if ended is None else ended) - begun
    out.line(Styled(run.workflow, "head"), "  ", Styled(run.id, "faint"), "  ", state(run.state), "  ", took(seconds))
    sentence = why(run.reason, run.message)
    if sentence:
        out.line(Styled(f"{sentence} ({run.reason})", "bad" if run.state == "FAILED" else "odd"))
    if is_orphan:
        out.line(Styled("note: ", "odd"), memory.ORPHANED)
    created = epoch(run.created_at)
    out.line(
        Styled("created  ", "faint"), f"{local(created, now)} ({ago(created, now)}) by {memory.trigger_of(run.trigger)}"
    )
    if run.parent:
        called = f"run {run.parent.run}, task {run.parent.task}, attempt {run.parent.attempt}"
        out.line(Styled("called by ", "faint"), called)
    if run.params:
        out.line(Styled("params   ", "faint"), compact(run.params))
    if run.output:
        out.line(Styled("output   ", "faint"), readable(bytes(run.output)))
    out.line()


def _tasks(call: Invocation, run: "RunView", shape: "Shape | None", *, is_short: bool) -> None:
    from daemon.cli import standing
    from daemon.cli.text import Styled

    columns = [Column("task", cut=True), Column("type"), Column("state"), Column("tries", right=True), Column("began")]
    columns += [Column("took", right=True), Column("outcome", cut=True)]
    for title, lines, left in standing.parts(call.out, run, shape, is_short=is_short):
        if title:
            call.out.line()
            call.out.line(Styled(title, "faint"))
        call.out.table(columns, lines)
        if left:
            call.out.line(Styled(f"and {left}; --all shows them", "faint"))


def _events(call: Invocation, events: "list[EventView]") -> None:
    from daemon.cli.moments import stamp
    from daemon.cli.text import Styled, state
    from engine.clock import epoch, wall

    now = wall()
    call.out.line()
    rows = [
        (
            Styled(stamp(epoch(event.at), now), "faint"),
            Styled(event.task or "run", "head" if event.task else "faint"),
            state(event.state or ""),
            str(event.attempt or ""),
            event.reason or "",
            event.message + (f" (by {event.actor})" if event.actor else ""),
        )
        for event in events
    ]
    columns = [Column("time"), Column("task", cut=True), Column("state"), Column("try", right=True), Column("reason")]
    call.out.table([*columns, Column("message", wrapped=True)], rows)
