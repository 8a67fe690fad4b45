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


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """Describe a node of a workflow; keys of the document that are not named here are the plugin's `fields`."""

    id: Annotated[str, Meta(description="Name of the task, unique in its workflow: 1 to 128 letters, digits, _ - .")]
    type: Annotated[str, Meta(description="Task type: the TASK_TYPE of the plugin that runs it.")]
    description: Annotated[str, Meta(description="What the task is for; shown beside its id.")] = ""
    depends_on: Annotated[tuple[str, ...], Meta(description="Ids of the tasks that must end before this one.")] = ()
    when: Annotated[
        str | None, Meta(description="Condition in CEL; false skips the task, an error in it fails the task.")
    ] = None
    trigger_rule: Annotated[
        str, Meta(description="Which outcomes of the tasks it depends on let it run: " + ", ".join(TRIGGER_RULES) + ".")
    ] = "all_success"
    timeout: Annotated[float | None, Meta(description="Longest time one attempt may take.")] = None
    retry: Annotated[Retry, Meta(description="When and how a failed attempt is followed by another.")] = Retry()
    priority: Annotated[int, Meta(description="Tasks with a higher number start first.")] = 0
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
