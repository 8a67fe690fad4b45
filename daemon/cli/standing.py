"""How the tasks of a run stand, as rows: instances under their task, called runs too, hooks apart, visits in order.

Called by `show`. Where there are many, the short form leaves out what is plain success and says how much.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from daemon.cli.counting import counted
from daemon.cli.memory import shown_id
from daemon.cli.moments import local, took
from daemon.cli.output import Output, Row
from daemon.cli.text import Styled, readable, state, why
from engine.clock import epoch, wall
from engine.limits import Limits
from engine.states import State
from engine.views import ChildView, RunView, TaskView

_TASKS_SHOWN = 50
_INSTANCES_SHOWN = 8
_INDENT = "  "
# What a document must hold to be more than a list of tasks; most do not, and are not read again.
_MARKS = (b'"on_success"', b'"on_failure"', b'"on_cancel"', b'"finally"', b'"edges"', b'"routing"')
_BOUNDLESS = 1 << 60

Part = tuple[str, list[Row], str]


class Shape(NamedTuple):
    """Say what a document has beside its tasks: its hooks by phase, and whether it is a graph that is walked."""

    hooks: dict[str, tuple[str, ...]]
    is_graph: bool


def shape_of(document: bytes, limits: Limits) -> Shape | None:
    """Read out of a recorded document what its rows do not tell; None for one that is nothing but tasks."""
    if not any(mark in document for mark in _MARKS):
        return None
    from engine import loader

    # It was judged when it came in; a limit that was lowered since is no reason to show less.
    lenient = msgspec.structs.replace(
        limits, document_bytes=_BOUNDLESS, document_tasks=_BOUNDLESS, document_depth=1 << 10, workflow_depth=1 << 10
    )
    workflow, _ = loader.load(document, None, lenient)
    if workflow is None:
        return None
    hooks = {phase: tuple(task.id for task in members) for phase, members in workflow.phases().items() if members}
    hooks.pop("tasks", None)
    return Shape(hooks, workflow.routing is not None)


def parts(out: Output, run: RunView, shape: Shape | None, *, is_short: bool) -> Iterator[Part]:
    """Yield each part of a run as its title, its rows, and a sentence about what was left out."""
    table = _Table(out, run, is_short=is_short)
    hooks = {} if shape is None else shape.hooks
    of_hooks = {task for members in hooks.values() for task in members}
    tasks = [task for task in table.tops if task.id not in of_hooks]
    yield "", *table.rows(tasks, with_instances=shape is None or not shape.is_graph)
    if shape is not None and shape.is_graph:
        yield "visits", *table.visits([task.id for task in tasks])
    for phase, members in hooks.items():
        known = [task for task in table.tops if task.id in members]
        if known:
            yield phase, *table.rows(known)


class _Table:
    """The rows of one run."""

    def __init__(self, out: Output, run: RunView, *, is_short: bool) -> None:
        """Sort its tasks: those of the document, and the instances and called runs of each."""
        self._out, self._is_short, self._now = out, is_short, wall()
        tasks = [] if isinstance(run.tasks, msgspec.UnsetType) else run.tasks
        self.tops = [task for task in tasks if "[" not in task.id]
        self._instances: dict[str, list[TaskView]] = {}
        for task in tasks:
            if "[" in task.id:
                self._instances.setdefault(task.id.partition("[")[0], []).append(task)
        self._called: dict[str, list[ChildView]] = {}
        for child in [] if isinstance(run.children, msgspec.UnsetType) else run.children:
            self._called.setdefault(child.task, []).append(child)

    def rows(self, tasks: Sequence[TaskView], *, with_instances: bool = True) -> tuple[list[Row], str]:
        """Return the rows of these tasks with what belongs to each, and what was left out of them."""
        shown = _telling(tasks, _TASKS_SHOWN) if self._is_short else tasks
        rows: list[Row] = []
        for task in shown:
            rows.append(self._row(task))
            rows += self._calls(task.id, _INDENT)
            if with_instances:
                rows += self._below(self._instances.get(task.id, ()))
        left = len(tasks) - len(shown)
        return rows, counted(left, "more task") if left else ""

    def visits(self, nodes: Sequence[str]) -> tuple[list[Row], str]:
        """Return the visits of a graph in the order in which they were made; of many, the last."""
        made = [visit for node in nodes for visit in self._instances.get(node, ())]
        made.sort(key=lambda visit: int(visit.id.partition("[")[2].rstrip("]")))
        shown = made[-_TASKS_SHOWN:] if self._is_short else made
        left = len(made) - len(shown)
        rows = [row for visit in shown for row in (self._row(visit), *self._calls(visit.id, _INDENT))]
        return rows, counted(left, "earlier visit") if left else ""

    def _below(self, instances: Sequence[TaskView]) -> Iterator[Row]:
        shown = _telling(instances, _INSTANCES_SHOWN) if self._is_short else instances
        for task in shown:
            yield self._row(task, _INDENT)
            yield from self._calls(task.id, 2 * _INDENT)
        left = Counter(task.state for task in instances)
        left.subtract(task.state for task in shown)
        if left.total():
            counts = ", ".join(f"{left[at]:,} {at.lower()}" for at in State if left[at])
            yield Styled(f"{_INDENT}and {left.total():,} more", "faint"), "", "", "", "", "", Styled(counts, "faint")

    def _calls(self, task: str, indent: str) -> Iterator[Row]:
        called = self._called.get(task, ())
        for child in called:
            name = Styled(f"{indent}-> run {shown_id(self._out, child.run)}", "faint")
            yield name, "", state(child.state), str(child.attempt) if len(called) > 1 else "", "", "", ""

    def _row(self, task: TaskView, indent: str = "") -> Row:
        begun, ended = (None if time is None else epoch(time) for time in (task.started_at, task.ended_at))
        seconds = None if begun is None or ended is None else ended - begun
        if task.message or task.reason:
            outcome = Styled(why(task.reason, task.message), "bad" if task.state == "FAILED" else "faint")
        else:
            outcome = Styled(readable(bytes(task.output)), "")
        name = Styled(indent + task.id, "head")
        tries = str(task.attempts or "")
        return name, task.type, state(task.state), tries, local(begun, self._now), took(seconds), outcome


def _telling(tasks: Sequence[TaskView], most: int) -> Sequence[TaskView]:
    """Choose what a person looks for, in the order of the document: what failed, then what lives, then the rest."""
    if len(tasks) <= most:
        return tasks
    rank = {State.FAILED: 0, State.RUNNING: 1, State.RETRYING: 1, State.WAITING: 1, State.COMPLETED: 3}
    chosen = sorted(range(len(tasks)), key=lambda number: rank.get(tasks[number].state, 2))[:most]
    return [tasks[number] for number in sorted(chosen)]
