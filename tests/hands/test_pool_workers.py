"""The worker processes themselves: what they carry, when they are replaced, what they may take, what they leak."""

import gc
import os
import resource
import sys
import threading
from pathlib import Path

import pytest

from engine.attemptlog import LogReader
from engine.errors import BackendError
from engine.facts import Failed, Killed, Succeeded, TimedOut
from engine.states import Reason
from tests.hands.backend_contract import NEVER, json
from tests.hands.driver import Driver, is_gone
from tests.hands.pools import pools
from tests.rules.test_weight import HEAVY
from tests.waiting import wait_for


@pytest.fixture
def make_pool(tmp_path):
    with pools(tmp_path) as make:
        yield make


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    with pools(tmp_path_factory.mktemp("logs")) as make:
        yield make()


@pytest.fixture
def drive(pool, tmp_path):
    driver = Driver(pool, tmp_path)
    yield driver
    driver.end_all()


def rest(drive):
    """Wait until the two workers are there and idle, and nobody else."""

    def is_at_rest():
        drive._collect(0.0)
        return [worker.state for worker in drive.backend.workers] == ["idle", "idle"]

    wait_for(is_at_rest, "the pool to be at rest")


def pid_of(drive, **more):
    return json(drive("tell_process", **more).output)["pid"]


def descriptors():
    return {path.name: str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()}


def test_each_worker_has_a_session_and_its_attempts_know_who_they_are(drive):
    told = json(drive("tell_process", task="t", attempt=3).output)

    assert told["session"] == told["pid"]
    assert told["environment"]["DROPMILL_RUN_ID"] == drive.run
    assert told["environment"]["DROPMILL_ATTEMPT"] == "3"


def test_what_the_service_manager_tells_the_daemon_is_not_for_tasks(make_pool, tmp_path):
    environment = {
        "PATH": os.environ["PATH"],
        "NOTIFY_SOCKET": "/run/x",
        "DROPMILL__API__TOKEN": "t",
        "DROPMILL_X": "y",
    }
    drive = Driver(make_pool(environment=environment), tmp_path)

    names = set(json(drive("tell_process").output)["environment"])

    assert "DROPMILL_X" in names
    assert "DROPMILL__API__TOKEN" not in names
    assert "DROPMILL_STATE" in names


def test_a_worker_carries_no_heavy_library(drive):
    assert HEAVY & set(json(drive("list_modules").output)) == set()


def test_a_worker_has_the_descriptors_it_needs_and_no_other(drive):
    keys = [drive.start("hold", until=NEVER, isolation="process")]
    drive.wait_for_ledger("began")
    open_ones = json(drive("open_descriptors").output)
    drive.kill(keys[0])

    assert [open_ones[name] for name in ("0", "1", "2")] == ["/dev/null", open_ones["1"], open_ones["1"]]
    others = sorted(leads_to.partition(":")[0] for name, leads_to in open_ones.items() if int(name) > 2)
    # Its null device, the board, its socket, the recall, both ends of its output; the last is the listing itself.
    assert others == ["/dev/null", "/memfd", "anon_inode", "pipe", "pipe", "socket"]


def test_closed_standard_streams_are_put_right_for_the_next_attempt(drive, pool, tmp_path):
    for do in ("close_everything", "detach_streams"):
        keys = [drive.start(do) for _ in range(2)]
        assert {type(report) for report in drive.all_reports(keys)} == {Succeeded}
        spoken = drive.start("speak_in_all_ways", words=do)
        assert isinstance(drive.report(spoken), Succeeded)


def test_all_ways_to_standard_output_end_in_the_log_in_their_true_order(make_pool, tmp_path):
    drive = Driver(make_pool(), tmp_path)
    key = drive.start("speak_in_all_ways", words="end")
    drive.report(key)

    lines = LogReader(tmp_path).read(*key).splitlines()
    assert lines == [
        "1 print",
        "2 os.write",
        "3 child",
        "WARNING 4 logging",
        "5 buffer",
        "6 child stderr",
        "7 end",
    ]


def test_standard_input_is_empty(drive):
    assert json(drive("read_stdin").output) == ""


def test_a_flood_is_bounded_and_does_not_hold_up_the_attempt(make_pool, tmp_path):
    drive = Driver(make_pool(), tmp_path)
    key = drive.start("flood", bytes=100_000_000)

    assert isinstance(drive.report(key), Succeeded)
    assert LogReader(tmp_path).path(*key).stat().st_size < 1_000_100


def test_a_worker_is_replaced_after_so_many_attempts(make_pool, tmp_path):
    drive = Driver(make_pool(workers=1, recycle_after=3), tmp_path)

    pids = [pid_of(drive) for _ in range(7)]

    assert [pids.index(pid) for pid in pids] == [0, 0, 0, 3, 3, 3, 6]
    assert drive.backend.counters.workers_recycled == 2


def test_nought_means_that_workers_are_never_replaced(make_pool, tmp_path):
    drive = Driver(make_pool(workers=1, recycle_after=0, recycle_memory=0), tmp_path)

    assert len({pid_of(drive) for _ in range(5)}) == 1


