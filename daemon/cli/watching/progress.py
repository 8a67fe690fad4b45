"""What a watcher knows of one run so far: where each task stands, and which of them are worth showing. Pure.

Fed with changes; who learns of them how (orders of an executor in this process, events of a daemon) is no matter here.
Called by `live` and `lines`, which show it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from engine.facts import (
    Begin,
    Call,
    Cancel,
    Complete,
    Fail,
    Finish,
    Open,
    Order,
    Pause,
    RetryAt,
    Skip,
    Spread,
    Start,
    Stay,
    Unpause,
    WaitUntil,
)
from engine.states import ENDED, Reason, State


class Change(NamedTuple):
    """Say that a task (None: the run itself) is in another state; `until` is the wall time of what it waits for."""

    task: str | None
    state: State
    at: float
    attempt: int = 0
    reason: str | None = None
    message: str = ""
    until: float | None = None


class Watched:
    """Where one task stands; `instances` are those it has come to so far, in the order in which they were heard of."""

    __slots__ = (
        "attempt",
        "ended_at",
        "id",
        "instances",
        "message",
        "reason",
        "started_at",
        "state",
        "tally",
        "type",
        "until",
    )

    def __init__(self, task: str, task_type: str) -> None:
        self.id, self.type = task, task_type
        self.state = State.PENDING
        self.attempt = 0
        self.reason: str | None = None
        self.message = ""
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self.until: float | None = None
        self.instances: list[Watched] = []
        self.tally: Counter[State] = Counter()

    def seconds(self, now: float) -> float | None:
        """Return how long it has taken since its first attempt began; None if it never did."""
        if self.started_at is None:
            return None
        return (now if self.ended_at is None else self.ended_at) - self.started_at


class Progress:
    """Keep the state of every task of one run and how many are in which."""

    def __init__(self, tasks: Iterable[tuple[str, str]]) -> None:
        """Begin with every task, as (id, type) in the order of the document, PENDING."""
        self.tasks = {task: Watched(task, task_type) for task, task_type in tasks}
        self.counts = dict.fromkeys(State, 0)
        self.counts[State.PENDING] = len(self.tasks)
        self.state, self.reason, self.message = State.PENDING, "", ""
        self.started_at: float | None = None
        self.ended_at: float | None = None
        # Dicts for their order: whoever came in last stands last.
        self._running: dict[str, Watched] = {}
        self._held: dict[str, Watched] = {}
        self._failed: dict[str, Watched] = {}
        self._ended: dict[str, Watched] = {}

    def take(self, change: Change) -> bool:
        """Take in one change, and tell whether it is news; of a task that is not known, nothing is.

        An instance (`id[key]`) of a known task is known from the first that is heard of it.
        """
        if change.task is None:
            self._take_run(change)
            return True
        task = self.tasks.get(change.task)
        if task is None:
            task = self._instance(change.task)
            if task is None:
                return False
        elif (task.state, task.until) == (change.state, change.until) and change.attempt in (0, task.attempt):
            return False
        self._count(task, change.state)
        for group in (self._running, self._held, self._failed, self._ended):
            group.pop(task.id, None)
        task.state, task.reason, task.message, task.until = change.state, change.reason, change.message, change.until
        task.attempt = change.attempt or task.attempt
        if change.state is State.RUNNING and task.started_at is None:
            task.started_at = change.at
        task.ended_at = change.at if change.state in ENDED else None
        joined = self._group(change.state)
        if joined is not None:
            joined[task.id] = task
        return True

    @property
    def has_ended(self) -> bool:
        """Tell whether the run has."""
        return self.state in ENDED

    @property
    def ended(self) -> int:
        """Count the tasks that have ended, however they did."""
        return sum(self.counts[state] for state in ENDED)

    def focus(self, room: int) -> Sequence[Watched]:
        """Choose the tasks to show where only so many lines are free, in the order to show them.

        All, as the document has them, if they fit; else what failed and ended last, what waits, and what runs. Where
        room is scarce, what runs and what failed goes before the rest.
        """
        if len(self.tasks) <= room:
            tops = [task for task in self.tasks.values() if "[" not in task.id]
            return [each for task in tops for each in (task, *task.instances)]
        if room <= 0:
            return []
        failed = _last(self._failed, room // 3)
        held = list(islice(self._held.values(), (room - len(failed)) // 4))
        others = min(len(self._ended), (room - len(failed) - len(held)) // 3)
        running = list(islice(self._running.values(), room - len(failed) - len(held) - others))
        ended = _last(self._ended, room - len(failed) - len(held) - len(running))
        return [*failed, *ended, *held, *running]

    def _instance(self, key: str) -> Watched | None:
        parent = self.tasks.get(key.partition("[")[0])
        if parent is None or parent.id == key:
            return None
        task = self.tasks[key] = Watched(key, parent.type)
        parent.instances.append(task)
        parent.tally[State.PENDING] += 1
        self.counts[State.PENDING] += 1
        return task

    def _count(self, task: Watched, state: State) -> None:
        self.counts[task.state] -= 1
        self.counts[state] += 1
        parent = self.tasks[task.id.partition("[")[0]]
        if parent is not task:
            parent.tally[task.state] -= 1
            parent.tally[state] += 1

    def _group(self, state: State) -> dict[str, Watched] | None:
        if state is State.RUNNING:
            return self._running
        if state is State.FAILED:
            return self._failed
        if state in ENDED:
            return self._ended
        return None if state is State.PENDING else self._held

    def _take_run(self, change: Change) -> None:
        self.state, self.reason, self.message = change.state, change.reason or "", change.message
        if change.state is State.RUNNING:
            self.started_at = self.started_at or change.at
        elif change.state in ENDED:
            self.ended_at = change.at


def changes(orders: Iterable[Order], now: float) -> Iterator[Change]:
    """Read what orders change for a watcher; those that change no state change nothing."""
    for order in orders:
        match order:
            case Start(task, attempt) | Open(task, attempt) | Call(task, attempt):
                yield Change(task, State.RUNNING, now, attempt)
            case Complete(task, attempt, _, _, reason, message):
                yield Change(task, State.COMPLETED, now, attempt, reason, message)
            case Fail(task, attempt, reason, message):
                yield Change(task, State.FAILED, now, attempt, reason, message)
            case RetryAt(task, attempt, at, reason, message):
                yield Change(task, State.RETRYING, now, attempt, reason, message, at)
            case WaitUntil(task, attempt, at, _, reason, message):
                yield Change(task, State.WAITING, now, attempt, reason, message, at)
            case Skip(task, reason, message):
                yield Change(task, State.SKIPPED, now, 0, reason, message)
            case Cancel(task, attempt, reason, message):
                yield Change(task, State.CANCELLED, now, attempt, reason, message)
            case Spread(task, instances, _, at):
                yield Change(task, State.RUNNING, now)
                state = State.PENDING if at is None else State.WAITING
                yield from (Change(instance, state, now, until=at) for instance in instances)
            case _:
                yield from _of_run(order, now)


def _of_run(order: Order, now: float) -> Iterator[Change]:
    match order:
        case Begin():
            yield Change(None, State.RUNNING, now)
        case Stay(reason, message):
            yield Change(None, State.WAITING, now, 0, reason, message)
        case Pause(message):
            yield Change(None, State.WAITING, now, 0, Reason.PAUSED, message)
        case Unpause(message):
            yield Change(None, State.RUNNING, now, 0, None, message)
        case Finish(state, reason, message):
            yield Change(None, state, now, 0, reason, message)
        case _:
            pass


def _last(tasks: dict[str, Watched], count: int) -> list[Watched]:
    return list(islice(reversed(tasks.values()), max(0, count)))[::-1]
