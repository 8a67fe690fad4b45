"""`dropmill inbox`: what lies in the inbox folders, and a filed document dropped once more."""

import click

from daemon.cli import invocation
from daemon.cli.invocation import Invocation
from daemon.cli.output import Column


@click.group("inbox")
@invocation.options()
def command() -> None:
    """See what lies in the inbox folders, and drop a filed document once more."""


@command.command("ls")
@click.option("--all", "everything", is_flag=True, help="Also what is done.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@invocation.options()
@click.pass_obj
def ls(call: Invocation, *, everything: bool, as_json: bool) -> None:
    """List what waits, what is being worked on, and what failed or was rejected, with the reason beside it."""
    from daemon.claims.names import shown
    from daemon.cli import filed
    from daemon.cli.moments import ago
    from daemon.cli.text import Styled
    from engine.clock import wall

    found = filed.find(call.config, wants_done=everything)
    if as_json:
        call.out.json([each.as_json() for each in found])
        return
    if not found:
        call.out.line(f"Nothing waits in {call.config.paths.inbox}, and nothing went wrong.")
        return
    now = wall()
    styles = {"failed": "bad", "rejected": "bad", "done": "good"}
    rows = [
        (
            Styled(each.folder or "waiting", styles.get(each.folder, "busy")),
            shown(each.path.name),
            ago(each.at, now),
            Styled(each.why, "faint"),
        )
        for each in found
    ]
    call.out.table([Column("where"), Column("file", cut=True), Column("since"), Column("why", wrapped=True)], rows)


@command.command("requeue")
@click.argument("name", metavar="NAME")
@invocation.options()
@click.pass_obj
def requeue(call: Invocation, *, name: str) -> None:
    """Drop a document that failed or was rejected once more: it goes back into the inbox, its note goes away.

    NAME is what `inbox ls` shows, FOLDER/NAME where that is not enough, or the path.
    """
    from daemon.cli import filed

    call.out.line(f"Back in the inbox: {filed.requeue(call.config, name)}")
