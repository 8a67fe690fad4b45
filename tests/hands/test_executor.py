"""The executor with a real store and real worker processes: what it promises about many runs at once."""

import sqlite3
import threading
from concurrent.futures import Future

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ExecutorStoppedError, RunEndedError, StoreLostError
from engine.facts import Begin, Complete, Start, Usage
from engine.model import Foreach, Retry, Workflow
from engine.run.spreads import Spreads
from engine.states import ENDED, Reason, State
from engine.submission import Submission
from tests.clocks import HandClock
from tests.engine.test_run_oracle import Oracle, workflows
from tests.hands.workshop import document, workshops
from tests.waiting import wait_for
from tests.whole.ledgers import check_alone, read

# What an attempt does, and what the oracle calls it.
STEPS = {
    "ok": ["ok"],
    "later": ["later", "ok"],
    "fail": ["fail"],
    "raise": ["fail"],
    "die": ["break"],
    "hang": ["timeout"],
}
WORDS = [*["ok"] * 8, "later", "later", "fail", "fail", "raise", "die", "hang"]
HANG_SECONDS = 0.25


@pytest.fixture
def make(tmp_path):
    with workshops(tmp_path) as make:
        yield make


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with workshops(tmp_path_factory.mktemp("shared")) as make:
        yield make().start()


@st.composite
def scripted(draw):
    """Draw a workflow, and for each task what its attempts do."""
    workflow = draw(workflows())
    scripts = {
        task.id: [*draw(st.lists(st.sampled_from(WORDS), min_size=3, max_size=3)), "ok"] for task in workflow.tasks
    }
    return workflow, scripts


def staffed(workshop, workflow, scripts):
    """Give the tasks of a workflow their scripts."""
    tasks = [
        msgspec.structs.replace(
            task,
            type="ledger",
            fields={"ledger": str(workshop.ledger_path), "script": scripts[task.id]},
            timeout=HANG_SECONDS if "hang" in scripts[task.id] else None,
            retry=Retry(max_retries=task.retry.max_retries, delay=0.01),
        )
        for task in workflow.tasks
    ]
    return msgspec.structs.replace(workflow, tasks=tuple(tasks))


def states(view):
    return {task.id: task.state for task in view.tasks}


@settings(max_examples=40)
@given(scripted())
@pytest.mark.timeout(180)  # it starts a worker process for each attempt that dies
def test_random_workflows_end_as_a_plain_reading_of_the_rules_says(shared, drawn):
    workflow, scripts = drawn
    view = shared.end_of(shared.submit(workflow=staffed(shared, workflow, scripts)))
    oracle = Oracle(workflow, {key: [step for word in words for step in STEPS[word]] for key, words in scripts.items()})
    assert states(view) == oracle.states()
    entries = [entry for entry in read(shared.ledger_path) if entry.run == view.id]
    check_alone(entries)
    begun = {task.id: 0 for task in workflow.tasks} | {entry.task: entry.attempt for entry in entries}
    assert begun == {task.id: task.attempts for task in view.tasks}


@settings(max_examples=15)
@given(drawn=scripted(), moment=st.integers(0, 8))
@pytest.mark.timeout(180)  # likewise
def test_a_cancel_at_any_moment_ends_the_run_and_all_that_runs(shared, drawn, moment):
    workflow, scripts = drawn
    run = shared.submit(workflow=staffed(shared, workflow, scripts))

    def is_time():
        entries = [entry for entry in read(shared.ledger_path) if entry.run == run]
        return len(entries) >= moment or shared.history.run(run).ended_at

    wait_for(is_time, "the moment to cancel")
    answer = shared.executor.cancel(run, reason=Reason.USER, message="enough")
    was_live = answer.exception(20) is None
    view = shared.end_of(run)
    assert all(task.state in ENDED for task in view.tasks)
    assert view.state in ENDED
    if view.state is State.CANCELLED:
        assert (was_live, view.reason, view.message) == (True, Reason.USER, "enough")
    begun = len([entry for entry in read(shared.ledger_path) if entry.run == run])
    shared.turn()
    assert len([entry for entry in read(shared.ledger_path) if entry.run == run]) == begun


