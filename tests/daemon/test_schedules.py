"""The schedules on a real store and executor, with time moved by hand: what is due runs once, all else is a row."""

import pytest

from engine.errors import ScheduleUnknownError
from tests.daemon.timetables import REPORT, House, utc
from tests.waiting import wait_for

MINUTELY = 'name = "s"\nworkflow = "report"\ncron = "* * * * *"\n'
HOURLY = 'name = "s"\nworkflow = "report"\nhourly = ":00"\n'
ALLOW = 'overlap = "allow"\n'


@pytest.fixture
def house(tmp_path):
    houses = []

    def build(*tables: str, **wishes) -> House:
        houses.append(House(tmp_path, *tables, **wishes))
        return houses[-1]

    yield build
    for one in houses:
        one.end()


def test_what_is_due_is_submitted_with_its_name_its_instant_and_its_parameters(house):
    life = house(MINUTELY + 'params = {day = "monday"}\npriority = 7\n').begin()
    life.pass_time(59.5)
    assert life.runs() == []
    life.pass_time(0.75)
    [run] = life.runs()
    shown = life.history.run(run)
    assert shown.trigger == {"type": "schedule", "name": "s", "due": "2027-03-01T12:01:00.000000Z"}
    assert (shown.workflow, shown.params) == ("report", {"day": "monday"})
    assert life.executor.live == 1


def test_a_new_schedule_starts_at_now_and_not_with_the_past(house):
    life = house(MINUTELY + 'on_missed = "all"\n').begin()
    life.schedules.wake()
    assert life.fates() == []


def test_an_instant_fires_once_however_often_one_looks_and_restarts(house):
    here = house(MINUTELY + ALLOW)
    life = here.begin()
    life.pass_time(60)
    for _ in range(3):
        life.schedules.wake()
        life = here.restart()
    life.pass_time(60)
    assert life.fates() == ["12:01 RUN", "12:02 RUN"]
    assert len(life.history.runs()) == 2


@pytest.mark.parametrize(
    ("policy", "fates"),
    [
        ("skip", ["12:01 MISSED missed", "12:02 MISSED missed", "12:03 MISSED missed"]),
        ("last", ["12:01 MISSED missed", "12:02 MISSED missed", "12:03 RUN"]),
        ("all", ["12:01 RUN", "12:02 RUN", "12:03 RUN"]),
    ],
)
def test_what_was_due_while_it_was_down_is_settled_by_the_policy(house, policy, fates):
    here = house(MINUTELY + ALLOW + f'on_missed = "{policy}"\n')
    here.begin()
    life = here.restart(200)
    assert life.fates() == fates
    life.pass_time(40)
    assert life.fates() == [*fates, "12:04 RUN"]


def test_only_what_lies_in_the_window_is_caught_up_and_at_most_so_many(house):
    here = house(MINUTELY + ALLOW + 'on_missed = "all"\ncatchup_window = "5m"\ncatchup_max = 2\n')
    here.begin()
    assert here.restart(600).fates()[-4:] == ["12:07 MISSED missed", "12:08 MISSED missed", "12:09 RUN", "12:10 RUN"]
    here.configure(MINUTELY + ALLOW + 'on_missed = "all"\ncatchup_window = "90s"\n')
    here.restart()
    assert here.restart(300).fates()[-5:] == [
        "12:11 MISSED missed",
        "12:12 MISSED missed",
        "12:13 MISSED missed",
        "12:14 RUN",
        "12:15 RUN",
    ]


def test_what_was_caught_up_runs_one_after_the_other_unless_it_may_overlap(house):
    here = house(MINUTELY + 'on_missed = "all"\n')
    here.begin()
    life = here.restart(190)
    assert life.fates() == ["12:01 RUN", "12:02 QUEUED overlap", "12:03 QUEUED overlap"]
    life.finish(life.runs()[0])
    assert life.fates() == ["12:01 RUN", "12:02 RUN", "12:03 QUEUED overlap"]
    life = here.restart()
    life.finish(life.runs()[1])
    assert life.fates() == ["12:01 RUN", "12:02 RUN", "12:03 RUN"]


