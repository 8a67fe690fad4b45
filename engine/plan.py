"""A workflow made ready to run: its graph and its compiled expressions, computed once and shared by its runs. Pure."""

import msgspec

from engine import collector, expressions
from engine.expressions import Expression, Template
from engine.limits import Limits
from engine.model import Task, Workflow
from engine.resolver import Graph


class PlannedTask(msgspec.Struct, frozen=True):
    """Join a task with what it needs at run time; `template` is None when its fields hold no expression."""

    task: Task
    position: int
    dependants: tuple[str, ...]
    template: Template | None
    condition: Expression | None


class Plan(msgspec.Struct, frozen=True):
    """Hold a workflow, its graph and its tasks by id."""

    workflow: Workflow
    graph: Graph
    tasks: dict[str, PlannedTask]


def make_plan(workflow: Workflow, limits: Limits | None = None) -> Plan:
    """Build the graph and compile every expression of a workflow that the loader passed under the same limits."""
    limits = limits or Limits()
    with collector.paused():
        graph = Graph([task.id for task in workflow.tasks], [task.depends_on for task in workflow.tasks])
        behind = graph.dependants
        tasks = {
            task.id: PlannedTask(
                task=task,
                position=position,
                dependants=behind[task.id],
                template=expressions.find(task.fields, limits) if task.fields else None,
                condition=None if task.when is None else expressions.compile_text(task.when, limits),
            )
            for position, task in enumerate(workflow.tasks)
        }
    return Plan(workflow, graph, tasks)