def test_many_runs_at_once_all_end_and_none_begins_a_task_twice(shared):
    before = len(shared.ledger())
    tasks = [shared.task(f"t{n}", [f"t{n - 1}"] if n else []) for n in range(3)]
    receipts = [shared.ask(*tasks) for _ in range(100)]
    runs = [receipt.result(20).run for receipt in receipts]
    assert len(set(runs)) == 100
    assert {shared.end_of(run).state for run in runs} == {State.COMPLETED}
    assert len(shared.ledger()) - before == 300


def test_no_more_tasks_of_a_run_than_max_parallel_run_at_a_time(make):
    workshop = make(workers=4).start()
    tasks = [workshop.task(f"t{n}", seconds=0.02) for n in range(10)]
    view = workshop.end_of(workshop.submit(workflow=Workflow(tasks=tuple(tasks), max_parallel=2)))
    assert view.state is State.COMPLETED
    under_way, most = 0, 0
    for entry in read(workshop.ledger_path):
        under_way += 1 if entry.phase == "begin" else -1
        most = max(most, under_way)
    assert most == 2


def test_tasks_start_by_priority_then_as_written_and_runs_by_priority(make):
    workshop = make(workers=1)
    workshop.pool.start()
    low = workshop.ask(workshop.task("low-a"), workshop.task("low-b", priority=1), priority=-5)
    high = workshop.ask(*(workshop.task(f"high-{n}", priority=n, isolation="worker") for n in (0, 2, 1)), priority=5)
    workshop.executor.start()
    for receipt in (low, high):
        workshop.end_of(receipt.result(20).run)
    assert [entry.task for entry in workshop.ledger()] == ["high-2", "high-1", "high-0", "low-b", "low-a"]


def test_what_starts_together_is_handed_to_the_pool_by_priority(make):
    workshop = make(workers=3).start()
    handed_out, entered, moment = [], threading.Event(), threading.Event()
    dispatch = workshop.pool.dispatch

    def hand_out(given):
        handed_out.extend(each.task for each in given)
        dispatch(given)

    def hold_up(*_):
        entered.set()
        moment.wait(20)

    workshop.pool.dispatch = hand_out
    # While the executor is held up, all three arrive, so that it finds them together.
    workshop.executor.listen(hold_up)
    first = workshop.ask(workshop.task("first"))
    assert entered.wait(20)
    asked = [workshop.ask(workshop.task(name), priority=n) for n, name in enumerate(["low", "middle", "high"])]
    moment.set()
    for receipt in [first, *asked]:
        workshop.end_of(receipt.result(20).run)
    assert handed_out[1:] == ["high", "middle", "low"]


def test_a_run_whose_urgent_task_has_started_does_not_pass_others_with_the_rest(make):
    workshop = make(workers=1)
    workshop.pool.start()
    mixed = workshop.ask(workshop.task("urgent", priority=5), workshop.task("whenever", priority=0))
    plain = workshop.ask(workshop.task("soon", priority=3))
    workshop.executor.start()
    for receipt in (mixed, plain):
        workshop.end_of(receipt.result(20).run)
    assert [entry.task for entry in workshop.ledger()] == ["urgent", "soon", "whenever"]


def test_what_is_held_starts_nothing_and_goes_on_when_released(make, tmp_path):
    workshop = make().start()
    gate = tmp_path / "gate"
    run = workshop.submit(workshop.task("first", until=str(gate)), workshop.task("second", ["first"]))
    workshop.wait_for_begins(1)
    workshop.executor.hold("a person said so")
    gate.touch()
    wait_for(lambda: workshop.ledger("end"), "the end of what runs")
    wait_for(lambda: states(workshop.history.run(run))["first"] is State.COMPLETED, "its record")
    late = workshop.submit(workshop.task("late"))
    workshop.turn()
    assert [entry.task for entry in workshop.ledger()] == ["first"]
    workshop.executor.release()
    assert {workshop.end_of(each).state for each in (run, late)} == {State.COMPLETED}


