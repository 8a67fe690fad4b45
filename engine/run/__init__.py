"""One run of a workflow: facts in, orders out. The heart, and pure: no clock, no process, no database.

Owns the state of every task of one run while it lives; `executor` alone calls it and carries the orders out. Its rooms:
`nodes` (who stands where), `names` (what expressions see), `attempts` and `calls` (one try of a task), `spreads` and
`routes` (tasks that come to several instances), `followers` (who goes on after an end), `outcome` (the end, and hooks).
What depends on what lives in `plan`, when to retry in `retry`, what may follow a dependency's end in `joins`.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableMapping
from functools import partial
from typing import Any

from engine.errors import StoreLostError
from engine.facts import (
    AlarmReached,
    Begin,
    Broke,
    Call,
    CancelAsked,
    ChildEnded,
    ChildStarted,
    Collapse,
    DeadlineReached,
    Decided,
    Deferred,
    Due,
    Fact,
    Failed,
    Finish,
    Granted,
    Kill,
    Killed,
    Lost,
    Order,
    Pause,
    PauseAsked,
    Queued,
    Recalled,
    ResumeAsked,
    Stay,
    Submitted,
    Succeeded,
    TimedOut,
    Unpause,
    Warn,
    WindDown,
)
from engine.model import ENGINE_TYPES, WORKFLOW_TYPE
from engine.plan import Plan
from engine.run.attempts import Attempts
from engine.run.calls import Question
from engine.run.followers import Followers
from engine.run.names import Names
from engine.run.node import Doom, Node, Snapshot
from engine.run.nodes import Nodes, Ready
from engine.run.outcome import Ending, Outcome
from engine.run.routes import Routes
from engine.run.spreads import Spreads
from engine.states import ENDED, Reason, State, move

__all__ = ["Ending", "Question", "Ready", "Run", "Snapshot"]

_MOST_INSTANCES = 100_000
_MOST_OUTPUT = 16 * 1024 * 1024


class Run:
    """Decide what happens next in one run.

    `scope` holds the names that expressions may use beside `tasks` (`params`, `run`, `trigger`, `env`, `secrets`).
    `outputs` maps task keys to JSON; hand in one that keeps large values elsewhere. `max_lost` bounds how often an
    attempt may vanish with its process, `max_instances` how many instances a task may have, `max_output` the bytes of
    what they give together. `is_called`: another run waits for what this one gives back. `expansions` and `called` are
    of a run that this one repeats, see Submission.
    """

    def __init__(  # noqa: PLR0913 -- what a run is made of, by name
        self,
        key: str,
        plan: Plan,
        *,
        scope: Mapping[str, Any] | None = None,
        outputs: MutableMapping[str, bytes] | None = None,
        priority: int = 0,
        max_lost: int = 3,
        max_instances: int = _MOST_INSTANCES,
        max_output: int = _MOST_OUTPUT,
        use_cache: bool = True,
        is_called: bool = False,
        expansions: Mapping[str, bytes] | None = None,
        called: Mapping[str, str] | None = None,
    ) -> None:
        """Build it PENDING; nothing happens before Submitted."""
        self.key, self.plan, self.priority = key, plan, priority + plan.workflow.priority
        self.state = State.PENDING
        self.deadline: float | None = None
        self._begun_at: float | None = None
        self._warned: set[str] = set()
        # Hooks whose deadline passed before their turn.
        self._late: dict[str, Doom] = {}
        outputs = {} if outputs is None else outputs
        self._nodes = nodes = Nodes(plan, outputs)
        self._names = names = Names(scope or {}, nodes)
        self._outcome = Outcome(plan, nodes, names, most_bytes=max_output)
        self._outcome.gives_back = is_called
        routing = plan.workflow.routing
        self._routes = None if routing is None else Routes(routing, plan.state, nodes, names)
        self._attempts = attempts = Attempts(key, nodes, names, self._routes, max_lost=max_lost, use_cache=use_cache)
        reused = {task: outputs[task] for task in outputs if "[" in task} if expansions else {}
        self._spreads = Spreads(
            nodes,
            names,
            attempts,
            most=max_instances,
            most_bytes=max_output,
            expansions=expansions or {},
            reused=reused,
        )
        self._followers = Followers(nodes, names, attempts, self._spreads)
        calls = attempts.calls
        calls.earlier = called or {}
        self._handlers: dict[type, Callable[[Any, float], None]] = {
            Submitted: self._submitted,
            Granted: attempts.granted,
            Succeeded: attempts.succeeded,
            Failed: attempts.failed,
            Broke: attempts.failed,
            TimedOut: attempts.failed,
            Killed: attempts.killed,
            Deferred: attempts.deferred,
            Lost: attempts.lost,
            Due: attempts.due,
            Recalled: attempts.recalled,
            ChildStarted: calls.started,
            ChildEnded: calls.ended,
            Decided: calls.decided,
            DeadlineReached: self._deadline_reached,
            AlarmReached: self._alarm_reached,
            CancelAsked: self._cancel_asked,
            Queued: self._queued,
            PauseAsked: self._pause_asked,
            ResumeAsked: self._resume_asked,
        }

    @classmethod
    def restore(  # noqa: PLR0913 -- what a run is made of, by name
        cls,
        key: str,
        plan: Plan,
        snapshots: Mapping[str, Snapshot],
        *,
        state: State,
        deadline: float | None,
        begun_at: float | None = None,
        ending: Ending | None = None,
        output: bytes = b"null",
        warned: Collection[str] = (),
        **made_of: Any,
    ) -> "Run":
        """Take up a recorded run where it stood; `made_of` is what the run was made with.

        The caller then asks `resume`, reports every attempt in `running` that is gone as Lost, makes the `calls` again,
        and arms what is `waiting` for a time, and the `alarms`. `ending` and `output` are what a recorded WindDown
        said, `begun_at` is when it began (wall seconds), `warned` names the tasks of recorded Warn orders.
        """
        run = cls(key, plan, **made_of)
        run.state, run.deadline, run._begun_at = state, deadline, begun_at
        run._warned = set(warned)
        run._outcome.ending = ending
        run._take_up(snapshots, output)
        return run

    def _take_up(self, snapshots: Mapping[str, Snapshot], output: bytes) -> None:
        nodes, ending = self._nodes, self._outcome.ending
        instances: dict[str, dict[str, Snapshot]] = {}
        for key, snapshot in snapshots.items():
            if key in nodes.by_key:
                nodes.by_key[key].take_up(snapshot)
            else:
                instances.setdefault(key.partition("[")[0], {})[key] = snapshot
        visits: dict[str, Snapshot] = {}
        for parent, of_parent in instances.items():
            if self._routes is not None and nodes.by_key[parent].planned.phase == "tasks":
                visits |= of_parent
            else:
                self._spreads.take_up(nodes.by_key[parent], of_parent)
        if self._routes is not None:
            self._routes.take_up(visits)
        tasks = [node for node in nodes.by_key.values() if node.planned.phase == "tasks"]
        nodes.open = sum(1 for node in tasks if node.state not in ENDED)
        for node in tasks:
            if node.state is State.FAILED and not node.is_good and node.parent is None:
                self._outcome.failed.append(node)
        if ending is not None and nodes.open:
            nodes.is_stopping = True
            for node in tasks:
                if node.state is State.RUNNING:
                    node.doom = Doom(State.CANCELLED, ending[1] or Reason.USER, ending[2])
        elif ending is not None:
            self._outcome.take_up(output)
        nodes.running = sum(1 for node in nodes.by_key.values() if node.is_under_way)

    def resume(self) -> list[Order]:
        """Decide what a restored run could not decide before: tasks whose dependencies have ended already."""
        return self._guarded(self._go_on) if self._has_begun else []

    def _go_on(self) -> None:
        if self._outcome.is_known:
            self._open_phase()
        else:
            self._set_going()
        self._settle(0.0)
        # A call that was being ended has its run still: that is not among what died with the last owner.
        for node in self._nodes.by_key.values():
            if node.doom is not None and node.is_under_way and node.task.type == WORKFLOW_TYPE:
                self._nodes.orders.append(Kill(node.key, node.attempt, node.doom.reason))

    def handle(self, fact: Fact, now: float) -> list[Order]:
        """Return what has to be done about a fact; late and repeated facts lead to nothing."""
        return [] if self.state in ENDED else self._guarded(partial(self._hear, fact, now))

    def _hear(self, fact: Fact, now: float) -> None:
        self._handlers[type(fact)](fact, now)
        if self._nodes.ended or not self._nodes.open:
            self._settle(now)

    def _guarded(self, decide: Callable[[], None]) -> list[Order]:
        """Return the orders of a decision; a fault of ours in it ends this run, and says so.

        It must not end, again and again, whoever else has runs. That nothing can be written, or that memory is short,
        is no fault of a run.
        """
        try:
            decide()
        except (StoreLostError, MemoryError):
            raise
        except Exception as error:
            return self._collapse(error)
        return self._take()

    def _collapse(self, error: Exception) -> list[Order]:
        """Drop what was half decided; what is recorded is ended as it stands there."""
        self._take()
        message = f"{type(error).__name__}: {error}{_place_of(error)}"
        self.state = State.FAILED
        return [Collapse(message), Finish(State.FAILED, Reason.INTERNAL, message)]

    def peek(self, closed: Collection[str] = ()) -> Ready | None:
        """Return what would start next, or None while nothing is ready or may start; pools in `closed` give nothing."""
        return None if self.is_paused or self.state in ENDED else self._nodes.peek(closed)

    def reuse(self, tasks: Iterable[str]) -> None:
        """Take these tasks as COMPLETED in an earlier run; call before Submitted, with their outputs in place.

        A graph is always walked from its entry.
        """
        for key in tasks:
            node = self._nodes.by_key.get(key)
            if node is not None and self._routes is None:
                self._nodes.end(node, State.COMPLETED, Reason.REUSED, "")
        self._nodes.ended.clear()

    def states(self) -> Iterator[tuple[str, State, Reason | None, str, int]]:
        """Yield (task, state, reason, message, attempts) of every task and instance."""
        for key, node in self._nodes.by_key.items():
            yield key, node.state, node.reason, node.message, node.attempt

    @property
    def is_paused(self) -> bool:
        """Tell whether a person paused it in its middle."""
        return self.state is State.WAITING and self._begun_at is not None

    @property
    def is_running(self) -> bool:
        """Tell whether any attempt is under way that somebody carries out."""
        return any(True for _ in self.running()) if self._nodes.running else False

    def waiting(self) -> Iterator[tuple[str, int, float]]:
        """Yield (task, attempt, wall time) of every restored task that waits for a time."""
        for key, node in self._nodes.by_key.items():
            if node.state in (State.RETRYING, State.WAITING) and node.due_at is not None:
                yield key, node.attempt, node.due_at

    def running(self) -> Iterator[tuple[str, int]]:
        """Yield (task, attempt) of every attempt under way that somebody carries out."""
        for key, node in self._nodes.by_key.items():
            if node.is_under_way and node.task.type not in ENGINE_TYPES:
                yield key, node.attempt

    def calling(self) -> Iterator[tuple[str, int]]:
        """Yield (task, attempt) of every call under way."""
        for key, node in self._nodes.by_key.items():
            if node.is_under_way and node.task.type == WORKFLOW_TYPE:
                yield key, node.attempt

    def calls(self) -> Iterator[Call]:
        """Yield the orders of restored calls, to be made again: the runs they led to are found by them.

        Those that are being ended are not among them: `resume` has them killed.
        """
        for node in self._nodes.by_key.values():
            if node.doom is None and node.is_under_way and node.task.type == WORKFLOW_TYPE:
                yield self._attempts.calls.call(node, self._attempts.fields(node))

    def awaits(self, task: str) -> bool:
        """Tell whether a task that calls a workflow lasts as long as that."""
        node = self._nodes.by_key.get(task)
        return node is not None and node.is_awaiting

    def question(self, task: str) -> Question | None:
        """Return what a task asks a person; None where it does not."""
        return self._attempts.calls.question(task)

    def questions(self) -> Iterator[tuple[str, Question]]:
        """Yield (task, question) of every task that waits for a person."""
        return self._attempts.calls.asking()

    def alarms(self) -> tuple[tuple[float, str], ...]:
        """Return the deadlines that have not been warned of, as (wall time, task); an empty task stands for the run."""
        begun = self._begun_at
        if begun is None:
            return ()
        tasks = (node.task for node in self._nodes.by_key.values() if node.parent is None and node.state not in ENDED)
        given = [("", self.plan.workflow.deadline), *((task.id, task.deadline) for task in tasks)]
        return tuple(
            (begun + deadline.within, task)
            for task, deadline in given
            if deadline is not None and task not in self._warned
        )

    @property
    def _has_begun(self) -> bool:
        return self._begun_at is not None or self.state is State.RUNNING

    def _take(self) -> list[Order]:
        self._names.forget()
        return self._nodes.take()

    def _submitted(self, _fact: Submitted, now: float) -> None:
        if self._has_begun:
            return
        self.state, self._begun_at = move(self.state, State.RUNNING), now
        timeout = self.plan.workflow.timeout
        self.deadline = None if timeout is None else now + timeout
        self._nodes.orders.append(Begin(self.deadline, self.alarms()))
        self._set_going()

    def _set_going(self) -> None:
        """Let what had ended already (in an earlier run or life) be heard, and queue what depends on nothing."""
        if self._routes is not None:
            self._routes.resume()
            return
        self._start_phase([self._nodes.by_key[key] for key in self.plan.phases["tasks"]])

    def _start_phase(self, members: list[Node]) -> None:
        for node in members:
            doom = self._late.pop(node.key, None)
            if doom is not None and node.state not in ENDED:
                self._end_late(node, doom)
        self._followers.begin(members)

    def _settle(self, now: float) -> None:
        """Let everybody know of what has ended, until nothing more ends by it; then see whether all has."""
        nodes = self._nodes
        while True:
            for node in nodes.ended:  # grows while it is walked
                self._has_ended(node, now)
            nodes.ended.clear()
            if nodes.open or self.state in ENDED or not self._advance():
                return

    def _has_ended(self, node: Node, now: float) -> None:
        if node.parent is not None:
            if self._routes is not None and self._routes.visits(node):
                self._routes.instance_ended(node)
            else:
                self._spreads.instance_ended(node, now)
            return
        if node.state is State.FAILED and not node.task.continue_on_failure and not self._outcome.is_known:
            self._outcome.failed.append(node)
            if self.plan.workflow.fail_fast:
                self._wind_down(State.FAILED, Reason.FAIL_FAST, f"task {node.key} failed")
        self._followers.inform(node)

    def _advance(self) -> bool:
        """Go on to the next phase; return False when there is none, or none yet."""
        if not self._outcome.is_known:
            if not self._has_begun and self._outcome.ending is None:
                return False
            if self._routes is not None:
                self._outcome.state_of_graph = self._routes.state
            self._outcome.settle(has_begun=self._has_begun)
        return self._open_phase()

    def _open_phase(self) -> bool:
        members = self._outcome.next_phase()
        if members:
            self._start_phase(members)
            return True
        if self._nodes.ended or self._nodes.open:
            return True
        finish = self._outcome.finish()
        self.state = move(self.state, finish.state)
        self._nodes.orders.append(finish)
        return False

    def _deadline_reached(self, _fact: DeadlineReached, _now: float) -> None:
        message = f"the run took longer than its timeout of {self.plan.workflow.timeout or 0:g} s"
        self._wind_down(State.FAILED, Reason.DEADLINE, message)

    def _alarm_reached(self, fact: AlarmReached, _now: float) -> None:
        node = self._nodes.by_key.get(fact.task)
        deadline = self.plan.workflow.deadline if node is None else node.task.deadline
        if deadline is None or (node is not None and node.state in ENDED) or fact.task in self._warned:
            return
        self._warned.add(fact.task)
        what = f"task {node.key}" if node is not None else "the run"
        message = f"{what} has not ended within its deadline of {deadline.within:g} s"
        if deadline.on_miss == "warn":
            self._nodes.orders.append(Warn(fact.task, message))
        elif node is None:
            self._wind_down(State.FAILED, Reason.DEADLINE, message)
        elif self._outcome.has_opened(node.planned.phase):
            self._end_late(node, Doom(State.FAILED, Reason.DEADLINE, message))
        else:
            self._late[node.key] = Doom(State.FAILED, Reason.DEADLINE, message)

    def _end_late(self, node: Node, doom: Doom) -> None:
        is_spread = node.state is State.RUNNING and node.spread is not None
        if is_spread and self._routes is not None and node.planned.phase == "tasks":
            self._routes.stop(node, doom)
        elif is_spread:
            self._spreads.stop(node, doom)
        else:
            self._nodes.stop(node, doom)

    def _cancel_asked(self, fact: CancelAsked, _now: float) -> None:
        if self._outcome.is_known:
            self._outcome.cut()
            self._nodes.is_stopping = True
            doom = Doom(State.CANCELLED, fact.reason, fact.message)
            for node in list(self._nodes.by_key.values()):
                if node.planned.phase != "tasks" and node.state not in ENDED:
                    self._nodes.stop(node, doom)
            return
        self._wind_down(State.CANCELLED, fact.reason, fact.message)

    def _wind_down(self, state: State, reason: Reason, message: str) -> None:
        """Cancel what has not started and kill what runs; the tasks have ended when the last attempt has."""
        if self._outcome.ending is not None or self._outcome.is_known:
            return
        self._outcome.ending = (state, reason, message)
        self._nodes.is_stopping = True
        self._nodes.orders.append(WindDown(state, reason, message))
        doom = Doom(State.CANCELLED, reason, message)
        for node in list(self._nodes.by_key.values()):
            if node.state not in ENDED and node.planned.phase == "tasks":
                self._nodes.stop(node, doom)

    def _queued(self, fact: Queued, _now: float) -> None:
        if self.state is State.PENDING:
            self.state = move(self.state, State.WAITING)
            self._nodes.orders.append(Stay(Reason.CONCURRENCY, fact.message))

    def _pause_asked(self, fact: PauseAsked, _now: float) -> None:
        if self.state is State.RUNNING:
            self.state = move(self.state, State.WAITING)
            self._nodes.orders.append(Pause(fact.message, fact.actor))

    def _resume_asked(self, fact: ResumeAsked, _now: float) -> None:
        if self.is_paused:
            self.state = move(self.state, State.RUNNING)
            self._nodes.orders.append(Unpause(fact.message, fact.actor))


def _place_of(error: Exception) -> str:
    """Say where an error was raised."""
    innermost = error.__traceback__
    while innermost is not None and innermost.tb_next is not None:
        innermost = innermost.tb_next
    if innermost is None:
        return ""
    code = innermost.tb_frame.f_code
    return f" ({code.co_name}, line {innermost.tb_lineno} of {code.co_filename.rpartition('/')[2]})"
