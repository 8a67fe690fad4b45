"""Task types of the engine's own: `workflow`, which has another workflow run, and `approval`, which asks a person.

Pure. Neither holds a worker; an attempt of a `workflow` runs as long as its run does, an `approval` waits.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from engine import durations
from engine.expressions.paths import kind
from engine.facts import Call, ChildEnded, ChildStarted, Decided, Fail, Kill, Open, WaitUntil
from engine.model import APPROVAL_TYPE, WORKFLOW_TYPE
from engine.run.node import Doom, Node
from engine.run.nodes import Nodes
from engine.states import Reason, State, move

RetryOrFail = Callable[[Node, Fail, float], None]
# Who decides where nobody did in time.
_NOBODY = "timeout"
# What fields have to be whose values the loader could not judge, since they held expressions.
_KINDS: dict[str, dict[str, tuple[type, str]]] = {
    WORKFLOW_TYPE: {"workflow": (str, "a text"), "params": (dict, "an object"), "wait": (bool, "true or false")},
    APPROVAL_TYPE: {"message": (str, "a text"), "form": (dict, "an object"), "on_timeout": (str, "a text")},
}
_ON_TIMEOUT = ("reject", "approve")
# As deep as the output of a plugin may be: a loop over its own output would go on until nobody can read it.
_DEEPEST_DATA = 200


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what a person is asked: kept as the memo of the task, so that it survives a restart.

    `until` is the wall time after which `on_timeout` decides, with `data` for an approved form.
    """

    message: str
    form: Any = None
    until: float | None = None
    on_timeout: str = "reject"
    data: Any = None