def test_attempts_begin_in_the_folder_the_operator_names(make_pool, tmp_path):
    (tmp_path / "work").mkdir()
    drive = Driver(make_pool(workers=1, directory=tmp_path / "work"), tmp_path)

    assert Path(f"/proc/{pid_of(drive)}/cwd").readlink() == tmp_path / "work"


def test_a_worker_that_has_taken_much_memory_is_replaced(make_pool, tmp_path):
    drive = Driver(make_pool(workers=1, recycle_memory=150_000_000), tmp_path)
    before = pid_of(drive)
    assert pid_of(drive) == before

    drive("eat", bytes=200_000_000)

    assert pid_of(drive) != before


def test_an_isolated_attempt_has_a_process_of_its_own_which_ends_with_it(drive):
    pids = [pid_of(drive, isolation="process") for _ in range(5)]

    assert len(set(pids)) == 5
    wait_for(lambda: drive._collect(0.0) or all(map(is_gone, pids)), "the end of the processes")


def test_no_more_isolated_attempts_run_at_a_time_than_there_are_workers(drive, tmp_path):
    until = str(tmp_path / "go")
    keys = [drive.start("hold", until=until, isolation="process") for _ in range(2)]
    drive.wait_for_ledger("began", count=2)

    assert not drive.backend.reserve("act", "process")
    assert drive.backend.reserve("act", "worker")

    (tmp_path / "go").touch()
    assert {type(report) for report in drive.all_reports(keys)} == {Succeeded}


@pytest.mark.parametrize("isolation", ["worker", "process"])
def test_an_isolated_attempt_can_be_timed_out_like_any_other(drive, isolation):
    assert isinstance(drive("hold_on", until=NEVER, timeout=0.05, isolation=isolation), TimedOut)


def test_an_isolated_attempt_can_be_killed_before_its_process_exists(drive):
    key = drive.start("hold", until=NEVER, isolation="process")
    drive.kill(key)

    assert isinstance(drive.report(key), Killed)


def test_an_attempt_that_takes_too_much_memory_failed_for_that_reason(drive):
    report = drive("eat", bytes=300_000_000, memory_limit=100_000_000, isolation="process")

    assert (type(report), report.reason) == (Failed, Reason.MEMORY_LIMIT)
    assert "100,000,000" in report.message


def test_a_memory_limit_leaves_that_much_to_the_attempt(drive):
    report = drive("eat", bytes=90_000_000, memory_limit=100_000_000, isolation="process")

    assert isinstance(report, Succeeded)


def test_a_limit_asks_for_a_process_even_if_nobody_else_did(drive):
    warm = {worker.pid for worker in drive.backend.workers}

    assert pid_of(drive, memory_limit=100_000_000, isolation="worker") not in warm


def test_an_attempt_that_takes_too_much_processor_time_is_asked_and_failed(drive):
    report = drive("burn", cpu_limit=1.0, isolation="process")

    assert (type(report), report.reason) == (Failed, Reason.CPU_LIMIT)
    assert [line[0] for line in drive.ledger()] == ["began", "asked"]


def test_an_attempt_that_does_not_listen_to_its_processor_limit_is_killed(drive):
    report = drive("burn_on", cpu_limit=1.0, isolation="process")

    assert (type(report), report.reason) == (Failed, Reason.CPU_LIMIT)


def test_a_child_that_takes_too_much_processor_time_counts(drive):
    report = drive("burn_in_child", cpu_limit=1.0, isolation="process")

    assert (type(report), report.reason) == (Failed, Reason.CPU_LIMIT)


def test_two_pools_live_side_by_side(make_pool, tmp_path):
    drives = [Driver(make_pool(), tmp_path) for _ in range(2)]

    keys = [drive.start("give", value=number) for number, drive in enumerate(drives)]

    assert [json(drive.report(key).output) for drive, key in zip(drives, keys, strict=True)] == [0, 1]
    os.kill(drives[0].backend.server_pids[0], 9)
    assert isinstance(drives[1]("nothing"), Succeeded)
    assert isinstance(drives[0]("nothing"), Succeeded)


def test_a_pool_gives_back_every_descriptor(tmp_path):
    with pools(tmp_path) as make:
        make()  # what is opened once and kept by the interpreter
    gc.collect()  # what others have left to be closed
    before = descriptors()

    with pools(tmp_path) as make:
        pool = make(recycle_after=5)
        drive = Driver(pool, tmp_path)
        for _ in range(20):
            drive("nothing")
            drive("nothing", isolation="process")
        drive("exit_at_once", status=1)
        os.kill(drive.backend.server_pids[0], 9)
        drive("speak", words="x")

    # All of them, though the pool itself is still there.
    assert descriptors().items() - before.items() == set(), pool.workers


