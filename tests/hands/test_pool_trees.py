"""When an attempt has a report, nothing of its tree of processes is alive, however it tried to get away."""

import pytest

from engine.facts import Broke, Failed, Killed, Succeeded, TimedOut
from engine.states import Reason
from tests.hands.backend_contract import NEVER, json
from tests.hands.driver import Driver, is_gone
from tests.hands.pools import pools


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    with pools(tmp_path_factory.mktemp("logs")) as make:
        yield make()


@pytest.fixture
def drive(pool, tmp_path):
    driver = Driver(pool, tmp_path)
    yield driver
    driver.end_all()


def test_nothing_of_a_killed_tree_survives(drive):
    key = drive.start("grow_tree")
    drive.wait_for_ledger("began")
    assert len(drive.processes()) >= 5

    drive.kill(key)

    assert isinstance(drive.report(key), Killed)
    assert drive.processes() == []


def test_nothing_of_a_timed_out_tree_survives(drive):
    assert isinstance(drive("grow_tree", timeout=0.3), TimedOut)
    assert drive.processes() == []


def test_the_worker_of_a_killed_attempt_is_gone_and_replaced(drive, pool):
    key = drive.start("hold", until=NEVER)
    (line,) = drive.wait_for_ledger("began")

    drive.kill(key)

    assert isinstance(drive.report(key), Killed)
    assert is_gone(line[3])
    assert isinstance(drive("nothing"), Succeeded)
    assert int(line[3]) not in {worker.pid for worker in pool.workers}


def test_what_a_successful_attempt_leaves_behind_is_gone_with_its_report(drive):
    assert isinstance(drive("leave_tree"), Succeeded)
    assert drive.processes() == []


def test_what_a_dying_attempt_leaves_behind_is_gone_with_its_report(drive):
    report = drive("leave_tree_and_die")

    assert (type(report), report.reason) == (Broke, Reason.WORKER_LOST)
    assert drive.processes() == []


def test_a_process_that_became_a_daemon_is_gone_with_the_report(drive):
    assert isinstance(drive("become_daemon"), Succeeded)

    (line,) = drive.ledger("daemon")
    assert is_gone(line[3])


def test_a_thread_that_is_left_running_ends_with_its_worker(drive):
    assert isinstance(drive("leave_thread"), Succeeded)

    (line,) = drive.ledger("did")
    assert is_gone(line[3])


def test_a_plugin_that_comes_back_twice_is_reported_once(drive):
    assert json(drive("fork_and_return").output) == "parent"


def test_an_attempt_that_lets_no_other_thread_run_is_ended(drive):
    assert isinstance(drive("hold_the_interpreter", timeout=0.05), TimedOut)

    (line,) = drive.ledger("began")
    assert is_gone(line[3])


def test_an_attempt_that_stopped_itself_is_ended(drive):
    assert isinstance(drive("stop_itself", timeout=0.05), TimedOut)


def test_a_script_that_kills_its_process_group_hits_its_own_worker_only(drive, tmp_path):
    neighbour = drive.start("hold", until=str(tmp_path / "go"))
    drive.wait_for_ledger("began")

    report = drive("kill_its_group")

    assert (type(report), report.reason) == (Broke, Reason.WORKER_LOST)
    (tmp_path / "go").touch()
    assert isinstance(drive.report(neighbour), Succeeded)


def test_many_trees_at_once_end_together(drive):
    keys = [drive.start("grow_tree", isolation="process") for _ in range(2)]
    keys += [drive.start("grow_tree") for _ in range(2)]
    drive.wait_for_ledger("began", count=4)

    for key in keys:
        drive.kill(key)

    assert {type(report) for report in drive.all_reports(keys)} == {Killed}
    assert drive.processes() == []


def test_a_failed_attempt_leaves_the_worker_in_service(drive, pool):
    keys = [drive.start("nothing") for _ in range(4)]
    drive.all_reports(keys)
    before = {worker.pid for worker in pool.workers}

    assert isinstance(drive("refuse"), Failed)

    assert {worker.pid for worker in pool.workers} == before
