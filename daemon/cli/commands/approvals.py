"""`dropmill approvals`: what waits for a person."""

from typing import TYPE_CHECKING

import click

from daemon.cli import completing, invocation
from daemon.cli.invocation import Invocation
from daemon.cli.output import Column

if TYPE_CHECKING:
    from engine.views import ApprovalView


@click.command("approvals")
@click.argument("run", metavar="[RUN]", required=False, shell_complete=completing.runs)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the form of each.")
@invocation.options()
@click.pass_obj
def command(call: Invocation, *, run: str | None, as_json: bool) -> None:
    """List what waits for a person: what is asked, since when, until when.

    `dropmill approve RUN TASK` and `dropmill reject RUN TASK` decide. RUN is an id, a beginning or an end of it that
    fits no other, or `last`; without it, every run counts.
    """
    from daemon.cli import memory

    found: list[ApprovalView] = []
    if run is not None:
        memory.expect(call.config_in_force, run)
    if memory.is_there(call.config_in_force):
        with memory.opened(call.config_in_force) as history:
            found = history.approvals(None if run is None else memory.find(history, run))
    if as_json:
        call.out.json(found)
    elif found:
        _list(call, found)
    else:
        call.out.line("Nothing waits for a person.")


def _list(call: Invocation, found: "list[ApprovalView]") -> None:
    from daemon.cli.memory import shown_id
    from daemon.cli.moments import ago, local
    from daemon.cli.text import Styled
    from engine.clock import epoch, wall

    now = wall()
    rows = []
    for each in found:
        until = None if each.until is None else epoch(each.until)
        rows.append(
            (
                Styled(shown_id(call.out, each.run), "head"),
                each.workflow,
                Styled(each.task, "head"),
                "" if each.since is None else ago(epoch(each.since), now),
                "for ever" if until is None else f"{local(until, now)}, then {each.on_timeout}",
                "yes" if each.form is not None else "",
                each.message,
            )
        )
    columns = [Column("run"), Column("workflow", cut=True), Column("task", cut=True), Column("asked"), Column("waits")]
    call.out.table([*columns, Column("form"), Column("message", wrapped=True)], rows)
