"""The life of a run and of a task: every state, every legal move, every reason code.

Imports nothing of ours. `run` and `store` are the only callers of `move`; everything else reads the named sets.
The diagram in ARCHITECTURE.md is printed from this table.
"""

from enum import StrEnum


class State(StrEnum):
    """Name where a run, a task or an attempt stands."""

    PENDING = "PENDING"
    WAITING = "WAITING"
    RUNNING = "RUNNING"
    RETRYING = "RETRYING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    SKIPPED = "SKIPPED"


class IllegalMoveError(Exception):
    """A state change that the table does not allow; nothing was changed."""

    def __init__(self, old: State, new: State) -> None:
        """Keep both states."""
        super().__init__(f"{old} -> {new} is not a legal move")
        self.old, self.new = old, new


_ENDS = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED})

MOVES: dict[State, frozenset[State]] = {
    State.PENDING: _ENDS | {State.WAITING, State.RUNNING, State.SKIPPED},
    State.WAITING: _ENDS | {State.RUNNING, State.SKIPPED},
    State.RUNNING: _ENDS | {State.WAITING},
    # An attempt that failed and has a next one: FAILED -> RETRYING happens within one turn, or never.
    State.FAILED: frozenset({State.RETRYING}),
    State.RETRYING: frozenset({State.RUNNING, State.FAILED, State.CANCELLED}),
    State.COMPLETED: frozenset(),
    State.CANCELLED: frozenset(),
    State.SKIPPED: frozenset(),
}

ENDED = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED, State.SKIPPED})
ACTIVE = frozenset({State.RUNNING})
IDLE = frozenset({State.PENDING, State.WAITING, State.RETRYING})
TASK_ONLY = frozenset({State.SKIPPED})


def move(old: State, new: State) -> State:
    """Return `new` if the table allows the move.

    Raises IllegalMoveError otherwise.
    """
    if new not in MOVES[old]:
        raise IllegalMoveError(old, new)
    return new


class ClaimState(StrEnum):
    """Name where a dropped file stands: CLAIMED while it is worked on, then where it ended; VOID never began."""

    CLAIMED = "CLAIMED"
    DONE = "DONE"
    FAILED = "FAILED"
    REJECTED = "REJECTED"
    DUPLICATE = "DUPLICATE"
    VOID = "VOID"


class DueState(StrEnum):
    """Name what became of a due instant: RUN led to a run, QUEUED waits for an earlier one, the others never start."""

    RUN = "RUN"
    QUEUED = "QUEUED"
    MISSED = "MISSED"
    SKIPPED = "SKIPPED"


class Reason(StrEnum):
    """Say why a state is what it is, for every state other than plain success."""

    ERROR = "error"
    EXIT_CODE = "exit_code"
    TIMEOUT = "timeout"
    WORKER_LOST = "worker_lost"
    BAD_OUTPUT = "bad_output"
    OUTPUT_TOO_LARGE = "output_too_large"
    PLUGIN_MISSING = "plugin_missing"
    PLUGIN_BROKEN = "plugin_broken"
    MEMORY_LIMIT = "memory_limit"
    CPU_LIMIT = "cpu_limit"
    CIRCUIT_OPEN = "circuit_open"
    DAEMON_LOST = "daemon_lost"
    DAEMON_STOPPED = "daemon_stopped"
    LOST_TOO_OFTEN = "lost_too_often"
    EXPRESSION = "expression"
    INPUT_LOST = "input_lost"
    INVALID = "invalid"
    UPSTREAM_FAILED = "upstream_failed"
    UPSTREAM_SKIPPED = "upstream_skipped"
    TRIGGER_RULE = "trigger_rule"
    CONDITION_FALSE = "condition_false"
    FAIL_FAST = "fail_fast"
    DEADLINE = "deadline"
    USER = "user"
    DEFERRED = "deferred"
    TASK_FAILED = "task_failed"
    CONTINUED = "continued"
    REUSED = "reused"
    RUN_AT = "run_at"
    OVERLAP = "overlap"
    MISSED = "missed"
    REPLACED = "replaced"
    PAUSED = "paused"
    FAILED_TOO_OFTEN = "failed_too_often"
    DUPLICATE = "duplicate"
    INSTANCE_FAILED = "instance_failed"
    LOOP_LIMIT = "loop_limit"
    NOT_REACHED = "not_reached"
    OUTCOME = "outcome"
    CHILD_FAILED = "child_failed"
    APPROVAL = "approval"
    REJECTED = "rejected"
    DELAY = "delay"
    POOL = "pool"
    CONCURRENCY = "concurrency"
    CACHED = "cached"
    INTERNAL = "internal"


