"""Plays a run and the runs that it calls, in a random order of things, with crashes.

The stage is the executor's stand-in: it grants, performs, calls, decides, turns the clock, and takes runs up again from
their records after a crash.
"""

import json
import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec

from engine.errors import ParamsInvalidError
from engine.facts import (
    AlarmReached,
    Begin,
    Call,
    CancelAsked,
    ChildEnded,
    ChildStarted,
    DeadlineReached,
    Decided,
    Due,
    Fact,
    Failed,
    Finish,
    Granted,
    Kill,
    Killed,
    Lost,
    Order,
    PauseAsked,
    Recall,
    Recalled,
    ResumeAsked,
    RetryAt,
    Spread,
    Start,
    Submitted,
    Succeeded,
    WaitUntil,
)
from engine.model import WORKFLOW_TYPE
from engine.params import resolve
from engine.plan import Plan, id_of, make_plan
from engine.run import Run
from engine.states import Reason, State
from tests.engine.control_documents import FOREVER, Play
from tests.engine.interpreter import End, Story
from tests.engine.record import Record

MOST_STEPS = 20_000


class Role:
    """A run on the stage, and what goes on around it; `path` leads to it through the runs that called it."""

    def __init__(
        self, key: str, plan: Plan, params: dict[str, Any], path: str, caller: "Caller | None", repeats="", **kept
    ) -> None:
        self.key, self.plan, self.params, self.path, self.caller = key, plan, params, path, caller
        self.repeats, self.reused, self.expansions = repeats, kept.get("reused", {}), kept.get("expansions", {})
        self.forget()

    def forget(self) -> None:
        """Lose what only a process knows."""
        self.starts: dict[str, Start] = {}
        self.calls: dict[str, Call] = {}
        self.timers: list[tuple[float, Fact]] = []
        self.news: list[Fact] = []

    def scope(self) -> dict[str, Any]:
        run = {"id": self.key, "workflow": self.plan.workflow.name, "created_at": "2027-01-01T00:00:00Z"}
        return {"params": self.params, "run": run, "trigger": {"type": "cli"}, "env": {}, "secrets": {}}

    def made_of(self, outputs: dict[str, bytes]) -> dict[str, Any]:
        is_called = self.caller is not None
        return {"scope": self.scope(), "outputs": outputs, "is_called": is_called, "max_lost": FOREVER}

    def begin(self) -> None:
        self.record = Record(self.plan, self.reused)
        self.run = Run(self.key, self.plan, expansions=self.expansions, **self.made_of(dict(self.reused)))
        self.run.reuse(self.reused)

    def restore(self) -> None:
        """Take the run up again from what is recorded."""
        self.forget()
        record = self.record
        ending = record.ending and (record.ending.state, record.ending.reason, record.ending.message)
        self.run = Run.restore(
            self.key,
            self.plan,
            {key: row.snapshot() for key, row in record.rows.items()},
            state=record.state,
            deadline=record.deadline,
            begun_at=record.begun_at,
            warned=record.warned,
            ending=ending,
            output=record.ending.output if record.ending else b"null",
            **self.made_of({key: row.output for key, row in record.rows.items() if row.output != b"null"}),
        )

    def questions(self) -> dict[str, str]:
        """Return the messages of what waits for a person."""
        waiting = {key: row for key, row in self.record.rows.items() if row.state is State.WAITING}
        asking = {key: row for key, row in waiting.items() if row.reason is Reason.APPROVAL}
        return {key: json.loads(row.memo)["message"] for key, row in asking.items()}


def timers_of(order: Order) -> list[tuple[float, Fact]]:
    """Return when to wake a run for the sake of an order, and with what."""
    match order:
        case Call(task, attempt, at=float(at)):
            return [(at, Due(task, attempt))]
        case RetryAt(task, attempt, float(at)) | WaitUntil(task, attempt, float(at)):
            return [(at, Due(task, attempt))]
        case Spread(_, instances, _, float(due_at)):
            return [(due_at, Due(key, 0)) for key in instances]
        case Begin(deadline, alarms):
            timers: list[tuple[float, Fact]] = [(at, AlarmReached(task)) for at, task in alarms]
            return timers if deadline is None else [*timers, (deadline, DeadlineReached())]
        case _:
            return []


class Caller(msgspec.Struct, frozen=True):
    """The attempt that called a run."""

    role: str
    task: str
    attempt: int


