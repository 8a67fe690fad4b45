"""Schedules and due instants as rows: what became of each instant, where a schedule stands, and the reads of both.

Works inside a transaction of `store` or `history`, which call it. An instant that leads to a run is written together
with that run, by `admission`.
"""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect, Row, Select, bindparam, delete, func, literal_column, null, select
from sqlalchemy.dialects import postgresql, sqlite

from engine.clock import rfc3339
from engine.database import Statement
from engine.rows import plain
from engine.states import ENDED, DueState, State
from engine.submission import DueRecord, ScheduleRecord
from engine.tables import due_times, runs, schedules
from engine.views import DueView, Timetable

_DUE = ("schedule", "due_at", "state", "reason", "message", "count", "first_at", "recorded_at")
_SCHEDULE = ("name", "definition_hash", "since", "is_paused", "reason", "message", "failures", "changed_at")
# Written out and not bound: only so does SQLite see that the small index of waiting instants will do.
_IS_QUEUED = due_times.c.state == literal_column(f"'{DueState.QUEUED.value}'")
_OPEN = sorted(set(State) - ENDED)
_PORTION = 200


class Dues:
    """Every statement that writes schedules and due instants without a run, for one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        """Compile them."""
        kind = postgresql if dialect.name == "postgresql" else sqlite
        added: Any = kind.insert(due_times).values({name: bindparam(name) for name in _DUE} | {"run": null()})
        changed = {name: added.excluded[name] for name in _DUE[2:]}
        settled = added.on_conflict_do_update(index_elements=["schedule", "due_at"], set_=changed, where=_IS_QUEUED)
        self._settle = Statement(dialect, settled, *_DUE)
        kept: Any = kind.insert(schedules).values({name: bindparam(name) for name in _SCHEDULE})
        renewed = {name: kept.excluded[name] for name in _SCHEDULE[1:]}
        self._keep = Statement(dialect, kept.on_conflict_do_update(index_elements=["name"], set_=renewed), *_SCHEDULE)
        self._forget = Statement(dialect, delete(schedules).where(schedules.c.name == bindparam("name")), "name")

    def settle(self, connection: Connection, records: Sequence[DueRecord], now: float) -> int:
        """Write what became of instants and return how many; one that is settled stays, one that is queued changes."""
        rows = [
            (
                plain(record.schedule),
                record.due_at,
                record.state.value,
                None if record.reason is None else str(record.reason),
                plain(record.message),
                record.count,
                record.first_at,
                now,
            )
            for record in records
        ]
        return self._settle.run_all(connection, rows)

    def keep(
        self, connection: Connection, records: Sequence[ScheduleRecord], forgotten: Collection[str], now: float
    ) -> None:
        """Write where schedules stand, in place of what was known of them, and forget others."""
        rows = [
            (
                plain(record.name),
                record.definition_hash,
                record.since,
                record.is_paused,
                None if record.reason is None else str(record.reason),
                plain(record.message),
                record.failures,
                now,
            )
            for record in records
        ]
        if rows:
            self._keep.run_all(connection, rows)
        if forgotten:
            self._forget.run_all(connection, [(plain(name),) for name in forgotten])


def timetable(connection: Connection) -> Timetable:
    """Read where every schedule stands."""
    records = connection.execute(select(schedules)).all()
    of_same = due_times.alias("of_same")
    last = select(func.max(of_same.c.due_at)).where(of_same.c.schedule == schedules.c.name)
    is_last = (due_times.c.schedule == schedules.c.name) & (due_times.c.due_at == last.scalar_subquery())
    newest = connection.execute(select(due_times).select_from(schedules.join(due_times, is_last))).all()
    waiting: Select[Any] = select(due_times.c.schedule, due_times.c.due_at).where(_IS_QUEUED)
    queued = connection.execute(waiting.order_by(due_times.c.schedule, due_times.c.due_at)).all()
    live = select(runs.c.id, runs.c.schedule, runs.c.due_at).where(
        runs.c.state.in_(_OPEN), runs.c.schedule.is_not(None), runs.c.due_at.is_not(None)
    )
    return Timetable(
        records={row.name: _record(row) for row in records},
        newest={row.schedule: (row.due_at, due_view(row)) for row in newest},
        queued=tuple((row.schedule, row.due_at) for row in queued),
        open=tuple((row.id, row.schedule, row.due_at) for row in connection.execute(live.order_by(runs.c.due_at))),
    )


def settled(connection: Connection, schedule: str, instants: Sequence[float]) -> set[float]:
    """Return those of a schedule's instants that have a row."""
    found: set[float] = set()
    for at in range(0, len(instants), _PORTION):
        some = due_times.c.due_at.in_(instants[at : at + _PORTION])
        query = select(due_times.c.due_at).where(due_times.c.schedule == plain(schedule), some)
        found.update(connection.execute(query).scalars())
    return found


def of_schedule(connection: Connection, schedule: str, before: float | None, limit: int) -> list[DueView]:
    """List a schedule's due instants, newest first."""
    query = select(due_times).where(due_times.c.schedule == plain(schedule))
    if before is not None:
        query = query.where(due_times.c.due_at < before)
    return [due_view(row) for row in connection.execute(query.order_by(due_times.c.due_at.desc()).limit(limit))]


def due_view(row: Row[Any]) -> DueView:
    """Show a row of due_times."""
    return DueView(
        schedule=row.schedule,
        due=rfc3339(row.due_at) or "",
        state=DueState(row.state),
        reason=row.reason,
        message=row.message,
        run=row.run,
        # By position of the name: a row has a method called `count`.
        count=row._mapping["count"],  # noqa: SLF001 -- SQLAlchemy's documented way to a column by its name
        first=rfc3339(row.first_at),
        recorded_at=rfc3339(row.recorded_at) or "",
    )


def _record(row: Row[Any]) -> ScheduleRecord:
    return ScheduleRecord(
        name=row.name,
        definition_hash=row.definition_hash,
        since=row.since,
        is_paused=row.is_paused,
        reason=row.reason,
        message=row.message,
        failures=row.failures,
    )