class Calls:
    """Begin and end attempts that no backend carries out."""

    def __init__(self, nodes: Nodes, retry_or_fail: RetryOrFail) -> None:
        """Start with none."""
        self._nodes, self._retry_or_fail = nodes, retry_or_fail
        # What tasks and instances called in a run that this one repeats.
        self.earlier: Mapping[str, str] = {}

    def begin(self, node: Node, fields: dict[str, Any], now: float) -> None:
        """Set a RUNNING node going whose fields are filled in."""
        unfit = _unfit(node.task.type, fields)
        if unfit is not None:
            self._nodes.orders.append(Open(node.key, node.attempt))
            self._nodes.fail_with(node, Reason.INVALID, unfit)
        elif node.task.type == WORKFLOW_TYPE:
            self._nodes.running += 1
            self._nodes.orders.append(self.call(node, fields))
        else:
            self._ask(node, fields, now)

    def call(self, node: Node, fields: dict[str, Any]) -> Call:
        """Return the order that has the other workflow run."""
        name = None if node.task.inner is not None else str(fields.get("workflow", ""))
        timeout, begun = node.task.timeout, node.started_at
        node.is_awaiting = fields.get("wait") is not False
        at = None if timeout is None or begun is None else begun + timeout
        repeats = node.child or self.earlier.get(node.key, "")
        return Call(node.key, node.attempt, name, fields.get("params") or {}, at, repeats)

    def started(self, fact: ChildStarted, _now: float) -> None:
        """Know the other run; a task that does not wait for it has done its part."""
        node = self._nodes.awaited(fact.task, fact.attempt)
        if node is None:
            return
        node.child = fact.run
        if not node.is_awaiting:
            self._nodes.running -= 1
            output = msgspec.json.encode({"run": fact.run})
            self._nodes.complete(node, output, attempt=node.attempt)

    def ended(self, fact: ChildEnded, now: float) -> None:
        """Take over how the other run ended."""
        node = self._nodes.awaited(fact.task, fact.attempt)
        if node is None:
            return
        self._nodes.running -= 1
        node.child = fact.run or node.child
        if fact.state is State.COMPLETED:
            self._nodes.complete(node, fact.output, attempt=node.attempt)
        elif node.doom is not None and node.doom.reason is Reason.TIMEOUT:
            doom, node.doom = node.doom, None
            self._retry_or_fail(node, Fail(node.key, node.attempt, Reason.TIMEOUT, doom.message), now)
        elif node.doom is not None:
            self._nodes.meet(node, node.doom)
        else:
            # What could not come to be, for a wrong name or parameter, says why; what did and failed is a child's.
            reason = Reason.CHILD_FAILED if fact.run else fact.reason or Reason.INVALID
            told = f"run {fact.run} {fact.state}: {fact.message}".rstrip(": ") if fact.run else fact.message
            self._retry_or_fail(node, Fail(node.key, node.attempt, reason, told), now)

    def due(self, node: Node, now: float) -> None:
        """End a call that takes too long, or decide for a person who did not."""
        if node.state is State.RUNNING:
            if node.doom is None:
                message = f"the workflow it runs took longer than {node.task.timeout or 0:g} s"
                node.doom = Doom(State.FAILED, Reason.TIMEOUT, message)
                self._nodes.orders.append(Kill(node.key, node.attempt, Reason.TIMEOUT))
            return
        question = question_of(node)
        if question.until is None or now < question.until:
            self._nodes.fail_with(node, Reason.TIMEOUT, f"still waiting after {node.task.timeout or 0:g} s")
        else:
            data = msgspec.json.encode(question.data)
            approves = question.on_timeout == "approve"
            self.decided(Decided(node.key, approves, _NOBODY, "nobody decided in time", data), now)

    def _ask(self, node: Node, fields: dict[str, Any], now: float) -> None:
        timeout = node.task.timeout
        self._nodes.orders.append(Open(node.key, node.attempt))
        try:
            within = None if fields.get("within") is None else durations.parse(fields["within"])
        except ValueError as error:
            self._nodes.fail_with(node, Reason.INVALID, f"within {error}")
            return
        question = Question(
            message=str(fields.get("message", "")),
            form=fields.get("form"),
            until=None if within is None else now + within,
            on_timeout=fields.get("on_timeout") or "reject",
            data=fields.get("data"),
        )
        ends = [at for at in (question.until, None if timeout is None else now + timeout) if at is not None]
        node.memo = msgspec.json.encode(question)
        node.state, node.reason = move(node.state, State.WAITING), Reason.APPROVAL
        at = min(ends, default=None)
        self._nodes.orders.append(WaitUntil(node.key, node.attempt, at, node.memo, Reason.APPROVAL, question.message))

    def decided(self, fact: Decided, _now: float) -> None:
        """Take in what a person decided."""
        node = self._nodes.by_key.get(fact.task)
        if node is None or not is_asking(node):
            return
        if not fact.is_approved:
            told = f"rejected by {fact.actor or 'somebody'}" + (f": {fact.note}" if fact.note else "")
            self._nodes.fail_with(node, Reason.REJECTED, told)
            return
        output = {"approved": True, "actor": fact.actor, "note": fact.note, "data": msgspec.Raw(fact.data)}
        self._nodes.complete(node, msgspec.json.encode(output), attempt=node.attempt)

    def question(self, key: str) -> Question | None:
        """Return what a node asks a person; None where it does not."""
        node = self._nodes.by_key.get(key)
        return question_of(node) if node is not None and is_asking(node) else None

    def asking(self) -> Iterator[tuple[str, Question]]:
        """Yield what waits for a person, by key."""
        for key, node in self._nodes.by_key.items():
            if is_asking(node):
                yield key, question_of(node)


def _unfit(type: str, fields: dict[str, Any]) -> str | None:  # noqa: A002 -- the word of the document
    """Say what in the fields of a task is not what it has to be, without showing it; None where all is."""
    for name, (wanted, shown) in _KINDS[type].items():
        value = fields.get(name)
        if value is not None and not isinstance(value, wanted):
            return f"{name} must be {shown}, not {kind(value)}"
    if fields.get("on_timeout") not in (None, *_ON_TIMEOUT):
        return f"on_timeout must be one of {', '.join(_ON_TIMEOUT)}"
    if type == APPROVAL_TYPE and _is_too_deep(fields.get("data")):
        return f"data must not be nested deeper than {_DEEPEST_DATA} levels"
    return None


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_DEEPEST_DATA):
        level = [item for outer in level if isinstance(outer, dict | list) for item in _items(outer)]
        if not level:
            return False
    return any(isinstance(item, dict | list) for item in level)


def _items(container: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return container.values() if isinstance(container, dict) else container


def is_asking(node: Node) -> bool:
    """Tell whether a node waits for a person."""
    return node.task.type == APPROVAL_TYPE and node.state is State.WAITING and node.attempt > 0


def question_of(node: Node) -> Question:
    """Return what a person is asked."""
    return msgspec.json.decode(node.memo, type=Question)