def test_the_same_idempotency_key_at_the_same_time_leads_to_one_run(make):
    workshop = make().start()
    receipts = [workshop.ask(workshop.task("only"), idempotency_key="k").result(20) for _ in range(3)]
    together = [workshop.ask(workshop.task("only"), idempotency_key="j") for _ in range(20)]
    receipts += [receipt.result(20) for receipt in together]
    assert len({receipt.run for receipt in receipts}) == 2
    assert [receipt.is_new for receipt in receipts].count(True) == 2
    for run in {receipt.run for receipt in receipts}:
        workshop.end_of(run)
    assert len(workshop.ledger()) == 2


def test_a_run_for_later_begins_when_the_wall_clock_says_so(make):
    clock = HandClock()
    workshop = make(clock=clock).start()
    run = workshop.submit(workshop.task("only"), run_at=clock.wall() + 100)
    clock.advance(99)
    workshop.turn()
    assert workshop.history.run(run).state is State.WAITING
    clock.advance(2)
    workshop.turn()
    assert workshop.end_of(run).state is State.COMPLETED


def test_a_run_for_later_follows_a_wall_clock_that_is_set(make):
    clock = HandClock()
    workshop = make(clock=clock).start()
    soon = workshop.submit(workshop.task("soon"), run_at=clock.wall() + 3600)
    clock.step(3600)
    clock.advance(31)
    workshop.turn()
    assert workshop.end_of(soon).state is State.COMPLETED
    late = workshop.submit(workshop.task("late"), run_at=clock.wall() + 60)
    clock.step(-3600)
    clock.advance(3600)
    workshop.turn()
    assert workshop.history.run(late).state is State.WAITING
    clock.advance(61)
    workshop.turn()
    assert workshop.end_of(late).state is State.COMPLETED


def test_a_run_that_waits_for_its_time_can_be_cancelled(make):
    workshop = make().start()
    run = workshop.submit(workshop.task("only"), run_at=workshop.clock.wall() + 3600)
    workshop.executor.cancel(run).result(20)
    assert workshop.end_of(run).state is State.CANCELLED
    assert workshop.executor.live == 0
    assert workshop.ledger() == []


def test_a_run_that_has_ended_cannot_be_cancelled(make):
    workshop = make().start()
    run = workshop.submit(workshop.task("only"))
    workshop.end_of(run)
    with pytest.raises(RunEndedError):
        workshop.executor.cancel(run).result(20)


def test_what_the_former_life_had_running_is_tried_again_and_what_it_had_completed_is_not(make):
    life = make()
    run = recorded_by_hand(life, life.task("done"), life.task("cut", ["done"]), life.task("next", ["cut"]))
    later = make().recover().start()
    view = later.end_of(run)
    assert view.state is State.COMPLETED
    assert {task.id: task.attempts for task in view.tasks} == {"done": 1, "cut": 2, "next": 1}
    assert [(entry.task, entry.attempt) for entry in later.ledger()] == [("cut", 2), ("next", 1)]
    first, second = later.history.attempts(run, "cut")
    assert (first.reason, second.state) == (Reason.DAEMON_LOST, State.COMPLETED)


def recorded_by_hand(life, *tasks):
    """Record what a life that ended at once had done: the task `done` completed, `cut` running."""
    now = life.clock.wall()
    workflow = Workflow(tasks=tasks)
    [receipt] = life.store.create([("r" * 26, Submission(workflow=workflow, document=document(workflow)), now)])
    orders = [[Begin()], [Start("done", 1, {}, {})], [Complete("done", 1, b'"x"', Usage())], [Start("cut", 1, {}, {})]]
    for some in orders:
        assert not life.store.write([(receipt.run, some)], now)
    return receipt.run


