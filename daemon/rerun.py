"""What a run that repeats another may take over from it. Pure.

Completed tasks keep their outputs unless a person wants to start again from one: that task and all behind it run anew.
"""

from collections.abc import Mapping

from engine.errors import TaskUnknownError
from engine.plan import Plan
from engine.problems import nearest


def reusable(run: str, plan: Plan, outputs: Mapping[str, bytes], start: str | None) -> dict[str, bytes]:
    """Return the outputs of completed tasks that need not run again; `start` names the task to begin from.

    Raises TaskUnknownError if the run has no such task.
    """
    if start is None:
        return dict(outputs)
    if start not in plan.tasks:
        raise TaskUnknownError(run, start, nearest(start, plan.tasks))
    anew = {start, *plan.graph.descendants(start)}
    return {task: output for task, output in outputs.items() if task not in anew}
