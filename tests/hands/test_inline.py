"""The backend of this process keeps the contract of a backend, and leaves the process as it was."""

import contextlib
import logging
import sys

import pytest

from engine.attemptlog import AttemptLogs
from engine.inline import Inline
from engine.registry import Registry
from tests.hands.backend_contract import NEVER, BackendContract
from tests.hands.driver import ACTS, Driver
from tests.hands.pools import LIMITS
from tests.waiting import wait_for


@contextlib.contextmanager
def inlines(folder):
    made = []

    def make(*, workers=2, folders=(ACTS,), grace_seconds=0.3, **more):
        backend = Inline(
            Registry("", folders),
            workers=workers,
            logs=AttemptLogs(folder, LIMITS),
            limits=LIMITS,
            grace_seconds=grace_seconds,
            **more,
        )
        made.append(backend)
        backend.start()
        return backend

    try:
        yield make
    finally:
        for backend in made:
            backend.stop(0.0)


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="module")
def backend(logs):
    with inlines(logs) as make:
        yield make()


@pytest.fixture
def make_backend(tmp_path):
    with inlines(tmp_path) as make:
        yield make


class TestInline(BackendContract):
    pass


def test_streams_and_logging_are_as_before_when_nothing_runs(make_backend, tmp_path):
    before = sys.stdout, sys.stderr, logging.root.level, logging.root.handlers[:]
    filters = [handler.filters[:] for handler in logging.root.handlers]

    Driver(make_backend(), tmp_path)("speak", words="x")

    assert (sys.stdout, sys.stderr, logging.root.level, logging.root.handlers[:]) == before
    assert [handler.filters for handler in logging.root.handlers] == filters


def test_what_the_program_itself_prints_while_attempts_run_goes_where_it_would(make_backend, tmp_path, capsys):
    drive = Driver(make_backend(), tmp_path)
    key = drive.start("hold", until=str(tmp_path / "go"), words="of the attempt")
    drive.wait_for_ledger("began")

    print("of the program")
    (tmp_path / "go").touch()
    drive.report(key)

    assert capsys.readouterr().out == "of the program\n"


def test_what_the_program_itself_logs_while_attempts_run_is_shown_as_before(make_backend, tmp_path, caplog):
    drive = Driver(make_backend(), tmp_path)
    key = drive.start("hold", until=str(tmp_path / "go"))
    drive.wait_for_ledger("began")

    logging.getLogger("program").info("quiet")
    logging.getLogger("program").warning("loud")
    (tmp_path / "go").touch()
    drive.report(key)

    assert [record.message for record in caplog.records] == ["loud"]


def test_a_stream_that_was_replaced_meanwhile_is_left_alone(make_backend, tmp_path, monkeypatch):
    drive = Driver(make_backend(), tmp_path)
    key = drive.start("hold", until=str(tmp_path / "go"))
    drive.wait_for_ledger("began")
    other = open(tmp_path / "other", "w")  # noqa: SIM115, PTH123 -- stands in for a stream
    monkeypatch.setattr(sys, "stdout", other)

    (tmp_path / "go").touch()
    drive.report(key)

    assert sys.stdout is other
    other.close()


def test_a_thread_that_was_given_up_neither_reports_nor_speaks_again(make_backend, tmp_path):
    drive = Driver(make_backend(workers=1), tmp_path)
    (seat,) = drive.backend._seats
    until = tmp_path / "go"
    drive.report(drive.start("hold_on", until=str(until), timeout=0.02))

    drive("nothing")
    until.touch()
    wait_for(lambda: not seat.thread.is_alive(), "the end of the thread")

    drive._collect(0.0)
    assert drive("nothing")


def test_a_registered_function_is_a_task_type(tmp_path):
    registry = Registry("")
    registry.register("double", lambda number: 2 * number)
    backend = Inline(registry, workers=1, logs=AttemptLogs(tmp_path, LIMITS))
    backend.start()
    drive = Driver(backend, tmp_path)
    assignment = drive.assignment("", type="double")
    assert backend.reserve("double", "worker")

    (key,) = drive.dispatch(type(assignment)(drive.run, "t", 1, "double", {"number": 21}, {}))

    assert drive.report(key).output == b"42"
    backend.stop(0.0)


def test_threads_end_with_the_backend(make_backend):
    backend = make_backend(workers=3)
    threads = [seat.thread for seat in backend._seats]
    assert all(thread.is_alive() for thread in threads)

    backend.stop(1.0)

    wait_for(lambda: not any(thread.is_alive() for thread in threads), "the end of the threads")


def test_a_thread_whose_attempt_was_killed_is_replaced(make_backend, tmp_path):
    drive = Driver(make_backend(workers=1), tmp_path)
    for _ in range(3):
        key = drive.start("hold", until=NEVER)
        drive.wait_for_ledger("began", task=key[1])
        drive.kill(key)
        drive.report(key)

    assert drive("nothing")
