"""`dropmill validate`: is this a workflow that can run, and if not, everything that is in the way."""

from typing import TYPE_CHECKING, Any

import click

from daemon.cli import completing, invocation
from daemon.cli.invocation import Invocation

if TYPE_CHECKING:
    from daemon.cli.documents import Document
    from engine.errors import Problem
    from engine.plan import Plan


@click.command("validate")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", shell_complete=completing.documents)
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON: a list of them for several files.")
@invocation.options()
@click.pass_obj
def command(call: Invocation, *, files: tuple[str, ...], as_json: bool) -> int:
    """Check workflow documents and show every problem where it stands.

    FILE is a path, - for standard input, or the name of a known workflow. The exit status is 0 if all are valid,
    else 2.
    """
    from daemon.cli.catalogue import StockTaking

    stock = StockTaking(call.config)
    from daemon.cli.documents import read
    from daemon.intake import judge
    from engine.errors import DocumentInvalidError

    documents = [read(call, file) for file in files]
    catalogue = stock.result()
    verdicts: list[tuple[Document, Plan | None, tuple[Problem, ...]]] = []
    for document in documents:
        try:
            plan = judge(document.data, catalogue, call.config.limits, name=document.name)
            verdicts.append((document, plan, ()))
        except DocumentInvalidError as error:
            verdicts.append((document, None, error.problems))
    if as_json:
        shown: list[dict[str, Any]] = [{"valid": not problems, "problems": problems} for _, _, problems in verdicts]
        if len(files) > 1:
            shown = [{"file": document.shown} | each for (document, *_), each in zip(verdicts, shown, strict=True)]
        call.out.json(shown if len(files) > 1 else shown[0])
    else:
        _explain(call, verdicts)
    return 2 if any(problems for _, _, problems in verdicts) else 0


def _explain(call: Invocation, verdicts: "list[tuple[Document, Plan | None, tuple[Problem, ...]]]") -> None:
    from daemon.cli.counting import counted
    from daemon.cli.problems import show
    from daemon.cli.text import Styled

    out = call.out
    for document, plan, problems in verdicts:
        if plan is not None:
            name, tasks = plan.workflow.name, counted(len(plan.workflow.tasks), "task")
            hooks = len(plan.tasks) - len(plan.workflow.tasks)
            tasks += f" and {counted(hooks, 'hook')}" if hooks else ""
            out.line(Styled(document.shown, "head"), ": ", Styled("valid", "good"), f", {name} with {tasks}")
        else:
            show(out, problems, document.shown, document.data)
            out.line(
                Styled(document.shown, "head"),
                ": ",
                Styled("not valid", "bad"),
                f", {counted(len(problems), 'problem')}",
            )
