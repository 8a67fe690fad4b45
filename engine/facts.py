"""Every fact (something that happened) and every order (something to do): the vocabulary between `run` and its hands.

Frozen values both ways. `task` is the key of a task in its run, `attempt` counts from 1, times are wall seconds,
`output` is JSON as bytes (never decoded on the way). Facts carry the attempt they speak of: a late one shows.
"""

from typing import Any

import msgspec

from engine.states import Reason, State


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Say what an attempt took: seconds by the worker's clock, processor seconds, largest resident size in bytes."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    memory_bytes: int = 0


class Submitted(msgspec.Struct, frozen=True):
    """The run exists, durably, and may begin."""


class Granted(msgspec.Struct, frozen=True):
    """There is room for one more attempt, and it is for this task."""

    task: str


class Succeeded(msgspec.Struct, frozen=True, gc=False):
    """The plugin said yes."""

    task: str
    attempt: int
    output: bytes = b"null"
    usage: Usage | None = None


class Failed(msgspec.Struct, frozen=True):
    """The plugin said no: the task failed."""

    task: str
    attempt: int
    reason: Reason = Reason.ERROR
    message: str = ""
    exit_code: int | None = None
    output: bytes = b"null"
    usage: Usage | None = None


class Broke(msgspec.Struct, frozen=True):
    """We failed: the worker died, the plugin is missing, the output is not JSON."""

    task: str
    attempt: int
    reason: Reason = Reason.WORKER_LOST
    message: str = ""
    usage: Usage | None = None


class TimedOut(msgspec.Struct, frozen=True):
    """The attempt reached its timeout and nothing of it is alive."""

    task: str
    attempt: int
    message: str = ""
    usage: Usage | None = None


class Killed(msgspec.Struct, frozen=True):
    """A Kill order was carried out and nothing of the attempt is alive."""

    task: str
    attempt: int
    usage: Usage | None = None


class Recalled(msgspec.Struct, frozen=True):
    """What the cache holds for a Recall order under `key`: the output and the run it comes from, or None."""

    task: str
    key: str
    output: bytes | None = None
    source: str = ""


class ChildStarted(msgspec.Struct, frozen=True):
    """The run that a Call order asked for exists, durably."""

    task: str
    attempt: int
    run: str


class ChildEnded(msgspec.Struct, frozen=True):
    """The run that a Call order asked for has ended like this, or could not come to be (`run` is empty then)."""

    task: str
    attempt: int
    run: str
    state: State
    reason: Reason | None = None
    message: str = ""
    output: bytes = b"null"


class Decided(msgspec.Struct, frozen=True):
    """A person has approved or rejected; `data` is the filled-in form (JSON), already judged by its schema."""

    task: str
    is_approved: bool
    actor: str = ""
    note: str = ""
    data: bytes = b"null"


class Deferred(msgspec.Struct, frozen=True):
    """The plugin asks to be called again after `seconds`, and to find `memo` (JSON) then."""

    task: str
    attempt: int
    seconds: float
    memo: bytes = b"null"


class Lost(msgspec.Struct, frozen=True):
    """The attempt's process is gone together with whoever watched it (or was told to stop)."""

    task: str
    attempt: int
    reason: Reason = Reason.DAEMON_LOST


class Due(msgspec.Struct, frozen=True):
    """The time of a RetryAt or WaitUntil order has come."""

    task: str
    attempt: int


class DeadlineReached(msgspec.Struct, frozen=True):
    """The run has taken as long as it may."""


class AlarmReached(msgspec.Struct, frozen=True):
    """The `deadline` of a task has come, or that of the run (`task` is empty)."""

    task: str = ""


class Queued(msgspec.Struct, frozen=True):
    """The run may not begin yet: earlier runs have its place."""

    message: str = ""


class PauseAsked(msgspec.Struct, frozen=True):
    """Somebody wants the run to start nothing more for now."""

    message: str = ""
    actor: str = ""


class ResumeAsked(msgspec.Struct, frozen=True):
    """Somebody wants a paused run to go on."""

    message: str = ""
    actor: str = ""


class CancelAsked(msgspec.Struct, frozen=True):
    """Somebody wants the run to end now."""

    reason: Reason = Reason.USER
    message: str = ""


Fact = (
    Submitted
    | Granted
    | Succeeded
    | Failed
    | Broke
    | TimedOut
    | Killed
    | Deferred
    | Lost
    | Due
    | DeadlineReached
    | CancelAsked
    | Recalled
    | ChildStarted
    | ChildEnded
    | Decided
    | AlarmReached
    | Queued
    | PauseAsked
    | ResumeAsked
)
Report = Succeeded | Failed | Broke | TimedOut | Killed | Deferred | Lost


class Begin(msgspec.Struct, frozen=True):
    """The run is RUNNING; wake it with DeadlineReached at `deadline`, with AlarmReached at each of `alarms`.

    An alarm is a pair of wall time and task; an empty task stands for the run.
    """

    deadline: float | None = None
    alarms: tuple[tuple[float, str], ...] = ()