def test_a_year_of_downtime_is_a_hundred_rows_and_one_that_counts_the_rest(house):
    here = house(MINUTELY)
    here.begin()
    life = here.restart(365 * 86_400)
    shown = life.history.due_times("s", limit=1000)
    assert len(shown) == 102
    assert shown[0].state == "RUN"
    assert {view.state for view in shown[1:]} == {"MISSED"}
    oldest = shown[-1]
    assert sum(view.count for view in shown) == 365 * 24 * 60
    assert (oldest.first, oldest.count) == ("2027-03-01T12:01:00.000000Z", 365 * 24 * 60 - 101)
    assert "525499 due times from 2027-03-01T12:01:00.000000Z on" in oldest.message


def test_a_machine_that_slept_has_missed_what_was_due_meanwhile(house):
    life = house(MINUTELY + ALLOW).begin()
    life.pass_time(60)
    life.pass_time(600)
    assert life.fates()[0] == "12:01 RUN"
    assert life.fates()[-2:] == ["12:10 MISSED missed", "12:11 RUN"]


def test_after_a_sleep_what_is_due_this_moment_runs_even_where_missed_ones_are_skipped(house):
    life = house(MINUTELY + 'on_missed = "skip"\n').begin()
    life.pass_time(600.2)
    assert life.fates()[-2:] == ["12:09 MISSED missed", "12:10 RUN"]


def test_instants_that_are_seen_a_little_late_were_not_missed(house):
    life = house('name = "s"\nworkflow = "report"\nevery = "5s"\noverlap = "allow"\non_missed = "skip"\n').begin()
    life.pass_time(12)
    assert life.fates() == ["12:00:05 RUN", "12:00:10 RUN"]


def test_a_clock_set_back_fires_nothing_twice_and_goes_on_behind_it(house):
    here = house(MINUTELY + 'overlap = "replace"\n')
    life = here.begin()
    life.pass_time(60)
    life.pass_time(60)
    waited = life.fates()
    assert waited == ["12:01 RUN", "12:02 QUEUED overlap"]
    life.await_end(life.runs()[0])
    assert life.fates() == ["12:01 RUN", "12:02 RUN"]
    life.clock.step(-90)
    for _ in range(8):
        life.pass_time(15)
    # At 12:02:30 again: both instants came twice, neither fired twice, and the run that lives was left alone.
    assert life.fates() == ["12:01 RUN", "12:02 RUN"]
    assert life.executor.live == 1
    life.pass_time(30)
    assert life.fates()[-1] == "12:03 QUEUED overlap"


def test_a_clock_set_back_while_it_was_down_fires_nothing_twice(house):
    here = house(MINUTELY + ALLOW)
    life = here.begin()
    life.pass_time(60)
    here.clock.step(-3600)
    life = here.restart()
    for _ in range(62):
        life.pass_time(60)
    assert len(life.fates()) == len(life.runs()) == 62
    assert life.fates().count("12:01 RUN") == 1
    assert len(life.history.runs(limit=100)) == 62


def test_a_clock_set_forward_by_mistake_does_not_silence_a_schedule(house):
    here = house(MINUTELY + ALLOW)
    life = here.begin()
    here.clock.step(86_400)
    life.schedules.wake()
    here.clock.step(-86_400)
    life = here.restart()
    life.pass_time(60)
    assert "12:01 RUN" in life.fates()
    life.pass_time(60)
    assert "12:02 RUN" in life.fates()


@pytest.mark.parametrize(
    ("night", "cron", "dues"),
    [
        # Forward: 02:30 does not exist and is due at the end of the gap; a wildcard only at times that are shown.
        ("2027-03-27T23:00:00Z", "30 2 * * *", ["2027-03-28T01:00:00"]),
        ("2027-03-27T23:00:00Z", "*/30 * * * *", ["23:30", "00:00", "00:30", "01:00", "01:30", "02:00"]),
        # Back: 02:30 is shown twice and due once, the first time; a wildcard each time.
        ("2027-10-30T23:00:00Z", "30 2 * * *", ["2027-10-31T00:30:00"]),
        ("2027-10-30T23:00:00Z", "*/30 * * * *", ["23:30", "00:00", "00:30", "01:00", "01:30", "02:00"]),
    ],
)
def test_the_nights_of_daylight_saving_in_berlin(house, night, cron, dues):
    table = f'name = "s"\nworkflow = "report"\ncron = "{cron}"\ntimezone = "Europe/Berlin"\noverlap = "allow"\n'
    life = house(table, at=night).begin()
    for _ in range(3 * 60):
        life.pass_time(60)
    shown = [view.due for view in reversed(life.history.due_times("s"))]
    assert [due for due, wanted in zip(shown, dues, strict=True) if wanted not in due] == []
    assert life.view().next.endswith("+02:00" if night < "2027-10" else "+01:00")


