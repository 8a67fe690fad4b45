"""What starts when there is little of something: slots of pools, their rates, and places of a workflow."""

from collections import deque

import pytest

from engine.facts import Failed
from engine.model import Cache, Concurrency, Pool, Workflow
from engine.quotas import Quota
from engine.states import Reason, State
from tests.clocks import ShiftedClock
from tests.hands.workshop import workshops
from tests.waiting import wait_for
from tests.whole.ledgers import read


@pytest.fixture
def make(tmp_path):
    with workshops(tmp_path) as make:
        yield make


def most_at_once(workshop):
    under_way, most = 0, 0
    for entry in read(workshop.ledger_path):
        under_way += 1 if entry.phase == "begin" else -1
        most = max(most, under_way)
    return most


def pooled(workshop, name, *after, pool="db", weight=1, **more):
    return workshop.task(name, after, pool=Pool(name=pool, weight=weight), **more)


def waits(workshop):
    return workshop.executor.waits().result(20)


def test_tasks_of_all_runs_together_take_no_more_of_a_pool_than_there_is(make):
    workshop = make(workers=4, pools={"db": Quota(size=2)}).start()
    asked = [workshop.ask(*(pooled(workshop, f"t{n}", seconds=0.01) for n in range(4))) for _ in range(3)]
    assert {workshop.end_of(receipt.result(20).run).state for receipt in asked} == {State.COMPLETED}
    assert most_at_once(workshop) == 2


def test_a_full_pool_holds_up_neither_other_tasks_of_the_run_nor_other_runs(make, tmp_path):
    workshop = make(workers=4, pools={"db": Quota(size=1)}).start()
    gate = str(tmp_path / "gate")
    first = workshop.submit(pooled(workshop, "holds", until=gate))
    workshop.wait_for_begins(1)
    mixed = workshop.submit(pooled(workshop, "queues"), workshop.task("plain"))
    other = workshop.submit(workshop.task("free"))
    workshop.end_of(other)
    assert {entry.task for entry in workshop.wait_for_begins(3)} == {"holds", "plain", "free"}
    [waiting] = waits(workshop).tasks
    assert (waiting.pool, waiting.run, waiting.task, waiting.ahead) == ("db", mixed, "queues", 0)
    (tmp_path / "gate").touch()
    assert {workshop.end_of(run).state for run in (first, mixed)} == {State.COMPLETED}
    assert waits(workshop).tasks == ()


def test_who_waits_for_a_pool_goes_on_by_priority_and_then_in_turn(make, tmp_path):
    workshop = make(workers=2, pools={"db": Quota(size=1)}).start()
    holds = workshop.submit(pooled(workshop, "holds", until=str(tmp_path / "gate")))
    workshop.wait_for_begins(1)
    low = workshop.submit(*(pooled(workshop, f"low{n}") for n in range(2)))
    even = workshop.submit(*(pooled(workshop, f"even{n}") for n in range(2)))
    high = workshop.submit(pooled(workshop, "high"), priority=5)
    workshop.turn()
    assert [(wait.run, wait.ahead) for wait in waits(workshop).tasks] == [(high, 0), (low, 1), (even, 2)]
    (tmp_path / "gate").touch()
    for run in (holds, low, even, high):
        workshop.end_of(run)
    assert [entry.task for entry in workshop.ledger()] == ["holds", "high", "low0", "even0", "low1", "even1"]


def test_a_heavy_task_is_not_passed_by_until_its_turn_has_come(make, tmp_path):
    workshop = make(workers=4, pools={"db": Quota(size=2)}).start()
    holds = workshop.submit(pooled(workshop, "holds", until=str(tmp_path / "gate")))
    workshop.wait_for_begins(1)
    heavy = workshop.submit(pooled(workshop, "heavy", weight=2))
    light = workshop.submit(pooled(workshop, "light"))
    workshop.turn()
    assert len(workshop.ledger()) == 1
    (tmp_path / "gate").touch()
    for run in (holds, heavy, light):
        workshop.end_of(run)
    assert [entry.task for entry in workshop.ledger()] == ["holds", "heavy", "light"]