class Start(msgspec.Struct, frozen=True, gc=False):
    """Record the task RUNNING with this attempt, then dispatch it with these resolved fields."""

    task: str
    attempt: int
    fields: dict[str, Any]
    inputs: dict[str, bytes]
    memo: bytes = b"null"


class Open(msgspec.Struct, frozen=True):
    """Record the task RUNNING with this attempt, which nobody has to carry out: it waits for a person."""

    task: str
    attempt: int


class Call(msgspec.Struct, frozen=True):
    """Record the task RUNNING with this attempt, then have another workflow run: ChildStarted and ChildEnded come back.

    `workflow` is a name or path, or None for the document that the task has in itself. Wake it with Due at `at`.
    With `repeats`, the run of an earlier attempt, what completed there need not run again.
    """

    task: str
    attempt: int
    workflow: str | None
    params: dict[str, Any]
    at: float | None = None
    repeats: str = ""


class Recall(msgspec.Struct, frozen=True):
    """Look into the cache: Recalled comes back in the same turn. The key is a hash of type, version, material."""

    task: str
    material: str


class Spread(msgspec.Struct, frozen=True):
    """Record new instances of a task, by key (`id[key]`), and the task itself RUNNING, without an attempt of its own.

    Instances are PENDING; with `due_at` they are WAITING, to be woken with Due (attempt 0) then. `memo` is kept with
    the task, for a restart; None leaves what is there.
    """

    task: str
    instances: tuple[str, ...]
    memo: bytes | None = None
    due_at: float | None = None


class Complete(msgspec.Struct, frozen=True, gc=False):
    """Record the task COMPLETED; `attempt` 0 means it had none of its own.

    With `cache`, a pair of the key that Recalled gave and a time to live in seconds (None: for ever), its output may
    be used again.
    """

    task: str
    attempt: int
    output: bytes = b"null"
    usage: Usage | None = None
    reason: Reason | None = None
    message: str = ""
    cache: tuple[str, float | None] | None = None


class Fail(msgspec.Struct, frozen=True):
    """Record the task FAILED for good; `attempt` 0 means it never started."""

    task: str
    attempt: int
    reason: Reason
    message: str = ""
    exit_code: int | None = None
    output: bytes = b"null"
    usage: Usage | None = None


class RetryAt(msgspec.Struct, frozen=True):
    """Record the attempt FAILED and the task RETRYING; wake it with Due at `at`."""

    task: str
    attempt: int
    at: float
    reason: Reason = Reason.ERROR
    message: str = ""
    exit_code: int | None = None
    usage: Usage | None = None


class WaitUntil(msgspec.Struct, frozen=True):
    """Record the task WAITING, its attempt still open; wake it with Due at `at`, if it waits for a time."""

    task: str
    attempt: int
    at: float | None
    memo: bytes = b"null"
    reason: Reason = Reason.DEFERRED
    message: str = ""


class Skip(msgspec.Struct, frozen=True):
    """Record the task SKIPPED."""

    task: str
    reason: Reason
    message: str = ""


class Cancel(msgspec.Struct, frozen=True):
    """Record the task CANCELLED; `attempt` 0 means it never started."""

    task: str
    attempt: int
    reason: Reason
    message: str = ""
    usage: Usage | None = None


class Kill(msgspec.Struct, frozen=True):
    """Ask the attempt to end, then end it: a Killed (or an earlier outcome) comes back."""

    task: str
    attempt: int
    reason: Reason


class Warn(msgspec.Struct, frozen=True):
    """Record, once, that a deadline has passed; `task` is empty for the run."""

    task: str
    message: str


class Stay(msgspec.Struct, frozen=True):
    """Record the run WAITING before it has begun."""

    reason: Reason
    message: str = ""


class Pause(msgspec.Struct, frozen=True):
    """Record the run WAITING in its middle, with reason `paused`."""

    message: str = ""
    actor: str = ""


class Unpause(msgspec.Struct, frozen=True):
    """Record a paused run RUNNING again."""

    message: str = ""
    actor: str = ""


class Collapse(msgspec.Struct, frozen=True):
    """End whatever of the run is alive and record all its open tasks CANCELLED, whatever memory says of them."""

    message: str


class WindDown(msgspec.Struct, frozen=True):
    """Record that the run is going to end like this, so that a restart in between does not forget it.

    `output` is what the run gives back, where that is known already.
    """

    state: State
    reason: Reason | None
    message: str = ""
    output: bytes = b"null"


class Finish(msgspec.Struct, frozen=True):
    """Record the end of the run, and what it gives back."""

    state: State
    reason: Reason | None = None
    message: str = ""
    output: bytes = b"null"


Order = (
    Begin
    | Start
    | Open
    | Call
    | Recall
    | Spread
    | Complete
    | Fail
    | RetryAt
    | WaitUntil
    | Skip
    | Cancel
    | Kill
    | Warn
    | Stay
    | Pause
    | Unpause
    | Collapse
    | WindDown
    | Finish
)