def test_what_is_cut_off_by_a_stop_is_no_lost_attempt_and_goes_on_in_the_next_life(make, tmp_path):
    life = make().start()
    run = life.submit(life.task("long", until=str(tmp_path / "gate")), life.task("next", ["long"]))
    life.wait_for_begins(1)
    life.stop()
    [cut] = make().history.attempts(run, "long")
    assert cut.reason == Reason.DAEMON_STOPPED
    (tmp_path / "gate").touch()
    later = make().recover().start()
    assert states(later.end_of(run)) == {"long": State.COMPLETED, "next": State.COMPLETED}
    assert [(entry.task, entry.attempt) for entry in later.ledger()] == [("long", 1), ("long", 2), ("next", 1)]


def test_a_stop_gives_what_runs_its_grace_and_starts_nothing_more(make, tmp_path):
    life = make().start()
    run = life.submit(life.task("long", until=str(tmp_path / "gate")), life.task("next", ["long"]))
    life.wait_for_begins(1)
    stopping = threading.Thread(target=life.stop, args=(30.0,))
    stopping.start()
    wait_for(lambda: isinstance(life.ask(life.task("x")).exception(20), ExecutorStoppedError), "the stop")
    (tmp_path / "gate").touch()
    stopping.join(20)
    assert states(make().history.run(run)) == {"long": State.COMPLETED, "next": State.PENDING}
    assert [entry.task for entry in life.ledger()] == ["long"]


def test_a_second_stop_takes_the_grace_away(make, tmp_path):
    life = make().start()
    run = life.submit(life.task("long", until=str(tmp_path / "gate")))
    life.wait_for_begins(1)
    stopping = threading.Thread(target=life.stop, args=(1000.0,))
    stopping.start()
    wait_for(lambda: isinstance(life.ask(life.task("x")).exception(20), ExecutorStoppedError), "the stop")
    life.executor.stop(0.0)
    stopping.join(20)
    assert not stopping.is_alive()
    [cut] = make().history.attempts(run, "long")
    assert cut.reason == Reason.DAEMON_STOPPED


@pytest.fixture
def jammed(make, tmp_path):
    """Yield a workshop at work whose database somebody else has locked."""
    workshop = make(busy_seconds=0.05).start()
    run = workshop.submit(workshop.task("long", until=str(tmp_path / "gate")))
    workshop.wait_for_begins(1)
    lock = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    yield workshop, run
    lock.close()


def test_a_submission_that_cannot_be_recorded_is_answered_and_ends_the_executor(jammed):
    workshop, _ = jammed
    answers = [workshop.ask(workshop.task("x")) for _ in range(3)]
    for answer in answers:
        assert isinstance(answer.exception(20), StoreLostError | ExecutorStoppedError)
    wait_for(lambda: workshop.deaths, "the end of the executor")
    assert isinstance(workshop.deaths[0], StoreLostError)


def test_a_success_that_cannot_be_recorded_ends_the_executor_which_refuses_everything_from_then_on(jammed, tmp_path):
    workshop, run = jammed
    (tmp_path / "gate").touch()
    wait_for(lambda: workshop.deaths, "the end of the executor")
    assert isinstance(workshop.executor.failure, StoreLostError)
    for refused in (workshop.ask(workshop.task("x")), workshop.executor.cancel(run), workshop.executor.catalogue()):
        assert isinstance(refused.exception(20), StoreLostError)
    assert workshop.pool.server_pids == []


def test_nothing_begins_before_its_start_is_durable(make, tmp_path):
    workshop = make(busy_seconds=0.3).start()
    workshop.executor.hold("until the database is locked")
    workshop.submit(workshop.task("only"))
    lock = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    workshop.executor.release()
    wait_for(lambda: workshop.deaths, "the end of the executor, which waited for the lock")
    lock.close()
    assert workshop.ledger() == []