def test_overlap_skip_leaves_out_what_is_due_while_a_run_lives(house):
    here = house(MINUTELY)
    life = here.begin()
    life.pass_time(60)
    life.pass_time(60)
    [run] = life.runs()
    assert life.fates() == ["12:01 RUN", "12:02 SKIPPED overlap"]
    assert run in life.history.due_times("s")[0].message
    life = here.restart()
    life.pass_time(60)
    life.finish(run)
    life.pass_time(60)
    assert life.fates() == ["12:01 RUN", "12:02 SKIPPED overlap", "12:03 SKIPPED overlap", "12:04 RUN"]


def test_overlap_queue_runs_one_after_the_other_also_across_a_restart(house):
    here = house(MINUTELY + 'overlap = "queue"\ncatchup_max = 2\n')
    life = here.begin()
    for _ in range(4):
        life.pass_time(60)
    assert life.fates() == ["12:01 RUN", "12:02 QUEUED overlap", "12:03 QUEUED overlap", "12:04 SKIPPED overlap"]
    assert life.view().waiting == ["2027-03-01T12:02:00.000000Z", "2027-03-01T12:03:00.000000Z"]
    life = here.restart()
    for number in range(2):
        assert life.executor.live == 1
        life.finish(life.runs()[number])
    assert life.fates() == ["12:01 RUN", "12:02 RUN", "12:03 RUN", "12:04 SKIPPED overlap"]
    assert life.view().waiting == []


def test_a_run_that_ended_unheard_lets_the_queue_go_on_at_the_next_start(house):
    here = house(MINUTELY + 'overlap = "queue"\n')
    life = here.begin()
    life.pass_time(60)
    life.pass_time(60)
    [run] = life.runs()
    life.hands.finish(run)
    wait_for(lambda: life.history.run(run).ended_at, "the end of the run")
    life = here.restart()
    assert life.fates() == ["12:01 RUN", "12:02 RUN"]


def test_overlap_replace_cancels_the_run_and_starts_when_it_has_ended(house):
    life = house(MINUTELY + 'overlap = "replace"\n').begin()
    life.pass_time(60)
    [first] = life.runs()
    life.pass_time(60)
    assert life.fates() == ["12:01 RUN", "12:02 QUEUED overlap"]
    life.await_end(first)
    shown = life.history.run(first)
    assert (shown.state, shown.reason) == ("CANCELLED", "replaced")
    assert life.fates() == ["12:01 RUN", "12:02 RUN"]


def test_a_start_that_waits_to_replace_is_replaced_itself_and_asked_for_again_after_a_restart(house):
    here = house(MINUTELY + 'overlap = "replace"\n')
    life = here.begin()
    life.hands.kill = lambda *_args: None  # a run that takes its time to end
    life.pass_time(60)
    life.pass_time(60)
    life.pass_time(60)
    assert life.fates() == ["12:01 RUN", "12:02 SKIPPED replaced", "12:03 QUEUED overlap"]
    [run] = life.runs()
    life = here.restart()
    life.await_end(run)
    assert life.history.run(run).reason == "replaced"
    assert life.fates()[-1] == "12:03 RUN"


def test_overlap_allow_lets_runs_live_side_by_side(house):
    life = house(MINUTELY + ALLOW).begin()
    life.pass_time(60)
    life.pass_time(60)
    assert life.executor.live == 2


def test_two_daemons_on_one_database_fire_each_instant_once(house):
    here = house(MINUTELY + ALLOW)
    one, other = here.begin(), here.begin()
    for number in range(10):
        here.clock.advance(60)
        for life in (one, other) if number % 2 else (other, one):
            life.schedules.wake()
    assert len(one.history.runs()) == len(one.fates()) == 10
    assert one.executor.live + other.executor.live == 10


def test_a_paused_schedule_stays_so_after_a_restart_and_resumes_at_now(house):
    here = house(MINUTELY)
    life = here.begin()
    life.schedules.pause("s", "the printer is out of order")
    life.pass_time(60)
    life = here.restart(120)
    assert (life.view().is_paused, life.view().message) == (True, "the printer is out of order")
    assert life.fates() == ["12:01 SKIPPED paused", "12:02 SKIPPED paused", "12:03 SKIPPED paused"]
    life.schedules.resume("s")
    life = here.restart(60)
    assert not life.view().is_paused
    assert life.fates()[3:] == ["12:04 RUN"]


