"""Workflows that call workflows, and tasks that wait for a person: nothing of it holds a worker."""

import threading

import msgspec
import pytest

from engine.calls import Found, Repeated
from engine.decisions import Decision
from engine.errors import (
    DecisionInvalidError,
    NotWaitingError,
    RunEndedError,
    RunNotBegunError,
    TaskUnknownError,
    WorkflowUnknownError,
)
from engine.facts import Call, CancelAsked
from engine.limits import Limits
from engine.model import (
    APPROVAL_TYPE,
    WORKFLOW_TYPE,
    Concurrency,
    Deadline,
    Foreach,
    Inner,
    Loop,
    Param,
    Pool,
    Retry,
    Task,
    Workflow,
)
from engine.plan import make_plan
from engine.quotas import Quota
from engine.states import Reason, State
from tests.clocks import ShiftedClock
from tests.hands.workshop import document, workshops
from tests.waiting import wait_for

FORM = {"type": "object", "properties": {"amount": {"type": "integer"}}, "required": ["amount"]}


class Shelf:
    """Workflows by name, made ready when they are asked for; obeys `engine.calls.Workflows`."""

    def __init__(self):
        self.workflows, self.asked = {}, []

    def find(self, reference, catalogue):
        self.asked.append(reference)
        if reference not in self.workflows:
            raise WorkflowUnknownError(reference, next(iter(self.workflows), None))
        workflow = self.workflows[reference]
        return Found(workflow, document(workflow), make_plan(workflow))

    def repeated(self, run, found, params):
        return Repeated()


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def make(tmp_path, shelf):
    with workshops(tmp_path) as make:
        yield lambda **choices: make(**{"workflows": shelf} | choices)


def calls(name, *after, workflow="child", inner=None, params=None, wait=True, **more):
    fields = {"params": params or {}, "wait": wait} | ({} if inner is not None else {"workflow": workflow})
    inner = None if inner is None else Inner(inner, document(inner))
    return Task(id=name, type=WORKFLOW_TYPE, depends_on=after, fields=fields, inner=inner, **more)


def asks(name, **more):
    given = {key: more.pop(key) for key in ("timeout",) if key in more}
    return Task(id=name, type=APPROVAL_TYPE, fields={"message": "go on?"} | more, **given)


def children(workshop, run):
    return [view for view in workshop.history.runs(limit=100) if view.trigger.get("run") == run]


def output_of(view, number=0):
    return msgspec.json.decode(view.tasks[number].output)


def waiting(workshop, run):
    """Return the one task of a run that waits for a person, when it does."""
    seen = wait_for(
        lambda: [wait for wait in workshop.executor.waits().result(20).persons if wait.run == run], "a wait"
    )
    return seen[0].task


def test_a_called_workflow_is_a_run_of_its_own_that_gives_back_its_outputs(make, shelf):
    workshop = make(workers=1).start()
    shelf.workflows["child"] = Workflow(name="child", tasks=(workshop.task("a"), workshop.task("b", ["a"])))
    run = workshop.submit(calls("call"), workshop.task("after", ["call"]), priority=3, use_cache=False)
    view = workshop.end_of(run)
    assert view.state is State.COMPLETED
    assert output_of(view) == {"b": {"attempt": 1, "inputs": ["a"]}}
    [child] = children(workshop, run)
    assert (child.workflow, child.state) == ("child", State.COMPLETED)
    assert child.trigger == {"type": "workflow", "run": run, "task": "call", "workflow": "unnamed", "origin": "cli"}
    assert [entry.task for entry in workshop.ledger()] == ["a", "b", "after"]
    assert [(task.id, task.attempts) for task in view.tasks] == [("call", 1), ("after", 1)]


def test_a_document_inside_a_task_needs_no_name_and_what_runs_knows_where_it_came_from(make):
    workshop = make(workflows=None).start()
    handed = []
    dispatch = workshop.pool.dispatch

    def hand_out(given):
        handed.extend(given)
        dispatch(given)

    workshop.pool.dispatch = hand_out
    inner = Workflow(tasks=(workshop.task("a"), calls("deeper", inner=Workflow(tasks=(workshop.task("b"),)))))
    outer = Workflow(name="outer", tasks=(calls("call", inner=inner),))
    run = workshop.submit(workflow=outer, trigger={"type": "api"})
    assert workshop.end_of(run).state is State.COMPLETED
    assert [child.workflow for child in children(workshop, run)] == ["outer.call"]
    assert {(each.task, each.origin) for each in handed} == {("a", "api"), ("b", "api")}