MEANING: dict[Reason, str] = {
    Reason.ERROR: "the plugin returned False or raised an exception",
    Reason.EXIT_CODE: "a program ended with an exit code that was not expected",
    Reason.TIMEOUT: "the attempt took longer than its timeout and was killed",
    Reason.WORKER_LOST: "the worker process died while it ran the attempt",
    Reason.BAD_OUTPUT: "the plugin's return value or output is not what the contract allows",
    Reason.OUTPUT_TOO_LARGE: "the output is larger than the limit",
    Reason.PLUGIN_MISSING: "no plugin has this task type any more",
    Reason.PLUGIN_BROKEN: "the plugin could not be imported",
    Reason.MEMORY_LIMIT: "the attempt used more memory than its limit",
    Reason.CPU_LIMIT: "the attempt used more processor time than its limit",
    Reason.CIRCUIT_OPEN: "a host that failed too often is left alone for a while, and was not called",
    Reason.DAEMON_LOST: "the process that owned the run died while the attempt ran",
    Reason.DAEMON_STOPPED: "the process that owned the run was stopped while the attempt ran",
    Reason.LOST_TOO_OFTEN: "the attempt was lost with its process more often than allowed",
    Reason.EXPRESSION: "an expression could not be evaluated",
    Reason.INPUT_LOST: "the output of a task before it can no longer be read",
    Reason.INVALID: "the task's fields are not what its type asks for",
    Reason.UPSTREAM_FAILED: "a task it depends on did not complete",
    Reason.UPSTREAM_SKIPPED: "a task it depends on was skipped, or its condition on that task is false",
    Reason.TRIGGER_RULE: "its trigger rule can no longer be met",
    Reason.CONDITION_FALSE: "its `when` is false",
    Reason.FAIL_FAST: "another task failed and the workflow asks to fail fast",
    Reason.DEADLINE: "it took longer than its deadline, or the run than its timeout",
    Reason.USER: "a person asked for it",
    Reason.DEFERRED: "it waits for a time and holds no worker",
    Reason.TASK_FAILED: "at least one task failed",
    Reason.CONTINUED: "a task failed, and its `continue_on_failure` let the run go on",
    Reason.REUSED: "it completed in the run that this one repeats",
    Reason.RUN_AT: "it waits for the time it was submitted for",
    Reason.OVERLAP: "an earlier run of the same schedule has not ended",
    Reason.MISSED: "its due time passed while nothing could start it",
    Reason.REPLACED: "a newer run took its place",
    Reason.PAUSED: "a person paused it",
    Reason.FAILED_TOO_OFTEN: "its runs failed so often in a row that the schedule paused itself",
    Reason.DUPLICATE: "its idempotency key was seen before",
    Reason.INSTANCE_FAILED: "too many of the instances of its `foreach` failed, or an iteration of its `loop` did",
    Reason.LOOP_LIMIT: "its `max_iterations` was reached before its condition was met",
    Reason.NOT_REACHED: "no edge of the graph led to it",
    Reason.OUTCOME: "it is a hook for another outcome of the run",
    Reason.CHILD_FAILED: "the workflow it ran did not complete",
    Reason.APPROVAL: "it waits for a person to approve or reject it",
    Reason.REJECTED: "a person rejected it, or nobody decided in time",
    Reason.DELAY: "it waits between two iterations of its `loop`",
    Reason.POOL: "it waits for a free slot of its pool",
    Reason.CONCURRENCY: "it waits for earlier runs with the same concurrency key",
    Reason.CACHED: "its output was taken from the cache",
    Reason.INTERNAL: "a fault of ours in this run; its message says where",
}


def diagram() -> str:
    """Draw the table of moves as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", "    [*] --> PENDING"]
    lines += [f"    {old} --> {new}" for old in State for new in State if new in MOVES[old]]
    lines += [f"    {state} --> [*]" for state in State if state in ENDED]
    return "\n".join(lines) + "\n"