def test_what_waits_is_skipped_where_the_schedule_is_paused(house):
    life = house(MINUTELY + 'overlap = "queue"\n').begin()
    life.pass_time(60)
    life.pass_time(60)
    life.schedules.pause("s")
    assert life.fates() == ["12:01 RUN", "12:02 SKIPPED paused"]


def test_others_may_wish_for_a_pause_and_its_end(house):
    life = house(MINUTELY).begin()
    life.schedules.wishes["pause"]({"name": "s", "message": "holidays"})
    assert (life.view().is_paused, life.view().message) == (True, "holidays")
    life.schedules.wishes["resume"]({"name": "s"})
    assert not life.view().is_paused
    with pytest.raises(ScheduleUnknownError):
        life.schedules.wishes["pause"]({})


def test_an_unknown_schedule_cannot_be_paused(house):
    life = house(MINUTELY.replace('"s"', '"nightly"')).begin()
    for ask in (life.schedules.pause, life.schedules.resume):
        with pytest.raises(ScheduleUnknownError, match="did you mean 'nightly'"):
            ask("nigthly")


def test_a_schedule_pauses_itself_after_too_many_failures_in_a_row(house):
    here = house(MINUTELY + "stop_after_failures = 3\n")
    life = here.begin()

    def fire(*, well: bool) -> None:
        life.pass_time(60)
        life.finish(life.runs()[-1], well=well)

    for well in (False, False, True, False):
        fire(well=well)
    assert life.view().failures == 1
    life = here.restart()
    fire(well=False)
    assert not life.view().is_paused
    fire(well=False)
    life = here.restart()
    assert (life.view().is_paused, life.view().reason) == (True, "failed_too_often")
    assert "3 runs failed in a row" in life.view().message
    life.pass_time(60)
    assert life.fates()[-1] == "12:07 SKIPPED failed_too_often"
    life.schedules.resume("s")
    life.pass_time(60)
    assert (life.fates()[-1], life.view().failures) == ("12:08 RUN", 0)


def test_a_cancelled_run_is_no_failure_of_the_schedule(house):
    life = house(MINUTELY + "stop_after_failures = 1\n").begin()
    life.pass_time(60)
    [run] = life.runs()
    life.executor.cancel(run).result()
    life.await_end(run)
    assert (life.view().is_paused, life.view().failures) == (False, 0)


def test_a_workflow_that_is_not_known_is_a_row_with_the_reason_and_the_rest_goes_on(house):
    here = house(MINUTELY.replace('"report"', '"raport"') + ALLOW, MINUTELY.replace('"s"', '"t"') + ALLOW)
    life = here.begin()
    assert "did you mean 'report'" in life.view().broken
    life.pass_time(60)
    assert life.fates() == ["12:01 SKIPPED invalid"]
    assert "raport" in life.history.due_times("s")[0].message
    assert life.fates("t") == ["12:01 RUN"]
    (here.folder / "etc" / "workflows" / "raport.json").write_text('{"tasks": [{"id": "a", "type": "print"}]}')
    assert life.view().broken == ""
    life.pass_time(60)
    assert life.fates()[-1] == "12:02 RUN"


def test_parameters_that_the_workflow_does_not_take_are_a_row_too(house):
    life = house(MINUTELY + "params = {day = 7}\n").begin()
    life.pass_time(60)
    assert life.fates() == ["12:01 SKIPPED invalid"]
    assert "day" in life.view().broken


def test_a_queue_before_a_workflow_that_has_gone_is_settled_whole(house):
    here = house(MINUTELY + 'overlap = "queue"\n')
    life = here.begin()
    for _ in range(3):
        life.pass_time(60)
    (here.folder / "etc" / "workflows" / "report.json").unlink()
    life.finish(life.runs()[0])
    assert life.fates() == ["12:01 RUN", "12:02 SKIPPED invalid", "12:03 SKIPPED invalid"]


def test_a_workflow_may_be_a_path_that_starts_at_the_configuration(house):
    here = house(MINUTELY.replace('"report"', '"jobs/nightly.json"'))
    (here.folder / "etc" / "jobs").mkdir()
    (here.folder / "etc" / "jobs" / "nightly.json").write_text('{"tasks": [{"id": "a", "type": "print"}]}')
    life = here.begin()
    life.pass_time(60)
    assert life.history.run(life.runs()[0]).workflow == "nightly"