def test_an_attempt_that_waits_for_its_time_or_is_retried_holds_nothing(make):
    workshop = make(workers=2, pools={"db": Quota(size=1)}).start()
    tasks = [pooled(workshop, f"t{n}", script=["later", "ok"]) for n in range(3)]
    assert workshop.end_of(workshop.submit(*tasks)).state is State.COMPLETED
    assert waits(workshop).pools[0].held == 0


def test_a_rate_lets_more_start_only_when_its_time_has_passed(make):
    clock = ShiftedClock()
    workshop = make(workers=4, clock=clock, pools={"api": Quota(size=9, rate=2, per=1000)}).start()
    run = workshop.submit(*(pooled(workshop, f"t{n}", pool="api") for n in range(3)))
    wait_for(lambda: len(workshop.ledger("end")) == 2, "the end of those that the rate let start")
    workshop.turn()
    assert len(workshop.ledger()) == 2
    assert 0 < waits(workshop).pools[0].opens_in <= 1000
    clock.advance(1000)
    workshop.turn()
    assert workshop.end_of(run).state is State.COMPLETED


def test_a_task_of_a_pool_that_nobody_knows_fails_and_says_what_to_do(make):
    workshop = make(pools={"dbs": Quota()}).start()
    view = workshop.end_of(workshop.submit(pooled(workshop, "lost"), workshop.task("sound")))
    lost, sound = view.tasks
    assert (lost.state, lost.reason) == (State.FAILED, Reason.INVALID)
    assert '"db"' in lost.message
    assert "dbs" in lost.message
    assert sound.state is State.COMPLETED
    assert [entry.task for entry in workshop.ledger()] == ["sound"]


def test_a_pool_that_grows_lets_those_start_that_waited(make, tmp_path):
    workshop = make(workers=4, pools={"db": Quota(size=1)}).start()
    run = workshop.submit(*(pooled(workshop, f"t{n}", until=str(tmp_path / "gate")) for n in range(3)))
    workshop.wait_for_begins(1)
    workshop.executor.set_pools({"db": Quota(size=3)}).result(20)
    workshop.wait_for_begins(3)
    (tmp_path / "gate").touch()
    assert workshop.end_of(run).state is State.COMPLETED


def test_a_thousand_runs_that_wait_for_one_slot_all_get_it(make):
    workshop = make(workers=2, pools={"db": Quota(size=1)}).start()
    asked = [workshop.ask(pooled(workshop, "only"), workshop.task("plain", ["only"])) for _ in range(150)]
    assert {workshop.end_of(receipt.result(40).run).state for receipt in asked} == {State.COMPLETED}
    assert len(workshop.ledger()) == 300


def bounded(workshop, *tasks, policy="queue", key="", limit=1):
    concurrency = Concurrency(key=key, limit=limit, policy=policy)
    return Workflow(name="bounded", tasks=tasks, concurrency=concurrency)


def test_one_run_too_many_waits_and_says_for_whom(make, tmp_path):
    workshop = make().start()
    workflow = bounded(workshop, workshop.task("a", until=str(tmp_path / "gate")))
    runs = [workshop.submit(workflow=workflow, priority=priority) for priority in (0, 0, 3)]
    workshop.turn()
    views = [workshop.history.run(run) for run in runs]
    assert [view.state for view in views] == [State.RUNNING, State.WAITING, State.WAITING]
    assert views[1].reason == Reason.CONCURRENCY
    assert runs[0] in views[1].message
    assert [(wait.run, wait.ahead) for wait in waits(workshop).runs] == [(runs[2], 0), (runs[1], 1)]
    (tmp_path / "gate").touch()
    for run in runs:
        assert workshop.end_of(run).state is State.COMPLETED
    assert [entry.run for entry in workshop.ledger()] == [runs[0], runs[2], runs[1]]


