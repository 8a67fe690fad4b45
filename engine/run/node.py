"""What changes of one task, or of one instance of it, while its run lives. Pure; the rooms of `run` alone change it."""

from typing import Any

import msgspec

from engine.joins import Join
from engine.model import Task
from engine.plan import PlannedTask
from engine.states import Reason, State


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Say where a task stood when its run was last recorded, for a run that is taken up again.

    `child` is the run that an attempt before the one that runs has called.
    """

    state: State
    attempt: int = 0
    failures: int = 0
    lost: int = 0
    reason: Reason | None = None
    message: str = ""
    due_at: float | None = None
    started_at: float | None = None
    memo: bytes = b"null"
    child: str = ""


class Doom(msgspec.Struct, frozen=True):
    """Say how something that is being ended will have ended."""

    state: State
    reason: Reason
    message: str = ""


class Node:
    """What changes of a task while its run lives.

    An instance of a fanned-out or repeated task has a `parent`, a `number` among its siblings, and `names` of its own
    for its expressions; its `key` is `id[key]`, that of any other node is the id. `spread` is what a parent knows of
    its instances. `doom` says how it will end once what is alive of it is gone. `is_awaiting`: it lasts as long as
    the run that it calls.
    """

    __slots__ = (
        "attempt",
        "cache_key",
        "child",
        "doom",
        "due_at",
        "failures",
        "is_awaiting",
        "is_ready",
        "is_recalled",
        "join",
        "key",
        "lost",
        "memo",
        "message",
        "names",
        "number",
        "parent",
        "planned",
        "reason",
        "spread",
        "started_at",
        "state",
        "task",
    )

    def __init__(
        self,
        planned: PlannedTask,
        key: str = "",
        parent: "Node | None" = None,
        number: int = 0,
        names: dict[str, Any] | None = None,
    ) -> None:
        self.planned = planned
        self.task: Task = planned.task
        self.key = key or planned.task.id
        self.parent, self.number, self.names = parent, number, names
        self.state = State.PENDING
        self.attempt = self.failures = self.lost = 0
        self.reason: Reason | None = None
        self.message = ""
        # An instance waits for nobody: its parent has.
        self.join = Join(self.task.trigger_rule, 0 if parent else len(self.task.depends_on))
        self.is_ready = self.is_recalled = False
        self.is_awaiting = True
        self.memo = b"null"
        self.cache_key = self.child = ""
        self.started_at: float | None = None
        self.due_at: float | None = None
        self.doom: Doom | None = None
        self.spread: Any = None

    def take_up(self, snapshot: Snapshot) -> None:
        """Stand where the record says."""
        self.state, self.attempt = snapshot.state, snapshot.attempt
        self.failures, self.lost = snapshot.failures, snapshot.lost
        self.reason, self.message, self.memo = snapshot.reason, snapshot.message, snapshot.memo
        self.started_at, self.due_at, self.child = snapshot.started_at, snapshot.due_at, snapshot.child

    @property
    def is_good(self) -> bool:
        """Tell whether the tasks behind it may take its end as a success."""
        return self.state is State.COMPLETED or (self.state is State.FAILED and self.task.continue_on_failure)

    @property
    def is_under_way(self) -> bool:
        """Tell whether an attempt of it runs now."""
        return self.state is State.RUNNING and self.attempt > 0
