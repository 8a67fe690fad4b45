import pytest

from engine.errors import StoreCorruptError
from engine.facts import (
    Begin,
    Broke,
    Cancel,
    CancelAsked,
    Complete,
    DeadlineReached,
    Deferred,
    Due,
    Fail,
    Failed,
    Finish,
    Granted,
    Kill,
    Killed,
    Lost,
    RetryAt,
    Skip,
    Submitted,
    Succeeded,
    TimedOut,
    Usage,
    WaitUntil,
    WindDown,
)
from engine.model import Workflow
from engine.plan import make_plan
from engine.run import Run, Snapshot
from engine.states import Reason, State
from tests.engine.conversation import Talk, retry, run_of, task


def test_a_single_task_runs_and_its_run_completes():
    talk = Talk(run_of(task("a")))
    assert talk.begin() == [Begin(None)]
    assert talk.started == [("a", 1)]
    assert talk.say(Succeeded("a", 1, b"5")) == [Complete("a", 1, b"5"), Finish(State.COMPLETED)]
    assert talk.run.state is State.COMPLETED


def test_nothing_starts_before_the_submission_is_recorded():
    assert run_of(task("a")).peek() is None


def test_a_dependant_starts_when_all_it_depends_on_has_completed_and_finds_their_outputs():
    talk = Talk(run_of(task("a"), task("b"), task("c", "a", "b")))
    talk.begin()
    talk.succeed("a", b'{"x":1}')
    assert talk.started == [("a", 1), ("b", 1)]
    talk.succeed("b", b"2")
    assert talk.started[-1] == ("c", 1)
    assert talk.starts["c"].inputs == {"a": b'{"x":1}', "b": b"2"}


def test_a_failed_attempt_is_retried_after_its_delay():
    talk = Talk(run_of(task("b", retry=retry(1, delay=2.0))))
    talk.begin()
    assert talk.say(Failed("b", 1, message="no"), 10) == [RetryAt("b", 1, 12.0, Reason.ERROR, "no")]
    assert talk.run.peek() is None
    assert talk.say(Due("b", 1), 12) == []
    assert talk.started == [("b", 1), ("b", 2)]


def test_the_last_failure_fails_the_task_and_the_run_and_names_the_culprit():
    talk = Talk(run_of(task("b", retry=retry(1))))
    talk.begin()
    talk.say(Failed("b", 1))
    talk.say(Due("b", 1))
    assert talk.say(Failed("b", 2, message="no luck")) == [
        Fail("b", 2, Reason.ERROR, "no luck"),
        Finish(State.FAILED, Reason.TASK_FAILED, "task b failed: no luck"),
    ]


@pytest.mark.parametrize(
    ("fact", "reason"),
    [
        (Failed("a", 1, Reason.EXIT_CODE, "exit 3", 3), Reason.EXIT_CODE),
        (Broke("a", 1, Reason.WORKER_LOST, "signal 9"), Reason.WORKER_LOST),
        (TimedOut("a", 1, "after 5 s"), Reason.TIMEOUT),
    ],
)
def test_each_kind_of_failure_keeps_its_reason(fact, reason):
    talk = Talk(run_of(task("a")))
    talk.begin()
    first, _finish = talk.say(fact)
    assert isinstance(first, Fail)
    assert first.reason is reason


def test_what_depends_on_a_failed_task_is_skipped_all_the_way_down_and_other_branches_complete():
    talk = Talk(run_of(task("a"), task("b", "a"), task("c", "b"), task("x"), task("y", "x")))
    talk.begin()
    assert talk.say(Failed("a", 1, message="no")) == [
        Fail("a", 1, Reason.ERROR, "no"),
        Skip("b", Reason.UPSTREAM_FAILED, "task a did not complete"),
        Skip("c", Reason.UPSTREAM_FAILED, "task b did not complete"),
    ]
    talk.succeed("x")
    assert talk.succeed("y")[-1] == Finish(State.FAILED, Reason.TASK_FAILED, "task a failed: no")


def test_a_task_that_may_fail_stops_nobody():
    talk = Talk(run_of(task("a", continue_on_failure=True), task("b", "a")))
    talk.begin()
    assert talk.say(Failed("a", 1, output=b'"half"')) == [Fail("a", 1, Reason.ERROR, output=b'"half"')]
    assert talk.starts["b"].inputs == {"a": b'"half"'}
    assert talk.succeed("b")[-1] == Finish(State.COMPLETED, Reason.CONTINUED)