def test_jitter_delays_the_start_and_not_the_instant(house):
    table = MINUTELY + 'jitter = "40s"\noverlap = "allow"\n'
    life = house(table).begin()
    starts: list[int] = []
    for second in range(180):
        life.pass_time(1)
        while len(starts) < len(life.runs()):
            starts.append(second + 1)
    assert life.fates()[:2] == ["12:01 RUN", "12:02 RUN"]
    assert 60 < starts[0] < 100
    assert starts[1] - starts[0] == 60


def test_a_start_an_end_and_a_blackout_hold(house):
    bounds = 'start = "2027-03-01T12:02:00Z"\nend = "2027-03-01T12:06:00Z"\n'
    blackout = 'blackout = [["2027-03-01T12:04", "2027-03-01T12:05"]]\n'
    life = house(MINUTELY + ALLOW + bounds + blackout).begin()
    for _ in range(9):
        life.pass_time(60)
    assert life.fates() == ["12:02 RUN", "12:03 RUN", "12:05 RUN", "12:06 RUN"]
    assert life.view().next is None


def test_an_impossible_date_is_never_due_and_harms_nobody(house):
    never = 'name = "never"\nworkflow = "report"\ncron = "0 0 29 2 *"\nend = "2028-02-28"\nenabled = false\n'
    life = house(never, MINUTELY).begin()
    life.pass_time(60)
    assert life.view("never").next is None
    assert life.fates() == ["12:01 RUN"]


def test_a_changed_configuration_counts_at_once_and_edited_schedules_from_now(house):
    here = house(MINUTELY + ALLOW, HOURLY.replace('"s"', '"t"'))
    life = here.begin()
    life.pass_time(60)
    life.schedules.reload(here.configure(HOURLY + ALLOW, MINUTELY.replace('"s"', '"u"') + ALLOW))
    assert [view.name for view in life.schedules.status()] == ["s", "u"]
    for _ in range(59):
        life.pass_time(60)
    assert life.fates() == ["12:01 RUN", "13:00 RUN"]
    assert len(life.fates("u")) == 59
    assert life.fates("t") == []


def test_a_schedule_that_was_away_is_new_when_it_comes_back(house):
    here = house(MINUTELY + ALLOW + 'on_missed = "all"\n')
    life = here.begin()
    life.pass_time(60)
    here.configure()
    here.restart(60)
    here.configure(MINUTELY + ALLOW + 'on_missed = "all"\n')
    life = here.restart(60)
    life.pass_time(60)
    assert life.fates() == ["12:01 RUN", "12:04 RUN"]


def test_a_schedule_that_is_not_enabled_is_never_due_and_starts_at_now_when_it_is(house):
    here = house(MINUTELY + "enabled = false\n")
    life = here.begin()
    life.pass_time(60)
    life = here.restart(60)
    assert (life.fates(), life.view().next, life.view().is_enabled) == ([], None, False)
    here.configure(MINUTELY)
    life = here.restart()
    life.pass_time(60)
    assert life.fates() == ["12:03 RUN"]


def test_what_waits_for_a_schedule_that_is_removed_is_settled(house):
    here = house(MINUTELY + 'overlap = "queue"\n')
    life = here.begin()
    life.pass_time(60)
    life.pass_time(60)
    here.configure()
    life = here.restart()
    assert life.fates() == ["12:01 RUN", "12:02 SKIPPED overlap"]
    assert "removed" in life.history.due_times("s")[0].message


def test_a_schedule_shows_when_it_is_due_next_and_what_became_of_the_last(house):
    table = 'name = "s"\nworkflow = "report"\ndaily = "14:30"\ntimezone = "Europe/Berlin"\n'
    life = house(table).begin()
    view = life.view()
    assert (view.when, view.next, view.last) == ("daily 14:30", "2027-03-01T14:30:00+01:00", None)
    life.pass_time(utc("13:30") - utc("12:00"))
    view = life.view()
    assert view.next == "2027-03-02T14:30:00+01:00"
    assert (view.last.state, view.last.due, view.last.run) == ("RUN", "2027-03-01T13:30:00.000000Z", view.runs[0])