def test_what_an_executor_could_not_record_is_tried_again_by_the_next_one(make, tmp_path):
    life = make(busy_seconds=0.05).start()
    run = life.submit(life.task("long", until=str(tmp_path / "gate")))
    life.wait_for_begins(1)
    lock = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    (tmp_path / "gate").touch()
    wait_for(lambda: life.deaths, "the end of the executor")
    lock.close()
    later = make().recover().start()
    assert later.end_of(run).state is State.COMPLETED
    assert [entry.attempt for entry in later.ledger()] == [1, 2]


class LateRegister(dict):
    """A register of open requests in which the executor ends just before a request gets in."""

    def __init__(self, executor):
        super().__init__()
        self.executor = executor

    def __setitem__(self, key, value):
        stop = threading.Thread(target=self.executor.stop)
        stop.start()
        stop.join(20)
        super().__setitem__(key, value)


def test_a_request_that_comes_while_the_executor_ends_is_refused_and_not_forgotten(make):
    workshop = make().start()
    workshop.executor._inquiries._unanswered = LateRegister(workshop.executor)
    answer: Future[None] = workshop.executor.catalogue()
    assert isinstance(answer.exception(5), ExecutorStoppedError)


def test_a_request_to_an_executor_that_is_stopped_before_it_started_is_refused(make):
    workshop = make()
    answer = workshop.ask(workshop.task("x"))
    workshop.stop()
    assert isinstance(answer.exception(5), ExecutorStoppedError)


def test_an_asker_that_gives_up_waiting_does_not_harm_the_executor(make):
    workshop = make()
    workshop.pool.start()
    answer = workshop.ask(workshop.task("x"))
    answer.cancel()
    workshop.executor.start()
    run = workshop.submit(workshop.task("y"))
    assert workshop.end_of(run).state is State.COMPLETED
    assert workshop.deaths == []


def test_tasks_that_fail_as_they_are_to_start_hold_up_nobody(make):
    workshop = make(workers=1).start()
    broken = [workshop.task(f"broken{n}", note="${{ 1 / 0 }}") for n in range(40)]
    view = workshop.end_of(workshop.submit(*broken, workshop.task("sound")))
    assert {task.state for task in view.tasks[:40]} == {State.FAILED}
    assert {task.reason for task in view.tasks[:40]} == {Reason.EXPRESSION}
    assert view.tasks[40].state is State.COMPLETED
    assert [entry.task for entry in workshop.ledger()] == ["sound"]


def test_what_starts_in_the_turn_that_ends_its_run_is_killed(make):
    workshop = make(workers=2).start()
    missing = workshop.task("b", day="${{ params.day }}")
    workflow = Workflow(tasks=(workshop.task("a", script=["hang"]), missing), fail_fast=True)
    view = workshop.end_of(workshop.submit(workflow=workflow))
    assert [(task.state, task.reason) for task in view.tasks] == [
        (State.CANCELLED, Reason.FAIL_FAST),
        (State.FAILED, Reason.EXPRESSION),
    ]


def test_a_fault_of_ours_in_one_run_ends_that_run_and_no_other(make, monkeypatch):
    workshop = make().start()
    monkeypatch.setattr(Spreads, "begin", lambda *_: 1 // 0)
    hangs, fans = workshop.task("hangs", script=["hang"]), workshop.task("fans", ["soon"], foreach=Foreach(items=[1]))
    broken = workshop.submit(hangs, workshop.task("soon", ["before"]), workshop.task("before", seconds=0.1), fans)
    view = workshop.end_of(broken)
    assert (view.state, view.reason) == (State.FAILED, "internal")
    assert "ZeroDivisionError" in view.message
    # What was decided in the turn of the fault is not recorded: the end of the task before it is among that.
    ended = {"hangs": State.CANCELLED, "soon": State.CANCELLED, "before": State.COMPLETED, "fans": State.CANCELLED}
    assert states(view) == ended
    assert states(workshop.end_of(workshop.submit(workshop.task("other")))) == {"other": State.COMPLETED}
