"""What changes of one task while its run lives. Pure; `run` alone owns and changes it."""

import msgspec

from engine.joins import Join
from engine.model import Task
from engine.plan import PlannedTask
from engine.states import Reason, State


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Say where a task stood when its run was last recorded, for a run that is taken up again."""

    state: State
    attempt: int = 0
    failures: int = 0
    lost: int = 0
    reason: Reason | None = None
    message: str = ""
    due_at: float | None = None
    started_at: float | None = None
    memo: bytes = b"null"


class Node:
    """What changes of a task while its run lives."""

    __slots__ = (
        "attempt",
        "due_at",
        "failures",
        "is_ready",
        "join",
        "killed_for",
        "lost",
        "memo",
        "message",
        "planned",
        "reason",
        "started_at",
        "state",
        "task",
    )

    def __init__(self, planned: PlannedTask) -> None:
        self.planned = planned
        self.task: Task = planned.task
        self.state = State.PENDING
        self.attempt = self.failures = self.lost = 0
        self.reason: Reason | None = None
        self.message = ""
        self.join = Join(self.task.trigger_rule, len(self.task.depends_on))
        self.is_ready = False
        self.memo = b"null"
        self.started_at: float | None = None
        self.due_at: float | None = None
        self.killed_for: Reason | None = None

    def take_up(self, snapshot: Snapshot) -> None:
        """Stand where the record says."""
        self.state, self.attempt = snapshot.state, snapshot.attempt
        self.failures, self.lost = snapshot.failures, snapshot.lost
        self.reason, self.message, self.memo = snapshot.reason, snapshot.message, snapshot.memo
        self.started_at, self.due_at = snapshot.started_at, snapshot.due_at

    @property
    def is_good(self) -> bool:
        """Tell whether the tasks behind it may take its end as a success."""
        return self.state is State.COMPLETED or (self.state is State.FAILED and self.task.continue_on_failure)
