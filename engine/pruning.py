"""What has outlived its keeping: which ended runs, due instants and claims are old, and their deletion.

Works inside a transaction of `history` (what there is) or `store` (away with it), which call it. How old is too old,
and the files that go with a row, are the janitor's.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, exists, func, select, tuple_

from engine.states import ClaimState, DueState
from engine.tables import claims, due_times, runs, tasks, workflows
from engine.views import EndedRun

# What one statement takes in its list of keys.
_PORTION = 200
# A run that was called stays as long as its caller lives: after a restart, that asks how it ended.
_caller = runs.alias("caller")
_IS_FREE = ~exists().where(_caller.c.id == runs.c.parent, _caller.c.ended_at.is_(None))


def old_runs(connection: Connection, before: float, limit: int, after: tuple[float, int]) -> list[EndedRun]:
    """List runs that ended before this moment, oldest first, from behind a place."""
    # A run is created before it ends, so the index by time bounds the search.
    too_old = (runs.c.created_at < before, runs.c.ended_at.is_not(None), runs.c.ended_at < before)
    return _oldest(connection, too_old, limit, after)


def surplus_runs(connection: Connection, kept: int, limit: int, after: tuple[float, int]) -> list[EndedRun]:
    """List ended runs beyond the newest `kept`, oldest first, as `old_runs` does."""
    newest = select(runs.c.created_at, runs.c.pk).where(runs.c.ended_at.is_not(None))
    newest = newest.order_by(runs.c.created_at.desc(), runs.c.pk.desc()).offset(kept).limit(1)
    first = connection.execute(newest).first()
    if first is None:
        return []
    beyond = tuple_(runs.c.created_at, runs.c.pk) <= tuple_(first.created_at, first.pk)
    return _oldest(connection, (runs.c.ended_at.is_not(None), beyond), limit, after)


def _oldest(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], limit: int, after: tuple[float, int]
) -> list[EndedRun]:
    size = select(func.count()).where(tasks.c.run_pk == runs.c.pk).scalar_subquery()
    query = select(runs.c.id, runs.c.created_at, runs.c.pk, size.label("tasks")).where(*conditions)
    later = tuple_(runs.c.created_at, runs.c.pk) > tuple_(*after)
    found = connection.execute(query.where(later, _IS_FREE).order_by(runs.c.created_at, runs.c.pk).limit(limit))
    return [EndedRun(id=row.id, tasks=row.tasks, place=(row.created_at, row.pk)) for row in found]


def old_dues(connection: Connection, before: float, limit: int) -> list[tuple[str, float]]:
    """List settled instants due before this moment as (schedule, wall seconds), but never the newest of a schedule."""
    of_same = due_times.alias("of_same")
    newest = select(func.max(of_same.c.due_at)).where(of_same.c.schedule == due_times.c.schedule).scalar_subquery()
    query = select(due_times.c.schedule, due_times.c.due_at).where(
        due_times.c.due_at < before, due_times.c.state != DueState.QUEUED, due_times.c.due_at < newest
    )
    return [(row.schedule, row.due_at) for row in connection.execute(query.limit(limit))]


def old_claims(connection: Connection, before: float, limit: int) -> list[str]:
    """List claims that were settled before this moment."""
    ends = [state for state in ClaimState if state is not ClaimState.CLAIMED]
    query = select(claims.c.id).where(
        claims.c.state.in_(ends), claims.c.claimed_at < before, claims.c.settled_at < before
    )
    return list(connection.execute(query.limit(limit)).scalars())


def delete_runs(connection: Connection, ids: Sequence[str]) -> int:
    """Delete ended runs with everything that is of them, and versions of documents that no run is left of.

    One whose caller lives is left.
    """
    deleted, versions = 0, set[int]()
    for some in _portions(ids):
        is_ended = (runs.c.id.in_(some), runs.c.ended_at.is_not(None), _IS_FREE)
        versions.update(connection.execute(select(runs.c.workflow_pk).where(*is_ended)).scalars())
        deleted += connection.execute(delete(runs).where(*is_ended)).rowcount
    for keys in _portions(sorted(versions)):
        is_used = exists().where(runs.c.workflow_pk == workflows.c.pk)
        connection.execute(delete(workflows).where(workflows.c.pk.in_(keys), ~is_used))
    return deleted


def delete_dues(connection: Connection, keys: Sequence[tuple[str, float]]) -> int:
    """Delete what became of due instants."""
    deleted = 0
    for some in _portions(keys):
        is_one = tuple_(due_times.c.schedule, due_times.c.due_at).in_(some)
        deleted += connection.execute(delete(due_times).where(is_one)).rowcount
    return deleted


def delete_claims(connection: Connection, ids: Sequence[str]) -> int:
    """Delete claims that are settled."""
    deleted = 0
    for some in _portions(ids):
        is_settled = (claims.c.id.in_(some), claims.c.state != ClaimState.CLAIMED)
        deleted += connection.execute(delete(claims).where(*is_settled)).rowcount
    return deleted


def _portions(keys: Sequence[Any]) -> list[Sequence[Any]]:
    return [keys[at : at + _PORTION] for at in range(0, len(keys), _PORTION)]