def test_parameters_are_judged_and_filled_in_by_the_called_workflow(make, shelf):
    workshop = make().start()
    declared = {"day": Param(schema={"type": "string"}), "n": Param(schema={"type": "integer"}, default=2)}
    shelf.workflows["child"] = Workflow(name="child", params=declared, tasks=(workshop.task("a"),))
    run = workshop.submit(calls("good", params={"day": "x"}), calls("bad", params={"day": 1}))
    good, bad = workshop.end_of(run).tasks
    assert good.state is State.COMPLETED
    assert children(workshop, run)[0].params == {"day": "x", "n": 2}
    assert (bad.state, bad.reason) == (State.FAILED, Reason.INVALID)
    assert "day" in bad.message


def test_a_call_of_nobody_fails_and_names_the_nearest(make, shelf):
    workshop = make().start()
    shelf.workflows["child"] = Workflow(tasks=(workshop.task("a"),))
    [call] = workshop.end_of(workshop.submit(calls("call", workflow="chidl", retry=Retry(max_retries=2)))).tasks
    assert (call.state, call.reason, call.attempts) == (State.FAILED, Reason.INVALID, 1)
    assert "did you mean 'child'" in call.message


def test_a_workflow_that_calls_itself_ends_at_the_limit(make, shelf):
    workshop = make().start()
    shelf.workflows["child"] = Workflow(name="child", tasks=(calls("again"),))
    view = workshop.end_of(workshop.submit(calls("call")))
    assert (view.state, view.tasks[0].reason) == (State.FAILED, Reason.CHILD_FAILED)
    runs = workshop.history.runs(limit=100)
    assert len(runs) == workshop.limits.workflow_depth
    assert "workflow_depth" in workshop.history.run(max(runs, key=lambda run: run.id).id).tasks[0].message


def test_a_called_run_that_fails_is_retried_as_a_new_run(make, shelf):
    workshop = make().start()
    shelf.workflows["child"] = Workflow(tasks=(workshop.task("a", script=["fail"]),))
    run = workshop.submit(calls("call", retry=Retry(max_retries=1, delay=0.01)))
    view = workshop.end_of(run)
    assert (view.tasks[0].reason, view.tasks[0].attempts) == (Reason.CHILD_FAILED, 2)
    assert {child.state for child in children(workshop, run)} == {State.FAILED}
    assert len(children(workshop, run)) == 2


def test_a_cancelled_run_ends_after_the_runs_it_called(make, shelf, tmp_path):
    workshop = make().start()
    shelf.workflows["child"] = Workflow(tasks=(workshop.task("a", until=str(tmp_path / "never")),))
    run = workshop.submit(calls("call"))
    workshop.wait_for_begins(1)
    workshop.executor.cancel(run, message="enough").result(20)
    assert workshop.end_of(run).tasks[0].state is State.CANCELLED
    [child] = children(workshop, run)
    assert (child.state, child.reason) == (State.CANCELLED, Reason.USER)
    assert run in child.message


def test_a_call_that_takes_too_long_takes_its_run_with_it(make, shelf, tmp_path):
    clock = ShiftedClock()
    workshop = make(clock=clock).start()
    shelf.workflows["child"] = Workflow(tasks=(workshop.task("a", until=str(tmp_path / "never")),))
    run = workshop.submit(calls("call", timeout=1000.0))
    workshop.wait_for_begins(1)
    clock.advance(1000)
    workshop.turn()
    assert workshop.end_of(run).tasks[0].reason == Reason.TIMEOUT
    assert [child.state for child in children(workshop, run)] == [State.CANCELLED]


def test_a_call_that_does_not_wait_has_done_its_part_when_the_run_is_there(make, shelf, tmp_path):
    workshop = make().start()
    shelf.workflows["child"] = Workflow(tasks=(workshop.task("a", until=str(tmp_path / "gate")),))
    run = workshop.submit(calls("call", wait=False))
    view = workshop.end_of(run)
    [child] = children(workshop, run)
    assert (view.state, output_of(view)) == (State.COMPLETED, {"run": child.id})
    (tmp_path / "gate").touch()
    assert workshop.end_of(child.id).state is State.COMPLETED


