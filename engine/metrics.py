"""What a run took, added up from its attempts. Pure."""

from collections.abc import Sequence

import msgspec

from engine.clock import epoch
from engine.states import ENDED, State
from engine.views import AttemptView, RunView


class TaskMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """Say what a task or an instance took: seconds of its attempts, processor seconds, most resident bytes."""

    state: State
    attempts: int
    retries: int
    seconds: float
    cpu_seconds: float
    memory_bytes: int


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """Say what a run took: `seconds` from its begin to its end, or so far; `failure_rate` is of attempts that ended."""

    seconds: float
    attempts: int
    retries: int
    failure_rate: float
    cpu_seconds: float
    memory_bytes: int
    tasks: dict[str, TaskMetrics]


def measure(run: RunView, attempts: Sequence[AttemptView], now: float) -> Metrics:
    """Add up the attempts of a run that is shown with its tasks; `now` in wall seconds."""
    of_task: dict[str, list[AttemptView]] = {}
    for attempt in attempts:
        of_task.setdefault(attempt.task, []).append(attempt)
    tasks = {
        task.id: TaskMetrics(
            state=task.state,
            attempts=task.attempts,
            retries=max(0, task.attempts - 1),
            seconds=sum(attempt.seconds or 0.0 for attempt in of_task.get(task.id, ())),
            cpu_seconds=sum(attempt.cpu_seconds or 0.0 for attempt in of_task.get(task.id, ())),
            memory_bytes=max((attempt.memory_bytes or 0 for attempt in of_task.get(task.id, ())), default=0),
        )
        for task in run.tasks or ()
    }
    ended = [attempt for attempt in attempts if attempt.state in ENDED]
    failed = sum(1 for attempt in ended if attempt.state is State.FAILED)
    return Metrics(
        seconds=_seconds(run, now),
        attempts=len(attempts),
        retries=sum(task.retries for task in tasks.values()),
        failure_rate=failed / len(ended) if ended else 0.0,
        cpu_seconds=sum(task.cpu_seconds for task in tasks.values()),
        memory_bytes=max((task.memory_bytes for task in tasks.values()), default=0),
        tasks=tasks,
    )


def _seconds(run: RunView, now: float) -> float:
    if run.started_at is None:
        return 0.0
    return (now if run.ended_at is None else epoch(run.ended_at)) - epoch(run.started_at)
