"""How we speak to SQLite and PostgreSQL: where the database is, how a connection is set up, what its errors mean.

Knows no table. `store` and `history` open their connections here; nobody else does.
"""

import sqlite3
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Dialect, Engine, NullPool, QueuePool, Row, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler

from engine.errors import StoreCorruptError, StoreLostError

_SQLITE = "sqlite:///"
_READER_BUSY_SECONDS = 5.0
# How many pages gather in the write-ahead log before a commit moves them on (4 KiB each; SQLite's own default is 1000),
# and what its file is cut back to when it starts anew.
_CHECKPOINT_PAGES = 4000
_JOURNAL_BYTES = 16 * 1024 * 1024
_CACHE_KIB = 8 * 1024
# The mode of SQLite in which space that was freed is given back when asked for.
_INCREMENTAL = 2


class Statement:
    """A statement compiled once for one dialect, for tuples: `names` says what each place of a tuple means."""

    __slots__ = ("names", "sql")

    def __init__(self, dialect: Dialect, clause: ClauseElement, *names: str) -> None:
        """Compile; raise ValueError if the places of the compiled statement are not the named ones."""
        compiled = clause.compile(dialect=dialect)
        places = tuple(compiled.positiontup or ()) if isinstance(compiled, SQLCompiler) else ()
        if places != names:
            raise ValueError(f"the statement takes {places}, its caller would hand {names}: {compiled}")
        self.sql, self.names = str(compiled), names

    def run(self, connection: Connection, values: tuple[Any, ...]) -> Any:
        """Execute it with one tuple and return the first column of the first row, None if there is no row."""
        result = connection.exec_driver_sql(self.sql, values)
        return result.scalar() if result.returns_rows else None

    def first(self, connection: Connection, values: tuple[Any, ...]) -> Row[Any] | None:
        """Execute a query with one tuple and return its first row, None if there is none."""
        return connection.exec_driver_sql(self.sql, values).first()

    def run_all(self, connection: Connection, rows: list[tuple[Any, ...]]) -> int:
        """Execute it with each tuple and return how many rows it wrote in all."""
        return connection.exec_driver_sql(self.sql, rows).rowcount


class Trouble(Enum):
    """Sort what a database can answer instead of doing as told."""

    BUSY = "somebody else holds a lock: try again"
    FULL = "no space"
    LOST = "it cannot be read or written"
    CORRUPT = "what it holds makes no sense"
    OURS = "the statement is wrong"


_SQLITE_TROUBLE = {
    sqlite3.SQLITE_BUSY: Trouble.BUSY,
    sqlite3.SQLITE_LOCKED: Trouble.BUSY,
    sqlite3.SQLITE_FULL: Trouble.FULL,
    sqlite3.SQLITE_READONLY: Trouble.LOST,
    sqlite3.SQLITE_IOERR: Trouble.LOST,
    sqlite3.SQLITE_CANTOPEN: Trouble.LOST,
    sqlite3.SQLITE_NOMEM: Trouble.LOST,
    sqlite3.SQLITE_PERM: Trouble.LOST,
    sqlite3.SQLITE_PROTOCOL: Trouble.LOST,
    sqlite3.SQLITE_CORRUPT: Trouble.CORRUPT,
    sqlite3.SQLITE_NOTADB: Trouble.CORRUPT,
}
# By SQLSTATE, the longest match first: lock not available, deadlock, serialization; disk full; damaged data or index;
# connection, resources, operator's intervention, system error, read-only transaction.
_POSTGRESQL_TROUBLE = {
    "55P03": Trouble.BUSY,
    "40P01": Trouble.BUSY,
    "40001": Trouble.BUSY,
    "53100": Trouble.FULL,
    "XX001": Trouble.CORRUPT,
    "XX002": Trouble.CORRUPT,
    "25006": Trouble.LOST,
    "08": Trouble.LOST,
    "28": Trouble.LOST,
    "53": Trouble.LOST,
    "57": Trouble.LOST,
    "58": Trouble.LOST,
}


def trouble(error: DBAPIError) -> Trouble:
    """Say what kind of trouble a driver's error means."""
    if isinstance(error.orig, sqlite3.Error):
        # The low byte is the kind; the rest says more than we need.
        return _SQLITE_TROUBLE.get(getattr(error.orig, "sqlite_errorcode", 0) & 0xFF, Trouble.OURS)
    state = getattr(error.orig, "sqlstate", None)
    if state is None:
        return Trouble.LOST if type(error.orig).__name__ == "OperationalError" else Trouble.OURS
    found = (_POSTGRESQL_TROUBLE.get(state[:length]) for length in (5, 2))
    return next((kind for kind in found if kind), Trouble.OURS)


