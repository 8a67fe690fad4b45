"""What is remembered, as read: lists, one run in full, its trail, and what a restart needs. Never writes.

Needs no daemon and may be asked from any thread. Each read is a short transaction of its own that is ended at once, so
that no reader keeps the write-ahead log from being cut back. Lists page by key. The values are in `views`.
"""

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Select, StaticPool, create_engine, func, select, tuple_
from sqlalchemy.exc import DBAPIError

from engine import database, dues, migrations, pruning, tables
from engine.admission import tail_of
from engine.errors import (
    RunAmbiguousError,
    RunUnknownError,
    StoreTooNewError,
    TaskUnknownError,
    WorkflowUnknownError,
)
from engine.recall import Record, approval_view, attempt_view, event_views, open_run, run_in_full, run_view, written
from engine.rows import PACK_SIZE, plain
from engine.states import ENDED, ClaimState, Reason, State
from engine.tables import attempts, claims, events, offers, runs, tasks, workflows
from engine.values import Values
from engine.views import (
    ApprovalView,
    AttemptView,
    Counts,
    DueView,
    EndedRun,
    EventView,
    OpenClaim,
    OpenRun,
    RunView,
    Timetable,
    VersionView,
)

_OPEN = sorted(set(State) - ENDED)
_MATCHES = 100
_PORTION = 200
# `~` sorts behind every character an id may hold.
_AFTER_ANY = "~"
_SHOWN = (
    runs.c.id,
    runs.c.workflow,
    runs.c.state,
    runs.c.reason,
    runs.c.message,
    runs.c.trigger,
    runs.c.params,
    runs.c.created_at,
    runs.c.started_at,
    runs.c.ended_at,
    runs.c.parent,
    runs.c.parent_task,
    runs.c.parent_attempt,
)
_IN_FULL = (runs.c.pk, *_SHOWN, runs.c.output, runs.c.output_ref)
_CHILD = (runs.c.id, runs.c.state, runs.c.parent, runs.c.parent_task, runs.c.parent_attempt)
# Instances behind their task, in the order they were recorded.
_IN_ORDER = (tasks.c.run_pk, tasks.c.position, tasks.c.instance)


