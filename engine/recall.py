"""Rows of the tables as views: what `history` has read, put into the values it answers with.

Reads nothing but large outputs from their files; no row of a database is known beyond `history`.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from engine.clock import rfc3339
from engine.errors import StoreCorruptError
from engine.rows import PACK_SIZE
from engine.states import Reason, State
from engine.submission import Parent
from engine.values import Values
from engine.views import (
    ApprovalView,
    AttemptView,
    ChildView,
    EventView,
    OpenRun,
    OpenTask,
    ParentView,
    RunEnd,
    RunView,
    TaskView,
)

# An attempt that vanished with its process: whether that was anybody's failure.
_LOST = Reason.DAEMON_LOST.value
_STOPPED = Reason.DAEMON_STOPPED.value


def run_view(row: Any) -> RunView:
    """Show a run as in a list."""
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
        parent=UNSET
        if row.parent is None
        else ParentView(run=row.parent, task=row.parent_task, attempt=row.parent_attempt),
    )


def run_in_full(row: Any, tasks: Iterable[Any], children: Sequence[Any], values: Values) -> RunView:
    """Show a run with its output, the runs it called, and its tasks; a lost file costs the output and no more."""
    view = run_view(row)
    output, message = _output(row, values)
    shown = None if row.output is None and row.output_ref is None else Raw(output)
    return msgspec.structs.replace(
        view,
        message=message,
        output=UNSET if shown is None else shown,
        children=[_child_view(child) for child in children] or UNSET,
        tasks=[task_view(task, values) for task in tasks],
    )


def run_end(row: Any, values: Values) -> RunEnd:
    """Say how a run ended; one whose output is lost has failed, for whoever needs it."""
    try:
        output = values.join(row.output, row.output_ref)
    except StoreCorruptError as error:
        return RunEnd(State.FAILED, Reason.INPUT_LOST, f"{error.path}: {error.detail}", b"null")
    return RunEnd(State(row.state), _reason(row.reason), row.message, output)


def _child_view(row: Any) -> ChildView:
    return ChildView(run=row.id, task=row.parent_task, attempt=row.parent_attempt, state=State(row.state))


def _output(row: Any, values: Values) -> tuple[bytes, str]:
    """Return the output of a row and its message, which says so where the file of the output is lost."""
    try:
        return values.join(row.output, row.output_ref), row.message
    except StoreCorruptError as error:
        return b"null", f"{row.message} ({error})".strip()


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


def approval_view(row: Any) -> ApprovalView:
    """Show what waits for a person: the memo of its task is what is asked."""
    asked = msgspec.json.decode(row.memo)
    until = asked.get("until")
    return ApprovalView(
        run=row.id,
        workflow=row.workflow,
        task=row.key,
        message=asked["message"],
        form=asked.get("form"),
        data=asked.get("data"),
        since=rfc3339(row.started_at),
        until=rfc3339(until),
        on_timeout=None if until is None else asked["on_timeout"],
    )


def event_views(row: Any) -> Iterator[EventView]:
    """Show the events of a row: one, or each of a pack. Their ids lie between those of two rows."""
    moves = [(row.task, row.attempt, row.state)] if row.packed is None else msgspec.json.decode(row.packed)
    for number, (task, attempt, state) in enumerate(moves, row.pk * PACK_SIZE):
        yield EventView(
            id=number,
            at=written(row.at),
            task=task,
            attempt=attempt,
            state=None if state is None else State(state),
            reason=row.reason,
            message=row.message,
            actor=row.actor,
        )


def task_view(row: Any, values: Values) -> TaskView:
    """Show a task; an output whose file is lost costs its view and not that of the run."""
    output, message = _output(row, values)
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


def open_run(row: Any, document: bytes, tasks: Sequence[Any], offers: Sequence[Any], record: "Record") -> OpenRun:
    """Put together what takes a run up again; an output that is lost is null, one that was offered is no offer."""
    called = {offer.key: offer.child for offer in offers if offer.child is not None}
    ending = None
    if row.ending_state is not None:
        ending = (State(row.ending_state), _reason(row.ending_reason), row.ending_message)
    values = record.values
    begun = {task.key for task in tasks if task.state != State.PENDING}
    offers = [offer for offer in offers if offer.child is None and offer.key.partition("[")[0] not in begun]
    warned = {task.key for task in tasks if task.is_warned} | ({""} if row.is_warned else set())
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
        tasks=record.tasks(tasks),
        parent=_parent(row),
        depth=row.depth,
        use_cache=row.use_cache,
        is_paused=row.state == State.WAITING and row.reason == Reason.PAUSED,
        output=_output(row, values)[0],
        warned=frozenset(warned),
        reused=dict(_offered(offers, values)),
        expansions={offer.key: bytes(offer.memo) for offer in offers if offer.memo is not None},
        called=called,
    )


def _offered(offers: Iterable[Any], values: Values) -> Iterator[tuple[str, bytes]]:
    for offer in offers:
        if offer.memo is None:
            with contextlib.suppress(StoreCorruptError):
                yield offer.key, values.join(offer.output, offer.output_ref)


def _parent(row: Any) -> Parent | None:
    if row.parent is None:
        return None
    return Parent(run=row.parent, task=row.parent_task, attempt=row.parent_attempt, depth=row.depth - 1)


def _reason(code: str | None) -> Reason | None:
    return None if code is None else Reason(code)


class Record:
    """What the attempts of open runs tell of a task: how many failed, how many vanished, when the last one began.

    And which run the last one called that is not the one which runs.
    """

    def __init__(self, tries: Iterable[Any], calls: Iterable[Any], values: Values) -> None:
        """Count the rows of attempts; `calls` are the runs that they called, `values` holds the large outputs."""
        self.values = values
        self._calls: dict[tuple[int, str], dict[int, str]] = {}
        for row in calls:
            self._calls.setdefault((row.run_pk, row.parent_task), {})[row.parent_attempt] = row.id
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
            reason=_reason(row.reason),
            message=row.message,
            due_at=row.due_at,
            started_at=self._started.get((*key, row.attempt)),
            memo=b"null" if row.memo is None else bytes(row.memo),
            output=b"null" if row.output is None else bytes(row.output),
            output_ref=row.output_ref,
            child=self._child(row),
        )

    def _child(self, row: Any) -> str:
        calls = self._calls.get((row.run_pk, row.key), {})
        last = row.attempt - 1 if row.state == State.RUNNING else row.attempt
        done = [number for number in calls if number <= last]
        return calls[max(done)] if done else ""


def written(seconds: float) -> str:
    """Write a time that is always there."""
    return rfc3339(seconds) or ""
