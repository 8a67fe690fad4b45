"""What stands in one worker's line: nothing waits behind a long attempt, and nothing suffers for the one before it."""

import os
import signal
from functools import partial

import pytest

from engine.facts import Killed, Succeeded, TimedOut
from tests.clocks import ShiftedClock
from tests.hands.backend_contract import NEVER
from tests.hands.driver import Driver
from tests.hands.pools import pools


@pytest.fixture
def make_pool(tmp_path):
    with pools(tmp_path) as make:
        yield make


@pytest.fixture
def drive(make_pool, tmp_path):
    """Drive a pool of one worker that knows the type `quick` to be quick."""
    driver = Driver(make_pool(workers=1), tmp_path)
    driver.teach()
    return driver


def _has_recalled(pool, before):
    return pool.counters.recalls > before


def marks(drive):
    return sorted(line[1] for line in drive.ledger("did"))


def test_several_quick_attempts_are_in_flight_on_one_worker(drive):
    keys = drive.start_in_line(*(drive.quick("mark") for _ in range(10)))

    assert drive.backend.workers[0].attempts == tuple(keys)
    assert {type(report) for report in drive.all_reports(keys)} == {Succeeded}
    assert [line[1] for line in drive.ledger("did")] == [key[1] for key in keys]


def test_an_attempt_of_an_unknown_type_has_nothing_behind_it(drive):
    assert drive.backend.reserve("act", "worker")

    assert not drive.backend.reserve("quick", "worker")


def test_what_stands_behind_a_long_attempt_runs_elsewhere_meanwhile(make_pool, tmp_path):
    drive = Driver(make_pool(workers=2), tmp_path)
    drive.teach()
    until = str(tmp_path / "go")
    assignments = [drive.quick("hold", until=until), *(drive.quick("mark") for _ in range(9))]

    keys = drive.start_in_line(*assignments)

    assert {type(report) for report in drive.all_reports(keys[1:])} == {Succeeded}
    assert len(marks(drive)) == 9
    (tmp_path / "go").touch()
    assert isinstance(drive.report(keys[0]), Succeeded)


def test_what_stood_behind_a_long_attempt_begins_before_what_came_later(drive, tmp_path):
    until = str(tmp_path / "go")
    keys = drive.start_in_line(drive.quick("hold", until=until), *(drive.quick("mark") for _ in range(5)))
    drive.wait_for_ledger("began")
    drive._collect()

    assert not drive.backend.reserve("quick", "worker")

    (tmp_path / "go").touch()
    drive.all_reports(keys)
    assert [line[1] for line in drive.ledger("did")] == [key[1] for key in keys[1:]]


def test_an_attempt_that_is_killed_behind_another_never_begins(drive, tmp_path):
    until = str(tmp_path / "go")
    keys = drive.start_in_line(drive.quick("hold", until=until), drive.quick("mark"), drive.quick("mark"))
    drive.wait_for_ledger("began")

    drive.kill(keys[1])

    assert isinstance(drive.report(keys[1]), Killed)
    (tmp_path / "go").touch()
    assert {type(report) for report in drive.all_reports([keys[0], keys[2]])} == {Succeeded}
    assert marks(drive) == [keys[2][1]]


def test_what_stands_behind_a_timed_out_attempt_runs_once_and_unharmed(drive):
    head = drive.quick("hold", until=NEVER, timeout=0.05)
    keys = drive.start_in_line(head, *(drive.quick("mark", timeout=20.0) for _ in range(9)))

    assert isinstance(drive.report(keys[0]), TimedOut)
    assert {type(report) for report in drive.all_reports(keys[1:])} == {Succeeded}
    assert marks(drive) == sorted(key[1] for key in keys[1:])


def test_a_timeout_counts_from_the_beginning_and_not_from_the_dispatch(make_pool, tmp_path):
    clock = ShiftedClock()
    drive = Driver(make_pool(workers=1, clock=clock), tmp_path)
    drive.teach()
    until = str(tmp_path / "go")
    keys = drive.start_in_line(drive.quick("hold", until=until), drive.quick("mark", timeout=600.0))
    drive.wait_for_ledger("began")
    clock.advance(3600)
    drive._collect(0.0)

    (tmp_path / "go").touch()

    assert {type(report) for report in drive.all_reports(keys)} == {Succeeded}


def test_killing_a_whole_line_reports_each_attempt_once(drive):
    keys = drive.start_in_line(drive.quick("hold", until=NEVER), *(drive.quick("mark") for _ in range(9)))

    for key in reversed(keys):
        drive.kill(key)

    assert {type(report) for report in drive.all_reports(keys)} <= {Killed, Succeeded}
    assert isinstance(drive.reports[keys[0]], Killed)
    done = [key for key in keys if isinstance(drive.reports[key], Succeeded)]
    assert marks(drive) == sorted(key[1] for key in done)


def test_large_inputs_for_a_busy_worker_wait_in_the_pool_and_arrive_whole(drive, tmp_path):
    size = 800_000
    inputs = {"a": b'"' + b"x" * size + b'"'}
    keys = drive.start_in_line(*(drive.quick("give_inputs", inputs=inputs) for _ in range(8)))

    for report in drive.all_reports(keys):
        assert len(report.output) == size + len('{"a":""}')


def test_what_is_recalled_before_it_has_begun_runs_once(drive):
    for _ in range(20):
        recalls = drive.backend.counters.recalls
        drive.make_room_in_line(5)
        (worker,) = drive.backend.workers
        os.kill(worker.pid, signal.SIGSTOP)
        keys = drive.dispatch(*(drive.quick("mark") for _ in range(5)))
        drive._collect_until(partial(_has_recalled, drive.backend, recalls), "the recall")
        os.kill(worker.pid, signal.SIGCONT)
        drive.all_reports(keys)

    assert len(drive.ledger("did")) == 100


def test_a_recall_in_the_middle_of_a_quick_line_splits_it_cleanly(drive):
    keys = []
    for _ in range(15):
        keys += drive.start_in_line(*(drive.quick("mark") for _ in range(20)))
        for lane in drive.backend._crew:
            drive.backend._warden._recall(lane)
        drive.settle()

    assert {type(report) for report in drive.all_reports(keys)} == {Succeeded}
    assert marks(drive) == sorted(key[1] for key in keys)