def test_fail_fast_cancels_what_waits_and_kills_what_runs():
    talk = Talk(run_of(task("a"), task("b"), task("c", "b"), fail_fast=True))
    talk.begin()
    assert talk.say(Failed("a", 1)) == [
        Fail("a", 1, Reason.ERROR),
        WindDown(State.FAILED, Reason.FAIL_FAST, "task a failed"),
        Kill("b", 1, Reason.FAIL_FAST),
        Cancel("c", 0, Reason.FAIL_FAST, "task a failed"),
    ]
    assert talk.say(Killed("b", 1)) == [
        Cancel("b", 1, Reason.FAIL_FAST, "task a failed"),
        Finish(State.FAILED, Reason.TASK_FAILED, "task a failed"),
    ]


def test_a_cancelled_run_ends_when_its_last_attempt_has():
    talk = Talk(run_of(task("a"), task("b", "a")))
    talk.begin()
    assert talk.say(CancelAsked(Reason.USER, "enough")) == [
        WindDown(State.CANCELLED, Reason.USER, "enough"),
        Kill("a", 1, Reason.USER),
        Cancel("b", 0, Reason.USER, "enough"),
    ]
    assert talk.say(CancelAsked(Reason.USER, "again")) == []
    usage = Usage(1.0, 0.5, 10)
    assert talk.say(Killed("a", 1, usage)) == [
        Cancel("a", 1, Reason.USER, "enough", usage),
        Finish(State.CANCELLED, Reason.USER, "enough"),
    ]


def test_a_success_that_wins_the_race_against_a_cancel_is_recorded_as_what_it_is():
    talk = Talk(run_of(task("a"), task("b", "a")))
    talk.begin()
    talk.say(CancelAsked())
    orders = talk.succeed("a", b"1")
    assert orders[0] == Complete("a", 1, b"1")
    assert orders[-1].state is State.CANCELLED
    assert talk.started == [("a", 1)]


def test_a_run_that_has_not_begun_can_be_cancelled():
    run = run_of(task("a"))
    assert run.handle(CancelAsked(Reason.USER, "no"), 1) == [
        WindDown(State.CANCELLED, Reason.USER, "no"),
        Cancel("a", 0, Reason.USER, "no"),
        Finish(State.CANCELLED, Reason.USER, "no"),
    ]


def test_a_run_that_takes_too_long_fails_with_its_deadline():
    talk = Talk(run_of(task("a"), timeout=60.0))
    assert talk.begin() == [Begin(70.0)]
    assert talk.say(DeadlineReached(), 70)[:2] == [
        WindDown(State.FAILED, Reason.DEADLINE, "the run took longer than its timeout of 60 s"),
        Kill("a", 1, Reason.DEADLINE),
    ]
    assert talk.say(Killed("a", 1))[-1].state is State.FAILED


@pytest.mark.parametrize(
    "late", [Succeeded("a", 1), Failed("a", 1), TimedOut("a", 1), Deferred("a", 1, 5.0), Killed("a", 1), Lost("a", 1)]
)
def test_a_late_report_changes_nothing(late):
    talk = Talk(run_of(task("a", retry=retry(3))))
    talk.begin()
    talk.say(Failed("a", 1))
    talk.say(Due("a", 1))
    assert talk.say(late) == []
    assert talk.started == [("a", 1), ("a", 2)]
    talk.say(Succeeded("a", 2))
    assert talk.say(late) == []
    assert talk.say(Succeeded("a", 2)) == []


def test_a_report_about_a_task_that_does_not_exist_changes_nothing():
    talk = Talk(run_of(task("a")))
    talk.begin()
    assert talk.say(Succeeded("ghost", 1)) == []


def test_a_task_that_waits_for_a_time_holds_no_worker_and_keeps_its_attempt():
    talk = Talk(run_of(task("a"), task("b"), max_parallel=1))
    talk.begin()
    assert talk.say(Deferred("a", 1, 30.0, b'{"n":1}')) == [WaitUntil("a", 1, 40.0, b'{"n":1}')]
    assert talk.started == [("a", 1), ("b", 1)]
    talk.succeed("b")
    talk.say(Due("a", 1), 40)
    assert talk.started[-1] == ("a", 1)
    assert talk.starts["a"].memo == b'{"n":1}'


def test_a_timeout_of_the_task_itself_bounds_its_waiting():
    talk = Talk(run_of(task("a", timeout=20.0)))
    talk.begin()
    assert talk.say(Deferred("a", 1, 30.0)) == [WaitUntil("a", 1, 30.0)]
    assert talk.say(Due("a", 1), 30)[0] == Fail("a", 1, Reason.TIMEOUT, "still waiting after 20 s")


def test_max_parallel_bounds_the_attempts_under_way():
    talk = Talk(run_of(*[task(f"t{n}") for n in range(5)], max_parallel=2))
    talk.begin()
    assert len(talk.started) == 2
    talk.succeed("t0")
    assert len(talk.started) == 3


def test_higher_priority_starts_first_and_equal_priority_in_the_order_written():
    talk = Talk(run_of(task("a"), task("b", priority=5), task("c"), task("d", priority=5)))
    talk.begin()
    assert [key for key, _ in talk.started] == ["b", "d", "a", "c"]


