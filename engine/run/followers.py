"""What may follow an end: the tasks behind one that has ended, told of it, skipped or let go. Pure.

What an end means to a join is decided in `joins`; conditions on tasks and on their dependencies are judged here.
"""

from engine import joins
from engine.errors import StoreCorruptError
from engine.expressions import ExpressionError
from engine.joins import Outcome as Heard
from engine.joins import Verdict
from engine.run.attempts import Attempts
from engine.run.names import Names
from engine.run.node import Node
from engine.run.nodes import Nodes
from engine.run.spreads import Spreads
from engine.states import ENDED, Reason, State


class Followers:
    """Let the tasks of one run go when those they depend on have ended as they ask."""

    def __init__(self, nodes: Nodes, names: Names, attempts: Attempts, spreads: Spreads) -> None:
        """Work on the nodes of a run."""
        self._nodes, self._names, self._attempts, self._spreads = nodes, names, attempts, spreads

    def begin(self, members: list[Node]) -> None:
        """Let what has ended already (in an earlier run or life) be heard, and let go what depends on nothing."""
        ended_before = [node for node in members if node.state in ENDED]
        first = [node for node in members if node.state is State.PENDING and not node.task.depends_on]
        going = [node for node in members if node.state is State.RUNNING and node.spread is not None]
        for node in ended_before:
            self.inform(node)
        for node in going:
            if node.doom is None:
                self._spreads.resume(node)
        for node in first:
            # One that failed before may have wound the run down.
            if node.state is State.PENDING:
                self._decide(node, Verdict.READY)

    def inform(self, ended: Node) -> None:
        """Tell the tasks behind an ended one; those that thereby end are told of in their turn."""
        heard = joins.outcome(ended.state, ended.reason, is_good=ended.is_good)
        for key in ended.planned.dependants:
            dependant = self._nodes.by_key[key]
            control = dependant.planned.control
            if control is not None and control.edges and dependant.state is State.PENDING:
                self._inform_by_edge(ended, dependant, heard)
                continue
            verdict = dependant.join.hear(ended.key, heard)
            if verdict is not None and dependant.state is State.PENDING:
                self._decide(dependant, verdict)

    def _inform_by_edge(self, ended: Node, dependant: Node, heard: Heard) -> None:
        """Tell a task of a dependency on a condition: where that is false, it counts as skipped."""
        control = dependant.planned.control
        condition = control.edges.get(ended.key) if control is not None else None
        if condition is not None and ended.state in (State.COMPLETED, State.FAILED):
            try:
                if not self._names.holds(condition):
                    heard = Heard.RULED_OUT
            except (ExpressionError, StoreCorruptError) as error:
                self._attempts.fail_unstarted(dependant, error, f"depends_on {ended.key}: ")
                return
        verdict = dependant.join.hear(ended.key, heard)
        if verdict is not None:
            self._decide(dependant, verdict)

    def _decide(self, node: Node, verdict: Verdict) -> None:
        """Act on a join's verdict: skip the task, or see whether its condition lets it start."""
        if verdict is not Verdict.READY:
            self._nodes.skip(node, *node.join.explain())
            return
        condition = node.planned.condition
        try:
            if condition is not None and not self._names.holds(condition):
                self._nodes.skip(node, Reason.CONDITION_FALSE, f"when: {condition.source} is false")
                return
        except (ExpressionError, StoreCorruptError) as error:
            self._attempts.fail_unstarted(node, error, "when: ")
            return
        if node.task.foreach is not None or node.task.loop is not None:
            self._spreads.begin(node)
        else:
            self._nodes.make_ready(node)
