"""The workflow document as typed values.

`loader` makes them, `run` reads them; nothing here checks or computes. The description of each field is the reference
that README prints. msgspec structs: typed like pydantic's models, cheaper to make, and light enough to import anywhere.
"""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from engine.states import Reason


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """Say when and how a failed attempt is followed by another."""

    max_retries: Annotated[int, Meta(description="How many further attempts may follow the first.")] = 0
    delay: Annotated[float, Meta(description="Time before the first retry.")] = 1.0
    backoff: Annotated[float, Meta(description="Factor by which the delay grows with each retry.")] = 2.0
    max_delay: Annotated[float, Meta(description="Longest delay between two attempts.")] = 300.0
    jitter: Annotated[
        float, Meta(description="Share of the delay, 0 to 1, that is drawn at random and added or taken away.")
    ] = 0.0
    on: Annotated[
        tuple[Reason, ...] | None,
        Meta(description="Reason codes that are retried; without it, every failure that another attempt could mend."),
    ] = None
    exit_codes: Annotated[
        tuple[int, ...] | None, Meta(description="Exit codes that are retried; without it, every unexpected one.")
    ] = None


class Param(msgspec.Struct, frozen=True, kw_only=True):
    """Declare one parameter of a workflow; `schema` is its JSON Schema with `type`, `enum` and so on."""

    schema: dict[str, Any]
    default: Any | UnsetType = UNSET
    description: str = ""

    @property
    def is_required(self) -> bool:
        """Tell whether a submission must give it."""
        return self.default is UNSET


TRIGGER_RULES = (
    "all_success",
    "all_done",
    "all_failed",
    "one_success",
    "one_failed",
    "none_failed",
    "none_failed_min_one_success",
    "always",
)
ISOLATIONS = ("worker", "process")


LIMIT_OUTCOMES = ("fail", "complete")
DEADLINE_OUTCOMES = ("warn", "fail")
CONCURRENCY_POLICIES = ("queue", "skip", "replace")
# Task types that are the engine's own: no plugin runs them and they hold no worker.
WORKFLOW_TYPE, APPROVAL_TYPE = "workflow", "approval"
ENGINE_TYPES = frozenset({WORKFLOW_TYPE, APPROVAL_TYPE})


class Foreach(msgspec.Struct, frozen=True, kw_only=True):
    """Say over what a task fans out, and how many of its instances have to complete."""

    items: Annotated[Any, Meta(description="A list or an object, or an expression that gives one.")]
    key: Annotated[
        str | None, Meta(description="Expression in CEL for the key of an instance; without it, index or object key.")
    ] = None
    max_parallel: Annotated[int | None, Meta(description="Most instances that run at the same time.")] = None
    require: Annotated[
        str | float, Meta(description='How many instances must complete: "all", "any", or a share such as "80%".')
    ] = "all"


class Loop(msgspec.Struct, frozen=True, kw_only=True):
    """Say how often a task is repeated; `until` or `while_` is a condition judged after each iteration."""

    max_iterations: Annotated[int, Meta(description="Most iterations; required.")]
    until: Annotated[str | None, Meta(description="Condition in CEL that ends the loop when it is true.")] = None
    while_: Annotated[str | None, Meta(description="Condition in CEL that ends the loop when it is false.")] = None
    delay: Annotated[float, Meta(description="Time between two iterations.")] = 0.0
    backoff: Annotated[float, Meta(description="Factor by which the delay grows with each iteration.")] = 1.0
    max_delay: Annotated[float, Meta(description="Longest delay between two iterations.")] = 300.0
    at_limit: Annotated[
        str, Meta(description="What reaching max_iterations is: `fail` (reason loop_limit) or `complete`.")
    ] = "fail"


class Cache(msgspec.Struct, frozen=True, kw_only=True):
    """Say under which key an output may be used again, and for how long."""

    key: Annotated[
        Any, Meta(description="Text with expressions, of this workflow and task; without it, type, version and fields.")
    ] = None
    ttl: Annotated[float | None, Meta(description="How long an output may be used again; without it, for ever.")] = None


class Deadline(msgspec.Struct, frozen=True, kw_only=True):
    """Say by when something must have ended, counted from the start of the run."""

    within: Annotated[float, Meta(description="Time from the start of the run.")]
    on_miss: Annotated[str, Meta(description="`warn`: an event and a line in the log; `fail`: it is ended.")] = "warn"


class Concurrency(msgspec.Struct, frozen=True, kw_only=True):
    """Bound how many runs of a workflow go on at once, all of them or those with the same key."""

    key: Annotated[Any, Meta(description="Text with expressions over params and trigger; without it, all runs.")] = ""
    limit: Annotated[int, Meta(description="Most runs with the same key at once.")] = 1
    policy: Annotated[
        str, Meta(description="One too many: `queue` waits, `skip` is cancelled, `replace` cancels the oldest.")
    ] = "queue"


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """Name the pool that an attempt takes slots of, and how many."""

    name: Annotated[str, Meta(description="Name of a pool of the configuration.")]
    weight: Annotated[int, Meta(description="How many slots one attempt takes.")] = 1


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """Lead from a visited node of a graph to another, if its condition (CEL over `state` and `output`) holds."""

    source: str
    target: str
    condition: str | None = None


