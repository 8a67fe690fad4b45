"""`dropmill config`: check the settings, show those in force and where each came from, describe all there are."""

from typing import TYPE_CHECKING, Any

import click

from daemon.cli import invocation
from daemon.cli.invocation import Invocation
from daemon.cli.output import Column

if TYPE_CHECKING:
    from engine.errors import ConfigInvalidError


@click.group("config")
@invocation.options()
def command() -> None:
    """Check, show and describe the configuration."""


@command.command("check")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@invocation.options()
@click.pass_obj
def check(call: Invocation, *, as_json: bool) -> int:
    """Look for every mistake in the settings, the secrets they name included.

    The exit status is 0 if there is none, else 2.
    """
    from engine.errors import ConfigInvalidError

    try:
        config = call.config
        _read_secrets(call)
    except ConfigInvalidError as error:
        _tell_problems(call, error, as_json=as_json)
        return 2
    file = config.loaded.file
    if as_json:
        call.out.json({"valid": True, "file": None if file is None else str(file), "problems": []})
        return 0
    from daemon.cli.counting import counted
    from daemon.cli.text import Styled

    name = str(file) if file else "no file, all settings have their defaults"
    call.out.line(
        Styled(name, "head"), ": ", Styled("valid", "good"), f", {counted(len(config.schedules), 'schedule')}"
    )
    return 0


@command.command("show")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--changed", is_flag=True, help="Only what is not default.")
@invocation.options()
@click.pass_obj
def show(call: Invocation, *, as_json: bool, changed: bool) -> None:
    """Show every setting in force and where it came from: a line of a file, the environment, or the default."""
    from daemon.cli.text import Styled
    from daemon.config import show as list_settings

    rows = [row for row in list_settings(call.config) if not changed or row.origin.kind != "default"]
    if as_json:
        call.out.json([{"setting": row.key, "value": row.value, "origin": row.origin} for row in rows])
        return
    shown = [(Styled(row.key, "head"), row.value, _origin(str(row.origin), row.origin.kind)) for row in rows]
    call.out.table([Column("setting"), Column("value", wrapped=True), Column("from", cut=True)], shown)


@command.command("schema")
@invocation.options()
@click.pass_obj
def schema(call: Invocation) -> None:
    """Print the JSON Schema of the TOML file, which editors check it against."""
    from daemon.config import schema as describe

    call.out.json(describe())


@command.command("sample")
@invocation.options()
@click.pass_obj
def sample(call: Invocation) -> None:
    """Print a file with every setting, its default and what it is for: the one to start from."""
    from daemon.config import sample as print_sample

    call.out.write(print_sample())


def _read_secrets(call: Invocation) -> None:
    from daemon.ambience import gather

    gather(call.config, call.environ)


def _tell_problems(call: Invocation, error: "ConfigInvalidError", *, as_json: bool) -> None:
    if as_json:
        answer: dict[str, Any] = {"valid": False, "file": error.source, "problems": error.problems}
        call.out.json(answer)
    else:
        from daemon.cli.problems import complain

        complain(call.out, error)


def _origin(text: str, kind: str) -> Any:
    from daemon.cli.text import Styled

    return Styled(text, "faint" if kind == "default" else "busy")
