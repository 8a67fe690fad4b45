"""How a run ends: its outcome, what it gives back, and the hooks that run when the outcome is known. Pure.

The outcome is fixed, and recorded, before the first hook begins; what becomes of hooks changes nothing of it.
"""

from collections import deque

import msgspec

from engine.errors import StoreCorruptError
from engine.expressions import ExpressionError
from engine.facts import Finish, WindDown
from engine.plan import Plan
from engine.run.names import Names
from engine.run.node import Node
from engine.run.nodes import Nodes
from engine.states import ENDED, Reason, State

Ending = tuple[State, Reason | None, str]

_HOOK_OF = {State.COMPLETED: "on_success", State.FAILED: "on_failure", State.CANCELLED: "on_cancel"}
_LAST = "finally"
_NAMED_FAILURES = 100  # ids in `run.failed`


class Outcome:
    """Find the outcome of one run and lead through its hooks; `ending` is what a wind-down has decided already."""

    def __init__(self, plan: Plan, nodes: Nodes, names: Names, *, most_bytes: int) -> None:
        """Know of none yet; `most_bytes` bounds what a run gives back where it does not say what."""
        self._most_bytes = most_bytes
        self._plan, self._nodes, self._names = plan, nodes, names
        self.failed: list[Node] = []
        self.ending: Ending | None = None
        self.gives_back = False
        self.state_of_graph: bytes | None = None
        self._finish: Finish | None = None
        self._phases: deque[str] = deque()
        self._opened = {"tasks"}

    @property
    def is_known(self) -> bool:
        """Tell whether the tasks have ended and hooks are at work."""
        return self._finish is not None

    def has_opened(self, phase: str) -> bool:
        """Tell whether the turn of the tasks, or of this hook, has come."""
        return phase in self._opened

    def settle(self, *, has_begun: bool) -> None:
        """Fix the outcome: the tasks have all ended. Record it if hooks are to follow; skip those of other outcomes."""
        self._finish = finish = self._found()
        hooks = [phase for phase in self._plan.phases if phase != "tasks"]
        self._phases = deque(phase for phase in (_HOOK_OF[finish.state], _LAST) if phase in hooks and has_begun)
        for phase in hooks:
            if phase not in self._phases:
                self._skip(phase, finish.state)
        if self._phases:
            if self.ending is None:
                self.ending = (finish.state, finish.reason, finish.message)
                self._nodes.orders.append(WindDown(*self.ending, finish.output))
            self._tell()

    def take_up(self, output: bytes) -> None:
        """Stand where the record says: the outcome was fixed, and hooks may have run."""
        state, reason, message = self.ending or (State.COMPLETED, None, "")
        reason = Reason.TASK_FAILED if reason is Reason.FAIL_FAST else reason
        self._finish = Finish(state, reason, message, output)
        self._phases = deque(
            phase
            for phase in (_HOOK_OF[state], _LAST)
            if any(self._nodes.by_key[key].state not in ENDED for key in self._plan.phases.get(phase, ()))
        )
        self._tell()

    def next_phase(self) -> list[Node]:
        """Open the next hook and return its nodes; none when the run is over."""
        if not self._phases:
            return []
        phase = self._phases.popleft()
        self._opened.add(phase)
        # After a restart a hook may have instances already, and they are waited for too.
        members = [node for node in self._nodes.by_key.values() if node.planned.phase == phase]
        self._nodes.open += sum(1 for node in members if node.state not in ENDED)
        self._nodes.is_stopping = False
        return [node for node in members if node.parent is None]

    def cut(self) -> None:
        """Open what is left of the hooks, so that all of it can be stopped."""
        while self._phases:
            self.next_phase()

    def finish(self) -> Finish:
        """Return the order that ends the run."""
        return self._finish or self._found()

    def _found(self) -> Finish:
        if self.ending is not None:
            state, reason, message = self.ending
            return Finish(state, Reason.TASK_FAILED if reason is Reason.FAIL_FAST else reason, message)
        if self.failed:
            return Finish(State.FAILED, Reason.TASK_FAILED, self._culprits())
        try:
            output = self._output()
        except (ExpressionError, StoreCorruptError) as error:
            return Finish(State.FAILED, Reason.EXPRESSION, f"outputs: {error}")
        except _TooLargeError:
            message = f"the outputs of its last tasks are more than {self._most_bytes:,} bytes (limits.output_bytes)"
            return Finish(State.FAILED, Reason.OUTPUT_TOO_LARGE, message)
        tasks = (self._nodes.by_key[key] for key in self._plan.phases["tasks"])
        has_blemish = any(node.state is State.FAILED for node in tasks)
        return Finish(State.COMPLETED, Reason.CONTINUED if has_blemish else None, "", output)

    def _output(self) -> bytes:
        """Return what the run gives back: its `outputs`, the state of its graph, or for a caller its last tasks'."""
        declared = self._plan.workflow.outputs
        if declared is not None:
            template = self._plan.outputs
            return msgspec.json.encode(declared if template is None else self._names.render(template))
        if self.state_of_graph is not None:
            return self.state_of_graph
        if not self.gives_back:
            return b"null"
        last = [key for key in self._plan.phases["tasks"] if not self._plan.tasks[key].dependants]
        parts, room = [], self._most_bytes
        for key in last:
            parts.append(msgspec.json.encode(key) + b":" + self._nodes.outputs.get(key, b"null"))
            room -= len(parts[-1])
            if room < 0:
                raise _TooLargeError
        return b"{" + b",".join(parts) + b"}"

    def _culprits(self) -> str:
        first, others = self.failed[0], len(self.failed) - 1
        detail = f": {first.message}" if first.message else ""
        return f"task {first.key} failed{detail}" + (f" (and {others} more)" if others else "")

    def _tell(self) -> None:
        finish = self.finish()
        self._names.tell(
            state=str(finish.state),
            reason=None if finish.reason is None else str(finish.reason),
            message=finish.message,
            failed=[node.key for node in self.failed[:_NAMED_FAILURES]],
        )

    def _skip(self, phase: str, state: State) -> None:
        for key in self._plan.phases[phase]:
            node = self._nodes.by_key[key]
            if node.state not in ENDED:
                self._nodes.open += 1
                self._nodes.skip(node, Reason.OUTCOME, f"it is for another outcome; the run {state}")


class _TooLargeError(Exception):
    """What the run gives back is more than an output may be."""