def explained(error: DBAPIError, url: str) -> Exception:
    """Return the error to raise in place of a driver's: one of ours, or the same if the statement is wrong."""
    kind, detail = trouble(error), str(error.orig).strip()
    match kind:
        case Trouble.OURS:
            return error
        case Trouble.CORRUPT:
            return StoreCorruptError(place(url), detail)
        case Trouble.BUSY:
            return StoreLostError(f"{place(url)}: another process keeps it locked ({detail})")
        case Trouble.FULL | Trouble.LOST:
            return StoreLostError(f"{place(url)}: {detail}")


def file_of(url: str) -> Path | None:
    """Return the file of an SQLite URL (`sqlite:////absolute/path`, any characters); None for a server's URL."""
    return Path(url.removeprefix(_SQLITE)) if url.startswith(_SQLITE) else None


def place(url: str) -> str:
    """Name the database for a person, without a password."""
    path = file_of(url)
    return str(path) if path is not None else url.rpartition("@")[2].partition("?")[0]


def writer(url: str, busy_seconds: float) -> Engine:
    """Return an engine for the one connection that writes; a lock is waited for as long as `busy_seconds`."""
    path = file_of(url)
    if path is not None:
        settings = (
            # First, since it counts only as long as the database is empty: space can be given back bit by bit.
            f"PRAGMA auto_vacuum = {_INCREMENTAL}",
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "PRAGMA foreign_keys = ON",
            f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}",
            f"PRAGMA journal_size_limit = {_JOURNAL_BYTES}",
            f"PRAGMA cache_size = -{_CACHE_KIB}",
        )
        return _sqlite_engine(path, busy_seconds, settings, NullPool)
    engine = create_engine(url, paramstyle="format", poolclass=NullPool)
    event.listen(engine, "connect", lambda connection, _: _set_up_server(connection, busy_seconds))
    return engine


def reader(url: str) -> Engine:
    """Return an engine for reads from any thread; between two reads its connections hold nothing."""
    path = file_of(url)
    if path is not None:
        return _sqlite_engine(path, _READER_BUSY_SECONDS, ("PRAGMA query_only = ON",), QueuePool)
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    return create_engine(url, execution_options=options, pool_pre_ping=True)


def begin_write(connection: Connection) -> None:
    """Open the transaction of a write; on SQLite it takes the lock now: one that is upgraded later cannot wait."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def begin_read(connection: Connection) -> None:
    """Open the transaction of a read, so that several statements see one state."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN")


def shrink(connection: Connection, pages: int) -> int:
    """Give at most so many free pages of an SQLite database back, and return how many it could still give."""
    if connection.exec_driver_sql("PRAGMA auto_vacuum").scalar() != _INCREMENTAL:
        return 0
    free = int(connection.exec_driver_sql("PRAGMA freelist_count").scalar() or 0)
    for _ in range(min(pages, free)):
        # One at a time: a larger number is taken bit by bit as its result is read, and the driver reads none here.
        connection.exec_driver_sql("PRAGMA incremental_vacuum(1)")
    return max(0, free - pages)


def _sqlite_engine(
    path: Path, busy_seconds: float, settings: tuple[str, ...], pool: type[NullPool | QueuePool]
) -> Engine:
    # `rw` and not `rwc`: who may make the file makes it first, with its mode.
    uri = f"file:{quote(str(path))}?mode=rw"

    def connect() -> sqlite3.Connection:
        # The driver begins no transaction of its own (isolation_level None), ours begin with `begin_write`.
        connection = sqlite3.connect(uri, uri=True, timeout=busy_seconds, isolation_level=None, check_same_thread=False)
        try:
            for setting in settings:
                connection.execute(setting)
        except BaseException:
            connection.close()
            raise
        return connection

    return create_engine("sqlite://", creator=connect, poolclass=pool, isolation_level="AUTOCOMMIT")


def _set_up_server(connection: Any, busy_seconds: float) -> None:
    """Ask for what we promise, whatever the server's defaults: what is committed is on disk, no wait is for ever."""
    connection.autocommit = True
    connection.execute("SET synchronous_commit = on")
    connection.execute(f"SET lock_timeout = {int(busy_seconds * 1000)}")
    connection.autocommit = False
