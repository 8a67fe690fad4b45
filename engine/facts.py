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
)
Report = Succeeded | Failed | Broke | TimedOut | Killed | Deferred | Lost


class Begin(msgspec.Struct, frozen=True):
    """The run is RUNNING; with a timeout, wake it with DeadlineReached at `deadline`."""

    deadline: float | None = None


class Start(msgspec.Struct, frozen=True, gc=False):
    """Record the task RUNNING with this attempt, then dispatch it with these resolved fields."""

    task: str
    attempt: int
    fields: dict[str, Any]
    inputs: dict[str, bytes]
    memo: bytes = b"null"


class Complete(msgspec.Struct, frozen=True, gc=False):
    """Record the task COMPLETED."""

    task: str
    attempt: int
    output: bytes = b"null"
    usage: Usage | None = None


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
    """Record the task WAITING, its attempt still open; wake it with Due at `at`."""

    task: str
    attempt: int
    at: float
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


class WindDown(msgspec.Struct, frozen=True):
    """Record that the run is going to end like this, so that a restart in between does not forget it."""

    state: State
    reason: Reason
    message: str = ""


class Finish(msgspec.Struct, frozen=True):
    """Record the end of the run."""

    state: State
    reason: Reason | None = None
    message: str = ""


Order = Begin | Start | Complete | Fail | RetryAt | WaitUntil | Skip | Cancel | Kill | WindDown | Finish
