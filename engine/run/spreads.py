"""Tasks that come to several instances: `foreach` over a list or an object, and `loop`. Pure.

The task itself is then the parent: RUNNING without an attempt of its own until its last instance has ended. Instances
are nodes like any other; this room makes them, lets them go one after the other where it must, and ends the parent.
"""

import hashlib
import string
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

from engine.errors import StoreCorruptError
from engine.expressions import ExpressionError
from engine.facts import Spread
from engine.model import Foreach, Loop
from engine.run.attempts import Attempts
from engine.run.names import Names
from engine.run.node import Doom, Node, Snapshot
from engine.run.nodes import Nodes
from engine.states import ENDED, Reason, State, move

_PLAIN = frozenset((string.ascii_letters + string.digits + "_-.").encode())
_LONGEST_KEY, _KEPT_OF_KEY, _DIGITS_OF_HASH = 128, 100, 16


class Fan:
    """What the parent of a `foreach` knows of its instances, in the order of the elements."""

    __slots__ = ("completed", "first_bad", "is_object", "left", "next", "nodes", "under_way")

    def __init__(self, nodes: list[Node], *, is_object: bool) -> None:
        self.nodes, self.is_object = nodes, is_object
        self.next, self.left, self.completed = 0, len(nodes), 0
        self.under_way: set[int] = set()
        self.first_bad: Node | None = None


class Turns:
    """What the parent of a `loop` knows: the iteration at hand."""

    __slots__ = ("node", "number")

    def __init__(self, number: int, node: Node) -> None:
        self.number, self.node = number, node


