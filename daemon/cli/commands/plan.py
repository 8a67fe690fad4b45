"""`dropmill plan`: in which order the tasks of a workflow would run, and what decides how long it takes."""

from typing import TYPE_CHECKING, Any

import click

from daemon.cli import completing, invocation
from daemon.cli.invocation import Invocation

if TYPE_CHECKING:
    from engine.plan import Plan


@click.command("plan")
@click.argument("file", metavar="FILE", shell_complete=completing.documents)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--mermaid", is_flag=True, help="Print a Mermaid flowchart.")
@click.option("--all", "everything", is_flag=True, help="Leave nothing out, however large the workflow is.")
@invocation.options()
@click.pass_obj
def command(call: Invocation, *, file: str, as_json: bool, mermaid: bool, everything: bool) -> int:
    """Show in which order the tasks of a workflow would run.

    Tasks of one layer may run at the same time; each waits for some above it. The critical path is the longest chain
    of tasks that wait for each other. FILE is a path, - for standard input, or the name of a known workflow.
    """
    from daemon.cli.catalogue import StockTaking

    stock = StockTaking(call.config)
    from daemon.cli.documents import read
    from daemon.cli.problems import complain
    from daemon.intake import judge
    from engine.errors import DocumentInvalidError

    document = read(call, file)
    try:
        plan = judge(document.data, stock.result(), call.config.limits, name=document.name)
    except DocumentInvalidError as error:
        complain(call.err, error, document.data, document.shown)
        return error.exit_status
    if as_json:
        call.out.json(_described(plan))
    elif mermaid:
        from daemon.cli.drawing import mermaid as draw

        call.out.write(draw(plan))
    else:
        from daemon.cli.drawing import tree

        # A pipe is read by programs and pagers, which take everything.
        for line in tree(plan, is_short=call.out.is_terminal and not everything):
            call.out.line(*line)
    return 0


def _described(plan: "Plan") -> dict[str, Any]:
    graph = plan.graph
    layer_of = {task: number for number, layer in enumerate(graph.layers, start=1) for task in layer}
    critical = graph.critical_path({})
    on_path = set(critical)
    return {
        "workflow": plan.workflow.name,
        "order": graph.order,
        "layers": graph.layers,
        "critical_path": critical,
        "hooks": {phase: members for phase, members in plan.phases.items() if phase != "tasks"},
        "edges": [
            {"from": edge.source, "to": edge.target, "condition": edge.condition}
            for edge in (plan.workflow.routing.edges if plan.workflow.routing else ())
        ],
        "tasks": [
            {
                "id": task.id,
                "type": task.type,
                "depends_on": task.depends_on,
                "layer": layer_of[task.id],
                "is_critical": task.id in on_path,
            }
            for task in plan.workflow.tasks
        ],
    }