def test_instances_call_one_run_each(make, shelf):
    workshop = make(workers=4).start()
    shelf.workflows["child"] = Workflow(tasks=(workshop.task("a"),))
    run = workshop.submit(calls("call", foreach=Foreach(items=list(range(20)))))
    view = workshop.end_of(run)
    assert (view.state, len(children(workshop, run))) == (State.COMPLETED, 20)


def test_calls_and_questions_begin_while_every_worker_is_busy(make, shelf, tmp_path):
    workshop = make(workers=1).start()
    busy = workshop.submit(
        *(workshop.task(f"busy{n}", until=str(tmp_path / "gate"), isolation="process") for n in "ab")
    )
    workshop.wait_for_begins(1)
    run = workshop.submit(asks("ask"))
    assert waiting(workshop, run) == "ask"
    (tmp_path / "gate").touch()
    workshop.executor.decide(run, "ask", Decision(is_approved=True)).result(20)
    assert {workshop.end_of(each).state for each in (busy, run)} == {State.COMPLETED}


def test_after_a_restart_a_call_leads_to_the_run_it_led_to_before(make, shelf, tmp_path):
    life = make().start()
    shelf.workflows["child"] = Workflow(name="child", tasks=(life.task("a", until=str(tmp_path / "gate")),))
    run = life.submit(calls("call"))
    life.wait_for_begins(1)
    life.stop()
    later = make().recover().start()
    later.turn()
    (tmp_path / "gate").touch()
    assert later.end_of(run).state is State.COMPLETED
    assert len(children(later, run)) == 1
    assert shelf.asked == ["child"]


def test_a_run_that_ended_before_its_caller_heard_of_it_is_not_run_again(make, shelf):
    life = make().start()
    shelf.workflows["child"] = Workflow(name="child", tasks=(life.task("a"),))
    # As in a process that dies between the two.
    life.executor._calls.end = lambda *_: None
    run = life.submit(calls("call"))
    wait_for(lambda: [child for child in children(life, run) if child.ended_at], "the end of the called run")
    life.stop()
    later = make().recover().start()
    view = later.end_of(run)
    assert (view.state, output_of(view)) == (State.COMPLETED, {"a": {"attempt": 1, "inputs": []}})
    assert len(later.ledger()) == 1


def test_a_person_approves_with_a_form_and_the_run_goes_on(make):
    workshop = make().start()
    run = workshop.submit(asks("ask", form=FORM))
    assert waiting(workshop, run) == "ask"
    decide = workshop.executor.decide
    bad = decide(run, "ask", Decision(is_approved=True, data={"amount": "x"}))
    assert isinstance(bad.exception(20), DecisionInvalidError)
    decide(run, "ask", Decision(is_approved=True, actor="eve", note="ok", data={"amount": 3})).result(20)
    view = workshop.end_of(run)
    assert output_of(view) == {"approved": True, "actor": "eve", "note": "ok", "data": {"amount": 3}}
    late = decide(run, "ask", Decision(is_approved=False))
    assert isinstance(late.exception(20), RunEndedError)


def test_what_does_not_wait_for_a_person_cannot_be_decided(make, tmp_path):
    workshop = make().start()
    run = workshop.submit(workshop.task("a", until=str(tmp_path / "gate")), asks("ask"))
    waiting(workshop, run)
    for task, error in (("a", NotWaitingError), ("aks", TaskUnknownError)):
        assert isinstance(workshop.executor.decide(run, task, Decision(is_approved=True)).exception(20), error)
    workshop.executor.decide(run, "ask", Decision(is_approved=False, note="no")).result(20)
    (tmp_path / "gate").touch()
    assert workshop.end_of(run).tasks[1].reason == Reason.REJECTED


def test_a_paused_run_starts_nothing_and_is_in_nobodys_way(make, tmp_path):
    workshop = make(workers=1).start()
    run = workshop.submit(workshop.task("a", until=str(tmp_path / "gate")), workshop.task("b"), workshop.task("c"))
    workshop.wait_for_begins(1)
    workshop.executor.pause_run(run, message="wait", actor="eve").result(20)
    workshop.turn()
    view = workshop.history.run(run)
    assert (view.state, view.reason) == (State.WAITING, Reason.PAUSED)
    (tmp_path / "gate").touch()
    other = workshop.submit(workshop.task("other"))
    assert workshop.end_of(other).state is State.COMPLETED
    assert [entry.task for entry in workshop.ledger()] == ["a", "other"]
    workshop.executor.resume_run(run).result(20)
    assert workshop.end_of(run).state is State.COMPLETED


