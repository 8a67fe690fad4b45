"""What history shows, as frozen values that encode to the JSON contract: times in RFC 3339, outputs as they were given.

Values only, made by `history`; the command line, the API and the result files encode them with msgspec. `OpenRun` is
for a restart: what is needed to take a run up again.
"""

from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, Raw, UnsetType

from engine.states import DueState, Reason, State
from engine.submission import Parent, ScheduleRecord


class TaskView(msgspec.Struct, frozen=True, kw_only=True):
    """Show a task of a run; `output` is JSON, `started_at` of its first attempt.

    An instance of a task is shown right behind it, with its key (`id[key]`) as `id`.
    """

    id: str
    type: str
    state: State
    reason: str | None
    message: str
    attempts: int
    output: Raw
    started_at: str | None
    ended_at: str | None


class ParentView(msgspec.Struct, frozen=True, kw_only=True):
    """Name the attempt that called a run; that run may have been pruned since."""

    run: str
    task: str
    attempt: int


class ChildView(msgspec.Struct, frozen=True, kw_only=True):
    """Show a run that an attempt of this one's tasks called."""

    run: str
    task: str
    attempt: int
    state: State


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """Show a run; lists of runs come without `output`, `children` and `tasks`, and the keys are then absent.

    `parent`, `output` and `children` are absent, too, where there are none.
    """

    id: str
    workflow: str
    state: State
    reason: str | None
    message: str
    trigger: dict[str, Any]
    params: dict[str, Any]
    created_at: str
    started_at: str | None
    ended_at: str | None
    parent: ParentView | UnsetType = UNSET
    output: Raw | UnsetType = UNSET
    children: list[ChildView] | UnsetType = UNSET
    tasks: list[TaskView] | UnsetType = UNSET

    def outputs(self) -> dict[str, Any]:
        """Return the outputs of the tasks that completed, by id, without instances; empty for a run from a list."""
        tasks = [] if isinstance(self.tasks, UnsetType) else self.tasks
        good = (task for task in tasks if task.state is State.COMPLETED and "[" not in task.id)
        return {task.id: msgspec.json.decode(task.output) for task in good}


class ApprovalView(msgspec.Struct, frozen=True, kw_only=True):
    """Show a task that waits for a person: what is asked, since when, until when, and what no answer counts as.

    `form` is a JSON Schema, null where any data will do; `data` fills it in where an approval brings none.
    """

    run: str
    workflow: str
    task: str
    message: str
    form: Any
    data: Any
    since: str | None
    until: str | None
    on_timeout: str | None


class RunEnd(NamedTuple):
    """Say how a run ended and what it gives back (JSON): what its parent asks."""

    state: State
    reason: Reason | None
    message: str
    output: bytes


class AttemptView(msgspec.Struct, frozen=True, kw_only=True):
    """Show one try of a task: how it ended and what it took."""

    task: str
    attempt: int
    state: State
    reason: str | None
    message: str
    exit_code: int | None
    started_at: str
    ended_at: str | None
    seconds: float | None
    cpu_seconds: float | None
    memory_bytes: int | None


class EventView(msgspec.Struct, frozen=True, kw_only=True):
    """Show one line of the audit trail; `id` grows, `task` is None for the run itself, `state` for what changed none.

    `actor` is what asked for it (the trigger of the submission), None for the engine itself.
    """

    id: int
    at: str
    task: str | None
    attempt: int | None
    state: State | None
    reason: str | None
    message: str
    actor: str | None


class VersionView(msgspec.Struct, frozen=True, kw_only=True):
    """Show the newest recorded version of a workflow; `hash` is the SHA-256 of its document."""

    name: str
    hash: str
    versions: int
    created_at: str


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Count what lives: runs that have not ended, and their tasks, by state."""

    runs: dict[str, int]
    tasks: dict[str, int]


class DueView(msgspec.Struct, frozen=True, kw_only=True):
    """Show what became of a due instant, `run` where it led to one; or of `count` of them, from `first` to `due`."""

    schedule: str
    due: str
    state: DueState
    reason: str | None
    message: str
    run: str | None
    count: int
    first: str | None
    recorded_at: str


class Timetable(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what a restart needs of schedules: their records, the newest row of each, and what has not ended.

    `newest` is (wall seconds, what became of it) by name; `queued` are (name, wall seconds) in order, `open` are
    (run id, name, wall seconds) of runs that have not ended.
    """

    records: dict[str, ScheduleRecord]
    newest: dict[str, tuple[float, DueView]]
    queued: tuple[tuple[str, float], ...]
    open: tuple[tuple[str, str, float], ...]


class EndedRun(msgspec.Struct, frozen=True, kw_only=True):
    """Name a run that has ended and how many tasks it has; `place` is where it stands in the order of time."""

    id: str
    tasks: int
    place: tuple[float, int]


class OpenClaim(msgspec.Struct, frozen=True, kw_only=True):
    """Hold a claim that is not settled: `name` and `path` as the file system has them, None for a line of a file.

    `state` is of the run it led to, None where there is none (yet, or any more).
    """

    id: str
    name: bytes | None
    path: bytes | None
    claimed_at: float
    run: str | None
    state: State | None


class OpenTask(msgspec.Struct, frozen=True, kw_only=True):
    """Hold where a task stood: with the fields of `engine.run.Snapshot`, and its output as JSON.

    A large output is not read: `output_ref` names its file and `output` is null. Instances stand behind their task, by
    their keys; the memo of a task that has them is that of its Spread.

    `failures` counts attempts that failed, `lost` those that vanished with their process; `started_at` is of `attempt`.
    `child` is the run that the last attempt has called, but for one that runs: of the one before.
    """

    state: State
    attempt: int
    failures: int
    lost: int
    reason: Reason | None
    message: str
    due_at: float | None
    started_at: float | None
    memo: bytes
    output: bytes
    output_ref: str | None = None
    child: str = ""


class OpenRun(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what takes a run up again: its row, its document, and where each task stood.

    Times are wall seconds; `ending` is what a recorded WindDown said, with `output`. `warned` are the tasks that missed
    their deadline and were warned of, an empty text among them is the run. `depth` is 1 for a run that nobody called.
    `reused` (outputs of instances) and `expansions` are those of its submission, for tasks that were not spread yet,
    and `called` is that of its submission.
    """

    id: str
    workflow: str
    document: bytes
    state: State
    trigger: dict[str, Any]
    params: dict[str, Any]
    labels: dict[str, str]
    priority: int
    run_at: float | None
    deadline: float | None
    ending: tuple[State, Reason | None, str] | None
    created_at: float
    started_at: float | None
    tasks: dict[str, OpenTask]
    parent: Parent | None = None
    depth: int = 1
    use_cache: bool = True
    is_paused: bool = False
    output: bytes = b"null"
    warned: frozenset[str] = frozenset()
    reused: dict[str, bytes] = {}
    expansions: dict[str, bytes] = {}
    called: dict[str, str] = {}