def test_fields_are_resolved_from_upstream_outputs_and_keep_their_type():
    fields = {"rows": "${{ tasks.a.output.rows }}", "text": "n=${{ tasks.a.output.rows }} ${{ params.day }}"}
    talk = Talk(run_of(task("a"), task("b", "a", fields=fields), scope={"params": {"day": "mon"}}))
    talk.begin()
    talk.succeed("a", b'{"rows": 7}')
    assert talk.starts["b"].fields == {"rows": 7, "text": "n=7 mon"}


def test_an_expression_that_cannot_be_evaluated_fails_the_task_before_it_starts():
    talk = Talk(run_of(task("a"), task("b", "a", fields={"x": "${{ tasks.a.output.gone }}"}), task("c", "b")))
    talk.begin()
    orders = talk.succeed("a", b"{}")
    assert isinstance(orders[1], Fail)
    assert (orders[1].attempt, orders[1].reason) == (0, Reason.EXPRESSION)
    assert "gone" in orders[1].message
    assert orders[2] == Skip("c", Reason.UPSTREAM_FAILED, "task b did not complete")
    assert orders[-1].state is State.FAILED


def test_a_first_task_whose_expression_fails_ends_the_run_at_once():
    talk = Talk(run_of(task("a", fields={"x": "${{ 1 / 0 }}"}), task("b", "a")))
    orders = talk.begin()
    assert [type(order) for order in orders] == [Begin, Fail, Skip, Finish]


class Counted(dict[str, bytes]):
    """Outputs that count how often one is read."""

    reads = 0

    def get(self, key, default=b"null"):
        self.reads += 1
        return super().get(key, default)


def test_fields_are_filled_in_one_by_one_as_their_tasks_start():
    outputs = Counted()
    followers = [task(f"b{n}", "a", fields={"x": "${{ tasks.a.output }}"}) for n in range(50)]
    run = Run("r", make_plan(Workflow(tasks=(task("a"), *followers))), outputs=outputs)
    for fact in (Submitted(), Granted("a"), Succeeded("a", 1, b"[1]")):
        run.handle(fact, 10.0)
    # Otherwise an output is in memory as often as tasks wait for a worker.
    assert outputs.reads == 0
    [start] = run.handle(Granted("b7"), 10.0)
    assert start.fields == {"x": [1]}
    assert outputs.reads == 2  # the field and the input


def test_conditions_that_look_at_the_same_output_read_it_once():
    outputs = Counted()
    followers = [task(f"b{n}", "a", when="tasks.a.output.size() > 0") for n in range(50)]
    run = Run("r", make_plan(Workflow(tasks=(task("a"), *followers))), outputs=outputs)
    for fact in (Submitted(), Granted("a"), Succeeded("a", 1, b"[1]")):
        run.handle(fact, 10.0)
    assert outputs.reads == 1


class Damaged(dict[str, bytes]):
    """Outputs whose files are gone."""

    def get(self, key, default=b"null"):
        raise StoreCorruptError(f"/values/{key}", "a large output cannot be read")


@pytest.mark.parametrize(
    "settings", [{}, {"fields": {"x": "${{ tasks.a.output }}"}}, {"when": "tasks.a.output == 1"}], ids=str
)
def test_a_task_whose_input_is_lost_fails_and_says_which_file_is_gone(settings):
    tasks = (task("a"), task("b", "a", **settings), task("c", "b"), task("d"))
    talk = Talk(Run("r", make_plan(Workflow(tasks=tasks)), outputs=Damaged()))
    talk.begin()
    fail, skip = talk.succeed("a", b"1")[1:3]
    assert fail == Fail("b", 0, Reason.INPUT_LOST, fail.message)
    assert "/values/a: a large output cannot be read" in fail.message
    assert skip.task == "c"
    assert talk.succeed("d")[-1].state is State.FAILED


def test_a_false_condition_skips_and_an_error_in_one_fails():
    talk = Talk(
        run_of(
            task("a"),
            task("b", "a", when="tasks.a.output > 5"),
            task("c", "a", when="tasks.a.output.oops > 5"),
            task("d", "b"),
        )
    )
    talk.begin()
    orders = talk.succeed("a", b"3")
    assert Skip("b", Reason.CONDITION_FALSE, "when: tasks.a.output > 5 is false") in orders
    assert Skip("d", Reason.UPSTREAM_SKIPPED, "task b was skipped") in orders
    assert [order.task for order in orders if isinstance(order, Fail)] == ["c"]


def test_a_run_whose_tasks_were_only_skipped_completes():
    talk = Talk(run_of(task("a", when="false"), task("b", "a")))
    assert talk.begin()[-1] == Finish(State.COMPLETED)


