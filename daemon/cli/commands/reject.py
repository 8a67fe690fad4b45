"""`dropmill reject`: no to what waits for a person."""

import click

from daemon.cli import completing, invocation
from daemon.cli.invocation import Invocation


@click.command("reject")
@click.argument("run", metavar="RUN", shell_complete=completing.runs)
@click.argument("task", metavar="TASK", shell_complete=completing.waiting)
@click.option("--note", default="", metavar="TEXT", help="Why; it is kept with the run.")
@click.option("--json", "as_json", is_flag=True, help="Print the run as JSON.")
@invocation.options()
@click.pass_obj
def command(call: Invocation, /, *, run: str, task: str, note: str, as_json: bool) -> None:
    """Reject a task that waits for a person.

    The task fails with the reason `rejected` and is not tried again. RUN is an id, a beginning or an end of it that
    fits no other, or `last`; `dropmill approvals` lists what waits.
    """
    from daemon.cli import deciding

    deciding.decide(call, run, task, "reject", {"note": note}, as_json=as_json)
