"""What a run that repeats another may take over from it. Pure.

A completed task keeps its output unless it is behind one that runs anew: one that did not complete, or the one that a
person wants to start again from. Tasks left out by their condition are judged again and stand in nobody's way.
"""

from collections.abc import Mapping

from engine.errors import TaskUnknownError
from engine.plan import Plan
from engine.problems import nearest
from engine.states import State

_IN_ORDER = frozenset({State.COMPLETED, State.SKIPPED})


def reusable(
    run: str, plan: Plan, states: Mapping[str, State], outputs: Mapping[str, bytes], start: str | None
) -> dict[str, bytes]:
    """Return the outputs of completed tasks that need not run again; `start` names the task to begin from.

    Raises TaskUnknownError if the run has no such task.
    """
    if start is not None and start not in plan.tasks:
        raise TaskUnknownError(run, start, nearest(start, plan.tasks))
    anew: set[str] = set()
    for task in plan.graph.order:
        if task not in anew and (task == start or states.get(task) not in _IN_ORDER):
            anew |= {task} | plan.graph.descendants(task)
    return {task: output for task, output in outputs.items() if task not in anew}
