"""What the owner of live runs asks of the memory between two writes: outputs to use again, how a called run ended.

Works inside a transaction of `store`, which calls it, so that all that was written before is seen; what is read for
people and for a restart is in `history`. Files of large outputs are read outside of the transaction, by `answers`.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, or_, select

from engine.errors import StoreCorruptError
from engine.states import State
from engine.tables import cache, runs, tasks
from engine.values import Values

# What one statement takes in its list of keys.
_PORTION = 200
_END = (runs.c.state, runs.c.reason, runs.c.message, runs.c.output, runs.c.output_ref)


def cached(connection: Connection, keys: Sequence[str], now: float) -> list[Any]:
    """Find tasks whose output may be used again at `now` (wall seconds), by the keys they are kept under."""
    is_task = (tasks.c.run_pk == cache.c.run_pk) & (tasks.c.key == cache.c.task)
    columns = (cache.c.key, tasks.c.output, tasks.c.output_ref, runs.c.id)
    kept = select(*columns).join(tasks, is_task).join(runs, runs.c.pk == tasks.c.run_pk)
    is_good = (tasks.c.state == State.COMPLETED, or_(cache.c.expires_at.is_(None), cache.c.expires_at > now))
    found: list[Any] = []
    for at in range(0, len(keys), _PORTION):
        found += connection.execute(kept.where(cache.c.key.in_(keys[at : at + _PORTION]), *is_good)).all()
    return found


def answers(rows: Iterable[Any], values: Values) -> Iterator[tuple[str, tuple[bytes, str]]]:
    """Yield (key, (output, run)) of what `cached` found; one whose file is lost is as if it were not kept."""
    for row in rows:
        try:
            yield row.key, (values.join(row.output, row.output_ref), row.id)
        except StoreCorruptError:
            continue


def ended(connection: Connection, run: str) -> Any:
    """Find the row of a run that has ended, None if it has not or nobody knows it."""
    return connection.execute(select(*_END).where(runs.c.id == run, runs.c.ended_at.is_not(None))).first()