def test_only_a_live_run_that_has_begun_can_be_paused(make, tmp_path):
    workshop = make().start()
    late = workshop.submit(workshop.task("a"), run_at=workshop.clock.wall() + 1000)
    assert isinstance(workshop.executor.pause_run(late).exception(20), RunNotBegunError)
    assert isinstance(workshop.executor.resume_run("nobody").exception(20), RunEndedError)


def test_a_deadline_ends_a_task_in_its_time(make, tmp_path):
    clock = ShiftedClock()
    life = make(clock=clock, workers=1).start()
    deadline = Deadline(within=1000.0, on_miss="fail")
    tasks = (life.task("late", until=str(tmp_path / "never"), deadline=deadline), life.task("b"))
    run = life.submit(*tasks)
    life.wait_for_begins(1)
    clock.advance(1000)
    life.turn()
    late, other = life.end_of(run).tasks
    assert (late.state, late.reason) == (State.FAILED, Reason.DEADLINE)
    assert other.state is State.COMPLETED


def test_an_iteration_that_waits_is_woken_in_its_time(make):
    workshop = make().start()
    loop = Loop(max_iterations=3, until="iteration == 2", delay=0.05)
    view = workshop.end_of(workshop.submit(workshop.task("a", loop=loop)))
    assert (view.state, len(workshop.ledger())) == (State.COMPLETED, 2)


def test_a_call_order_of_a_run_that_has_gone_is_of_no_account(make):
    workshop = make().start()
    workshop.executor._inquiries.tell(lambda _now: workshop.executor._calls.make("gone", Call("a", 1, "child", {})))
    assert workshop.end_of(workshop.submit(workshop.task("a"))).state is State.COMPLETED


def test_a_called_run_and_its_caller_share_a_pool_without_blocking_each_other(make, shelf):
    workshop = make(pools={"db": Quota(size=1)}).start()
    shelf.workflows["child"] = Workflow(tasks=(workshop.task("a", pool=Pool(name="db")),))
    view = workshop.end_of(workshop.submit(calls("call"), workshop.task("b", pool=Pool(name="db"))))
    assert view.state is State.COMPLETED


def test_a_run_that_is_cancelled_in_the_turn_in_which_it_calls_takes_what_it_called_with_it(make):
    workshop = make().start()
    executor, asked = workshop.executor, []
    make_call = executor._calls.make

    def make_and_cancel(key, call):
        asked.append(key)
        make_call(key, call)
        executor._tell(key, CancelAsked(Reason.USER, "enough"), workshop.clock.wall())

    executor._calls.make = make_and_cancel
    run = workshop.submit(calls("call", inner=Workflow(tasks=(workshop.task("a"),))))
    [call] = workshop.end_of(run).tasks
    assert (call.state, asked) == (State.CANCELLED, [run])
    assert {child.state for child in children(workshop, run)} <= {State.CANCELLED}


def test_a_call_that_is_not_wanted_any_more_while_its_workflow_is_looked_for_leads_to_no_run(make, shelf, tmp_path):
    workshop = make().start()
    looking, found = threading.Event(), threading.Event()
    shelf.workflows["child"] = Workflow(tasks=(workshop.task("a"),))
    find = shelf.find

    def look(reference, catalogue):
        looking.set()
        assert found.wait(30)
        return find(reference, catalogue)

    shelf.find = look
    run = workshop.submit(calls("call"))
    assert looking.wait(30)
    workshop.executor.cancel(run).result(20)
    found.set()
    assert workshop.end_of(run).tasks[0].state is State.CANCELLED
    assert children(workshop, run) == []


def test_a_call_that_was_to_be_ended_when_its_daemon_died_is_not_made_in_the_next_life(make, shelf):
    life = make().start()
    shelf.workflows["child"] = Workflow(tasks=(life.task("a"),))
    # As in a process that dies before it has asked for the run, and before it has carried out the kill.
    life.executor._calls.make = life.executor._calls.cancel = lambda *_: None
    run = life.submit(calls("call"))
    wait_for(lambda: life.history.run(run).tasks[0].state is State.RUNNING, "the call")
    life.executor.cancel(run, message="enough").result(20)
    life.turn()
    life.stop()
    later = make().recover().start()
    assert later.end_of(run).tasks[0].state is State.CANCELLED
    assert children(later, run) == []