class Spreads:
    """Spread tasks of one run; `most` bounds the instances of one, `most_bytes` what they give together.

    `expansions` are memos of an earlier run that this one repeats, and `reused` the outputs of instances in it.
    """

    def __init__(
        self,
        nodes: Nodes,
        names: Names,
        attempts: Attempts,
        *,
        most: int,
        most_bytes: int,
        expansions: Mapping[str, bytes],
        reused: Mapping[str, bytes],
    ) -> None:
        """Start with none."""
        self._nodes, self._names, self._attempts, self._most = nodes, names, attempts, most
        self._most_bytes = most_bytes
        self._expansions, self._reused = expansions, reused

    def begin(self, parent: Node) -> None:
        """Make the first instances of a task whose turn has come."""
        if parent.task.loop is not None:
            self._iterate(parent, parent.task.loop, 1, None, None)
            return
        try:
            self._fan_out(parent)
        except (ExpressionError, StoreCorruptError) as error:
            self._attempts.fail_unstarted(parent, error, "foreach: ")
        except _UnusableError as error:
            self._nodes.fail_with(parent, Reason.INVALID, f"foreach: {error}")

    def instance_ended(self, node: Node, now: float) -> None:
        """See what the end of an instance means for its parent."""
        parent = node.parent
        if parent is None or parent.state in ENDED:
            return
        if isinstance(parent.spread, Fan):
            self._fan_in(parent, parent.spread, node)
        else:
            self._turn_ended(parent, node, now)

    def take_up(self, parent: Node, snapshots: Mapping[str, Snapshot]) -> None:
        """Make the instances of a recorded parent again and have them stand where the record says."""
        if parent.task.foreach is not None:
            value, keys = self._recorded(parent)
            fan = self._fan(parent, value, keys)
            self._nodes.add(fan.nodes)
            for node in fan.nodes:
                snapshot = snapshots.get(node.key)
                if snapshot is not None:
                    node.take_up(snapshot)
                if node.state in ENDED:
                    self._count(fan, node)
            return
        number = sum(1 for key in snapshots if key.startswith(f"{parent.key}["))
        for iteration in range(1, number + 1):
            before = self._names.output(f"{parent.key}[{iteration - 1}]") if iteration == number else None
            node = self._iteration(parent, iteration, before)
            node.take_up(snapshots[node.key])
            if iteration < number - 1:
                self._nodes.forget_output(node)

    def resume(self, parent: Node) -> None:
        """Let instances of a parent that was taken up go on."""
        fan = parent.spread
        if isinstance(fan, Fan):
            self._release(parent, fan)
        elif fan.node.state is State.PENDING:
            self._nodes.make_ready(fan.node)

    def _fan_out(self, parent: Node) -> None:
        control, foreach = parent.planned.control, _foreach(parent)
        template = control.items if control is not None else None
        value = foreach.items if template is None else self._names.render(template)
        if not isinstance(value, list | dict):
            raise _UnusableError(f"its items must be a list or an object, not {_kind(value)}")
        if len(value) > self._most:
            raise _UnusableError(f"it has {len(value)} items; the limit foreach_items is {self._most}")
        if not value:
            self._nodes.complete(parent, b"{}" if isinstance(value, dict) else b"[]")
            return
        keys = self._keys(parent, value)
        fan = self._fan(parent, value, keys)
        memo = {"items": value} if foreach.key is None else {"items": value, "keys": keys}
        self._nodes.add(fan.nodes)
        encoded = msgspec.json.encode(memo)
        self._nodes.orders.append(Spread(parent.key, tuple(node.key for node in fan.nodes), encoded))
        parent.state = move(parent.state, State.RUNNING)
        self._reuse(parent, fan, value)
        self._release(parent, fan)

    def _keys(self, parent: Node, value: list[Any] | dict[str, Any]) -> list[str]:
        expression = parent.planned.control.key if parent.planned.control is not None else None
        if expression is None:
            return list(map(str, range(len(value)))) if isinstance(value, list) else [written(key) for key in value]
        keys = [
            written(_text(self._names.value(expression, {"item": item, "index": index})))
            for index, item in _elements(value)
        ]
        if len(set(keys)) < len(keys):
            raise _UnusableError(f"two items have the key {Counter(keys).most_common(1)[0][0]}")
        return keys

    def _fan(self, parent: Node, value: list[Any] | dict[str, Any], keys: list[str]) -> Fan:
        nodes = [
            Node(parent.planned, f"{parent.key}[{key}]", parent, number, {"item": item, "index": index})
            for number, (key, (index, item)) in enumerate(zip(keys, _elements(value), strict=True))
        ]
        parent.spread = fan = Fan(nodes, is_object=isinstance(value, dict))
        return fan

    def _recorded(self, parent: Node) -> tuple[Any, list[str]]:
        memo = msgspec.json.decode(parent.memo)
        value = memo["items"]
        return value, memo["keys"] if "keys" in memo else self._keys(parent, value)

    def _reuse(self, parent: Node, fan: Fan, value: list[Any] | dict[str, Any]) -> None:
        """Take over what completed in the run that is repeated, where the element is the same as it was there."""
        memo = self._expansions.get(parent.key)
        if memo is None:
            return
        former = msgspec.json.decode(memo)["items"]
        before = dict(_elements(former)) if type(former) is type(value) else {}
        for node, (index, item) in zip(fan.nodes, _elements(value), strict=True):
            output = self._reused.get(node.key)
            if output is not None and index in before and before[index] == item:
                self._nodes.complete(node, output, reason=Reason.REUSED)

    def _release(self, parent: Node, fan: Fan) -> None:
        """Let as many instances go as may run at once."""
        most = _foreach(parent).max_parallel or len(fan.nodes)
        while len(fan.under_way) < most and fan.next < len(fan.nodes):
            node = fan.nodes[fan.next]
            fan.next += 1
            if node.state not in ENDED:
                fan.under_way.add(node.number)
            if node.state is State.PENDING:
                self._nodes.make_ready(node)

    def _count(self, fan: Fan, node: Node) -> None:
        fan.left -= 1
        fan.under_way.discard(node.number)
        if node.state is State.COMPLETED:
            fan.completed += 1
        elif fan.first_bad is None or node.number < fan.first_bad.number:
            fan.first_bad = node

    def _fan_in(self, parent: Node, fan: Fan, node: Node) -> None:
        self._count(fan, node)
        if fan.left:
            if not self._nodes.is_stopping and parent.doom is None:
                self._release(parent, fan)
            return
        bad = fan.first_bad
        if parent.doom is not None and bad is not None:
            self._nodes.meet(parent, parent.doom)
        elif bad is not None and bad.state is State.CANCELLED:
            self._nodes.cancel(parent, bad.reason or Reason.USER, bad.message)
        elif is_enough(_foreach(parent).require, fan.completed, len(fan.nodes)):
            self._gather(parent, fan)
        else:
            count = len(fan.nodes) - fan.completed
            told = f"{count} of {len(fan.nodes)} instances failed" + (
                f", first {bad.key}: {bad.message}" if bad else ""
            )
            self._nodes.fail_with(parent, Reason.INSTANCE_FAILED, told)

    def _gather(self, parent: Node, fan: Fan) -> None:
        """Complete a parent with the outputs of its instances, which are not kept a second time."""
        try:
            gathered = self._gathered(fan)
        except StoreCorruptError as error:
            self._attempts.fail_unstarted(parent, error, "foreach: ")
            return
        for node in fan.nodes:
            self._nodes.forget_output(node)
        if gathered is None:
            told = (
                f"the outputs of its instances are more than {self._most_bytes:,} bytes together (limits.output_bytes)"
            )
            self._nodes.fail_with(parent, Reason.OUTPUT_TOO_LARGE, told)
        else:
            self._nodes.complete(parent, gathered)

    def _gathered(self, fan: Fan) -> bytes | None:
        """Join the outputs in the order of the elements, as JSON; None for more than an output may be.

        Raises StoreCorruptError where one can no longer be read.
        """
        parts, room = [], self._most_bytes
        for node in fan.nodes:
            part = self._nodes.outputs.get(node.key, b"null") if node.state is State.COMPLETED else b"null"
            if fan.is_object and node.names is not None:
                part = msgspec.json.encode(node.names["index"]) + b":" + part
            parts.append(part)
            room -= len(part) + 1
            if room < 0:
                return None
        return b"{" + b",".join(parts) + b"}" if fan.is_object else b"[" + b",".join(parts) + b"]"

    def _iterate(self, parent: Node, loop: Loop, number: int, before: Any, now: float | None) -> None:
        """Make the next iteration, at once or after the delay."""
        node = self._iteration(parent, number, before)
        wait = 0.0 if number == 1 else _wait(loop, number - 1)
        if number == 1:
            parent.state = move(parent.state, State.RUNNING)
        if wait and now is not None:
            node.due_at, node.state, node.reason = now + wait, move(node.state, State.WAITING), Reason.DELAY
        else:
            self._nodes.make_ready(node)
        self._nodes.orders.append(Spread(parent.key, (node.key,), None, node.due_at))

    def _iteration(self, parent: Node, number: int, before: Any) -> Node:
        names = {"iteration": number, "output": before}
        node = Node(parent.planned, f"{parent.key}[{number}]", parent, number, names)
        self._nodes.add([node])
        parent.spread = Turns(number, node)
        return node

    def _turn_ended(self, parent: Node, node: Node, now: float) -> None:
        loop = parent.task.loop
        if loop is None or parent.planned.control is None or parent.planned.control.ends is None:
            return
        number = node.number
        # What an iteration was handed is the output of the one before: of a million of them, one is kept.
        node.names = None
        if number > 1:
            self._nodes.forget_output(self._nodes.by_key[f"{parent.key}[{number - 1}]"])
        if node.state is not State.COMPLETED:
            self._break_off(parent, node)
            return
        try:
            data = self._nodes.outputs.get(node.key, b"null")
            output = self._names.output(node.key)
            holds = self._names.holds(parent.planned.control.ends, {"iteration": number, "output": output})
        except (ExpressionError, StoreCorruptError) as error:
            self._attempts.fail_unstarted(parent, error, "loop: ")
            return
        has_ended = holds if loop.until is not None else not holds
        is_last = number >= loop.max_iterations
        if has_ended or (is_last and loop.at_limit == "complete"):
            self._nodes.forget_output(node)
            self._nodes.complete(parent, data)
        elif parent.doom is not None:
            self._nodes.meet(parent, parent.doom)
        elif is_last:
            self._nodes.fail_with(parent, Reason.LOOP_LIMIT, _still(loop))
        else:
            self._iterate(parent, loop, number + 1, output, now)

    def _break_off(self, parent: Node, node: Node) -> None:
        if parent.doom is not None:
            self._nodes.meet(parent, parent.doom)
        elif node.state is State.CANCELLED:
            self._nodes.cancel(parent, node.reason or Reason.USER, node.message)
        else:
            told = f"iteration {node.number} failed: {node.message}"
            self._nodes.fail_with(parent, Reason.INSTANCE_FAILED, told)

    def stop(self, parent: Node, doom: Doom) -> None:
        """Have a parent end like this, and its instances before it."""
        parent.doom = doom
        instances = parent.spread.nodes if isinstance(parent.spread, Fan) else [parent.spread.node]
        below = Doom(State.CANCELLED, doom.reason, doom.message)
        for node in instances:
            if node.state not in ENDED:
                self._nodes.stop(node, below)


