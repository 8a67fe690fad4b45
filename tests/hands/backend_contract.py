"""What every backend keeps, whether attempts run in processes or in threads. Its tests inherit `BackendContract`.

The file of the class has three fixtures: `make_backend(workers=2, **settings)` makes a started one and stops it after
the test; `backend` is one of two workers that all tests share, with its logs below `logs`. Tests that count workers,
change plugin files or stop it make their own.
"""

import threading
import time

import msgspec
import pytest

from engine.attemptlog import LogReader
from engine.facts import Broke, Deferred, Failed, Killed, Lost, Succeeded, TimedOut
from engine.states import Reason
from tests.clocks import ShiftedClock
from tests.hands.driver import Driver
from tests.waiting import wait_for

NEVER = "/nowhere/at/all"
# A grace that a busy machine does not use up before what was asked to end has said so.
GENEROUS = 40.0


def json(data):
    return msgspec.json.decode(data)


class BackendContract:
    """Run attempts, report each exactly once, end them when told to, and keep what they say."""

    @pytest.fixture
    def drive(self, backend, tmp_path):
        driver = Driver(backend, tmp_path)
        yield driver
        driver.end_all()

    @pytest.fixture
    def log_of(self, logs):
        reader = LogReader(logs)
        return lambda key: reader.read(*key)

    def test_an_output_comes_back_as_json(self, drive):
        report = drive("give", value={"a": [1, None, "ä"]})

        assert isinstance(report, Succeeded)
        assert json(report.output) == {"a": [1, None, "ä"]}

    def test_a_report_says_what_the_attempt_took(self, drive):
        usage = drive("nothing").usage

        assert usage.seconds > 0
        assert usage.memory_bytes > 1_000_000

    def test_what_a_run_came_by_is_handed_on(self, drive):
        assert drive("give_origin", origin="api").output == b'"api"'
        assert drive("give_origin").output == b'""'

    def test_inputs_are_handed_on(self, drive):
        report = drive("give_inputs", inputs={"a": b"[1]", "b": b'"x"'})

        assert json(report.output) == {"a": [1], "b": "x"}

    def test_a_plugin_that_returns_false_failed(self, drive):
        report = drive("refuse")

        assert (type(report), report.reason, report.message) == (Failed, Reason.ERROR, "the milk is sour")

    def test_a_plugin_that_raises_failed_and_its_traceback_is_in_the_log(self, drive, log_of):
        key = drive.start("stumble", words="over a stone")
        report = drive.report(key)

        assert (type(report), report.reason) == (Failed, Reason.ERROR)
        assert report.message == "ValueError: over a stone"
        assert "Traceback" in log_of(key)
        assert "_acts.py" in log_of(key)

    def test_an_exit_code_is_kept(self, drive):
        report = drive("leave_code")

        assert (report.reason, report.exit_code) == (Reason.EXIT_CODE, 7)

    def test_an_output_that_is_not_json_broke_it(self, drive):
        report = drive("give_no_json")

        assert (type(report), report.reason) == (Broke, Reason.BAD_OUTPUT)

    def test_an_output_that_is_too_large_broke_it(self, drive):
        report = drive("give_many", bytes=2_000_000)

        assert (type(report), report.reason) == (Broke, Reason.OUTPUT_TOO_LARGE)

    def test_an_output_just_below_the_limit_comes_back(self, drive):
        report = drive("give_many", bytes=999_000)

        assert len(report.output) == 999_002

    def test_a_type_that_nobody_has_broke_it(self, drive):
        report = drive("nothing", type="no_such_type")

        assert (type(report), report.reason) == (Broke, Reason.PLUGIN_MISSING)

    def test_an_attempt_can_be_put_off_and_finds_its_memo(self, drive, log_of):
        key = drive.start("come_again", task="twice")
        first = drive.report(key)
        assert first == Deferred("twice", 1, 0.25, b'{"calls":1}')

        second = drive("come_again", task="twice", memo=first.memo)
        assert json(second.output) == {"calls": 1}
        assert log_of(key) == "first call\nsecond call\n"

    def test_what_an_attempt_prints_and_logs_is_in_its_log_alone(self, drive, log_of):
        keys = [drive.start("speak", words=f"words {number}") for number in range(6)]
        drive.all_reports(keys)

        for number, key in enumerate(keys):
            expected = f"printed words {number}\nINFO logged words {number}\nto stderr\nno newline\n"
            assert log_of(key) == expected

    def test_an_attempt_that_says_nothing_has_no_log(self, drive, logs):
        key = drive.start("nothing")
        drive.report(key)

        assert not LogReader(logs).path(*key).exists()

    def test_a_secret_is_masked_however_it_is_cut(self, drive, log_of):
        pieces = ["the word is op", "en ses", "ame, and so on\n", "opensesame"]
        key = drive.start("speak_in_pieces", pieces=pieces, secrets=("opensesame", "open sesame"))
        drive.report(key)

        assert log_of(key) == "the word is ***, and so on\n***\n"

    def test_what_is_said_beyond_the_limit_is_dropped_and_counted(self, drive, log_of):
        key = drive.start("flood_by_print", lines=20_000)
        drive.report(key)

        text = log_of(key)
        last = f"\n[{20_000 * 101 - 1_000_000} bytes dropped: a log holds at most 1000000]\n"
        assert text[-len(last) :] == last
        assert len(text) == 1_000_000 + len(last)

    def test_what_an_attempt_says_can_be_read_while_it_runs(self, drive, log_of, tmp_path):
        key = drive.start("hold", until=str(tmp_path / "go"), words="still here")

        wait_for(lambda: drive._collect() or "still here" in log_of(key), "live words")
        (tmp_path / "go").touch()
        assert isinstance(drive.report(key), Succeeded)

    def test_an_attempt_past_its_timeout_is_asked_to_end_and_timed_out(self, make_backend, tmp_path):
        clock = ShiftedClock()
        drive = Driver(make_backend(clock=clock, grace_seconds=GENEROUS), tmp_path)
        key = drive.start("hold", until=NEVER, timeout=600.0)
        drive.wait_for_ledger("began")

        clock.advance(600)
        report = drive.report(key)

        assert isinstance(report, TimedOut)
        assert "600" in report.message
        assert [line[0] for line in drive.ledger()] == ["began", "asked"]

    def test_an_attempt_that_succeeds_only_because_it_was_asked_timed_out(self, drive):
        assert isinstance(drive("finish_when_asked", until=NEVER, timeout=0.05), TimedOut)

    def test_an_attempt_within_its_timeout_stands(self, drive):
        assert isinstance(drive("nothing", timeout=20.0), Succeeded)

    def test_an_attempt_that_is_killed_is_asked_and_reported_killed(self, make_backend, tmp_path):
        drive = Driver(make_backend(grace_seconds=GENEROUS), tmp_path)
        key = drive.start("hold", until=NEVER)
        drive.wait_for_ledger("began")

        drive.kill(key)

        assert isinstance(drive.report(key), Killed)
        assert [line[0] for line in drive.ledger()] == ["began", "asked"]

    def test_an_attempt_that_does_not_listen_is_reported_after_the_grace(self, drive):
        key = drive.start("hold_on", until=NEVER, timeout=0.05)

        assert isinstance(drive.report(key), TimedOut)

    def test_the_neighbour_of_a_killed_attempt_is_not_hurt(self, drive, tmp_path):
        victim = drive.start("hold", until=NEVER)
        neighbour = drive.start("hold", until=str(tmp_path / "go"))
        drive.wait_for_ledger("began", count=2)

        drive.kill(victim)
        drive.report(victim)
        (tmp_path / "go").touch()

        assert isinstance(drive.report(neighbour), Succeeded)

    def test_after_timeouts_there_is_as_much_room_as_before(self, drive):
        keys = [drive.start("hold", until=NEVER, timeout=0.02) for _ in range(4)]

        assert all(isinstance(report, TimedOut) for report in drive.all_reports(keys))
        assert isinstance(drive("nothing"), Succeeded)

    def test_killing_an_attempt_that_has_ended_changes_nothing(self, drive):
        key = drive.start("nothing")
        drive.report(key)

        drive.kill(key)
        drive.kill((drive.run, "never heard of", 1))

        assert isinstance(drive("nothing"), Succeeded)

    def test_an_attempt_killed_as_soon_as_it_is_dispatched_is_reported_once(self, drive):
        for _ in range(50):
            key = drive.start("mark")
            drive.kill(key)
            assert isinstance(drive.report(key), Killed | Succeeded)

    def test_every_one_of_many_attempts_is_reported_with_its_own_output(self, drive):
        keys = [drive.start("give", value=number, type="quick") for number in range(500)]

        assert [json(report.output) for report in drive.all_reports(keys)] == list(range(500))

    def test_reserved_room_is_free_again_after_the_next_collect(self, drive):
        wait_for(lambda: drive.backend.reserve("new type 1", "worker") or drive._collect(), "room")
        while drive.backend.reserve("new type 1", "worker"):
            pass
        drive.backend.collect(0.0)

        assert drive.backend.reserve("new type 1", "worker")

    def test_collect_returns_at_once_when_told_to(self, drive):
        assert drive.backend.collect(0.0) == []

    def test_collect_returns_when_woken_from_another_thread(self, drive):
        drive._collect(0.0)
        threading.Timer(0.02, drive.backend.wake).start()

        assert drive.backend.collect(None) == []

    def test_a_wake_before_the_wait_is_not_lost(self, drive):
        drive._collect(0.0)
        drive.backend.wake()
        began = time.monotonic()

        assert drive.backend.collect(30.0) == []
        assert time.monotonic() - began < 20

    def test_the_catalogue_lists_plugins_and_broken_files(self, make_backend, tmp_path):
        plugins = tmp_path / "plugins"
        plugins.mkdir()
        (plugins / "good.py").write_text("TASK_TYPE = 'good'\ndef run(task): return True\n")
        (plugins / "bad.py").write_text("this is not python\n")

        catalogue = make_backend(folders=[plugins]).catalogue()

        assert "good" in catalogue.types
        assert [broken.source for broken in catalogue.broken] == [str(plugins / "bad.py")]

    def test_a_changed_plugin_is_used_by_the_next_attempt_and_the_running_one_keeps_the_old(
        self, make_backend, tmp_path
    ):
        plugins = tmp_path / "plugins"
        plugins.mkdir()
        go = tmp_path / "go"
        text = (
            "import pathlib, threading\nTASK_TYPE = 'which'\nVERSION = '{version}'\n"
            "def run(task):\n"
            "    pathlib.Path(task['ledger']).touch()\n"
            "    while not pathlib.Path(task['until']).exists(): threading.Event().wait(0.005)\n"
            "    task['output'] = VERSION\n"
            "    return True\n"
        )
        (plugins / "which.py").write_text(text.format(version="1"))
        drive = Driver(make_backend(folders=[plugins]), tmp_path)
        old = drive.start("", type="which", until=str(go))
        wait_for(lambda: drive._collect() or drive.ledger_path.exists(), "the old one to begin")

        (plugins / "which.py").write_text(text.format(version="2"))  # the same size, within the same second
        (plugins / "other.py").write_text("TASK_TYPE = 'other'\ndef run(task): return True\n")
        catalogue = wait_for(lambda: _with(drive.backend.catalogue(), "other"), "the new plugin")
        assert catalogue.types["which"].version == "2"
        new = drive.start("", type="which", until="/")

        assert json(drive.report(new).output) == "2"
        go.touch()
        assert json(drive.report(old).output) == "1"

    def test_no_more_run_at_a_time_than_there_are_workers(self, make_backend, tmp_path):
        drive = Driver(make_backend(workers=3), tmp_path)
        keys = [drive.start("hold", until=str(tmp_path / "go")) for _ in range(3)]
        drive.wait_for_ledger("began", count=3)

        assert not drive.backend.reserve("act", "worker")

        (tmp_path / "go").touch()
        drive.all_reports(keys)
        assert drive.backend.reserve("act", "worker")

    def test_starting_and_stopping_twice_is_harmless(self, make_backend):
        backend = make_backend()
        backend.start()

        backend.stop(1.0)
        backend.stop(1.0)

        assert backend.collect(0.0) == []
        backend.wake()

    def test_what_runs_at_a_stop_is_asked_and_lost(self, make_backend, tmp_path):
        drive = Driver(make_backend(), tmp_path)
        key = drive.start("hold", until=NEVER)
        drive.wait_for_ledger("began")

        drive.backend.stop(GENEROUS)

        assert drive.report(key) == Lost(key[1], 1, Reason.DAEMON_STOPPED)
        assert [line[0] for line in drive.ledger()] == ["began", "asked"]

    def test_what_succeeds_during_a_stop_has_succeeded(self, make_backend, tmp_path):
        drive = Driver(make_backend(), tmp_path)
        key = drive.start("finish_when_asked", until=NEVER)
        drive.wait_for_ledger("began")

        drive.backend.stop(GENEROUS)

        assert isinstance(drive.report(key), Succeeded)

    def test_what_does_not_listen_is_lost_after_the_grace(self, make_backend, tmp_path):
        drive = Driver(make_backend(), tmp_path)
        key = drive.start("hold_on", until=NEVER)
        drive.wait_for_ledger("began")

        drive.backend.stop(0.05)

        assert isinstance(drive.report(key), Lost)

    def test_what_comes_after_a_stop_is_lost(self, make_backend, tmp_path):
        drive = Driver(make_backend(), tmp_path)
        drive.backend.stop(0.0)

        assert not drive.backend.reserve("act", "worker")
        (key,) = drive.dispatch(drive.assignment("nothing"))
        assert isinstance(drive.report(key), Lost)


def _with(catalogue, task_type):
    return catalogue if task_type in catalogue.types else None
