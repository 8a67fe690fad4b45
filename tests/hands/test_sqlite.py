"""What only SQLite can suffer: a killed writer, a full disk, a failing one, damage, locks, a log that grows."""

import random
import re
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import StoreCorruptError, StoreLostError
from engine.facts import Begin
from engine.history import History
from engine.states import State
from engine.store import Store
from engine.values import Values
from tests.clocks import HandClock
from tests.hands.memory import Memory, start, submission
from tests.hands.writer import TASKS, write_run
from tests.rules.source import ROOT

MEGABYTE = 1024 * 1024


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/state/state.db"


def journal(tmp_path: Path) -> int:
    """Return the size of the write-ahead log in bytes."""
    path = tmp_path / "state" / "state.db-wal"
    return path.stat().st_size if path.exists() else 0


def written(url: str, tmp_path: Path, name: str, *prefix: str, most: int = 10_000) -> subprocess.Popen[str]:
    """Start the writing program."""
    command = [*prefix, sys.executable, "-m", "tests.hands.writer", url, str(tmp_path), name, str(most)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def check_whole(memory: Memory, acknowledged: list[str]) -> None:
    """See that every acknowledged run is there to the last byte, and that nothing in the database is torn."""
    assert memory.rows("PRAGMA integrity_check") == [("ok",)]
    assert memory.rows("PRAGMA foreign_key_check") == []
    for name in acknowledged:
        run = memory.history.run(name)
        assert run.state == "COMPLETED"
        assert [task.state for task in run.tasks or ()] == ["COMPLETED"] * len(TASKS)
        assert {bytes(task.output) for task in run.tasks or ()} == {b'"' + name.encode() * 50 + b'"'}
    for open_run in memory.history.open_runs():
        # One transaction wrote Begin and all starts, another all ends: a run is before, between or behind them.
        assert len({task.state for task in open_run.tasks.values()}) == 1


@pytest.mark.timeout(120)  # five processes are started, and each imports the engine
def test_what_a_killed_writer_had_acknowledged_is_there(url: str, tmp_path: Path):
    lines = []
    lives = 5
    for life in range(lives):
        writer = written(url, tmp_path, f"life{life}")
        assert writer.stdout is not None
        lines += [writer.stdout.readline() for _ in range(random.randrange(1, 60))]
        writer.kill()
        rest, errors = writer.communicate()
        lines += rest.splitlines(keepends=True)
        assert errors == ""
    memory = Memory(url, tmp_path)
    names = [line.strip() for line in lines if line.endswith("\n")]
    assert len(names) >= lives
    check_whole(memory, names)
    # And it goes on: the key of an acknowledged run still answers for it.
    again = submission(*TASKS, idempotency_key=names[0])
    assert memory.store.create([("other", again, 9.0)])[0].run == names[0]
    memory.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.needs("root")
def test_a_full_disk_refuses_writes_keeps_what_it_had_and_takes_new_ones_when_there_is_room(small_disk: Path):
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 600_000)
    memory = Memory(f"sqlite:///{small_disk}/state.db", small_disk)
    acknowledged: list[str] = []
    with pytest.raises(StoreLostError, match=r"full|No space"):
        acknowledged.extend(write_run(memory.store, f"r{number}") for number in range(10_000))
    assert acknowledged
    large = submission(*(f"t{number}" for number in range(5000)))
    for _ in range(3):
        with pytest.raises(StoreLostError, match=r"full|No space"):
            memory.store.create([("large", large, 1.0)])
    check_whole(memory, acknowledged)
    ballast.unlink()
    write_run(memory.store, "after")
    check_whole(memory, [*acknowledged, "after"])
    memory.close()
    again = Memory(f"sqlite:///{small_disk}/state.db", small_disk)
    check_whole(again, [*acknowledged, "after"])
    again.close()


@pytest.mark.needs("strace")
@pytest.mark.parametrize(
    "fault",
    ["fsync,fdatasync:error=EIO:when=12+", "pwrite64:error=ENOSPC:when=90+", "pwrite64:error=EIO:when=90..95"],
)
def test_a_failing_disk_is_said_and_nothing_acknowledged_is_lost(url: str, tmp_path: Path, fault):
    Memory(url, tmp_path).close()
    calls = fault.partition(":")[0]
    tracing = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={fault}"]
    writer = written(url, tmp_path, "r", *tracing)
    output, errors = writer.communicate(timeout=60)
    *acknowledged, last = output.splitlines()
    assert last.startswith("LOST"), (output, errors)
    memory = Memory(url, tmp_path)
    check_whole(memory, acknowledged)
    memory.close()


