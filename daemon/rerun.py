"""What a run that repeats another may take over from it. Pure.

A completed task keeps its output unless it is behind one that runs anew: one that did not complete, or the one that a
person wants to start again from. Tasks left out by their condition are judged again and stand in nobody's way. Of a
`foreach` that did not complete, the instances that did are kept, and so it goes on in runs that tasks have called.
Hooks and the tasks of a graph always run anew.
"""

from collections.abc import Mapping

import msgspec

from engine.errors import TaskUnknownError
from engine.plan import Plan, id_of
from engine.problems import nearest
from engine.states import State

_IN_ORDER = frozenset({State.COMPLETED, State.SKIPPED})


class Former(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what is known of the run that is repeated: states and outputs by key, and how its tasks were spread.

    `called` maps tasks and instances to the last run that each has called.
    """

    run: str
    states: Mapping[str, State]
    outputs: Mapping[str, bytes]
    expansions: Mapping[str, bytes] = {}
    called: Mapping[str, str] = {}


class Kept(msgspec.Struct, frozen=True):
    """Name what need not run again; see `engine.submission.Submission`."""

    reused: dict[str, bytes]
    expansions: dict[str, bytes]
    called: dict[str, str] = {}


def reusable(former: Former, plan: Plan, start: str | None) -> Kept:
    """Return what can be taken over; `start` names the task to begin from.

    Raises TaskUnknownError if the run has no such task, or if that is a hook.
    """
    members = plan.graph.order
    if start is not None and start not in members:
        raise TaskUnknownError(former.run, start, nearest(start, members))
    if plan.workflow.routing is not None:
        return Kept({}, {})
    anew, begun = set[str](), set[str]()
    for task in members:
        if task not in anew and (task == start or former.states.get(task) not in _IN_ORDER):
            begun.add(task)
            anew |= {task} | plan.graph.descendants(task)
    # What a task was spread over can only have changed where something before it runs anew.
    spread = {task for task in begun - {start} if _is_spread(plan, task) and task in former.expansions}
    kept = set(members) - anew
    reused = {key: output for key, output in former.outputs.items() if key in kept or _instance_of(key) in spread}
    # A call stands where it stood only if nothing before it runs anew; of an iteration, those before it do.
    first = {task for task in begun - {start} if plan.tasks[task].task.loop is None}
    called = {key: run for key, run in former.called.items() if id_of(key) in first and key not in reused}
    return Kept(reused, {task: former.expansions[task] for task in members if task in spread}, called)


def _is_spread(plan: Plan, task: str) -> bool:
    """Tell whether the instances of a task stand for themselves: an iteration of a loop has those before it."""
    return plan.tasks[task].task.foreach is not None


def _instance_of(key: str) -> str | None:
    task = id_of(key)
    return None if task == key else task
