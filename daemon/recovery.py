"""Start of day: take up the runs that nobody owns any more.

Runs after the folder is ours and before anything new is accepted. Writes no state itself: what was RUNNING becomes
Lost, an ordinary fact under the ordinary retry rule. Interrupted anywhere, it can be run again. Dropped files are
reconciled by the inbox, missed due times by the schedules, each before its first look.
"""

from collections.abc import Callable, Sequence

import msgspec

from daemon.ambience import Ambience
from daemon.plans import judge
from engine.assignments import scope
from engine.errors import StoreLostError
from engine.executor import Executor
from engine.facts import Cancel, Finish, Order
from engine.limits import Limits
from engine.live import Live
from engine.outputs import SpilledOutputs
from engine.plan import Plan
from engine.points import sync_point
from engine.run import Run, Snapshot
from engine.states import ENDED, Reason, State
from engine.values import Values
from engine.views import OpenRun, OpenTask

# What was accepted once is not refused because a limit was lowered since; what limits the run itself stays in force.
_BOUNDLESS = {
    "document_bytes": 1 << 60,
    "document_depth": 1 << 10,
    "document_tasks": 1 << 60,
    "expression_chars": 1 << 30,
    "foreach_items": 1 << 60,
    "workflow_depth": 1 << 10,
}


class Report(msgspec.Struct, frozen=True):
    """Say what was taken up, and what could not be and why (run id, sentence)."""

    runs: int = 0
    lost_attempts: int = 0
    refused: tuple[tuple[str, str], ...] = ()


class Recovery:
    """Rebuild live runs from the memory and hand them to the executor."""

    def __init__(
        self,
        executor: Executor,
        *,
        values: Values,
        limits: Limits,
        ambience: Ambience,
        progress: Callable[[int, int], None] = lambda _done, _all: None,
    ) -> None:
        """Compose it; `progress` hears how many of how many runs are done."""
        self._executor, self._values, self._limits, self._ambience = executor, values, limits, ambience
        self._progress = progress
        self._accepting = msgspec.structs.replace(limits, **_BOUNDLESS)
        self._plans: dict[tuple[bytes, str], Plan] = {}

    def take_up(self, open_runs: Sequence[OpenRun]) -> Report:
        """Adopt every run; call before the executor starts."""
        lost, refused = 0, []
        for done, record in enumerate(open_runs, start=1):
            try:
                live = self._rebuild(record)
            except (StoreLostError, MemoryError):
                raise
            except Exception as error:
                # One run that cannot be taken up, since a file or a secret of it is gone, keeps no other from it.
                refused.append((record.id, str(error)))
                self._executor.give_up(record.id, _ending(record, str(error)))
                continue
            lost += sum(1 for _ in live.run.running())
            sync_point("recovery.rebuilt")
            self._executor.adopt(live)
            self._progress(done, len(open_runs))
        return Report(len(open_runs) - len(refused), lost, tuple(refused))

    def _rebuild(self, record: OpenRun) -> Live:
        plan = self._plan(record)
        outputs = SpilledOutputs(self._values, self._limits.inline_bytes)
        for key, task in record.tasks.items():
            if task.output_ref is not None:
                outputs.adopt(key, task.output_ref)
            elif task.output != b"null":
                outputs[key] = task.output
        outputs.update(record.reused)
        names = scope(self._ambience, record.id, plan, record.params, record.trigger, record.created_at)
        run = Run.restore(
            record.id,
            plan,
            {key: _snapshot(task) for key, task in record.tasks.items()},
            state=record.state,
            deadline=record.deadline,
            begun_at=record.started_at,
            scope=names,
            outputs=outputs,
            priority=record.priority,
            max_lost=self._limits.max_lost,
            max_instances=self._limits.foreach_items,
            max_output=self._limits.output_bytes,
            use_cache=record.use_cache,
            is_called=record.parent is not None,
            expansions=record.expansions,
            called=record.called,
            ending=record.ending,
            output=record.output,
            warned=record.warned,
        )
        return Live(run, plan, names, run_at=record.run_at, parent=record.parent, use_cache=record.use_cache)

    def _plan(self, record: OpenRun) -> Plan:
        key = (record.document, record.workflow)
        if key not in self._plans:
            # Task types were judged when it came in, and plugins may have changed since: one that is gone, or asks for
            # other fields now, fails its attempt with that reason instead.
            self._plans[key] = judge(record.document, None, self._accepting, name=record.workflow)
        return self._plans[key]


def _ending(record: OpenRun, why: str) -> list[Order]:
    """Return what ends a run whose document cannot be read any more: nothing of it stays RUNNING for ever."""
    orders: list[Order] = []
    for key, task in record.tasks.items():
        if task.state not in ENDED:
            attempt = task.attempt if task.state in (State.RUNNING, State.WAITING) else 0
            orders.append(Cancel(key, attempt, Reason.INVALID, why))
    return [*orders, Finish(State.FAILED, Reason.INVALID, why)]


def _snapshot(task: OpenTask) -> Snapshot:
    return Snapshot(
        state=task.state,
        attempt=task.attempt,
        failures=task.failures,
        lost=task.lost,
        reason=task.reason,
        message=task.message,
        due_at=task.due_at,
        started_at=task.started_at,
        memo=task.memo,
        child=task.child,
    )