class _UnusableError(Exception):
    """The items of a `foreach` are not what they may be."""


def written(key: str) -> str:
    """Write the key of an instance with letters, digits, `_`, `-` and `.` alone, the rest as bytes in percent."""
    text = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in key.encode("utf-8", "surrogatepass"))
    if len(text) <= _LONGEST_KEY:
        return text
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[:_KEPT_OF_KEY]}~{digest[:_DIGITS_OF_HASH]}"


def is_enough(require: str | float, completed: int, of: int) -> bool:
    """Judge how many of the instances completed."""
    if require == "all":
        return completed == of
    if require == "any":
        return completed > 0
    return completed >= float(require) * of


def _foreach(parent: Node) -> Foreach:
    return parent.task.foreach or Foreach(items=[])


def _elements(value: list[Any] | dict[str, Any]) -> list[tuple[Any, Any]]:
    return list(value.items()) if isinstance(value, dict) else list(enumerate(value))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _kind(value: Any) -> str:
    kinds = {str: "a text", bool: "a truth value", type(None): "null"}
    return kinds.get(type(value), "a number")


def _still(loop: Loop) -> str:
    condition = f"until: {loop.until} is false" if loop.until is not None else f"while: {loop.while_} is true"
    return f"after {loop.max_iterations} iterations {condition} still"


def _wait(loop: Loop, ended: int) -> float:
    """Return the seconds after iteration number `ended`."""
    try:
        return min(loop.delay * loop.backoff ** (ended - 1), loop.max_delay)
    except OverflowError:
        return loop.max_delay