def test_one_run_too_many_is_skipped_or_takes_the_place_of_the_oldest(make, tmp_path):
    workshop = make().start()
    gate = str(tmp_path / "gate")
    ends = {}
    for policy in ("skip", "replace"):
        workflow = bounded(workshop, workshop.task("a", until=gate), policy=policy, key=policy)
        ends[policy] = [workshop.submit(workflow=workflow), workshop.submit(workflow=workflow)]
    assert workshop.end_of(ends["skip"][1]).reason == Reason.OVERLAP
    assert workshop.end_of(ends["replace"][0]).reason == Reason.REPLACED
    (tmp_path / "gate").touch()
    assert workshop.end_of(ends["skip"][0]).state is State.COMPLETED
    assert workshop.end_of(ends["replace"][1]).state is State.COMPLETED


def test_a_key_is_rendered_for_each_run_and_one_that_cannot_be_ends_the_run(make, tmp_path):
    workshop = make().start()
    workflow = bounded(workshop, workshop.task("a", until=str(tmp_path / "gate")), key="${{ params.region }}")
    runs = [workshop.submit(workflow=workflow, params={"region": region}) for region in ("eu", "us")]
    workshop.wait_for_begins(2)
    lost = workshop.end_of(workshop.submit(workflow=workflow))
    assert (lost.state, lost.reason) == (State.CANCELLED, Reason.EXPRESSION)
    assert "concurrency" in lost.message
    (tmp_path / "gate").touch()
    assert {workshop.end_of(run).state for run in runs} == {State.COMPLETED}


def test_a_run_that_waits_for_a_place_can_be_cancelled_and_is_in_nobodys_way(make, tmp_path):
    workshop = make().start()
    workflow = bounded(workshop, workshop.task("a", until=str(tmp_path / "gate")))
    first, second, third = (workshop.submit(workflow=workflow) for _ in range(3))
    workshop.executor.cancel(second, message="not wanted").result(20)
    assert workshop.end_of(second).state is State.CANCELLED
    (tmp_path / "gate").touch()
    assert {workshop.end_of(run).state for run in (first, third)} == {State.COMPLETED}


def test_an_output_is_used_again_by_another_run_under_the_same_key(make):
    workshop = make().start()
    task = workshop.task("a", cache=Cache())
    first = workshop.submit(task)
    workshop.end_of(first)
    [again] = workshop.end_of(workshop.submit(task)).tasks
    assert (again.state, again.reason, again.attempts) == (State.COMPLETED, Reason.CACHED, 0)
    assert first in again.message
    [other] = workshop.end_of(workshop.submit(workshop.task("a", cache=Cache(), seconds=0.001))).tasks
    [fresh] = workshop.end_of(workshop.submit(task, use_cache=False)).tasks
    assert (other.attempts, fresh.attempts) == (1, 1)
    assert len(workshop.ledger()) == 3


def test_a_report_of_another_attempt_gives_no_slot_back(make, tmp_path):
    workshop = make(workers=4, pools={"db": Quota(size=1)})
    collect, late = workshop.pool.collect, deque()

    def collect_with_late_ones(timeout):
        found = collect(timeout)
        while late:
            found.append(late.popleft())
        return found

    workshop.pool.collect = collect_with_late_ones
    workshop.start()
    gate = tmp_path / "gate"
    run = workshop.submit(pooled(workshop, "holds", until=str(gate)))
    workshop.wait_for_begins(1)
    other = workshop.submit(pooled(workshop, "queues"))
    workshop.turn()
    late.append((run, Failed("holds", 0)))
    workshop.turn()
    assert [wait.run for wait in waits(workshop).tasks] == [other]
    gate.touch()
    assert {workshop.end_of(each).state for each in (run, other)} == {State.COMPLETED}