class History:
    """Read the memory at `url`; where there is none yet, every list is empty and no run is known.

    Every method raises StoreLostError when the database cannot be read, StoreCorruptError when what is there makes no
    sense, and StoreTooNewError when a newer version wrote it.
    """

    def __init__(self, url: str, *, values: Values) -> None:
        """Touch nothing yet."""
        self._url, self._values = url, values
        self._engine = database.reader(url)
        self._is_ready = False
        self._nothing: Engine | None = None

    def close(self) -> None:
        """Let go of idle connections; harmless twice, and a later read makes new ones."""
        self._engine.dispose()
        if self._nothing is not None:
            self._nothing.dispose()
            self._nothing = None

    def runs(  # noqa: PLR0913 -- filters, each by its name
        self,
        *,
        state: str | None = None,
        workflow: str | None = None,
        trigger: str | None = None,
        parent: str | None = None,
        with_called: bool = True,
        since: float | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> list[RunView]:
        """List runs without their tasks, newest first.

        `trigger` is a trigger's type, `parent` the id of the run that called it; `with_called` false leaves out all
        that were called by others. `since` is wall seconds, `before` the id of the last run of the page before.
        Raises RunUnknownError if there is no run `before`.
        """
        wanted = {runs.c.state: state, runs.c.workflow: workflow, runs.c.trigger_type: trigger, runs.c.parent: parent}
        given = {column: plain(value) for column, value in wanted.items() if value is not None}
        query = select(*_SHOWN).where(*(column == value for column, value in given.items()))
        if not with_called:
            query = query.where(runs.c.parent.is_(None))
        if since is not None:
            query = query.where(runs.c.created_at >= since)
        newest = query.order_by(runs.c.created_at.desc(), runs.c.pk.desc()).limit(limit)
        with self._reading() as connection:
            if before is not None:
                last = connection.execute(select(runs.c.created_at, runs.c.pk).where(runs.c.id == before)).first()
                if last is None:
                    raise RunUnknownError(before)
                newest = newest.where(tuple_(runs.c.created_at, runs.c.pk) < tuple_(last.created_at, last.pk))
            found = connection.execute(newest).all()
        return [run_view(row) for row in found]

    def run(self, name: str) -> RunView:
        """Show a run in full, named by its id or by a beginning or end of it that fits no other.

        Raises RunUnknownError or RunAmbiguousError.
        """
        with self._reading() as connection:
            return self._in_full(connection, runs.c.pk == _find(connection, name))[0]

    def runs_in_full(self, ids: Sequence[str]) -> dict[str, RunView]:
        """Show many runs in full, by their whole ids; one that is not known is left out."""
        with self._reading() as connection:
            portions = [self._in_full(connection, runs.c.id.in_(some)) for some in _portions(ids)]
        return {view.id: view for views in portions for view in views}

    def events(self, run: str, after: int = 0, limit: int | None = None) -> list[EventView]:
        """List what happened to a run, oldest first, from behind the event whose id is `after`; raises as `run`."""
        # The row that was read last may have been read in part.
        newer = select(events).where(events.c.pk >= after // PACK_SIZE).order_by(events.c.pk)
        newer = newer.limit(None if limit is None else limit + 1)
        with self._reading() as connection:
            found = connection.execute(newer.where(events.c.run_pk == _find(connection, run)))
            views = (view for row in found for view in event_views(row) if view.id > after)
            return list(itertools.islice(views, limit))

    def attempts(self, run: str, task: str | None = None) -> list[AttemptView]:
        """List every attempt of a run, or of one of its tasks, in the order they began; raises as `run`.

        Raises TaskUnknownError if the run has no such task.
        """
        query = select(attempts).order_by(attempts.c.started_at, attempts.c.task, attempts.c.number)
        with self._reading() as connection:
            pk = _find(connection, run)
            query = query.where(attempts.c.run_pk == pk)
            if task is not None:
                is_task = (tasks.c.run_pk == pk, tasks.c.key == task)
                if connection.execute(select(tasks.c.key).where(*is_task)).first() is None:
                    raise TaskUnknownError(run, task)
                query = query.where(attempts.c.task == task)
            found = connection.execute(query).all()
        return [attempt_view(row) for row in found]

    def open_runs(self) -> list[OpenRun]:
        """Return everything needed to take up the runs that have not ended, oldest first."""
        is_open = runs.c.state.in_(_OPEN)
        shown = select(runs).where(is_open)
        of_open = select(tasks).join(runs, runs.c.pk == tasks.c.run_pk).where(is_open)
        tried = select(attempts).join(runs, runs.c.pk == attempts.c.run_pk).where(is_open)
        of_offers = select(offers).join(runs, runs.c.pk == offers.c.run_pk).where(is_open)
        caller = runs.alias()
        called = select(caller.c.pk.label("run_pk"), runs.c.id, runs.c.parent_task, runs.c.parent_attempt).join(
            caller, caller.c.id == runs.c.parent
        )
        documents = select(workflows.c.pk, workflows.c.document).where(
            workflows.c.pk.in_(select(runs.c.workflow_pk).where(is_open))
        )
        with self._reading() as connection:
            found = connection.execute(shown.order_by(runs.c.pk)).all()
            rows = connection.execute(of_open.order_by(*_IN_ORDER)).all()
            tries = connection.execute(tried).all()
            texts = {row.pk: bytes(row.document) for row in connection.execute(documents)}
            offered = connection.execute(of_offers).all()
            calls = connection.execute(called.where(caller.c.state.in_(_OPEN))).all()
        record, parts, offer = Record(tries, calls, self._values), _grouped(rows, 0), _grouped(offered, 0)
        return [
            open_run(row, texts[row.workflow_pk], parts.get(row.pk, []), offer.get(row.pk, []), record) for row in found
        ]

    def approvals(self, run: str | None = None) -> list[ApprovalView]:
        """List the tasks that wait for a person, of all runs or of one, the oldest first; raises as `run`."""
        columns = (runs.c.id, runs.c.workflow, tasks.c.key, tasks.c.memo, tasks.c.started_at)
        asked = (runs.c.state.in_(_OPEN), tasks.c.state == State.WAITING, tasks.c.reason == Reason.APPROVAL)
        query = select(*columns).join(tasks, tasks.c.run_pk == runs.c.pk).where(*asked)
        with self._reading() as connection:
            if run is not None:
                query = query.where(runs.c.pk == _find(connection, run))
            found = connection.execute(query.order_by(tasks.c.started_at, *_IN_ORDER)).all()
        return [approval_view(row) for row in found]

    def outputs(self, run: str) -> dict[str, bytes]:
        """Return the output of every COMPLETED task of a run as JSON: what a run that repeats it may reuse.

        Raises as `run` does.
        """
        with self._reading() as connection:
            completed = (tasks.c.run_pk == _find(connection, run), tasks.c.state == State.COMPLETED)
            query = select(tasks.c.key, tasks.c.output, tasks.c.output_ref).where(*completed)
            found = connection.execute(query.order_by(*_IN_ORDER)).all()
        return {row.key: self._values.join(row.output, row.output_ref) for row in found}

    def expansions(self, run: str) -> dict[str, bytes]:
        """Return the memo of each task of a run that has instances: how it was spread; raises as `run`."""
        with self._reading() as connection:
            is_spread = (tasks.c.run_pk == _find(connection, run), tasks.c.attempt == 0, tasks.c.memo.is_not(None))
            found = connection.execute(select(tasks.c.key, tasks.c.memo).where(*is_spread)).all()
        return {row.key: bytes(row.memo) for row in found}

    def workflows(self) -> list[VersionView]:
        """List the workflows of all recorded runs by name, each with its newest version."""
        columns = (workflows.c.name, func.max(workflows.c.pk).label("pk"), func.count().label("versions"))
        newest = select(*columns).group_by(workflows.c.name).subquery()
        shown = select(workflows.c.name, workflows.c.hash, newest.c.versions, workflows.c.created_at)
        with self._reading() as connection:
            found = connection.execute(
                shown.join(newest, newest.c.pk == workflows.c.pk).order_by(workflows.c.name)
            ).all()
        return [
            VersionView(name=row.name, hash=row.hash, versions=row.versions, created_at=written(row.created_at))
            for row in found
        ]

    def document(self, version: str) -> bytes:
        """Return a recorded document by its SHA-256.

        Raises WorkflowUnknownError.
        """
        with self._reading() as connection:
            found = connection.execute(select(workflows.c.document).where(workflows.c.hash == version)).first()
        if found is None:
            raise WorkflowUnknownError(version)
        return bytes(found.document)

    def document_of(self, run: str) -> bytes:
        """Return the document a run was made from; raises as `run`."""
        with self._reading() as connection:
            is_run = runs.c.pk == _find(connection, run)
            query = select(workflows.c.document).join(runs, runs.c.workflow_pk == workflows.c.pk).where(is_run)
            return bytes(connection.execute(query).scalar_one())

    def counts(self) -> Counts:
        """Count what lives; takes as long as there are live tasks, whatever has ended."""
        is_open = runs.c.state.in_(_OPEN)
        of_runs = select(runs.c.state, func.count()).where(is_open).group_by(runs.c.state)
        joined = select(tasks.c.state, func.count()).join(runs, runs.c.pk == tasks.c.run_pk)
        of_tasks = joined.where(is_open).group_by(tasks.c.state)
        with self._reading() as connection:
            live, parts = connection.execute(of_runs).all(), connection.execute(of_tasks).all()
        return Counts(runs={row[0]: row[1] for row in live}, tasks={row[0]: row[1] for row in parts})

    def open_claims(self) -> list[OpenClaim]:
        """Return every claim that is not settled, oldest first, with the state of its run."""
        columns = (claims.c.id, claims.c.name, claims.c.path, claims.c.claimed_at, claims.c.run, runs.c.state)
        joined = select(*columns).join(runs, runs.c.id == claims.c.run, isouter=True)
        query = joined.where(claims.c.state == ClaimState.CLAIMED).order_by(claims.c.claimed_at, claims.c.id)
        with self._reading() as connection:
            found = connection.execute(query).all()
        return [
            OpenClaim(
                id=row.id,
                name=None if row.name is None else bytes(row.name),
                path=None if row.path is None else bytes(row.path),
                claimed_at=row.claimed_at,
                run=row.run,
                state=None if row.state is None else State(row.state),
            )
            for row in found
        ]

    def keyed(self, keys: Sequence[str]) -> dict[str, tuple[str, str | None]]:
        """Return the oldest run of each idempotency key, whatever its workflow, as (run, claim)."""
        query = select(runs.c.idempotency_key, runs.c.id, runs.c.claim).order_by(runs.c.pk.desc())
        found: dict[str, tuple[str, str | None]] = {}
        with self._reading() as connection:
            for some in _portions(keys):
                rows = connection.execute(query.where(runs.c.idempotency_key.in_(list(some))))
                found.update((row.idempotency_key, (row.id, row.claim)) for row in rows)
        return found

    def timetable(self) -> Timetable:
        """Return where every schedule stands: what a restart of them needs."""
        with self._reading() as connection:
            return dues.timetable(connection)

    def settled(self, schedule: str, instants: Sequence[float]) -> set[float]:
        """Return those of a schedule's due instants of which is recorded what became of them."""
        with self._reading() as connection:
            return dues.settled(connection, schedule, instants)

    def due_times(self, schedule: str, *, before: float | None = None, limit: int = 50) -> list[DueView]:
        """List what became of a schedule's due instants, newest first; `before` (wall seconds) is for the next page."""
        with self._reading() as connection:
            return dues.of_schedule(connection, schedule, before, limit)

    def old_runs(self, before: float, limit: int, after: tuple[float, int] = (0.0, 0)) -> list[EndedRun]:
        """List runs that ended before this moment (wall seconds), oldest first; `after` is the place of the last."""
        with self._reading() as connection:
            return pruning.old_runs(connection, before, limit, after)

    def surplus_runs(self, kept: int, limit: int, after: tuple[float, int] = (0.0, 0)) -> list[EndedRun]:
        """List runs that have ended, without the newest `kept` of them, as `old_runs` does."""
        with self._reading() as connection:
            return pruning.surplus_runs(connection, kept, limit, after)

    def old_dues(self, before: float, limit: int) -> list[tuple[str, float]]:
        """List settled instants due before this moment as (schedule, wall seconds), never a schedule's newest one."""
        with self._reading() as connection:
            return pruning.old_dues(connection, before, limit)

    def old_claims(self, before: float, limit: int) -> list[str]:
        """List claims that were settled before this moment."""
        with self._reading() as connection:
            return pruning.old_claims(connection, before, limit)

    def references(self) -> set[str]:
        """Return the reference of every large output a row speaks of; any other file that is not young may go."""
        columns = (tasks.c.output_ref, runs.c.output_ref, offers.c.output_ref)
        with self._reading() as connection:
            found = [connection.execute(select(column).where(column.is_not(None)).distinct()) for column in columns]
            return {ref for rows in found for ref in rows.scalars()}

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            # Leaving ends the transaction: a connection is rolled back before it rests in the pool.
            with self._ready().connect() as connection:
                database.begin_read(connection)
                yield connection
        except DBAPIError as error:
            raise database.explained(error, self._url) from error

    def _ready(self) -> Engine:
        """Return the engine to read from: an empty database in memory as long as nobody has made the real one."""
        if self._is_ready:
            return self._engine
        path = database.file_of(self._url)
        if path is not None and not path.exists():
            return self._empty()
        with self._engine.connect() as connection:
            revision = migrations.found(connection)
        if revision is None:
            return self._empty()
        if revision not in migrations.known():
            raise StoreTooNewError(revision)
        self._is_ready = True
        return self._engine

    def _in_full(self, connection: Connection, is_one: ColumnElement[bool]) -> list[RunView]:
        rows = connection.execute(select(*_IN_FULL).where(is_one)).all()
        of_runs = select(tasks).where(tasks.c.run_pk.in_([row.pk for row in rows])).order_by(*_IN_ORDER)
        called = select(*_CHILD).where(runs.c.parent.in_([row.id for row in rows])).order_by(runs.c.pk)
        parts, children = _grouped(connection.execute(of_runs), 0), _grouped(connection.execute(called), 2)
        return [run_in_full(row, parts.get(row.pk, []), children.get(row.id, []), self._values) for row in rows]

    def _empty(self) -> Engine:
        if self._nothing is None:
            self._nothing = create_engine("sqlite://", poolclass=StaticPool)
            with self._nothing.begin() as connection:
                tables.create(connection)
        return self._nothing


def _grouped(rows: Iterable[Any], place: int) -> dict[Any, list[Any]]:
    """Sort rows by what stands at this place of each."""
    groups: dict[Any, list[Any]] = {}
    for row in rows:
        groups.setdefault(row[place], []).append(row)
    return groups


def _portions(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut a list to lengths that a statement takes, and that plans are kept for."""
    return (keys[at : at + _PORTION] for at in range(0, len(keys), _PORTION))


def _find(connection: Connection, name: str) -> int:
    """Return the inner key of the run with this id, or of the only one whose id begins or ends like this."""
    exact = connection.execute(select(runs.c.pk).where(runs.c.id == name)).first()
    if exact is not None:
        return int(exact.pk)
    # Whatever is typed in capitals is meant in small letters, as ids are.
    part = name.lower()
    if not part:
        raise RunUnknownError(name)
    tail = tail_of(part)
    begins = (runs.c.id >= part, runs.c.id < part + _AFTER_ANY)
    ends = (runs.c.tail >= tail, runs.c.tail < tail + _AFTER_ANY)
    query: Select[Any] = select(runs.c.id, runs.c.pk).where(*begins).limit(_MATCHES)
    matches = {row.id: row.pk for row in connection.execute(query)}
    query = select(runs.c.id, runs.c.pk).where(*ends).limit(_MATCHES)
    matches |= {row.id: row.pk for row in connection.execute(query) if row.id.endswith(part)}
    if not matches:
        raise RunUnknownError(name)
    if len(matches) > 1:
        raise RunAmbiguousError(name, sorted(matches))
    return int(next(iter(matches.values())))