class Routing(msgspec.Struct, frozen=True, kw_only=True):
    """Walk the tasks as nodes of a graph that may have cycles: one visit after the other, over a shared `state`."""

    entry: Annotated[str, Meta(description="Id of the task that is visited first.")]
    edges: Annotated[tuple[Edge, ...], Meta(description="Where to go after a visit, in this order.")] = ()
    max_iterations: Annotated[int, Meta(description="Most visits of all nodes together.")] = 1000
    state: Annotated[Any, Meta(description="What the shared state is at first; may hold expressions.")] = {}


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """Describe a node of a workflow; keys of the document that are not named here are the plugin's `fields`."""

    id: Annotated[str, Meta(description="Name of the task, unique in its workflow: 1 to 128 letters, digits, _ - .")]
    type: Annotated[str, Meta(description="Task type: the TASK_TYPE of the plugin that runs it.")]
    description: Annotated[str, Meta(description="What the task is for; shown beside its id.")] = ""
    depends_on: Annotated[tuple[str, ...], Meta(description="Ids of the tasks that must end before this one.")] = ()
    conditions: Annotated[
        dict[str, str] | None,
        Meta(description="Conditions in CEL on dependencies, by id; false counts it as skipped."),
    ] = None
    when: Annotated[
        str | None, Meta(description="Condition in CEL; false skips the task, an error in it fails the task.")
    ] = None
    foreach: Annotated[
        Foreach | None, Meta(description="Run one instance of the task for each element of a list or object.")
    ] = None
    loop: Annotated[Loop | None, Meta(description="Repeat the task until a condition holds.")] = None
    trigger_rule: Annotated[
        str, Meta(description="Which outcomes of the tasks it depends on let it run: " + ", ".join(TRIGGER_RULES) + ".")
    ] = "all_success"
    timeout: Annotated[float | None, Meta(description="Longest time one attempt may take.")] = None
    retry: Annotated[Retry, Meta(description="When and how a failed attempt is followed by another.")] = Retry()
    pool: Annotated[Pool | None, Meta(description="Pool of the configuration that it takes slots of.")] = None
    priority: Annotated[int, Meta(description="Tasks with a higher number start first.")] = 0
    deadline: Annotated[Deadline | None, Meta(description="By when the task must have ended.")] = None
    cache: Annotated[Cache | None, Meta(description="Use the output of an earlier attempt again.")] = None
    continue_on_failure: Annotated[
        bool, Meta(description="If true, its failure neither stops the tasks that depend on it nor fails the run.")
    ] = False
    isolation: Annotated[
        str, Meta(description="`worker`: a warm worker process; `process`: a fresh process for each attempt.")
    ] = "worker"
    memory_limit: Annotated[
        int | None, Meta(description="Most memory (address space) an attempt may take, in bytes.")
    ] = None
    cpu_limit: Annotated[float | None, Meta(description="Most processor time an attempt may take.")] = None
    fields: dict[str, Any] = {}
    inner: "Inner | None" = None


class Workflow(msgspec.Struct, frozen=True, kw_only=True):
    """Hold a document that passed every check, tasks in the order they were written."""

    name: Annotated[str, Meta(description="Name of the workflow, shown in every list.")] = "unnamed"
    description: Annotated[str, Meta(description="What the workflow is for.")] = ""
    params: Annotated[dict[str, Param], Meta(description="Parameters a submission may give, by name.")] = {}
    tasks: Annotated[tuple[Task, ...], Meta(description="The tasks.")]
    timeout: Annotated[float | None, Meta(description="Longest time a run may take.")] = None
    max_parallel: Annotated[int | None, Meta(description="Most tasks of one run that run at the same time.")] = None
    fail_fast: Annotated[bool, Meta(description="If true, the first failed task cancels everything else.")] = False
    priority: Annotated[int, Meta(description="Runs with a higher number start their tasks first.")] = 0
    deadline: Annotated[Deadline | None, Meta(description="By when a run must have ended.")] = None
    concurrency: Annotated[
        Concurrency | None, Meta(description="How many runs of this workflow may go on at once.")
    ] = None
    outputs: Annotated[
        dict[str, Any] | None, Meta(description="What a run gives back: an object of values and expressions.")
    ] = None
    on_success: Annotated[tuple[Task, ...], Meta(description="Tasks that run after a run COMPLETED.")] = ()
    on_failure: Annotated[tuple[Task, ...], Meta(description="Tasks that run after a run FAILED.")] = ()
    on_cancel: Annotated[tuple[Task, ...], Meta(description="Tasks that run after a run was CANCELLED.")] = ()
    finally_: Annotated[tuple[Task, ...], Meta(description="Tasks that run last, whatever the outcome.")] = ()
    routing: Annotated[Routing | None, Meta(description="For a graph: how its nodes are walked.")] = None

    def phases(self) -> dict[str, tuple[Task, ...]]:
        """Return all its tasks by the phase they run in: `tasks`, then the hooks by their keys in the document."""
        return {
            "tasks": self.tasks,
            "on_success": self.on_success,
            "on_failure": self.on_failure,
            "on_cancel": self.on_cancel,
            "finally": self.finally_,
        }


class Inner(msgspec.Struct, frozen=True):
    """Hold the document that a task of type `workflow` has in itself, judged, and as written."""

    workflow: Workflow
    document: bytes