@pytest.mark.timeout(180)  # ten thousand runs; a slow disk or a busy processor makes it long
def test_ten_thousand_schedules_of_the_same_second_are_all_recorded(house, record_property):
    import time

    tables = [f'name = "n{number}"\nworkflow = "report"\ndaily = "12:01"\n' for number in range(10_000)]
    life = house(*tables, is_quick=True).begin()
    life.clock.advance(60)
    began = time.perf_counter()
    life.schedules.wake()
    record_property("seconds", round(time.perf_counter() - began, 3))
    counts = [view.last.state for view in life.schedules.status()]
    assert len(counts) == 10_000
    assert set(counts) == {"RUN"}
    assert life.fates("n9999") == ["12:01 RUN"]


def test_a_calendar_that_contradicts_itself_stops_one_schedule_and_not_the_others(house):
    class Stuck:
        def next_after(self, instant: float) -> float:
            raise AssertionError("it is due for ever")

    life = house(MINUTELY, MINUTELY.replace('"s"', '"t"')).begin()
    life.schedules._entries["s"].calendar = Stuck()
    life.pass_time(60)
    assert "it is due for ever" in life.view().broken
    assert (life.fates(), life.fates("t")) == ([], ["12:01 RUN"])


def test_what_could_not_be_recorded_is_due_again_at_the_next_look(house, monkeypatch):
    from engine.errors import StoreLostError

    here = house(MINUTELY)
    life = here.begin()
    life.pass_time(60)

    def refuse(*_args) -> int:
        raise StoreLostError("no space")

    with monkeypatch.context() as broken:
        broken.setattr(life.store, "record_dues", refuse)
        with pytest.raises(StoreLostError):
            life.pass_time(60)
    assert life.fates() == ["12:01 RUN"]
    life.pass_time(1)
    assert life.fates() == ["12:01 RUN", "12:02 SKIPPED overlap"]


def test_an_error_of_the_memory_is_one_sentence_in_the_log(house, monkeypatch):
    from loguru import logger

    from engine.errors import StoreLostError

    life, said = house(MINUTELY).begin(), []

    def refuse() -> None:
        life.schedules._is_stopped = True
        raise StoreLostError("no space")

    monkeypatch.setattr(life.schedules, "wake", refuse)
    sink = logger.add(said.append)
    try:
        life.schedules._ring()
        life.schedules._loop()
    finally:
        logger.remove(sink)
    [line] = said
    assert "no space" in line
    assert "Traceback" not in line


def test_started_it_watches_by_itself_and_stops_twice_without_harm(tmp_path):
    from engine.clock import SystemClock

    here = House(tmp_path, 'name = "s"\nworkflow = "report"\nevery = "50ms"\noverlap = "allow"\n', is_quick=True)
    here.clock = SystemClock()
    life = here.begin()
    life.schedules.start()
    life.schedules.start()
    wait_for(lambda: len(life.fates()) >= 5, "five starts")
    # Of starts that are late, several may go with one look.
    wait_for(lambda: life.schedules.pulse >= 3, "three looks")
    life.schedules.stop()
    life.schedules.stop()
    count = len(life.fates())
    life.schedules.wake()
    assert len(life.fates()) == count
    here.end()


def test_the_document_the_tests_run_is_the_one_that_is_recorded(house):
    life = house(MINUTELY).begin()
    life.pass_time(60)
    assert REPORT["name"] == life.history.run(life.runs()[0]).workflow


def test_a_definition_is_edited_by_what_it_says_and_not_by_how(house):
    spelled = MINUTELY + 'timezone = "UTC"\nparams = {}\noverlap = "skip"\non_missed = "all"\n'
    here = house(MINUTELY + 'on_missed = "all"\n')
    here.begin()
    here.configure(spelled)
    assert here.restart(60).fates() == ["12:01 RUN"]
    here.configure(spelled + "priority = 1\n")
    assert here.restart(60).fates() == ["12:01 RUN"]


def test_many_schedules_that_missed_much_share_a_bounded_number_of_rows(house, monkeypatch):
    monkeypatch.setattr("daemon.schedules._ALL_ROWS", 10)
    here = house(*(MINUTELY.replace('"s"', f'"n{number}"') for number in range(5)))
    here.begin()
    life = here.restart(86_400)
    for number in range(5):
        shown = life.history.due_times(f"n{number}")
        assert [view.count for view in shown] == [1, 1, 1, 24 * 60 - 3]


def test_after_the_stop_nothing_is_started_whoever_asks_for_what(house):
    here = house(MINUTELY + ALLOW)
    life = here.begin()
    life.schedules.stop()
    life.clock.advance(60)
    life.schedules.wake()
    life.schedules.resume("s")
    life.schedules.reload(here.config)
    assert life.fates() == []
