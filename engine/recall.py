"""Rows of the tables as views: what `history` has read, put into the values it answers with.

Reads nothing but large outputs from their files; no row of a database is known beyond `history`.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Raw

from engine.clock import rfc3339
from engine.errors import StoreCorruptError
from engine.states import Reason, State
from engine.values import Values
from engine.views import AttemptView, EventView, OpenRun, OpenTask, RunView, TaskView

# An attempt that vanished with its process: whether that was anybody's failure.
_LOST = Reason.DAEMON_LOST.value
_STOPPED = Reason.DAEMON_STOPPED.value


def run_view(row: Any) -> RunView:
    """Show a run without its tasks."""
    return RunView(
        id=row.id,
        workflow=row.workflow,
        state=State(row.state),
        reason=row.reason,
        message=row.message,
        trigger=msgspec.json.decode(row.trigger),
        params=msgspec.json.decode(row.params),
        created_at=written(row.created_at),
        started_at=rfc3339(row.started_at),
        ended_at=rfc3339(row.ended_at),
    )


def attempt_view(row: Any) -> AttemptView:
    """Show an attempt."""
    return AttemptView(
        task=row.task,
        attempt=row.number,
        state=State(row.state),
        reason=row.reason,
        message=row.message,
        exit_code=row.exit_code,
        started_at=written(row.started_at),
        ended_at=rfc3339(row.ended_at),
        seconds=row.seconds,
        cpu_seconds=row.cpu_seconds,
        memory_bytes=row.memory_bytes,
    )


def event_view(row: Any) -> EventView:
    """Show an event."""
    return EventView(
        id=row.pk,
        at=written(row.at),
        task=row.task,
        attempt=row.attempt,
        state=None if row.state is None else State(row.state),
        reason=row.reason,
        message=row.message,
        actor=row.actor,
    )


def task_view(row: Any, values: Values) -> TaskView:
    """Show a task; an output whose file is lost costs its view and not that of the run."""
    message = row.message
    try:
        output = values.join(row.output, row.output_ref)
    except StoreCorruptError as error:
        output, message = b"null", f"{message} ({error})".strip()
    return TaskView(
        id=row.key,
        type=row.type,
        state=State(row.state),
        reason=row.reason,
        message=message,
        attempts=row.attempt,
        output=Raw(output),
        started_at=rfc3339(row.started_at),
        ended_at=rfc3339(row.ended_at),
    )


def open_run(row: Any, document: bytes, tasks: dict[str, OpenTask]) -> OpenRun:
    """Put together what takes a run up again."""
    ending = None
    if row.ending_state is not None:
        ending = (State(row.ending_state), Reason(row.ending_reason), row.ending_message)
    return OpenRun(
        id=row.id,
        workflow=row.workflow,
        document=document,
        state=State(row.state),
        trigger=msgspec.json.decode(row.trigger),
        params=msgspec.json.decode(row.params),
        labels=msgspec.json.decode(row.labels) if row.labels else {},
        priority=row.priority,
        run_at=row.run_at,
        deadline=row.deadline,
        ending=ending,
        created_at=row.created_at,
        started_at=row.started_at,
        tasks=tasks,
    )


class Record:
    """What the attempts of open runs tell of a task: how many failed, how many vanished, when the last one began."""

    def __init__(self, tries: Iterable[Any]) -> None:
        """Count the rows of attempts."""
        self._failures: dict[tuple[int, str], int] = {}
        self._lost: dict[tuple[int, str], int] = {}
        self._started: dict[tuple[int, str, int], float] = {}
        for row in tries:
            key = (row.run_pk, row.task)
            self._started[*key, row.number] = row.started_at
            if row.state == State.FAILED and row.reason != _STOPPED:
                count = self._lost if row.reason == _LOST else self._failures
                count[key] = count.get(key, 0) + 1

    def tasks(self, rows: Iterable[Any]) -> dict[str, OpenTask]:
        """Return where each of these tasks stood, by key."""
        return {row.key: self._task(row) for row in rows}

    def _task(self, row: Any) -> OpenTask:
        key = (row.run_pk, row.key)
        return OpenTask(
            state=State(row.state),
            attempt=row.attempt,
            failures=self._failures.get(key, 0),
            lost=self._lost.get(key, 0),
            reason=None if row.reason is None else Reason(row.reason),
            message=row.message,
            due_at=row.due_at,
            started_at=self._started.get((*key, row.attempt)),
            memo=b"null" if row.memo is None else bytes(row.memo),
            output=b"null" if row.output is None else bytes(row.output),
            output_ref=row.output_ref,
        )


def written(seconds: float) -> str:
    """Write a time that is always there."""
    return rfc3339(seconds) or ""
