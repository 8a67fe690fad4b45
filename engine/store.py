"""What is remembered, as written: new runs, and what orders say about them, each call one durable transaction.

The only writer; any thread may call, one at a time gets in. Which rows an order comes to is in `rows`, a new run in
`admission`, reads for people and for a restart in `history`. Called by the executor, and by the daemon for due times.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from sqlalchemy import BindParameter, Connection, Engine, bindparam, select
from sqlalchemy.exc import DBAPIError

from engine import database, lookup, migrations, pruning, recall, tables
from engine.admission import Admission
from engine.clock import Clock
from engine.database import Trouble
from engine.dues import Dues
from engine.errors import StoreLostError
from engine.facts import Finish, Order
from engine.points import sync_point
from engine.rows import Rows
from engine.statements import Statements
from engine.submission import ClaimEnd, ClaimRecord, DueRecord, Receipt, ScheduleRecord, Submission
from engine.values import Values, make_folder, sync_folder
from engine.views import RunEnd

T = TypeVar("T")
Batch = Sequence[tuple[str, Sequence[Order]]]

_BUSY_SECONDS = 30.0
# A server that reports a deadlock wants the same transaction once more; one that was restarted, a new connection.
_TRIES = 3
# The write-ahead log: what a rest leaves of it, and the size at which a write makes it start anew, readers or not.
_RESTED_BYTES = 4 * 1024 * 1024
_CROWDED_BYTES = 32 * 1024 * 1024
_CROWDED_PAUSE_SECONDS = 1.0
_READERS_MILLISECONDS = 100


class _LostRaceError(Exception):
    """A row of the batch was not as expected: somebody else was there first."""


class Store:
    """Write the memory at `url` (`sqlite:////path/state.db` or `postgresql+psycopg://...`).

    Every method raises StoreLostError when something cannot be made durable, and StoreCorruptError when what is there
    makes no sense; nothing of that call was then acknowledged, and a later call may succeed.
    """

    def __init__(self, url: str, *, values: Values, clock: Clock, busy_seconds: float = _BUSY_SECONDS) -> None:
        """Touch nothing yet; a lock of another process is waited for as long as `busy_seconds`."""
        self._url, self._values, self._clock = url, values, clock
        self._busy_seconds = busy_seconds
        self._file = database.file_of(url)
        self._engine: Engine = database.writer(url, busy_seconds)
        self._statements = Statements(self._engine.dialect)
        self._admission, self._dues = Admission(self._engine.dialect, values), Dues(self._engine.dialect)
        self._connection: Connection | None = None
        self._lock = threading.RLock()
        self._keys: dict[str, int] = {}
        self._crowded_until = 0.0
        self._is_in_doubt = False
        self._inodes: tuple[int, int] | None = None

    def open(self) -> None:
        """Make the folder if it is missing, connect, bring the tables up to date; harmless twice.

        Raises StoreCorruptError, StoreTooNewError or StoreLostError.
        """
        with self._lock:
            if self._file is not None:
                _make_file(self._file)
            with self._explained():
                if self._file is not None:
                    _check_journal(self._connected(), self._url)
                self._transact(lambda connection: migrations.bring_up(connection, database.place(self._url)))

    def close(self) -> None:
        """Move the write-ahead log into the database and disconnect; harmless twice."""
        with self._lock:
            if self._connection is not None:
                with contextlib.suppress(StoreLostError):
                    self._checkpoint("TRUNCATE", 0)
                self._disconnect()

    def create(self, submissions: Sequence[tuple[str, Submission, float]]) -> list[Receipt]:
        """Record new runs, given as (id, submission, wall seconds), in one transaction.

        Where a claim, a due instant, an idempotency key (of the same workflow name) or the id was seen before, the
        receipt names the earlier run; the other submissions are not disturbed.
        """
        return self._transact(lambda connection: self._admission.admit(connection, submissions))

    def write(self, batch: Batch, now: float) -> frozenset[str]:
        """Record the orders of several runs, each (id, orders), in one transaction.

        Returns the runs that lost a race: nothing of their orders was written, the others' were. A run that has ended,
        or that nobody knows, has lost. The `cache` of a Complete is expected to name the key instead of the material.
        """
        if not any(orders for _, orders in batch):
            return frozenset()
        with self._lock:
            self._learn([run for run, _ in batch])
            lost = frozenset(run for run, _ in batch if run not in self._keys)
            known = [(run, orders) for run, orders in batch if run not in lost]
            if known and not self._write_together(known, now):
                lost |= self._transact(lambda connection: self._write_each(connection, known, now))
            for run, orders in known:
                if run in lost or any(type(order) is Finish for order in orders):
                    self._keys.pop(run, None)
            return lost

    def cached(self, keys: Sequence[str], now: float) -> dict[str, tuple[bytes, str]]:
        """Return (output as JSON, run it comes from) of those of these keys whose output may be used again at `now`.

        Sees all that was written before. One whose file is gone, or whose time is over, is not known.
        """
        found = self._transact(lambda connection: lookup.cached(connection, keys, now)) if keys else []
        return dict(lookup.answers(found, self._values))

    def ended(self, run: str) -> RunEnd | None:
        """Return how a run ended; None for one that lives, or that nobody knows. Sees all that was written before."""
        row = self._transact(lambda connection: lookup.ended(connection, run))
        return None if row is None else recall.run_end(row, self._values)

    def record_dues(self, records: Sequence[DueRecord], now: float) -> int:
        """Record what became of due instants that lead to no run, and return how many were not settled before.

        One that is recorded stays as it is, unless it was QUEUED.
        """
        if not records:
            return 0
        return self._transact(lambda connection: self._dues.settle(connection, records, now))

    def record_schedules(self, records: Sequence[ScheduleRecord], now: float, forgotten: Collection[str] = ()) -> None:
        """Record where schedules stand in place of what was known, and forget those that are no more."""
        if records or forgotten:
            self._transact(lambda connection: self._dues.keep(connection, records, forgotten, now))

    def record_claims(self, records: Sequence[ClaimRecord], now: float) -> None:
        """Record that dropped files are ours, under their names; one that is recorded already stays."""
        if records:
            self._transact(lambda connection: self._admission.record_claims(connection, records, now))

    def settle_claims(self, ends: Sequence[ClaimEnd], now: float) -> int:
        """Record where claimed files ended and return how many; one that is settled already stays as it is."""
        if not ends:
            return 0
        return self._transact(lambda connection: self._admission.settle_claims(connection, ends, now))

    def delete_runs(self, ids: Sequence[str]) -> int:
        """Delete these runs, except those that, or whose callers, have not ended, with all of them; return how many."""
        with self._lock:
            for run in ids:
                self._keys.pop(run, None)
            return self._transact(lambda connection: pruning.delete_runs(connection, ids)) if ids else 0

    def delete_dues(self, keys: Sequence[tuple[str, float]]) -> int:
        """Delete what became of due instants, given as (schedule, wall seconds); return how many."""
        return self._transact(lambda connection: pruning.delete_dues(connection, keys)) if keys else 0

    def delete_claims(self, ids: Sequence[str]) -> int:
        """Delete these claims, except those that are not settled; return how many."""
        return self._transact(lambda connection: pruning.delete_claims(connection, ids)) if ids else 0

    def shrink(self, pages: int) -> int:
        """Give at most so many free pages back to the file system; return how many free ones are left.

        A database that was not made for it (a server's, for one) has none to give.
        """
        return 0 if self._file is None else self._transact(lambda connection: database.shrink(connection, pages))

    def rest(self) -> None:
        """Use the quiet to cut the write-ahead log back; returns at once where there is nothing to do."""
        with self._lock:
            if self._connection is not None and self._journal_bytes() > _RESTED_BYTES:
                self._checkpoint("TRUNCATE", 0)

    def _write_together(self, batch: Batch, now: float) -> bool:
        """Write a batch kind by kind; return False, with nothing written, if that cannot be done for all of it."""
        rows = Rows(self._statements, self._values, now)
        for run, orders in batch:
            rows.add(self._keys[run], orders)
        if rows.is_tangled or len({run for run, _ in batch}) < len(batch):
            return False

        def carry_out(connection: Connection) -> None:
            if not rows.carry_out(connection):
                raise _LostRaceError

        try:
            self._transact(carry_out)
        except _LostRaceError:
            return False
        return True

    def _write_each(self, connection: Connection, batch: Batch, now: float) -> frozenset[str]:
        """Write a batch run by run, and return the runs of which nothing could be written."""
        together: dict[str, list[Order]] = {}
        for run, orders in batch:
            together.setdefault(run, []).extend(orders)
        lost = set()
        for run, orders in together.items():
            with connection.begin_nested() as savepoint:
                if not self._write_run(connection, self._keys[run], orders, now):
                    savepoint.rollback()
                    lost.add(run)
        return frozenset(lost)

    def _write_run(self, connection: Connection, key: int, orders: Sequence[Order], now: float) -> bool:
        rows = Rows(self._statements, self._values, now)
        rows.add(key, orders)
        if rows.is_tangled:
            return all(self._write_run(connection, key, [order], now) for order in orders)
        return rows.carry_out(connection)

    def _learn(self, runs: Sequence[str]) -> None:
        """Look up the inner keys of live runs that this store did not create or has not written to yet."""
        unknown = [run for run in runs if run not in self._keys]
        if unknown:
            asked: BindParameter[list[str]] = bindparam("ids", expanding=True)
            query = select(tables.runs.c.id, tables.runs.c.pk).where(tables.runs.c.id.in_(asked))
            live = query.where(tables.runs.c.ended_at.is_(None))
            found = self._transact(lambda connection: connection.execute(live, {"ids": unknown}).all())
            self._keys.update((row.id, row.pk) for row in found)

    def _transact(self, work: Callable[[Connection], T]) -> T:
        """Do the work in one transaction and return its result when that is durable."""
        with self._lock, self._explained():
            for remaining in reversed(range(_TRIES)):
                connection = self._connected()
                try:
                    result = self._commit(connection, work)
                except DBAPIError as error:
                    if not remaining or not self._may_repeat(error):
                        raise
                else:
                    self._relieve()
                    return result
            raise AssertionError

    def _commit(self, connection: Connection, work: Callable[[Connection], T]) -> T:
        self._is_in_doubt = False
        try:
            database.begin_write(connection)
            result = work(connection)
            self._is_in_doubt = True
            sync_point("store.written")
            connection.commit()
            self._check_names()
            sync_point("store.committed")
        except BaseException:
            self._roll_back(connection)
            raise
        return result

    def _may_repeat(self, error: DBAPIError) -> bool:
        """Tell whether a transaction surely left nothing behind and may go better: it met a lock, or a dead connection.

        A connection that dies while it commits leaves in doubt whether it did: only a reader can tell.
        """
        return database.trouble(error) is Trouble.BUSY or (self._connection is None and not self._is_in_doubt)

    def _roll_back(self, connection: Connection) -> None:
        """Leave no transaction behind; a connection that cannot do that is given up, the next call makes another."""
        try:
            connection.rollback()
        except DBAPIError:
            self._disconnect()
        else:
            if connection.invalidated:
                self._disconnect()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise database.explained(error, self._url) from error

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection, self._inodes = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(DBAPIError):
                connection.close()

    def _check_names(self) -> None:
        """See that what was written is still called so: a file that somebody deleted takes every write and keeps none.

        Raises StoreLostError.
        """
        if self._file is None:
            return
        try:
            found = os.stat(self._file).st_ino, os.stat(f"{self._file}-wal").st_ino  # noqa: PTH116 -- once a commit, as below
        except FileNotFoundError:
            found = None
        if self._inodes is None:
            self._inodes = found
        if found is None or found != self._inodes:
            raise StoreLostError(f"{self._file}: it was deleted or replaced while it was open")

    def _relieve(self) -> None:
        """Make the write-ahead log start anew where readers that take turns have kept it growing."""
        if self._journal_bytes() > _CROWDED_BYTES and self._clock.ticks() >= self._crowded_until:
            self._checkpoint("RESTART", _READERS_MILLISECONDS)
            self._crowded_until = self._clock.ticks() + _CROWDED_PAUSE_SECONDS

    def _journal_bytes(self) -> int:
        """Return the size of the write-ahead log; nobody but SQLite may open the file, so it is only looked at."""
        if self._file is None:
            return 0
        try:
            return os.stat(f"{self._file}-wal").st_size  # noqa: PTH116 -- once a commit, and a Path takes longer than the call
        except FileNotFoundError:
            return 0

    def _checkpoint(self, kind: str, readers_milliseconds: int) -> None:
        """Move the write-ahead log into the database, waiting this long for readers; what cannot be moved stays in it.

        A full disk is no loss here: the log keeps what the database has no room for.
        """
        connection = self._connection
        if connection is None or self._file is None:
            return
        try:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {readers_milliseconds}")
            connection.exec_driver_sql(f"PRAGMA wal_checkpoint({kind})").close()
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(self._busy_seconds * 1000)}")
        except DBAPIError as error:
            self._disconnect()
            if database.trouble(error) not in (Trouble.FULL, Trouble.BUSY):
                raise database.explained(error, self._url) from error


def _make_file(path: Path) -> None:
    """Make the folder (0700) and an empty database (0600) where there is none, durably."""
    try:
        make_folder(path.parent)
        # Only where it is missing: to open and close a database that SQLite has open drops its locks.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        sync_folder(path.parent)
    except FileExistsError:
        return
    except OSError as error:
        raise StoreLostError(f"{path}: {error.strerror or error}") from error


def _check_journal(connection: Connection, url: str) -> None:
    mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
    if mode != "wal":
        raise StoreLostError(f"{database.place(url)}: this file system has no write-ahead log (journal mode {mode})")
