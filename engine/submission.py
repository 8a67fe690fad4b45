"""A request to run a workflow, and the receipt for it: what every source hands to the one door.

Values only. `executor` turns a submission into a run; `store` writes it.
"""

from typing import Any

import msgspec

from engine.model import Workflow
from engine.states import ClaimState, DueState


class Parent(msgspec.Struct, frozen=True):
    """Name the attempt that calls a workflow: at most one run comes of it. `depth` is that of the calling run."""

    run: str
    task: str
    attempt: int
    depth: int = 1


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for one run of a workflow that passed every check.

    `document` is the JSON as written (kept, and hashed for the version), `params` are complete (defaults applied).
    `trigger` is the public object (`{"type": "inbox", "file": ...}`). `run_at` is wall seconds. `claim` names a dropped
    file that is ours, `due` a schedule's instant as (schedule name, wall seconds): each of these, and the idempotency
    key, leads to at most one run, and so does `parent`. `reused` maps tasks that need not run again to their outputs
    (JSON), instances of a `foreach` by their keys; `expansions` maps the tasks of those to the memo of their Spread;
    `called` maps tasks and instances to the runs that they called then and that theirs may take over from.
    """

    workflow: Workflow
    document: bytes
    params: dict[str, Any] = {}
    trigger: dict[str, Any] = msgspec.field(default_factory=lambda: {"type": "cli"})
    idempotency_key: str | None = None
    priority: int = 0
    run_at: float | None = None
    claim: str | None = None
    due: tuple[str, float] | None = None
    parent: Parent | None = None
    reused: dict[str, bytes] = {}
    expansions: dict[str, bytes] = {}
    called: dict[str, str] = {}
    use_cache: bool = True
    labels: dict[str, str] = {}


class ClaimRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Say that a dropped file is about to become ours: `name` in the folder `path`, as the file system has them."""

    id: str
    name: bytes
    path: bytes


class ClaimEnd(msgspec.Struct, frozen=True, kw_only=True):
    """Say in which folder a claimed file ended, and why where that is not done/."""

    id: str
    state: ClaimState
    reason: str | None = None
    message: str = ""
    run: str | None = None


class DueRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Say what became of a schedule's due instant (wall seconds) that leads to no run, or to none yet.

    With `count` and `first_at` it speaks of as many instants, the last of which is `due_at`.
    """

    schedule: str
    due_at: float
    state: DueState
    reason: str | None = None
    message: str = ""
    count: int = 1
    first_at: float | None = None


class ScheduleRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what is known of a schedule beside its definition; it counts from `since` (wall seconds) on.

    `reason` and `message` say why it is paused; `failures` counts the runs that failed in a row.
    """

    name: str
    definition_hash: str
    since: float
    is_paused: bool = False
    reason: str | None = None
    message: str = ""
    failures: int = 0


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """Say which run a submission led to; `is_new` is false when an earlier one with the same key answers for it.

    `matched` then says which key: `claim`, `due`, `parent`, `idempotency_key` or `id`. A due instant that was settled
    without a run has none (`run` is empty), and `state` is what became of it.
    """

    run: str
    is_new: bool
    state: str
    matched: str | None = None
