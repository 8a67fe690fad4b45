"""`dropmill cancel`: the end of a live run."""

import click

from daemon.cli import completing, invocation
from daemon.cli.invocation import Invocation


@click.command("cancel")
@click.argument("run", metavar="RUN", shell_complete=completing.runs)
@click.option("--message", default="", metavar="TEXT", help="Why; it is kept with the run.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@invocation.options()
@click.pass_obj
def command(call: Invocation, /, *, run: str, message: str, as_json: bool) -> None:
    """End a run of the daemon: what runs is asked to end and killed after its grace, the rest does not start.

    RUN is its id, a beginning or an end of it that fits no other, or `last` for the newest.
    """
    from daemon.cli.calling import Daemon, of_run
    from daemon.cli.text import Styled

    found = Daemon(call.config_in_force).post(of_run(run, "cancel"), {"message": message})
    if as_json:
        call.out.json(found)
    else:
        word = "is cancelled" if found["ended_at"] else "ends"
        call.out.line("run ", Styled(found["id"], "head"), f" of {found['workflow']} {word}")
