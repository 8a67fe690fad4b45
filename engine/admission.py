"""New runs: the keys that lead to at most one run, the version of the document, the run with its tasks, as rows.

Works inside a transaction of `store`, which calls it. What happens to a run afterwards is in `rows`.
"""

import hashlib
import itertools
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Dialect,
    Table,
    bindparam,
    func,
    insert,
    literal_column,
    null,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from engine.clock import rfc3339
from engine.database import Statement
from engine.rows import plain
from engine.statements import adding_event
from engine.states import ClaimState, DueState, Reason, State
from engine.submission import ClaimEnd, ClaimRecord, Receipt, Submission
from engine.tables import TAIL_LENGTH, claims, due_times, offers, runs, tasks, workflows
from engine.values import Values

_NOTHING: ColumnElement[str] = literal_column("''")
_VERSION = ("name", "hash", "document", "created_at")
_RUN = (
    "id",
    "tail",
    "workflow_pk",
    "workflow",
    "state",
    "reason",
    "message",
    "trigger_type",
    "trigger",
    "params",
    "labels",
    "priority",
    "idempotency_key",
    "claim",
    "schedule",
    "due_at",
    "run_at",
    "created_at",
    "parent",
    "parent_task",
    "parent_attempt",
    "depth",
    "use_cache",
)
_TASK = ("run_pk", "key", "position", "type", "state", "reason", "ended_at", "output", "output_ref")
_OFFER = ("run_pk", "key", "memo", "output", "output_ref", "child")
_DUE = ("schedule", "due_at", "state", "reason", "message", "run", "count", "recorded_at")
_CLAIM = ("id", "name", "path", "state", "run", "claimed_at")
_RUN_DUE = DueState.RUN.value
_CLAIMED = ClaimState.CLAIMED.value
_PENDING = State.PENDING.value

_Cells = tuple[Any, ...]


def tail_of(text: str) -> str:
    """Return what a run's id, or the end of one, is looked up under: its last characters, reversed."""
    return text[::-1][:TAIL_LENGTH]