def test_a_call_that_cannot_be_made_again_ends_its_run(make, shelf):
    life = make(limits=Limits(inline_bytes=1)).start()
    shelf.workflows["child"] = Workflow(params={"n": Param(schema={})}, tasks=(life.task("a"),))
    life.executor._calls.make = lambda *_: None
    call = calls("call", "a", params={"n": "${{ tasks.a.output }}"})
    run = life.submit(life.task("a"), call)
    wait_for(lambda: life.history.run(run).tasks[1].state is State.RUNNING, "the call")
    life.stop()
    life.values.delete(*life.history.references())
    later = make(limits=Limits(inline_bytes=1)).recover().start()
    view = later.end_of(run)
    assert (view.state, view.reason) == (State.CANCELLED, Reason.INPUT_LOST)
    assert view.tasks[1].state is State.CANCELLED


def test_a_document_inside_a_task_is_tried_again_where_no_workflow_is_known_by_name(make):
    workshop = make(workflows=None).start()
    inner = Workflow(tasks=(workshop.task("a", script=["fail"]),))
    [call] = workshop.end_of(workshop.submit(calls("call", inner=inner, retry=Retry(max_retries=1)))).tasks
    assert (call.reason, call.attempts) == (Reason.CHILD_FAILED, 2)


def test_after_a_restart_a_called_run_that_is_tried_again_repeats_the_one_before(make, shelf):
    asked = []

    def repeated(run, found, params):
        asked.append((run, params))
        return Repeated({"a": b'"kept"'})

    shelf.repeated = repeated
    clock = ShiftedClock()
    life = make(clock=clock).start()
    tasks = (life.task("a"), life.task("b", ["a"], script=["fail"]))
    shelf.workflows["child"] = Workflow(params={"n": Param(schema={}, default=1)}, tasks=tasks)
    run = life.submit(calls("call", retry=Retry(max_retries=1, delay=1000)))
    wait_for(lambda: life.history.run(run).tasks[0].state is State.RETRYING, "the wait for another attempt")
    [first] = children(life, run)
    life.stop()
    clock.advance(1000)
    later = make(clock=clock).recover().start()
    assert later.end_of(run).tasks[0].attempts == 2
    assert asked == [(first.id, {"n": 1})]
    assert [entry.task for entry in later.ledger()] == ["a", "b", "b"]


def test_a_workflow_that_cannot_be_looked_for_fails_its_task_and_nobody_else(make, shelf):
    workshop = make().start()

    def find(reference, catalogue):
        raise ValueError(reference)

    shelf.find = find
    [call] = workshop.end_of(workshop.submit(calls("call", workflow="odd"))).tasks
    assert (call.state, call.reason, call.message) == (State.FAILED, Reason.INVALID, "ValueError: odd")
    assert workshop.end_of(workshop.submit(workshop.task("a"))).state is State.COMPLETED


def test_a_run_that_calls_its_own_workflow_does_not_wait_for_the_place_it_has_itself(make, shelf):
    workshop = make().start()
    one = Concurrency(key="k", limit=1)
    shelf.workflows["child"] = Workflow(name="same", concurrency=one, tasks=(workshop.task("a"),))
    outer = Workflow(name="same", concurrency=one, tasks=(calls("call"), workshop.task("b", ["call"])))
    runs = [workshop.submit(workflow=outer) for _ in range(2)]
    assert [workshop.end_of(run).state for run in runs] == [State.COMPLETED] * 2
    assert [entry.task for entry in workshop.ledger()] == ["a", "b", "a", "b"]


def test_a_run_that_does_not_wait_for_the_one_it_calls_does_not_give_it_its_place(make, shelf):
    workshop = make().start()
    one = Concurrency(key="k", limit=1)
    shelf.workflows["child"] = Workflow(name="same", concurrency=one, tasks=(workshop.task("a"),))
    tasks = (calls("call", wait=False), workshop.task("b", ["call"], seconds=0.2))
    run = workshop.submit(workflow=Workflow(name="same", concurrency=one, tasks=tasks))
    workshop.end_of(run)
    [child] = children(workshop, run)
    workshop.end_of(child.id)
    assert [entry.task for entry in workshop.ledger()] == ["b", "a"]
