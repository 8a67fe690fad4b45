"""What a daemon makes of a machine that runs out of something, or takes something away.

The table is in `tests/torture/resources.py`; full and read-only disks are in test_disks.
"""

import contextlib
import http.client
import json
import os
import sqlite3
from pathlib import Path

import pytest

from engine import tree
from tests.torture import load
from tests.torture.lives import name_of
from tests.waiting import wait_for, wait_for_file
from tests.whole import checker
from tests.whole.mill import Mill
from tests.whole.test_disks import disk, fill, remount

NO_SPACE_SECONDS = 60.0
CGROUPS = Path("/sys/fs/cgroup/pids")


def troubles(mill: Mill) -> str:
    return " ".join(mill.ask("GET", "/api/v1/status")[1]["troubles"])


def doctor(mill: Mill) -> str:
    """Return what doctor finds fault with."""
    found = json.loads(mill.call("doctor", "--json").stdout)
    return " ".join(each["message"] for each in found if each["verdict"] != "ok")


def workers(mill: Mill) -> list[tree.Process]:
    return [process for process in mill.processes() if name_of(process) == "dropmill-worker"]


def submitted(mill: Mill, document: dict[str, object], seconds: float = 5.0) -> int:
    """Submit and return the status of the answer; 0 where there is none."""
    try:
        return mill.ask("POST", "/api/v1/runs", document, seconds)[0]
    except (OSError, http.client.HTTPException):
        return 0


@pytest.mark.needs("root")
def test_a_full_disk_of_the_logs_stops_no_run_and_is_said(mill):
    logs = mill.state / "log"
    mill.state.mkdir(mode=0o700)
    with disk(logs, "size=256k,mode=0700"):
        mill.start()
        ballast = fill(logs)
        run = mill.submit(mill.chain(2))
        assert mill.wait_for_end(run)["state"] == "COMPLETED"
        wait_for(lambda: str(logs) in troubles(mill), "the trouble")
        assert f"free where {logs} is" in doctor(mill)
        ballast.unlink()
        assert mill.wait_for_end(mill.submit(mill.chain(2)))["state"] == "COMPLETED"
        checker.check(mill)
        assert mill.stop() == 0
        mill.close()


@pytest.mark.needs("root")
def test_a_state_folder_without_inodes_goes_on_and_says_so(mill):
    with disk(mill.state, "size=1g,nr_inodes=80,mode=0700"):
        mill.start()
        taken = []
        with contextlib.suppress(OSError):
            for number in range(200):
                (mill.state / f"ballast-{number}").touch()
                taken.append(mill.state / f"ballast-{number}")
        runs = [mill.submit(mill.chain(2)) for _ in range(3)]
        assert {mill.wait_for_end(run)["state"] for run in runs} == {"COMPLETED"}
        wait_for(lambda: "0 more files can be made" in troubles(mill), "the trouble")
        assert "0 more files can be made" in doctor(mill)
        for path in taken:
            path.unlink()
        assert mill.wait_for_end(mill.submit(mill.chain(2)))["state"] == "COMPLETED"
        checker.check(mill)
        assert mill.stop() == 0
        mill.close()


@pytest.mark.needs("root")
def test_a_start_on_a_state_folder_that_is_read_only_says_so(mill):
    gate = mill.folder / "gate"
    with disk(mill.state, "size=64m,mode=0700"):
        mill.start()
        run = mill.submit(mill.chain(2, until=str(gate)))
        mill.wait_for_begin("t0")
        # Not under its feet: a file that is open for writing keeps a disk from being made read-only by hand.
        mill.kill()
        wait_for(lambda: not mill.processes(), "the end of what it started")
        remount(mill.state, "ro")
        assert mill.launch().wait(30) in (74, 2), mill.words()
        assert str(mill.state) in mill.words()
        assert "Traceback" not in mill.words()
        remount(mill.state, "rw")
        gate.touch()
        mill.start()
        assert mill.wait_for_end(run)["state"] == "COMPLETED"
        checker.check(mill)
        mill.close()


