"""`dropmill plugins`: which task types there are, where they come from, and what their fields are."""

from typing import TYPE_CHECKING

import click

from daemon.cli import completing, invocation
from daemon.cli.invocation import Invocation
from daemon.cli.output import Column

if TYPE_CHECKING:
    from engine.task import Catalogue, TaskType


@click.command("plugins")
@click.argument("type", required=False, shell_complete=completing.task_types)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@invocation.options()
@click.pass_obj
def command(call: Invocation, *, type: str | None, as_json: bool) -> None:  # noqa: A002 -- the word of the document
    """List the task types there are, or describe one.

    With TYPE: its fields, where it comes from, and a task to begin with. Plugin files that cannot be used are listed
    with what is wrong with them.
    """
    from daemon.cli.catalogue import StockTaking

    catalogue = StockTaking(call.config).result()
    if type is not None:
        _describe(call, catalogue, type, as_json=as_json)
    elif as_json:
        call.out.json({"types": list(catalogue.types.values()), "broken": catalogue.broken})
    else:
        _list(call, catalogue)


def _list(call: Invocation, catalogue: "Catalogue") -> None:
    from daemon.cli.text import Styled

    rows = [
        (
            Styled(kind.type, "head"),
            kind.version,
            _source(kind),
            ", ".join(kind.required_fields),
            kind.description,
        )
        for kind in catalogue.types.values()
    ]
    columns = [Column("type"), Column("version"), Column("from", cut=True), Column("required", cut=True)]
    call.out.table([*columns, Column("description", wrapped=True)], rows)
    for broken in catalogue.broken:
        call.err.line(Styled("broken: ", "bad"), f"{broken.source}: {broken.message}")
    if not call.config.paths.plugins:
        return
    folders = ", ".join(map(str, call.config.paths.plugins))
    if call.out.is_terminal:
        call.out.line()
        call.out.line(Styled(f"Put your own into {folders}. `dropmill plugins TYPE` shows the fields of one.", "faint"))


def _source(kind: "TaskType") -> str:
    if kind.is_builtin:
        return "built in"
    return kind.source + (" (instead of the built-in one)" if kind.overrides else "")


def _describe(call: Invocation, catalogue: "Catalogue", name: str, *, as_json: bool) -> None:
    from daemon.cli.fields import describe, sample
    from daemon.cli.text import Styled, encoded

    kind = _found(catalogue, name)
    example = sample(kind.type, kind.param_schema, kind.required_fields)
    if as_json:
        call.out.json(kind)
        return
    out = call.out
    version = f" {kind.version}" if kind.version else ""
    out.line(Styled(kind.type, "head"), version, f": {kind.description}" if kind.description else "")
    out.line(Styled(_source(kind), "faint"))
    rows = [
        (
            Styled(field.name, "head"),
            field.takes,
            "(required)" if field.is_required else field.default,
            field.description,
        )
        for field in describe(kind.param_schema, kind.required_fields)
    ]
    out.line()
    if rows:
        columns = [Column("field"), Column("takes", wrapped=True), Column("default", cut=True)]
        out.table([*columns, Column("description", wrapped=True)], rows)
    else:
        out.line("It declares no fields and takes any.")
    out.line()
    out.line(Styled("For example:", "faint"))
    out.write(encoded(example) + "\n")


def _found(catalogue: "Catalogue", name: str) -> "TaskType":
    from engine.errors import InputError
    from engine.problems import meant

    if name in catalogue.types:
        return catalogue.types[name]
    for broken in catalogue.broken:
        if broken.type == name:
            message = f"the plugin of the task type {name!r} is broken: {broken.source}: {broken.message}"
            raise InputError(message)
    hint = meant(name, catalogue.types) or "`dropmill plugins` lists the task types there are"
    message = f"no plugin has the task type {name!r}. {hint}"
    raise InputError(message)