class Admission:
    """Every statement that new runs, due times and claims come to, for one dialect."""

    def __init__(self, dialect: Dialect, values: Values) -> None:
        """Compile them all."""
        self._dialect, self._values = dialect, values
        found = select(workflows.c.pk).where(
            workflows.c.hash == bindparam("hash"), workflows.c.name == bindparam("name")
        )
        self._find_version = Statement(dialect, found, "hash", "name")
        self._add_version = self._adding(workflows, _VERSION)
        self._add_run = Statement(
            dialect,
            self._insert(runs, _RUN).on_conflict_do_nothing().returning(runs.c.pk),
            *_RUN,
        )
        fixed = {"attempt": literal_column("0"), "message": _NOTHING}
        self._add_tasks = Statement(dialect, insert(tasks).inline().values(_binds(_TASK) | fixed), *_TASK)
        self._add_offers = self._adding(offers, _OFFER)
        self._add_event = adding_event(dialect)
        self._add_due, self._add_claim = self._adding(due_times, _DUE), self._adding(claims, _CLAIM, message=_NOTHING)
        self._find_due = self._finding_due()
        self._link_due = self._linking_due()
        linked = update(claims).where(claims.c.id == bindparam("claim")).values(run=bindparam("run_"))
        self._link_claim = Statement(dialect, linked, "run_", "claim")
        self._end_claim = self._ending_claim()

    def admit(self, connection: Connection, asked: Sequence[tuple[str, Submission, float]]) -> list[Receipt]:
        """Record new runs, given as (id, submission, wall seconds); an earlier run with that id or a key answers."""
        entry = _Entry()
        receipts = [self._admit(connection, entry, *one) for one in asked]
        for statement, rows in (
            (self._add_tasks, entry.tasks),
            (self._add_offers, entry.offers),
            (self._add_event, entry.events),
            (self._link_due, entry.linked_dues),
            (self._add_due, entry.dues),
            (self._link_claim, entry.linked_claims),
            (self._add_claim, entry.claims),
        ):
            if rows:
                statement.run_all(connection, rows)
        return receipts

    def record_claims(self, connection: Connection, records: Sequence[ClaimRecord], now: float) -> None:
        """Record that dropped files are ours; what is recorded already stays as it is."""
        rows = [(record.id, record.name, record.path, _CLAIMED, None, now) for record in records]
        self._add_claim.run_all(connection, rows)

    def settle_claims(self, connection: Connection, ends: Sequence[ClaimEnd], now: float) -> int:
        """Record where claimed files ended and return how many; one that is settled already stays as it is."""
        rows = [(end.state.value, end.run, _key(end.reason), plain(end.message), now, end.id) for end in ends]
        return self._end_claim.run_all(connection, rows)

    def _admit(self, connection: Connection, entry: "_Entry", run: str, submission: Submission, now: float) -> Receipt:
        settled = self._settled_before(connection, submission)
        if settled is not None:
            return settled
        state, reason, message = _PENDING, None, ""
        if submission.run_at is not None and submission.run_at > now:
            state, reason = State.WAITING.value, Reason.RUN_AT.value
            message = f"it waits until {rfc3339(submission.run_at)}"
        version = self._version(connection, entry, submission, now)
        # At once and not with the rest: its unique keys judge the submissions behind it.
        pk = self._add_run.run(connection, _run_row(run, version, submission, (state, reason, message), now))
        if pk is None:
            return self._earlier(connection, run, submission)
        entry.events.append((pk, now, None, None, state, reason, message, _actor(submission), None))
        self._enter_tasks(entry, pk, submission, now)
        if submission.due is not None:
            schedule, due_at = plain(submission.due[0]), submission.due[1]
            entry.linked_dues.append((_RUN_DUE, run, now, schedule, due_at))
            entry.dues.append((schedule, due_at, _RUN_DUE, None, "", run, 1, now))
        if submission.claim is not None:
            entry.linked_claims.append((run, submission.claim))
            entry.claims.append((submission.claim, None, None, _CLAIMED, run, now))
        return Receipt(run=run, is_new=True, state=state)

    def _settled_before(self, connection: Connection, submission: Submission) -> Receipt | None:
        """Answer for a due instant that is settled, by a run or without; its row outlives the run."""
        if submission.due is None:
            return None
        schedule, due_at = submission.due
        state: str | None = self._find_due.run(connection, (plain(schedule), due_at))
        if state is None or state == DueState.QUEUED:
            return None
        is_due = (due_times.c.schedule == plain(schedule), due_times.c.due_at == due_at)
        run = connection.execute(select(due_times.c.run).where(*is_due)).scalar()
        gone = Receipt(run=run or "", is_new=False, state="" if run else state, matched="due")
        return self._answer(connection, "due", runs.c.id == run) or gone

    def _version(self, connection: Connection, entry: "_Entry", submission: Submission, now: float) -> int:
        name, digest = plain(submission.workflow.name), hashlib.sha256(submission.document).hexdigest()
        known = entry.versions.get((digest, name))
        if known is not None:
            return known
        pk = self._find_version.run(connection, (digest, name))
        if pk is None:
            self._add_version.run(connection, (name, digest, submission.document, now))
            pk = self._find_version.run(connection, (digest, name))
        entry.versions[digest, name] = int(pk)
        return int(pk)

    def _enter_tasks(self, entry: "_Entry", pk: int, submission: Submission, now: float) -> None:
        reused, completed, again = submission.reused, State.COMPLETED.value, Reason.REUSED.value
        every = itertools.chain.from_iterable(submission.workflow.phases().values())
        for position, task in enumerate(every):
            output = reused.get(task.id)
            if output is None:
                entry.tasks.append((pk, task.id, position, task.type, _PENDING, None, None, None, None))
            else:
                cells = self._values.split(output)
                entry.tasks.append((pk, task.id, position, task.type, completed, again, now, *cells))
                entry.events.append((pk, now, task.id, None, completed, again, "", _actor(submission), None))
        if submission.expansions:
            # Which instances there are is not known before their task is spread: until then they are offers.
            of_run = {key: output for key, output in reused.items() if "[" in key}
            entry.offers += [(pk, key, memo, None, None, None) for key, memo in submission.expansions.items()]
            entry.offers += [(pk, key, None, *self._values.split(output), None) for key, output in of_run.items()]
        entry.offers += [(pk, key, None, None, None, child) for key, child in submission.called.items()]

    def _earlier(self, connection: Connection, run: str, submission: Submission) -> Receipt:
        """Find the run that a submission repeats: by its claim, its due instant, its key, or its very id."""
        if submission.claim is not None:
            answer = self._answer(connection, "claim", runs.c.claim == submission.claim)
            if answer is not None:
                return answer
        if submission.due is not None:
            schedule, due_at = submission.due
            answer = self._answer(connection, "due", runs.c.schedule == plain(schedule), runs.c.due_at == due_at)
            if answer is not None:
                return answer
        if submission.parent is not None:
            called = submission.parent
            is_call = (runs.c.parent_task == called.task, runs.c.parent_attempt == called.attempt)
            answer = self._answer(connection, "parent", runs.c.parent == called.run, *is_call)
            if answer is not None:
                return answer
        if submission.idempotency_key is not None:
            key, name = plain(submission.idempotency_key), plain(submission.workflow.name)
            answer = self._answer(connection, "idempotency_key", runs.c.idempotency_key == key, runs.c.workflow == name)
            if answer is not None:
                return answer
        answer = self._answer(connection, "id", runs.c.id == run)
        if answer is None:
            raise LookupError(f"run {run} could not be added, yet no earlier run has one of its keys")
        return answer

    @staticmethod
    def _answer(connection: Connection, matched: str, *conditions: Any) -> Receipt | None:
        found = connection.execute(select(runs.c.id, runs.c.state).where(*conditions)).first()
        return None if found is None else Receipt(run=found.id, is_new=False, state=found.state, matched=matched)

    def _insert(self, table: Table, names: tuple[str, ...], **fixed: Any) -> Any:
        kind = postgresql if self._dialect.name == "postgresql" else sqlite
        return kind.insert(table).values(_binds(names) | fixed)

    def _adding(self, table: Table, names: tuple[str, ...], **fixed: Any) -> Statement:
        """Build an insert that leaves a row of the same key as it is."""
        return Statement(self._dialect, self._insert(table, names, **fixed).inline().on_conflict_do_nothing(), *names)

    def _ending_claim(self) -> Statement:
        # A run that the claim is linked to stays: a duplicate, which has none, names the first one.
        names = ("state_", "run_", "reason_", "message_", "now", "claim")
        values: dict[str, Any] = {"state": bindparam("state_"), "reason": bindparam("reason_")}
        values |= {"message": bindparam("message_")}
        values |= {"run": func.coalesce(claims.c.run, bindparam("run_")), "settled_at": bindparam("now")}
        is_open = (claims.c.id == bindparam("claim"), claims.c.state == literal_column(f"'{_CLAIMED}'"))
        return Statement(self._dialect, update(claims).where(*is_open).values(values), *names)

    def _finding_due(self) -> Statement:
        found = select(due_times.c.state).where(
            due_times.c.schedule == bindparam("schedule"), due_times.c.due_at == bindparam("due")
        )
        return Statement(self._dialect, found, "schedule", "due")

    def _linking_due(self) -> Statement:
        linked = (
            update(due_times)
            .where(due_times.c.schedule == bindparam("of"), due_times.c.due_at == bindparam("due"))
            .values(
                state=bindparam("state_"),
                reason=null(),
                message=_NOTHING,
                run=bindparam("run_"),
                recorded_at=bindparam("now"),
            )
        )
        return Statement(self._dialect, linked, "state_", "run_", "now", "of", "due")


