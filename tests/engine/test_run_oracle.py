"""Random workflows with random outcomes against a plain reading of the rules, one task at a time."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.facts import (
    Broke,
    Cancel,
    CancelAsked,
    Complete,
    Deferred,
    Due,
    Fact,
    Fail,
    Failed,
    Finish,
    Granted,
    Kill,
    Killed,
    Lost,
    RetryAt,
    Skip,
    Start,
    Submitted,
    Succeeded,
    TimedOut,
    WaitUntil,
)
from engine.model import TRIGGER_RULES, Retry, Task, Workflow
from engine.plan import make_plan
from engine.run import Run
from engine.states import ENDED, Reason, State

OUTCOMES = ("ok", "ok", "ok", "fail", "break", "timeout", "later", "lost")


@st.composite
def workflows(draw):
    count = draw(st.integers(1, 12))
    tasks = []
    for position in range(count):
        before = [f"t{n}" for n in range(position)]
        tasks.append(
            Task(
                id=f"t{position}",
                type="print",
                depends_on=tuple(draw(st.lists(st.sampled_from(before), unique=True, max_size=4))) if before else (),
                trigger_rule=draw(st.sampled_from(TRIGGER_RULES)),
                retry=Retry(max_retries=draw(st.integers(0, 2)), delay=draw(st.sampled_from([0.0, 3.0]))),
                continue_on_failure=draw(st.booleans()) and draw(st.booleans()),
                priority=draw(st.integers(-1, 1)),
                when=draw(st.sampled_from([None, None, None, "true", "false", "1 / 0 == 1"])),
            )
        )
    shuffled = draw(st.permutations(tasks))
    return Workflow(tasks=tuple(shuffled), max_parallel=draw(st.one_of(st.none(), st.integers(1, 3))))


def scripts_of(workflow, seed):
    """Draw what the attempts of each task will do, in order; a deferral or a loss is no outcome yet."""
    draw = random.Random(seed)
    return {task.id: draw.choices(OUTCOMES, k=12) + ["ok"] * 12 for task in workflow.tasks}


ALLOWED = {
    "all_success": lambda good, bad, skipped: not bad and not skipped,
    "all_done": lambda good, bad, skipped: True,
    "always": lambda good, bad, skipped: True,
    "all_failed": lambda good, bad, skipped: not good and not skipped,
    "one_success": lambda good, bad, skipped: good > 0,
    "one_failed": lambda good, bad, skipped: bad > 0,
    "none_failed": lambda good, bad, skipped: not bad,
    "none_failed_min_one_success": lambda good, bad, skipped: not bad and good > 0,
}
A_FAILURE_ABOVE_FAILS = ("all_success", "none_failed", "none_failed_min_one_success")


class Oracle:
    """Settle a task by settling what it depends on first."""

    def __init__(self, workflow: Workflow, scripts: dict[str, list[str]]) -> None:
        self.tasks = {task.id: task for task in workflow.tasks}
        self.scripts = scripts
        self.settled: dict[str, tuple[State, Reason | None]] = {}

    def states(self) -> dict[str, State]:
        return {key: self.settle(key)[0] for key in self.tasks}

    def settle(self, key):
        if key not in self.settled:
            self.settled[key] = self.judge(self.tasks[key])
        return self.settled[key]

    def heard(self, key):
        state, reason = self.settle(key)
        if state is State.COMPLETED or (state is State.FAILED and self.tasks[key].continue_on_failure):
            return "good"
        return "skipped" if state is State.SKIPPED and reason is not Reason.UPSTREAM_FAILED else "bad"

    def judge(self, task):
        heard = [self.heard(dependency) for dependency in task.depends_on]
        good, bad, skipped = (heard.count(kind) for kind in ("good", "bad", "skipped"))
        if heard and not ALLOWED[task.trigger_rule](good, bad, skipped):
            failed_above = bad and task.trigger_rule in A_FAILURE_ABOVE_FAILS
            return State.SKIPPED, Reason.UPSTREAM_FAILED if failed_above else Reason.TRIGGER_RULE
        if task.when == "false":
            return State.SKIPPED, Reason.CONDITION_FALSE
        if task.when == "1 / 0 == 1":
            return State.FAILED, Reason.EXPRESSION
        return follow(self.scripts[task.id], task.retry.max_retries)


def follow(steps, max_retries):
    failures = lost = 0
    for step in steps:
        if step == "ok":
            return State.COMPLETED, None
        lost += step == "lost"
        failures += step in ("fail", "break", "timeout")
        if lost > 3:
            return State.FAILED, Reason.LOST_TOO_OFTEN
        if failures > max_retries:
            return State.FAILED, Reason.ERROR
    raise AssertionError


class World:
    """Carry out orders in a random order, with a bounded number of attempts under way, and keep a ledger."""

    def __init__(self, workflow: Workflow, scripts: dict[str, list[str]], seed: int, room: int) -> None:
        self.workflow, self.scripts = workflow, {key: list(steps) for key, steps in scripts.items()}
        self.random, self.room, self.now = random.Random(seed), room, 100.0
        self.run = Run("r", make_plan(workflow))
        self.under_way: dict[str, int] = {}
        self.timers: list[tuple[float, Fact]] = []
        self.states = {task.id: State.PENDING for task in workflow.tasks}
        self.finish: Finish | None = None
        self.most_under_way = 0

    def tell(self, fact: Fact) -> None:
        self.carry_out(self.run.handle(fact, self.now))
        while len(self.under_way) < self.room and (ready := self.run.peek()) is not None:
            before = len(self.under_way)
            self.carry_out(self.run.handle(Granted(ready.key), self.now))
            assert len(self.under_way) == before + 1

    def carry_out(self, orders) -> None:
        for order in orders:
            assert self.finish is None, "an order after the end"
            match order:
                case Start(task, attempt):
                    assert task not in self.under_way
                    assert self.states[task] not in ENDED
                    self.check_dependencies(task)
                    self.under_way[task] = attempt
                    self.states[task] = State.RUNNING
                case Complete(task) | Fail(task) | Skip(task) | Cancel(task):
                    assert self.states[task] not in ENDED
                    self.states[task] = {
                        Complete: State.COMPLETED,
                        Fail: State.FAILED,
                        Skip: State.SKIPPED,
                        Cancel: State.CANCELLED,
                    }[type(order)]
                case RetryAt(task, attempt, at) | WaitUntil(task, attempt, at):
                    self.timers.append((at, Due(task, attempt)))
                case Kill(task, attempt):
                    assert self.under_way[task] == attempt
                    self.scripts[task].insert(0, self.random.choice(["killed", "killed", "ok", "fail"]))
                case Finish():
                    self.finish = order
        self.most_under_way = max(self.most_under_way, len(self.under_way))

    def check_dependencies(self, key: str) -> None:
        task = next(task for task in self.workflow.tasks if task.id == key)
        if task.trigger_rule in ("all_success", "all_done", "all_failed", "none_failed"):
            assert all(self.states[dependency] in ENDED for dependency in task.depends_on)

    def report(self) -> None:
        task = self.random.choice(sorted(self.under_way))
        attempt = self.under_way.pop(task)
        step = self.scripts[task].pop(0)
        facts = {
            "ok": Succeeded(task, attempt),
            "fail": Failed(task, attempt),
            "break": Broke(task, attempt),
            "timeout": TimedOut(task, attempt),
            "later": Deferred(task, attempt, 5.0),
            "lost": Lost(task, attempt),
            "killed": Killed(task, attempt),
        }
        self.tell(facts[step])
        if self.random.random() < 0.2:
            assert not self.run.handle(facts[step], self.now) or step in ("later", "lost")

    def step(self) -> bool:
        if self.under_way and (not self.timers or self.random.random() < 0.7):
            self.report()
        elif self.timers:
            self.timers.sort(key=lambda timer: timer[0])
            at, fact = self.timers.pop(0)
            self.now = max(self.now, at)
            self.tell(fact)
        else:
            return False
        return True


@settings(max_examples=700)
@given(workflow=workflows(), seed=st.integers(0, 2**32), room=st.integers(1, 5))
def test_every_run_ends_as_a_plain_reading_of_the_rules_says(workflow, seed, room):
    scripts = scripts_of(workflow, seed)
    world = World(workflow, scripts, seed, room)
    world.tell(Submitted())
    while world.step():
        pass
    assert world.finish is not None
    assert world.states == Oracle(workflow, scripts).states()
    assert {key: state for key, state, *_ in world.run.states()} == world.states
    bad = [t for t in workflow.tasks if world.states[t.id] is State.FAILED and not t.continue_on_failure]
    assert world.finish.state is (State.FAILED if bad else State.COMPLETED)
    assert world.most_under_way <= min(room, workflow.max_parallel or room)


@settings(max_examples=300)
@given(workflow=workflows(), seed=st.integers(0, 2**32), moment=st.integers(0, 30))
def test_a_cancel_at_any_moment_ends_the_run_with_nothing_under_way(workflow, seed, moment):
    world = World(workflow, scripts_of(workflow, seed), seed, 3)
    world.tell(Submitted())
    for _ in range(moment):
        world.step()
    ended_before = world.finish
    completed_before = {key for key, state in world.states.items() if state is State.COMPLETED}
    world.tell(CancelAsked(Reason.USER, "enough"))
    while world.step():
        pass
    assert world.finish is not None
    assert not world.under_way
    assert all(state in ENDED for state in world.states.values())
    assert all(world.states[key] is State.COMPLETED for key in completed_before)
    assert world.finish.state is (ended_before.state if ended_before else State.CANCELLED)
