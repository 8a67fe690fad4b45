"""Workers, fork servers and the pool's own process die in every way; each attempt is accounted for, once."""

import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from engine import tree
from engine.attemptlog import LogReader
from engine.facts import Broke, Killed, Succeeded, TimedOut
from engine.pool import end_leftovers
from engine.states import Reason
from tests.hands.backend_contract import NEVER
from tests.hands.driver import ACTS, Driver, is_gone
from tests.hands.pools import pools
from tests.rules.source import ROOT
from tests.waiting import wait_for


@pytest.fixture
def make_pool(tmp_path):
    with pools(tmp_path) as make:
        yield make


@pytest.fixture
def drive(make_pool, tmp_path):
    driver = Driver(make_pool(workers=1), tmp_path)
    driver.teach()
    return driver


CRASHES: dict[str, tuple[dict[str, Any], str]] = {
    "exits": ({"do": "exit_at_once", "status": 3}, "exit status 3"),
    "exits with success": ({"do": "exit_at_once", "status": 0}, "exit status 0"),
    "is killed": ({"do": "kill_itself", "signal": "SIGKILL"}, "SIGKILL"),
    "aborts": ({"do": "kill_itself", "signal": "SIGABRT"}, "SIGABRT"),
    "segfaults": ({"do": "segfault"}, "SIGSEGV"),
}


@pytest.mark.parametrize("name", CRASHES)
def test_an_attempt_whose_worker_dies_broke_and_those_behind_it_run_once(drive, name):
    fields, words = CRASHES[name]
    do = fields["do"]
    more = {key: value for key, value in fields.items() if key != "do"}
    keys = drive.start_in_line(drive.quick("mark"), drive.quick(do, **more), *(drive.quick("mark") for _ in range(8)))

    report = drive.report(keys[1])

    assert (type(report), report.reason) == (Broke, Reason.WORKER_LOST)
    assert words in report.message
    others = [key for key in keys if key != keys[1]]
    assert {type(each) for each in drive.all_reports(others)} == {Succeeded}
    assert sorted(line[1] for line in drive.ledger("did")) == sorted(key[1] for key in others)


def test_an_attempt_that_writes_into_our_socket_broke_and_nothing_of_it_is_believed(drive):
    keys = drive.start_in_line(drive.quick("mark"), drive.quick("write_into_everything"), drive.quick("mark"))

    reports = drive.all_reports(keys)

    assert isinstance(reports[0], Succeeded)
    assert (type(reports[1]), reports[1].reason) == (Broke, Reason.WORKER_LOST)
    assert "belongs to the worker" in reports[1].message
    # Whether the one behind it had begun is a matter of time; it never ran twice.
    assert len(drive.ledger("did")) <= 2
    assert isinstance(drive("nothing"), Succeeded)


def test_the_last_words_before_a_crash_are_in_the_log(drive, tmp_path):
    key = drive.start("exit_at_once", status=1)
    drive.report(key)

    assert LogReader(tmp_path).read(*key) == "last words\n"


def test_a_worker_killed_while_idle_is_replaced_and_nothing_reported(drive):
    (worker,) = drive.backend.workers
    os.kill(worker.pid, signal.SIGKILL)

    wait_for(lambda: drive._collect() or drive.backend.workers[0].pid not in {None, worker.pid}, "another worker")

    assert isinstance(drive("nothing"), Succeeded)


def test_what_is_handed_to_a_worker_that_has_just_died_runs_elsewhere(drive):
    (worker,) = drive.backend.workers
    drive.make_room_in_line(5)
    os.kill(worker.pid, signal.SIGSTOP)
    keys = drive.dispatch(*(drive.quick("mark") for _ in range(5)))
    os.kill(worker.pid, signal.SIGKILL)

    assert {type(report) for report in drive.all_reports(keys)} == {Succeeded}
    assert len(drive.ledger("did")) == 5


def test_a_worker_that_somebody_else_asks_to_end_broke_its_attempt(drive):
    key = drive.start("hold", until=NEVER)
    (line,) = drive.wait_for_ledger("began")

    os.kill(int(line[3]), signal.SIGTERM)

    report = drive.report(key)
    assert (type(report), report.reason) == (Broke, Reason.WORKER_LOST)
    assert "SIGTERM" in report.message
    assert isinstance(drive("nothing"), Succeeded)


