"""What an attempt is handed and what its expressions see: a run's names, and a Start order as an assignment.

Computes from what it is given. Called by `executor`, and by whoever takes up a recorded run.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from engine.backend import Assignment
from engine.clock import rfc3339
from engine.facts import Start
from engine.model import Task
from engine.plan import Plan


class Ambience(Protocol):
    """What expressions and attempts find around them: values that belong to the operator, not to the document."""

    @property
    def env(self) -> Mapping[str, str]:
        """The allow-listed environment."""
        ...

    @property
    def secrets(self) -> Mapping[str, str]:
        """The secrets by name; their values are redacted from everything an attempt says."""
        ...


def scope(
    ambience: Ambience,
    key: str,
    plan: Plan,
    params: Mapping[str, Any],
    trigger: Mapping[str, Any],
    created_at: float,
) -> dict[str, Any]:
    """Build the names that the expressions of a run may use beside `tasks`; `created_at` in wall seconds."""
    return {
        "params": params,
        "run": {"id": key, "workflow": plan.workflow.name, "created_at": rfc3339(created_at)},
        "trigger": trigger,
        "env": ambience.env,
        "secrets": ambience.secrets,
    }


def isolation_of(task: Task) -> str:
    """Return the isolation an attempt needs: limits of the operating system hold for a process, so they ask for one."""
    return "process" if task.memory_limit is not None or task.cpu_limit is not None else task.isolation


def origin_of(trigger: Mapping[str, Any]) -> str:
    """Say by which type of trigger the document or its parameters came in.

    The trigger of a run that another one led to (`rerun`, `workflow`) names it as `origin`.
    """
    return str(trigger.get("origin") or trigger.get("type", ""))


def assignment(
    run: str, task: Task, order: Start, *, timeout: float, secrets: tuple[str, ...], origin: str = ""
) -> Assignment:
    """Make an order of a run into what a worker needs; `timeout` in seconds holds where the task sets none."""
    return Assignment(
        run,
        order.task,
        order.attempt,
        task.type,
        order.fields,
        order.inputs,
        order.memo,
        task.timeout if task.timeout is not None else timeout,
        isolation_of(task),
        task.memory_limit,
        task.cpu_limit,
        secrets,
        origin,
    )
