"""`dropmill workflows`: the documents in the workflow folders, which run by name."""

from pathlib import Path
from typing import Any

import click

from daemon.cli import invocation
from daemon.cli.invocation import Invocation
from daemon.cli.output import Column


@click.command("workflows")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@invocation.options()
@click.pass_obj
def command(call: Invocation, *, as_json: bool) -> None:
    """List the workflows known by name.

    They are the *.json files in the folders that `paths.workflows` names; `dropmill run NAME` runs one.
    """
    from daemon.library import Library

    library = Library(call.config.paths.workflows)
    found = [_look(name, library.find(name)) for name in library.names()]
    if as_json:
        call.out.json(found)
        return
    from daemon.cli.text import Styled

    folders = ", ".join(map(str, call.config.paths.workflows))
    if not found:
        call.out.line(
            f"No workflow is known by name yet: put a document into {folders}, and its file name is its name."
        )
        return
    rows = [
        (
            Styled(each["name"], "head"),
            "" if each["tasks"] is None else str(each["tasks"]),
            ", ".join(each["params"]),
            Styled(each["problem"], "bad") if each["problem"] else each["description"],
        )
        for each in found
    ]
    columns = [Column("name"), Column("tasks", right=True), Column("params", cut=True)]
    call.out.table([*columns, Column("description", wrapped=True)], rows)


def _look(name: str, path: Path) -> dict[str, Any]:
    """Read what a document says of itself; whether it is right is `validate`'s to say."""
    import msgspec

    problem, document = "", None
    try:
        document = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        problem = f"cannot be read: {(error.strerror or str(error)).lower()}"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        problem = f"is not JSON: {error}"
    document = document if isinstance(document, dict) else {}
    tasks = document.get("tasks", document.get("steps", document.get("nodes")))
    params = document.get("params")
    return {
        "name": name,
        "file": str(path),
        "description": str(document.get("description", "")),
        "tasks": len(tasks) if isinstance(tasks, list | dict) else None,
        "params": list(params) if isinstance(params, dict) else [],
        "problem": problem,
    }