class _Entry:
    """What a call has gathered so far: rows that are written together at its end, and versions it has looked up."""

    def __init__(self) -> None:
        self.versions: dict[tuple[str, str], int] = {}
        self.tasks: list[_Cells] = []
        self.offers: list[_Cells] = []
        self.events: list[_Cells] = []
        self.linked_dues: list[_Cells] = []
        self.dues: list[_Cells] = []
        self.linked_claims: list[_Cells] = []
        self.claims: list[_Cells] = []


def _binds(names: tuple[str, ...]) -> dict[str, Any]:
    return {name: bindparam(name) for name in names}


def _actor(submission: Submission) -> str:
    return plain(str(submission.trigger.get("type", "")))


def _run_row(
    run: str, version: int, submission: Submission, standing: tuple[str, str | None, str], now: float
) -> _Cells:
    schedule, due_at = submission.due or (None, None)
    state, reason, message = standing
    called = submission.parent
    return (
        run,
        tail_of(run),
        version,
        plain(submission.workflow.name),
        state,
        reason,
        message,
        _actor(submission),
        _json(submission.trigger),
        _json(submission.params),
        _json(submission.labels) if submission.labels else None,
        submission.priority,
        _key(submission.idempotency_key),
        submission.claim,
        _key(schedule),
        due_at,
        submission.run_at,
        now,
        *((None, None, None, 1) if called is None else (called.run, called.task, called.attempt, called.depth + 1)),
        submission.use_cache,
    )


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _key(text: str | None) -> str | None:
    return None if text is None else plain(text)