class Stage:
    """All runs of one play; `room` is how many attempts go on at once."""

    def __init__(self, workflow: Any, play: Play, seed: int, room: int = 3) -> None:
        self.play, self.random, self.room, self.now = play, random.Random(seed), room, 100.0
        self.roles: dict[str, Role] = {}
        self.crashes = 0
        self.root = self.enter("r", make_plan(workflow), {}, "", None)

    def enter(self, key: str, plan: Plan, params: dict[str, Any], path: str, caller: Caller | None, **more) -> Role:
        role = self.roles[key] = Role(key, plan, resolve(plan.workflow, params), path, caller, **more)
        role.begin()
        self.tell(role, Submitted())
        return role

    def tell(self, role: Role, fact: Fact) -> None:
        """Have a run take in a fact, record its orders, carry them out, and start what there is room for."""
        self.carry_out(role, role.run.handle(fact, self.now))
        while self.under_way() < self.room and (ready := self.ready()) is not None:
            other, key = ready
            self.carry_out(other, other.run.handle(Granted(key), self.now))

    def ready(self) -> tuple[Role, str] | None:
        for role in self.roles.values():
            if role.record.finish is None and (ready := role.run.peek()) is not None:
                return role, ready.key
        return None

    def under_way(self) -> int:
        return sum(len(role.starts) for role in self.roles.values())

    def carry_out(self, role: Role, orders: list[Order]) -> None:
        for order in orders:
            role.record.take(order, self.now)
        self.check(role)
        for order in orders:
            role.timers += timers_of(order)
            match order:
                case Start():
                    role.starts[order.task] = order
                case Call():
                    role.calls[order.task] = order
                case Recall(task, material):
                    found = self.play.recall(material)
                    data = None if found is None else msgspec.json.encode(found)
                    self.carry_out(role, role.run.handle(Recalled(task, f"key of {material}", data, "r0"), self.now))
                case Kill():
                    self.kill(role, order)
                case Finish():
                    self.leave(role)
                case _:
                    pass

    def check(self, role: Role) -> None:
        """Hold a run to its own limits on how much goes on at once."""
        active = [key for key, row in role.record.rows.items() if row.state is State.RUNNING and row.attempt]
        assert len(active) <= (role.plan.workflow.max_parallel or len(active))
        for key, planned in role.plan.tasks.items():
            most = planned.task.foreach and planned.task.foreach.max_parallel
            assert not most or sum(id_of(other) == key for other in active) <= most

    def kill(self, role: Role, order: Kill) -> None:
        child = self.child(role, order.task, order.attempt)
        if child is not None:
            if child.record.finish is None:
                self.tell(child, CancelAsked(order.reason))
            else:
                role.news.append(self.last_words(child))
        elif role.plan.at(order.task).task.type == WORKFLOW_TYPE:
            role.calls.pop(order.task, None)
            role.news.append(Killed(order.task, order.attempt))
        elif self.random.random() < 0.8:
            assert role.starts.pop(order.task).attempt == order.attempt
            role.news.append(Killed(order.task, order.attempt))

    def leave(self, role: Role) -> None:
        role.starts, role.timers, role.news = {}, [], []
        if role.caller is not None:
            caller = self.roles[role.caller.role]
            if caller.record.finish is None:
                caller.news.append(self.last_words(role))

    def last_words(self, role: Role) -> ChildEnded:
        end, caller = role.record.finish, role.caller
        return ChildEnded(caller.task, caller.attempt, role.key, end.state, end.reason, end.message, end.output)

    def child(self, role: Role, task: str, attempt: int) -> Role | None:
        return self.roles.get(f"{role.key}/{task}#{attempt}")

    def call(self, role: Role, order: Call) -> None:
        """Have another run come to be, as asked for."""
        key = f"{role.key}/{order.task}#{order.attempt}"
        del role.calls[order.task]
        child = self.roles.get(key)
        if child is not None:
            # Asked for again after a crash: it is there, and may be over.
            self.tell(role, ChildStarted(order.task, order.attempt, key))
            if child.record.finish is not None and role.record.finish is None:
                role.news.append(self.last_words(child))
            return
        plan = role.plan.at(order.task).control.inner
        caller = Caller(role.key, order.task, order.attempt)
        kept = self.kept(order.repeats, plan) if order.repeats else {}
        try:
            self.enter(key, plan, order.params, f"{role.path}/{order.task}", caller, repeats=order.repeats, **kept)
        except ParamsInvalidError as error:
            failure = ChildEnded(order.task, order.attempt, "", State.FAILED, Reason.INVALID, str(error))
            self.tell(role, failure)
            return
        self.tell(role, ChildStarted(order.task, order.attempt, key))

    def kept(self, key: str, plan: Plan) -> dict[str, Any]:
        """Return what completed in an earlier run: tasks behind nothing that is done again, and instances."""
        reused: dict[str, bytes] = {}
        rows = self.roles[key].record.rows
        for task in plan.graph.order:
            if rows[task].state is State.COMPLETED and reused.keys() >= set(plan.graph.depends_on[task]):
                reused[task] = rows[task].output
        spread = {task: rows[task].memo for task in plan.graph.order if plan.tasks[task].task.foreach}
        # Behind a task that runs anew, elements may be the same and what else the instances see is not.
        expansions = {
            task: memo
            for task, memo in spread.items()
            if task not in reused and memo != b"null" and reused.keys() >= set(plan.graph.depends_on[task])
        }
        completed = {other: row.output for other, row in rows.items() if row.state is State.COMPLETED}
        reused |= {other: data for other, data in completed.items() if id_of(other) in expansions}
        return {"reused": reused, "expansions": expansions}

    def step(self) -> bool:
        """Let one thing happen; False when nothing can."""
        moves = list(self.moves())
        if not moves:
            return False
        self.random.choice(moves)()
        return True

    def moves(self) -> Iterator[Callable[[], None]]:
        for role in list(self.roles.values()):
            if role.record.finish is not None:
                continue
            for key in role.starts:
                yield partial(self.report, role, key)
            for order in role.calls.values():
                yield partial(self.call, role, order)
            if role.news:
                yield partial(self.hear, role)
            for key, message in role.questions().items():
                if self.play.decide("", message) is not None:
                    yield partial(self.answer, role, key, message)
            if role.record.state is State.WAITING:
                yield partial(self.tell, role, ResumeAsked())
        timed = [(at, role.key, fact) for role in self.roles.values() for at, fact in role.timers]
        if timed:
            yield partial(self.turn_the_clock, *min(timed, key=lambda timer: timer[0]))

    def hear(self, role: Role) -> None:
        self.tell(role, role.news.pop(0))

    def report(self, role: Role, key: str) -> None:
        start = role.starts.pop(key)
        inputs = {name: json.loads(data) for name, data in start.inputs.items()}
        is_good, output = self.play.perform(f"{role.path}/{key}", start.fields, inputs)
        data = msgspec.json.encode(output)
        fact = Succeeded(key, start.attempt, data) if is_good else Failed(key, start.attempt)
        self.tell(role, fact)
        if self.random.random() < 0.1:
            assert role.run.handle(fact, self.now) == [], "a report that comes twice changes something"

    def answer(self, role: Role, key: str, message: str) -> None:
        said = self.play.decide("", message)
        data = msgspec.json.encode(said["data"])
        self.tell(role, Decided(key, said["approved"], said["actor"], said["note"], data))

    def turn_the_clock(self, at: float, key: str, fact: Fact) -> None:
        role = self.roles[key]
        role.timers.remove((at, fact))
        self.now = max(self.now, at)
        self.tell(role, fact)

    def pause(self) -> None:
        if self.root.record.finish is None and self.root.record.state is State.RUNNING:
            self.tell(self.root, PauseAsked())

    def cancel(self) -> None:
        if self.root.record.finish is None:
            self.tell(self.root, CancelAsked(Reason.USER, "enough"))

    def crash(self) -> None:
        """Lose every process and what was decided but not recorded, then take all runs up again, in any order."""
        self.crashes += 1
        live = [role for role in self.roles.values() if role.record.finish is None]
        for role in live:
            if role.starts and self.random.random() < 0.3:
                start = next(iter(role.starts.values()))
                role.run.handle(Succeeded(start.task, start.attempt), self.now)
        self.random.shuffle(live)
        for role in live:
            role.restore()
        for role in live:
            self.take_up(role)

    def take_up(self, role: Role) -> None:
        # One that is being ended is not among them: a call that came to nothing yet is just not made.
        role.calls = {order.task: order for order in role.run.calls()}
        self.carry_out(role, role.run.resume())
        for task, attempt in list(role.run.running()):
            self.tell(role, Lost(task, attempt))
        if role.record.finish is not None:
            return
        for task, attempt, at in role.run.waiting():
            role.timers.append((at, Due(task, attempt)))
        role.timers += [(at, AlarmReached(task)) for at, task in role.run.alarms()]
        if role.record.deadline is not None:
            role.timers.append((role.record.deadline, DeadlineReached()))
        if role.record.state is State.PENDING:
            self.tell(role, Submitted())

    def play_out(self) -> Story:
        """Let things happen until nothing can, and tell what came of it."""
        for _ in range(MOST_STEPS):
            if not self.step():
                break
        assert self.root.record.finish is not None, f"nothing can happen, but the run is not over: {self.standing()}"
        return self.story(self.root)

    def standing(self) -> dict[str, Any]:
        return {
            role.key: {key: (str(row.state), row.reason) for key, row in role.record.rows.items()}
            for role in self.roles.values()
        }

    def story(self, role: Role) -> Story:
        finish, children = role.record.finish, {}
        for other in self.roles.values():
            if other.caller is not None and other.caller.role == role.key:
                children.setdefault(other.caller.task, []).append(self.story(other))
        output = json.loads(finish.output) if finish.state is State.COMPLETED else None
        ends = {key: row.end() for key, row in role.record.rows.items()}
        if role.repeats and not role.plan.workflow.routing:
            before = self.story(self.roles[role.repeats]).tasks
            ends |= {key: end for key, end in before.items() if id_of(key) in role.reused}
        return Story(End(finish.state, finish.reason, output), ends, children)