def test_a_pool_that_has_stopped_rings_in_nobody_elses_descriptor(make_pool):
    pool = make_pool()
    highest = max(map(int, descriptors()))
    rings = [threading.Thread(target=lambda: [pool.wake() for _ in range(2000)]) for _ in range(3)]

    for thread in rings:
        thread.start()
    pool.stop(0.0)
    others = [os.eventfd(0, os.EFD_NONBLOCK)]
    while others[-1] <= highest:  # every number that the pool had
        others.append(os.eventfd(0, os.EFD_NONBLOCK))
    for thread in rings:
        thread.join()
    pool.wake()

    try:
        for other in others:
            with pytest.raises(BlockingIOError):
                os.eventfd_read(other)
    finally:
        for other in others:
            os.close(other)


def test_attempts_leave_no_descriptor_behind(drive):
    rest(drive)
    before = len(descriptors())

    for _ in range(30):
        drive("speak", words="x", isolation="process")
    wait_for(lambda: drive._collect(0.0) or len(descriptors()) <= before, "the descriptors to be closed")


def test_without_descriptors_in_the_pool_attempts_wait_and_go_on_later(drive):
    rest(drive)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in descriptors())
    key = None
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
        fill = [os.open("/dev/null", os.O_RDONLY) for _ in range(highest + 1 - len(descriptors()))]
        assert drive.backend.reserve("act", "process")
        (key,) = drive.dispatch(drive.assignment("nothing", isolation="process"))
        for _ in range(3):
            drive._collect(0.01)
        assert "no worker can be forked" in drive.backend.problem
        assert key not in drive.reports
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in fill:
            os.close(descriptor)

    assert isinstance(drive.report(key), Succeeded)


def test_without_descriptors_in_the_fork_server_attempts_wait_and_go_on_later(drive):
    rest(drive)
    (server,) = drive.backend.server_pids
    before = resource.prlimit(server, resource.RLIMIT_NOFILE)
    used = len(list(Path(f"/proc/{server}/fd").iterdir()))
    try:
        resource.prlimit(server, resource.RLIMIT_NOFILE, (used, before[1]))
        key = drive.start("nothing", isolation="process")
        wait_for(lambda: drive._collect(0.01) or drive.backend.problem, "the fork to be refused")
        assert "Too many open files" in drive.backend.problem
        assert key not in drive.reports
    finally:
        resource.prlimit(server, resource.RLIMIT_NOFILE, before)

    assert isinstance(drive.report(key), Succeeded)


def test_while_no_process_can_be_forked_warm_workers_go_on(drive):
    rest(drive)
    (server,) = drive.backend.server_pids
    before = resource.prlimit(server, resource.RLIMIT_NOFILE)
    try:
        resource.prlimit(server, resource.RLIMIT_NOFILE, (1, before[1]))
        waiting = drive.start("nothing", isolation="process")
        wait_for(lambda: drive._collect(0.01) or drive.backend.problem, "the fork to be refused")

        assert isinstance(drive("nothing"), Succeeded)
    finally:
        resource.prlimit(server, resource.RLIMIT_NOFILE, before)

    assert isinstance(drive.report(waiting), Succeeded)


def test_workers_that_end_as_soon_as_they_begin_are_an_error_that_says_so(make_pool, tmp_path):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "trap.py").write_text(
        "import os\nos.register_at_fork(after_in_child=lambda: os._exit(9))\n"
        "TASK_TYPE = 'trap'\ndef run(task): return True\n"
    )

    with pytest.raises(BackendError, match="ended at once"):
        make_pool(folders=[tmp_path / "plugins"])


def test_a_server_that_cannot_be_started_is_an_error_that_says_why(make_pool):
    with pytest.raises(BackendError, match="encodings"):
        make_pool(environment={"PYTHONHOME": "/nowhere"})


def test_a_missing_interpreter_is_an_error_that_names_it(make_pool, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")

    with pytest.raises(BackendError, match="/nowhere/python"):
        make_pool()


def test_an_unwritable_log_fails_no_attempt(make_pool, tmp_path):
    (tmp_path / "runs").write_text("a file where a folder should be")
    drive = Driver(make_pool(), tmp_path)

    assert isinstance(drive("speak", words="x"), Succeeded)
    assert str(tmp_path / "runs") in drive.backend.problem


def test_observers_see_what_runs(make_pool, tmp_path):
    drive = Driver(make_pool(workers=2), tmp_path)
    key = drive.start("hold", until=str(tmp_path / "go"))
    drive.wait_for_ledger("began")

    busy, idle = sorted(drive.backend.workers, key=lambda worker: worker.state)

    assert (busy.state, busy.attempts) == ("busy", (key,))
    assert (idle.state, idle.attempts, idle.since) == ("idle", (), None)
    (tmp_path / "go").touch()
    assert isinstance(drive.report(key), Succeeded)
    assert (drive.backend.counters.dispatched, drive.backend.counters.reported) == (1, 1)


def test_a_field_that_is_no_json_is_the_attempts_failure_and_not_the_pools(drive):
    report = drive("give", value=object())

    assert (type(report), report.reason) == (Failed, Reason.INVALID)
