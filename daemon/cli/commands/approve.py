"""`dropmill approve`: yes to what waits for a person."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from daemon.cli import completing, invocation
from daemon.cli.invocation import Invocation

if TYPE_CHECKING:
    from engine.limits import Limits


@click.command("approve")
@click.argument("run", metavar="RUN", shell_complete=completing.runs)
@click.argument("task", metavar="TASK", shell_complete=completing.waiting)
@click.option("--note", default="", metavar="TEXT", help="Why; it is kept with the run, and part of the output.")
@click.option(
    "--data", metavar="JSON", help="What fills in the form: JSON, or @FILE; without it, what the task has for it."
)
@click.option("--json", "as_json", is_flag=True, help="Print the run as JSON.")
@invocation.options()
@click.pass_obj
def command(call: Invocation, /, *, run: str, task: str, note: str, data: str | None, as_json: bool) -> None:
    """Approve a task that waits for a person.

    The task completes with `approved`, who it was, the note and the data. RUN is an id, a beginning or an end of it
    that fits no other, or `last`; `dropmill approvals` lists what waits.
    """
    from daemon.cli import deciding

    wish: dict[str, Any] = {"note": note}
    if data is not None:
        wish["data"] = _read(data, call.config_in_force.limits)
    deciding.decide(call, run, task, "approve", wish, as_json=as_json)


def _read(given: str, limits: "Limits") -> Any:
    """Read JSON from an argument, or from the file that it names; raises InputError and DecisionInvalidError."""
    from engine import strictjson
    from engine.errors import DecisionInvalidError, InputError

    text, name = given.encode("utf-8", "surrogateescape"), "in --data"
    if given.startswith("@"):
        name = given[1:]
        try:
            text = Path(name).read_bytes()
        except OSError as error:
            raise InputError(f"{name} cannot be read: {error.strerror or error}") from None
    value, problems = strictjson.parse(text, limits)
    if problems:
        raise DecisionInvalidError(problems, name)
    return value