@pytest.fixture
def tight(monkeypatch) -> None:
    """Let the log be crowded at a megabyte, with no help from SQLite's own checkpoints."""
    monkeypatch.setattr("engine.database._CHECKPOINT_PAGES", 1_000_000)
    monkeypatch.setattr("engine.store._CROWDED_BYTES", MEGABYTE)
    monkeypatch.setattr("engine.store._RESTED_BYTES", MEGABYTE // 2)


@pytest.mark.needs("strace")
def test_nothing_is_acknowledged_before_it_is_on_disk(url: str, tmp_path: Path):
    Memory(url, tmp_path).close()
    trace = tmp_path / "trace"
    calls = "trace=fsync,fdatasync,rename,write,pwrite64"
    writer = written(url, tmp_path, "r", "strace", "-f", "-qq", "-y", "-o", str(trace), "-e", calls, most=5)
    assert len(writer.communicate()[0].splitlines()) == 5
    dirty: set[str] = set()
    acknowledged = 0
    for line in trace.read_text().splitlines():
        if match := re.search(r"p?write(?:64)?\(\d+<(.*?)>", line):
            if "write(1<" in line:
                assert dirty == set(), f"{line} came before {dirty} was synced"
                acknowledged += 1
            elif not match[1].endswith("-shm"):
                dirty.add(match[1])
        elif match := re.search(r"f(?:data)?sync\(\d+<(.*?)>", line):
            dirty.discard(match[1])
        elif match := re.search(r'rename\("(.*?)", "(.*?)"', line):
            assert match[1] not in dirty, f"{line} came before the content was synced"
            # The new name is durable when its folder is.
            dirty.add(match[2].rpartition("/")[0])
    assert acknowledged >= 5


def test_the_log_stays_bounded_while_readers_take_turns(tight, url: str, tmp_path: Path):
    memory = Memory(url, tmp_path)
    tasks = [f"t{number}" for number in range(2000)]
    stop = threading.Event()
    reads: list[int] = []

    def read() -> None:
        while not stop.is_set():
            reads.append(len(memory.history.references()))

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    largest = 0
    try:
        for number in range(24):
            run = memory.begin(f"r{number}", *tasks)
            memory.write(run, *map(start, tasks))
            largest = max(largest, journal(tmp_path))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert reads
    # Everything in the database went through the log.
    assert (tmp_path / "state" / "state.db").stat().st_size > 4 * MEGABYTE
    assert largest < 3 * MEGABYTE
    memory.store.rest()
    assert journal(tmp_path) <= MEGABYTE // 2
    memory.close()
    assert journal(tmp_path) == 0


def test_a_reader_that_never_ends_stops_neither_writes_nor_a_rest(tight, url: str, tmp_path: Path):
    memory = Memory(url, tmp_path)
    memory.begin("r", "a")
    stuck = sqlite3.connect(tmp_path / "state" / "state.db", isolation_level=None)
    stuck.execute("BEGIN")
    stuck.execute("SELECT count(*) FROM runs").fetchone()
    tasks = [f"t{number}" for number in range(1000)]
    for number in range(12):
        memory.begin(f"big{number}", *tasks)
    memory.store.rest()
    assert journal(tmp_path) > MEGABYTE
    stuck.execute("ROLLBACK")
    stuck.close()
    memory.store.rest()
    assert journal(tmp_path) == 0
    memory.close()


def test_a_lock_of_another_process_is_waited_for(url: str, tmp_path: Path):
    memory = Memory(url, tmp_path)
    memory.create("r", "a")
    other = sqlite3.connect(tmp_path / "state" / "state.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    done: list[bool] = []
    waiting = threading.Thread(target=lambda: done.append(memory.write("r", Begin())))
    waiting.start()
    waiting.join(0.2)
    assert (waiting.is_alive(), done) == (True, [])
    other.execute("ROLLBACK")
    waiting.join()
    other.close()
    assert done == [True]
    memory.close()


def test_a_lock_that_is_never_let_go_is_a_lost_store_that_says_so_and_recovers(url: str, tmp_path: Path):
    memory = Memory(url, tmp_path, busy_seconds=0.05)
    memory.create("r", "a")
    other = sqlite3.connect(tmp_path / "state" / "state.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreLostError, match="another process keeps it locked"):
        memory.write("r", Begin())
    assert memory.state("r") == State.PENDING
    other.execute("ROLLBACK")
    other.close()
    assert memory.write("r", Begin())
    memory.close()


@pytest.mark.parametrize("content", [b"this is not a database" * 100, b"SQLite format 3\0" + b"\xff" * 8192])
def test_a_file_that_is_no_database_is_said_to_be_damaged_and_left_as_it_is(url: str, tmp_path: Path, content):
    path = tmp_path / "state" / "state.db"
    path.parent.mkdir()
    path.write_bytes(content)
    store = Store(url, values=Values(tmp_path / "values"), clock=HandClock())
    with pytest.raises(StoreCorruptError, match=f"{path}.*damaged"):
        store.open()
    store.close()
    history = History(url, values=Values(tmp_path / "values"))
    with pytest.raises(StoreCorruptError, match="damaged"):
        history.runs()
    history.close()
    assert path.read_bytes() == content


def test_damaged_pages_are_said_to_be_damaged(url: str, tmp_path: Path):
    memory = Memory(url, tmp_path)
    for number in range(50):
        memory.create(f"r{number}", *(f"t{task}" for task in range(50)))
    memory.close()
    path = tmp_path / "state" / "state.db"
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))
    store = Store(url, values=memory.values, clock=memory.clock)
    with pytest.raises(StoreCorruptError, match="malformed"):
        store.open()
    store.close()


def test_a_folder_that_cannot_be_made_is_a_lost_store(tmp_path: Path):
    (tmp_path / "state").write_text("in the way")
    store = Store(f"sqlite:///{tmp_path}/state/state.db", values=Values(tmp_path / "values"), clock=HandClock())
    with pytest.raises(StoreLostError, match=f"{tmp_path}/state"):
        store.open()


def test_only_the_owner_can_read_what_is_remembered(tmp_path: Path):
    memory = Memory(f"sqlite:///{tmp_path}/deep/er/state.db", tmp_path)
    memory.create("r")
    assert stat.S_IMODE((tmp_path / "deep" / "er").stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "deep" / "er").iterdir()}
    assert modes.keys() >= {"state.db", "state.db-wal"}
    assert set(modes.values()) == {0o600}
    memory.close()