def test_a_lost_attempt_is_tried_again_without_costing_a_retry_but_not_for_ever():
    talk = Talk(run_of(task("a")))
    talk.begin()
    for attempt in (1, 2, 3):
        assert isinstance(talk.say(Lost("a", attempt))[0], RetryAt)
        talk.say(Due("a", attempt))
    assert talk.say(Lost("a", 4))[0].reason is Reason.LOST_TOO_OFTEN


def test_an_attempt_cut_off_by_a_stop_is_no_attempt_at_all():
    talk = Talk(run_of(task("a")))
    talk.begin()
    for attempt in range(1, 10):
        assert isinstance(talk.say(Lost("a", attempt, Reason.DAEMON_STOPPED))[0], RetryAt)
        talk.say(Due("a", attempt))


def test_only_the_reasons_and_exit_codes_a_task_names_are_retried():
    policy = retry(5, on=(Reason.TIMEOUT,), exit_codes=(75,))
    talk = Talk(run_of(task("a", retry=policy), task("b", retry=policy), task("c", retry=policy)))
    talk.begin()
    assert isinstance(talk.say(TimedOut("a", 1))[0], RetryAt)
    assert isinstance(talk.say(Failed("b", 1, Reason.EXIT_CODE, exit_code=75))[0], RetryAt)
    assert isinstance(talk.say(Failed("c", 1, Reason.EXIT_CODE, exit_code=1))[0], Fail)


def test_a_grant_for_a_task_that_is_not_ready_starts_nothing():
    run = run_of(task("a"), task("b", "a"))
    run.handle(Submitted(), 1)
    assert run.handle(Granted("b"), 1) == []


def test_what_completed_in_an_earlier_run_is_not_started_again():
    plan = make_plan(Workflow(tasks=(task("a"), task("b", "a"), task("c", "b"))))
    run = Run("r", plan, outputs={"a": b"1"})
    run.reuse(["a"])
    talk = Talk(run)
    talk.begin()
    assert talk.started == [("b", 1)]
    assert talk.starts["b"].inputs == {"a": b"1"}


def test_a_restored_run_goes_on_where_it_stood():
    plan = make_plan(Workflow(tasks=(task("a"), task("b", "a"), task("c", "a"), task("d", "b", "c"))))
    snapshots = {
        "a": Snapshot(state=State.COMPLETED, attempt=1),
        "b": Snapshot(state=State.RUNNING, attempt=2),
        "c": Snapshot(state=State.PENDING),
        "d": Snapshot(state=State.PENDING),
    }
    run = Run.restore("r", plan, snapshots, state=State.RUNNING, deadline=None, outputs={"a": b"1"})
    talk = Talk(run)
    assert run.resume() == []
    assert list(run.running()) == [("b", 2)]
    assert talk.say(Lost("b", 2)) == [RetryAt("b", 2, 10.0, Reason.DAEMON_LOST, "the attempt was cut off")]
    assert talk.started == [("c", 1)]
    talk.say(Due("b", 2))
    talk.succeed("b")
    assert talk.succeed("c") == [Complete("c", 1)]
    assert talk.succeed("d")[-1] == Finish(State.COMPLETED)


def test_a_restored_run_that_was_winding_down_starts_nothing():
    plan = make_plan(Workflow(tasks=(task("a"), task("b", "a"))))
    snapshots = {
        "a": Snapshot(state=State.RUNNING, attempt=1),
        "b": Snapshot(state=State.CANCELLED, reason=Reason.USER),
    }
    ending = (State.CANCELLED, Reason.USER, "enough")
    run = Run.restore("r", plan, snapshots, state=State.RUNNING, deadline=None, ending=ending)
    assert run.resume() == []
    assert run.handle(Lost("a", 1), 5) == [
        Cancel("a", 1, Reason.USER, "enough"),
        Finish(State.CANCELLED, Reason.USER, "enough"),
    ]


def test_a_failure_beyond_repair_is_not_retried():
    talk = Talk(run_of(task("a", retry=retry(5))))
    talk.begin()
    assert isinstance(talk.say(Broke("a", 1, Reason.BAD_OUTPUT))[0], Fail)


def test_what_is_skipped_at_once_is_heard_once_by_the_tasks_behind_it():
    talk = Talk(
        run_of(task("a", when="false"), task("b", "a"), task("c"), task("d", "a", "b", "c", trigger_rule="all_done"))
    )
    talk.begin()
    assert talk.started == [("c", 1)]
    talk.succeed("c")
    assert talk.started == [("c", 1), ("d", 1)]


def test_a_first_task_that_fails_before_it_starts_stops_the_others_where_failing_fast_is_asked_for():
    talk = Talk(run_of(task("a", when="1 / 0 == 1"), task("b"), fail_fast=True))
    assert talk.begin()[-1].state is State.FAILED
    assert talk.started == []
