"""What only a database server can do to us: restart, cut a session off, keep a row locked, commit lazily."""

import threading
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from engine.errors import StoreLostError
from engine.facts import Begin
from engine.store import Store
from engine.values import Values
from tests.clocks import HandClock
from tests.hands.memory import Memory
from tests.hands.postgresql import Cluster
from tests.waiting import wait_for

pytestmark = pytest.mark.xdist_group("postgresql")


@pytest.fixture
def url(postgresql: Cluster) -> str:
    return postgresql.database()


@pytest.fixture
def other(url: str):
    """Return another session, with a transaction of its own."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_a_server_that_was_restarted_in_between_is_not_noticed(memory: Memory, postgresql: Cluster):
    memory.create("r", "a")
    assert memory.history.runs()
    postgresql.end_sessions()
    assert memory.write("r", Begin())
    assert memory.state("r") == "RUNNING"


def test_a_session_that_is_cut_off_in_the_middle_is_done_again_and_only_once(
    memory: Memory, other, postgresql: Cluster
):
    memory.create("r", "a")
    other.exec_driver_sql("SELECT * FROM runs FOR UPDATE")
    done: list[bool] = []
    writing = threading.Thread(target=lambda: done.append(memory.write("r", Begin())))
    writing.start()
    blocked = "SELECT pid FROM pg_locks WHERE NOT granted"
    first = wait_for(lambda: memory.rows(blocked), "the write to meet the lock")[0][0]
    memory.rows("SELECT pg_terminate_backend(:pid)", pid=first)
    wait_for(lambda: [pid for (pid,) in memory.rows(blocked) if pid != first], "the write on a new session")
    other.rollback()
    writing.join()
    assert done == [True]
    assert memory.trail("r") == [(None, None, "PENDING"), (None, None, "RUNNING")]


def test_a_row_that_stays_locked_is_a_lost_store_that_says_so_and_recovers(url: str, other, tmp_path: Path):
    memory = Memory(url, tmp_path, busy_seconds=0.05)
    memory.create("r", "a")
    other.exec_driver_sql("SELECT * FROM runs FOR UPDATE")
    with pytest.raises(StoreLostError, match="another process keeps it locked"):
        memory.write("r", Begin())
    other.rollback()
    assert memory.write("r", Begin())
    memory.close()


def test_a_server_that_is_not_there_is_a_lost_store_and_no_password_is_shown(tmp_path: Path):
    url = f"postgresql+psycopg://me:sesame@/memory?host={tmp_path}"
    store = Store(url, values=Values(tmp_path / "values"), clock=HandClock())
    with pytest.raises(StoreLostError) as caught:
        store.open()
    assert "sesame" not in str(caught.value)
    store.close()


def test_what_is_committed_is_on_disk_whatever_the_server_was_told(memory: Memory):
    memory.rows("ALTER DATABASE postgres SET synchronous_commit = off")
    memory.store.close()
    memory.store.open()
    connection = memory.store._connected()
    assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
    connection.rollback()
    memory.rows("ALTER DATABASE postgres RESET synchronous_commit")


def test_neither_writer_nor_reader_stays_in_a_transaction(memory: Memory):
    memory.begin("r", "a")
    memory.history.run("r")
    memory.store.write([("nobody", [Begin()])], 1.0)
    memory.store.rest()
    idle = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
    assert memory.rows(idle) == [(0,)]


def test_a_reader_cannot_write(memory: Memory):
    with memory.history._reading() as connection, pytest.raises(DBAPIError, match="read-only"):
        connection.exec_driver_sql("DELETE FROM runs")