@pytest.mark.parametrize("name", ["a b", "a?b", "a#b", "a%20b", "ä\n", "'x'"])
def test_the_database_may_lie_anywhere(tmp_path: Path, name):
    url = f"sqlite:///{tmp_path}/{name}/state.db"
    store = Store(url, values=Values(tmp_path / "values"), clock=HandClock())
    store.open()
    store.create([("r", submission("a"), 1.0)])
    history = History(url, values=Values(tmp_path / "values"))
    assert [run.id for run in history.runs()] == ["r"]
    history.close()
    store.close()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_every_commit_is_synchronous_and_every_key_is_checked(url: str, tmp_path: Path):
    memory = Memory(url, tmp_path)
    connection = memory.store._connected()
    settings = {
        name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
        for name in ("synchronous", "journal_mode", "foreign_keys")
    }
    assert settings == {"synchronous": 2, "journal_mode": "wal", "foreign_keys": 1}
    memory.close()


def test_two_daemons_that_open_an_empty_folder_at_once_make_one_database(url: str, tmp_path: Path):
    go = threading.Barrier(4)
    failures: list[BaseException] = []

    def open_it() -> None:
        store = Store(url, values=Values(tmp_path / "values"), clock=HandClock())
        go.wait()
        try:
            store.open()
            store.close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    memory = Memory(url, tmp_path)
    assert memory.rows("SELECT count(*) FROM alembic_version") == [(1,)]
    memory.close()


@pytest.mark.parametrize("name", ["state.db", "state.db-wal"])
@pytest.mark.parametrize("is_replaced", [False, True], ids=["deleted", "replaced"])
def test_nothing_is_acknowledged_into_a_file_that_somebody_took_away(url: str, tmp_path: Path, name, is_replaced):
    memory = Memory(url, tmp_path)
    memory.create("first", "a")
    path = tmp_path / "state" / name
    data = path.read_bytes()
    path.rename(tmp_path / "taken-away")
    if is_replaced:
        path.write_bytes(data)
    with pytest.raises(StoreLostError, match="deleted or replaced"):
        memory.create("second", "a")
    memory.close()