def test_a_dead_fork_server_is_replaced_and_what_ran_broke_with_nothing_left(make_pool, tmp_path):
    drive = Driver(make_pool(workers=2), tmp_path)
    keys = [drive.start("hold_on", until=NEVER), drive.start("grow_tree")]
    pids = [int(line[3]) for line in drive.wait_for_ledger("began", count=2)]

    os.kill(drive.backend.server_pids[0], signal.SIGKILL)

    for report in drive.all_reports(keys):
        assert (type(report), report.reason) == (Broke, Reason.WORKER_LOST)
        assert "fork server" in report.message
    assert drive.processes() == []
    assert [pid for pid in pids if not is_gone(pid)] == []
    assert isinstance(drive("nothing"), Succeeded)


def test_what_stood_in_line_when_the_fork_server_died_runs_afterwards(drive):
    keys = drive.start_in_line(drive.quick("hold_on", until=NEVER), *(drive.quick("mark") for _ in range(5)))
    wait_for(lambda: drive.ledger("began"), "the first to begin")
    os.kill(drive.backend.server_pids[0], signal.SIGKILL)

    assert isinstance(drive.report(keys[0]), Broke)
    assert {type(report) for report in drive.all_reports(keys[1:])} == {Succeeded}
    assert len(drive.ledger("did")) == 5


PARENT = """
import sys
from pathlib import Path
from engine.attemptlog import AttemptLogs
from engine.limits import Limits
from engine.pool import Pool
from tests.hands.driver import Driver

folder, acts, state = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
pool = Pool(workers=3, logs=AttemptLogs(folder, Limits()), folders=[acts], state=state, builtin_package="")
pool.start()
drive = Driver(pool, folder)
drive.start("grow_tree")
drive.start("hold_the_interpreter")
drive.start("grow_tree", isolation="process")
print(*pool.server_pids, flush=True)
while True:
    pool.collect(None)
"""


def run_parent(tmp_path, state):
    return subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path), str(ACTS), state], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def began_in(folder):
    return sum(ledger.read_text().count("began") for ledger in folder.glob("*.ledger"))


def test_when_the_pools_process_is_killed_nothing_of_it_survives(tmp_path):
    state = f"killed parent {os.getpid()}"
    with run_parent(tmp_path, state) as parent:
        server = int(parent.stdout.readline())
        wait_for(lambda: began_in(tmp_path) == 3, "three attempts to begin")
        assert len(tree.marked(f"DROPMILL_STATE={state}")) > 8

        parent.kill()
        parent.wait()

    wait_for(lambda: is_gone(server), "the end of the fork server")
    assert tree.marked(f"DROPMILL_STATE={state}") == []


def test_when_pool_and_fork_server_are_killed_together_the_next_life_finds_all_by_the_mark(tmp_path):
    state = f"both killed {os.getpid()}"
    with run_parent(tmp_path, state) as parent:
        server = int(parent.stdout.readline())
        wait_for(lambda: began_in(tmp_path) == 3, "three attempts to begin")
        os.kill(server, signal.SIGSTOP)
        parent.kill()
        parent.wait()
        os.kill(server, signal.SIGKILL)

    assert end_leftovers(state, 30.0) == []
    assert tree.marked(f"DROPMILL_STATE={state}") == []


def test_in_a_storm_of_crashes_kills_and_timeouts_each_attempt_has_one_report(make_pool, tmp_path):
    drive = Driver(make_pool(workers=2, grace_seconds=0.1), tmp_path)
    drive.teach()
    expected = {}
    for number in range(150):
        match number % 10:
            case 3:
                expected[drive.start("exit_at_once", type="quick", status=number)] = Broke
            case 6:
                expected[drive.start("hold", type="quick", until=NEVER, timeout=0.02)] = TimedOut
            case 8:
                key = drive.start("hold", type="quick", until=NEVER)
                expected[key] = Killed
                drive.kill(key)
            case _:
                expected[drive.start("mark", type="quick")] = Succeeded

    drive.settle()

    wrong = {key: drive.reports[key] for key in expected if not isinstance(drive.reports[key], expected[key])}
    assert wrong == {}
    succeeded = [key[1] for key in expected if expected[key] is Succeeded]
    assert sorted(line[1] for line in drive.ledger("did")) == sorted(succeeded)