@pytest.mark.needs("root", "pids")
def test_where_no_process_can_be_forked_tasks_wait_until_one_can(mill):
    group = CGROUPS / f"mill-{os.getpid()}"
    group.mkdir()
    try:
        mill.start()
        for process in (mill.pid, *(each.pid for each in mill.processes())):
            (group / "cgroup.procs").write_text(str(process))
        mill.wait_for_end(mill.submit(mill.chain(2)))
        # Threads count too: nothing new can be had, and what there is may stay.
        (group / "pids.max").write_text("1")
        for worker in workers(mill):
            tree.kill(worker)
        wait_for(lambda: "no worker can be forked" in mill.words(), "the complaint")
        mill.drop("chain.json", mill.chain(2))
        wait_for(lambda: mill.rows("SELECT 1 FROM runs WHERE trigger_type = 'inbox'"), "the run")
        assert mill.process.poll() is None
        (group / "pids.max").write_text("max")
        wait_for_file(mill.inbox / "done" / "chain.json")
        mill.wait_for_quiet()
        checker.check(mill)
        assert mill.stop() == 0
    finally:
        mill.close()
        wait_for(lambda: not (group / "cgroup.procs").read_text(), "an empty group")
        group.rmdir()


def test_a_task_that_takes_too_much_memory_fails_alone(mill):
    mill.start()
    run = mill.submit({"tasks": [mill.task("greedy", script=["grow"], memory_limit=1 << 30)]})
    other = mill.submit(mill.chain(3))
    view = mill.wait_for_end(run)
    assert (view["state"], view["tasks"][0]["reason"]) == ("FAILED", "memory_limit")
    assert mill.wait_for_end(other)["state"] == "COMPLETED"
    assert mill.stop() == 0


@pytest.mark.torture  # takes a minute; a short lock is test_sqlite's
@pytest.mark.timeout(200)  # as long as the daemon is patient, three times
def test_a_locked_database_is_waited_for_and_that_is_said(mill):
    mill.start()
    mill.wait_for_end(mill.submit(mill.chain(1)))
    other = sqlite3.connect(mill.state / "state.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert submitted(mill, mill.chain(1), 2.0) == 0
    wait_for(lambda: "no sign of life" in troubles(mill), "the trouble")
    assert "no sign of life" in doctor(mill)
    other.execute("ROLLBACK")
    other.close()
    wait_for(lambda: len(mill.rows("SELECT 1 FROM runs WHERE ended_at IS NOT NULL")) == 2, "the end of both runs")
    wait_for(lambda: not troubles(mill).startswith("no sign"), "the end of the trouble")
    checker.check(mill)
    assert mill.stop() == 0


def test_a_database_that_was_deleted_ends_the_daemon_and_nothing_is_acknowledged_into_it(mill):
    mill.start()
    mill.wait_for_end(mill.submit(mill.chain(1)))
    for name in ("state.db", "state.db-wal", "state.db-shm"):
        (mill.state / name).unlink()
    mill.drop("chain.json", mill.chain(1))
    assert submitted(mill, mill.chain(1)) not in (200, 201)
    assert mill.ended() == 74, mill.words()
    assert "deleted or replaced" in mill.words()
    mill.start()
    wait_for_file(mill.inbox / "done" / "chain.json")
    mill.wait_for_quiet()
    assert mill.stop() == 0


def test_a_database_that_is_damaged_while_it_is_open_is_said_by_all_who_read_it(mill):
    mill.start()
    for _ in range(30):
        mill.submit(mill.chain(2))
    mill.wait_for_quiet()
    with contextlib.closing(sqlite3.connect(mill.state / "state.db")) as other:
        other.execute("PRAGMA wal_checkpoint")
    with (mill.state / "state.db").open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(4096)
        file.write(b"\x5a" * (size - 4096))
    statuses = {submitted(mill, mill.chain(1)) for _ in range(3)}
    assert statuses <= {0, 503}
    assert "state.db" in doctor(mill)
    if mill.process.poll() is None:
        mill.kill()
    assert mill.launch().wait(30) == 65, mill.words()


@pytest.mark.needs("strace")
@pytest.mark.parametrize("mill", [load.SETTINGS], indirect=True)
def test_a_slow_disk_makes_it_slower_and_nothing_else(mill):
    load.prepare(mill)
    producer = load.Producer(mill, "slow")
    slow = "inject=fsync,fdatasync:delay_enter=200000"
    mill.launch("strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", slow)
    wait_for(mill.is_ready, "a daemon that is ready", NO_SPACE_SECONDS)
    for _ in range(3):
        producer.submit("chain")
        producer.drop("fan")
    mill.kill()
    load.conclude(mill, producer, ())
