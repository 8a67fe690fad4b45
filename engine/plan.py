"""A workflow made ready to run: its graph and its compiled expressions, computed once and shared by its runs. Pure."""

from typing import Any

import msgspec

from engine import collector, expressions
from engine.expressions import Expression, Template
from engine.limits import Limits
from engine.model import Edge, Task, Workflow
from engine.resolver import Graph


class Route(msgspec.Struct, frozen=True):
    """Lead from one node of a graph to another; without a condition, always."""

    target: str
    condition: Expression | None


class Control(msgspec.Struct, frozen=True):
    """Hold what few tasks have: expressions of its control flow, compiled, and the plan of a document inside it.

    `edges` are conditions on dependencies, `items` and `key` are of its `foreach`, `ends` is of its `loop`.
    """

    edges: dict[str, Expression]
    items: Template | None = None
    key: Expression | None = None
    ends: Expression | None = None
    cache_key: Template | None = None
    inner: "Plan | None" = None
    routes: tuple[Route, ...] = ()


class PlannedTask(msgspec.Struct, frozen=True):
    """Join a task with what it needs at run time; `template` is None when its fields hold no expression."""

    task: Task
    position: int
    dependants: tuple[str, ...]
    template: Template | None
    condition: Expression | None
    control: Control | None = None
    phase: str = "tasks"


class Plan(msgspec.Struct, frozen=True):
    """Hold a workflow, the graph of its tasks, and all its tasks, hooks too, by id.

    `phases` lists the ids by phase. `outputs`, `state` and `concurrency_key` are None where they hold no expression.
    """

    workflow: Workflow
    graph: Graph
    tasks: dict[str, PlannedTask]
    phases: dict[str, tuple[str, ...]]
    outputs: Template | None = None
    state: Template | None = None
    concurrency_key: Template | None = None

    def at(self, key: str) -> PlannedTask:
        """Return the task that a key speaks of: its id, or that of an instance (`id[key]`)."""
        planned = self.tasks.get(key)
        return self.tasks[id_of(key)] if planned is None else planned


def id_of(key: str) -> str:
    """Return the id of the task that a key speaks of."""
    return key.partition("[")[0]


def make_plan(workflow: Workflow, limits: Limits | None = None) -> Plan:
    """Build the graph and compile every expression of a workflow that the loader passed under the same limits."""
    limits = limits or Limits()
    tasks: dict[str, PlannedTask] = {}
    phases = {phase: members for phase, members in workflow.phases().items() if members or phase == "tasks"}
    edges: dict[str, list[Edge]] = {}
    for edge in workflow.routing.edges if workflow.routing else ():
        edges.setdefault(edge.source, []).append(edge)
    with collector.paused():
        graphs = {phase: _graph(members) for phase, members in phases.items()}
        for phase, members in phases.items():
            _plan_phase(phase, members, graphs[phase], edges, limits, tasks)
    return Plan(
        workflow,
        graphs["tasks"],
        tasks,
        {phase: tuple(task.id for task in members) for phase, members in phases.items()},
        outputs=None if workflow.outputs is None else expressions.find(workflow.outputs, limits),
        state=None if workflow.routing is None else expressions.find(workflow.routing.state, limits),
        concurrency_key=None if workflow.concurrency is None else expressions.find(workflow.concurrency.key, limits),
    )


def _graph(members: tuple[Task, ...]) -> Graph:
    return Graph([task.id for task in members], [task.depends_on for task in members])


def _plan_phase(
    phase: str,
    members: tuple[Task, ...],
    graph: Graph,
    edges: dict[str, list[Edge]],
    limits: Limits,
    tasks: dict[str, PlannedTask],
) -> None:
    behind = graph.dependants
    for position, task in enumerate(members, len(tasks)):
        tasks[task.id] = PlannedTask(
            task=task,
            position=position,
            dependants=behind[task.id],
            template=expressions.find(task.fields, limits) if task.fields else None,
            condition=_compiled(task.when, limits),
            control=_control(task, edges.get(task.id, []), limits),
            phase=phase,
        )


def _control(task: Task, edges: list[Edge], limits: Limits) -> Control | None:
    has_any = task.conditions or task.foreach or task.loop or task.cache or task.inner or edges
    if not has_any:
        return None
    return Control(
        edges={key: expressions.compile_text(text, limits) for key, text in (task.conditions or {}).items()},
        items=_found(task.foreach.items if task.foreach else None, limits),
        key=_compiled(task.foreach.key if task.foreach else None, limits),
        ends=_compiled((task.loop.until or task.loop.while_) if task.loop else None, limits),
        cache_key=_found(task.cache.key if task.cache else None, limits),
        inner=make_plan(task.inner.workflow, limits) if task.inner else None,
        routes=tuple(Route(edge.target, _compiled(edge.condition, limits)) for edge in edges),
    )


def _compiled(text: str | None, limits: Limits) -> Expression | None:
    return None if text is None else expressions.compile_text(text, limits)


def _found(value: Any, limits: Limits) -> Template | None:
    return None if value is None else expressions.find(value, limits)
