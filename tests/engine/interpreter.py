"""A slow and plain reading of the rules of control flow: what a run comes to, given what its attempts do.

It knows no time, no facts and no order of things: a task is settled by settling what it depends on. Expressions are the
engine's own, since the language is not in question here; everything else is read anew from the rules. The tests that
send random workflows through the engine ask it what should have come out.
"""

import hashlib
import itertools
import json
import re
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from engine import expressions
from engine.errors import ExpressionError, ParamsInvalidError
from engine.limits import Limits
from engine.model import APPROVAL_TYPE, WORKFLOW_TYPE, Foreach, Task, Workflow
from engine.params import resolve
from engine.states import Reason, State

HOOKS = {State.COMPLETED: "on_success", State.FAILED: "on_failure", State.CANCELLED: "on_cancel"}
MENDABLE = (Reason.ERROR, Reason.CHILD_FAILED)
RULES = {
    "all_success": lambda good, bad, skipped: not bad and not skipped,
    "all_done": lambda good, bad, skipped: True,
    "always": lambda good, bad, skipped: True,
    "all_failed": lambda good, bad, skipped: not good and not skipped,
    "one_success": lambda good, bad, skipped: good > 0,
    "one_failed": lambda good, bad, skipped: bad > 0,
    "none_failed": lambda good, bad, skipped: not bad,
    "none_failed_min_one_success": lambda good, bad, skipped: not bad and good > 0,
}
A_FAILURE_TRAVELS = ("all_success", "none_failed", "none_failed_min_one_success")


class End(NamedTuple):
    """How a task, an instance or a run ended; `output` is a JSON value, not its text."""

    state: State
    reason: Reason | None = None
    output: Any = None

    @property
    def is_good(self) -> bool:
        return self.state is State.COMPLETED


class Story(NamedTuple):
    """How a run ended, how each of its tasks and instances did, and the runs that its tasks called, one an attempt."""

    end: End
    tasks: dict[str, End]
    children: dict[str, list["Story"]]


class Script(NamedTuple):
    """What happens outside: what an attempt does (path, fields, inputs), a person says (path, message), a cache holds.

    A path is that of the task through the runs that called each other, such as `/w[2]/a`. A person who says nothing
    (None) lets the time run out. A cache is asked with the key that a task names.
    """

    perform: Callable[[str, Mapping[str, Any], Mapping[str, Any]], tuple[bool, Any]]
    decide: Callable[[str, str], Mapping[str, Any] | None] = lambda path, message: None
    recall: Callable[[Any], Any] = lambda key: None
    known: Mapping[str, Workflow] = {}
    limits: Limits = Limits()


def interpret(workflow: Workflow, script: Script, params: Mapping[str, Any] | None = None) -> Story:
    """Tell how a run of the workflow ends."""
    return Reading(workflow, script, params or {}).story()


class Reading:
    """One run, read to its end; `hooks_after` alone can be asked of a run whose tasks have ended otherwise."""

    def __init__(self, workflow: Workflow, script: Script, params: Mapping[str, Any], path="", depth=1) -> None:
        self.workflow, self.script, self.path, self.depth = workflow, script, path, depth
        self.tasks = {task.id: task for members in workflow.phases().values() for task in members}
        self.names: dict[str, Any] = {"params": resolve(workflow, params), "run": {"workflow": workflow.name}}
        self.ends: dict[str, End] = {}
        self.children: dict[str, list[Story]] = {}

    def story(self) -> Story:
        try:
            state = self.walk() if self.workflow.routing else None
        except ExpressionError:
            return self.hooks_after(End(State.FAILED, Reason.EXPRESSION))
        for task in self.workflow.tasks:
            self.settle(task.id)
        return self.hooks_after(self.outcome(state))

    def outcome(self, state: Any) -> End:
        failed = self.failed()
        if not all(task.continue_on_failure for task in failed):
            return End(State.FAILED, Reason.TASK_FAILED)
        try:
            output = self.output() if state is None or self.workflow.outputs is not None else state
        except ExpressionError:
            return End(State.FAILED, Reason.EXPRESSION)
        return End(State.COMPLETED, Reason.CONTINUED if failed else None, output)

    def failed(self) -> list[Task]:
        return [task for task in self.workflow.tasks if self.ends[task.id].state is State.FAILED]

    def output(self) -> Any:
        if self.workflow.outputs is not None:
            return self.render(self.workflow.outputs)
        if self.depth == 1:
            return None
        inner = {dependency for task in self.workflow.tasks for dependency in task.depends_on}
        return {task.id: self.ends[task.id].output for task in self.workflow.tasks if task.id not in inner}

    def hooks_after(self, end: End) -> Story:
        failed = [task.id for task in self.failed() if not task.continue_on_failure]
        reason = end.reason and str(end.reason)
        self.names["run"] = {**self.names["run"], "state": str(end.state), "reason": reason, "failed": failed}
        for phase, members in self.workflow.phases().items():
            for task in members:
                if phase in ("tasks", "finally", HOOKS[end.state]):
                    self.settle(task.id)
                else:
                    self.ends[task.id] = End(State.SKIPPED, Reason.OUTCOME)
        return Story(end, self.ends, self.children)

    def settle(self, key: str) -> End:
        if key not in self.ends:
            self.ends[key] = self.judge(self.tasks[key])
        return self.ends[key]

    def judge(self, task: Task) -> End:
        for dependency in task.depends_on:
            self.settle(dependency)
        try:
            heard = [self.heard(task, dependency) for dependency in task.depends_on]
            good, bad, skipped = (heard.count(kind) for kind in ("good", "bad", "skipped"))
            if heard and not RULES[task.trigger_rule](good, bad, skipped):
                return End(State.SKIPPED, why_not(task.trigger_rule, bad))
            if task.when is not None and not self.holds(task.when):
                return End(State.SKIPPED, Reason.CONDITION_FALSE)
            if task.foreach is not None:
                return self.fan_out(task, task.foreach)
            return self.repeat(task) if task.loop is not None else self.attempts(task.id, task)
        except ExpressionError:
            return End(State.FAILED, Reason.EXPRESSION)

    def heard(self, task: Task, dependency: str) -> str:
        end, condition = self.ends[dependency], (task.conditions or {}).get(dependency)
        has_run = end.state in (State.COMPLETED, State.FAILED)
        if has_run and condition is not None and not self.holds(condition):
            return "skipped"
        if end.is_good or (has_run and self.tasks[dependency].continue_on_failure):
            return "good"
        return "skipped" if end.state is State.SKIPPED and end.reason is not Reason.UPSTREAM_FAILED else "bad"

    def fan_out(self, task: Task, foreach: Foreach) -> End:
        items = self.render(foreach.items)
        if not isinstance(items, list | dict) or len(items) > self.script.limits.foreach_items:
            return End(State.FAILED, Reason.INVALID)
        pairs = list(items.items() if isinstance(items, dict) else enumerate(items))
        keys = [self.instance_key(foreach, index, item) for index, item in pairs]
        if len(set(keys)) < len(keys):
            return End(State.FAILED, Reason.INVALID)
        inputs = self.inputs(task, without=named(foreach.items))
        ends = []
        for key, (index, item) in zip(keys, pairs, strict=True):
            ends.append(self.attempts(f"{task.id}[{key}]", task, inputs, item=item, index=index))
            self.ends[f"{task.id}[{key}]"] = ends[-1]
        if not is_enough(foreach.require, sum(end.is_good for end in ends), len(ends)):
            return End(State.FAILED, Reason.INSTANCE_FAILED)
        outputs = [end.output if end.is_good else None for end in ends]
        if isinstance(items, dict):
            return End(State.COMPLETED, None, dict(zip(items, outputs, strict=True)))
        return End(State.COMPLETED, None, outputs)

    def instance_key(self, foreach: Foreach, index: Any, item: Any) -> str:
        value = index if foreach.key is None else self.evaluate(foreach.key, item=item, index=index)
        return written_key(value if isinstance(value, str) else json.dumps(value, separators=(",", ":")))

    def repeat(self, task: Task) -> End:
        loop, output = task.loop, None
        for iteration in range(1, loop.max_iterations + 1):
            key = f"{task.id}[{iteration}]"
            end = self.ends[key] = self.attempts(key, task, None, iteration=iteration, output=output)
            if not end.is_good:
                return End(State.FAILED, Reason.INSTANCE_FAILED)
            output = end.output
            holds = self.holds(loop.until or loop.while_, iteration=iteration, output=output)
            if holds is (loop.until is not None):
                return End(State.COMPLETED, None, output)
        return End(State.COMPLETED, None, output) if loop.at_limit == "complete" else LIMIT_REACHED

    def walk(self) -> Any:
        routing = self.workflow.routing
        state = self.render(routing.state)
        line, visited = deque([routing.entry]), {}
        for visit in itertools.count(1):
            if not line:
                break
            if visit > routing.max_iterations:
                visited[line[0]] = LIMIT_REACHED
                break
            node = self.tasks[line.popleft()]
            key = f"{node.id}[{visit}]"
            end = self.attempts(key, node, {"state": state}, state=state, iteration=visit)
            state = merged(state, node.id, end.output) if end.is_good else state
            self.ends[key] = End(State.COMPLETED, None, state) if end.is_good else end
            if not end.is_good and not node.continue_on_failure:
                visited[node.id] = End(State.FAILED, Reason.INSTANCE_FAILED)
                break
            visited[node.id] = End(State.COMPLETED, None, state)
            output = end.output if end.is_good else None
            try:
                for edge in routing.edges:
                    names = {"state": state, "output": output, "iteration": visit}
                    if edge.source == node.id and (edge.condition is None or self.holds(edge.condition, **names)):
                        line.append(edge.target)
            except ExpressionError:
                visited[node.id] = End(State.FAILED, Reason.EXPRESSION)
                break
        for task in self.workflow.tasks:
            self.ends[task.id] = visited.get(task.id, End(State.SKIPPED, Reason.NOT_REACHED))
        return state

    def attempts(self, key: str, task: Task, inputs: Mapping[str, Any] | None = None, **names: Any) -> End:
        """Try until it completes, fails beyond repair, or fails once too often."""
        inputs = self.inputs(task) if inputs is None else inputs
        end = End(State.FAILED)
        for _ in range(1 + task.retry.max_retries):
            try:
                fields = self.render(task.fields, **names)
                held = self.script.recall(self.render(task.cache.key, **names)) if task.cache else None
            except ExpressionError:
                return End(State.FAILED, Reason.EXPRESSION)
            if held is not None:
                return End(State.COMPLETED, Reason.CACHED, held)
            end = self.attempt(key, task, fields, inputs)
            if end.reason not in MENDABLE:
                break
        return end

    def attempt(self, key: str, task: Task, fields: Mapping[str, Any], inputs: Mapping[str, Any]) -> End:
        path = f"{self.path}/{key}"
        if task.type == WORKFLOW_TYPE:
            return self.call(key, task, fields)
        if task.type == APPROVAL_TYPE:
            return decided(self.script.decide(path, fields["message"]), fields)
        is_good, output = self.script.perform(path, fields, inputs)
        return End(State.COMPLETED, None, output) if is_good else End(State.FAILED, Reason.ERROR)

    def call(self, key: str, task: Task, fields: Mapping[str, Any]) -> End:
        inner = task.inner.workflow if task.inner else self.script.known.get(fields["workflow"])
        if inner is None or self.depth >= self.script.limits.workflow_depth:
            return End(State.FAILED, Reason.INVALID)
        try:
            child = Reading(inner, self.script, fields.get("params", {}), f"{self.path}/{key}", self.depth + 1).story()
        except ParamsInvalidError:
            return End(State.FAILED, Reason.INVALID)
        self.children.setdefault(key, []).append(child)
        return child.end._replace(reason=None) if child.end.is_good else End(State.FAILED, Reason.CHILD_FAILED)

    def inputs(self, task: Task, without: frozenset[str] = frozenset()) -> dict[str, Any]:
        return {dependency: self.ends[dependency].output for dependency in task.depends_on if dependency not in without}

    def render(self, value: Any, **names: Any) -> Any:
        template = expressions.find(value)
        return value if template is None else template.render(self.scope(names))

    def evaluate(self, text: str, **names: Any) -> Any:
        return expressions.evaluate(expressions.compile_text(text), self.scope(names))

    def holds(self, text: str, **names: Any) -> bool:
        return expressions.evaluate_condition(expressions.compile_text(text), self.scope(names))

    def scope(self, names: Mapping[str, Any]) -> dict[str, Any]:
        tasks = {
            key: {
                "output": end.output,
                "state": str(end.state),
                "reason": None if end.reason in (None, Reason.CACHED) else str(end.reason),
            }
            for key, end in self.ends.items()
        }
        return {**self.names, "tasks": tasks, **names}


LIMIT_REACHED = End(State.FAILED, Reason.LOOP_LIMIT)


def why_not(rule: str, bad: int) -> Reason:
    """Say why a rule that cannot be met skips a task: failures travel, skips under `all_success` too."""
    if bad and rule in A_FAILURE_TRAVELS:
        return Reason.UPSTREAM_FAILED
    return Reason.UPSTREAM_SKIPPED if rule == "all_success" else Reason.TRIGGER_RULE


def is_enough(require: str | float, completed: int, total: int) -> bool:
    if total == 0:
        return True
    if require == "any":
        return completed > 0
    share = 1.0 if require == "all" else float(str(require).removesuffix("%")) / (100 if "%" in str(require) else 1)
    return completed / total >= share - 1e-9


def written_key(key: str) -> str:
    written = re.sub(r"[^A-Za-z0-9_.-]", lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), key)
    return written if len(written) <= 128 else written[:100] + "~" + hashlib.sha256(key.encode()).hexdigest()[:16]


def named(items: Any) -> frozenset[str]:
    template = expressions.find(items)
    return frozenset() if template is None else template.tasks


def merged(state: Any, node: str, output: Any) -> Any:
    if output is None:
        return state
    return {**state, **(output if isinstance(output, dict) else {node: output})}


def decided(decision: Mapping[str, Any] | None, fields: Mapping[str, Any]) -> End:
    """Take a decision {approved, actor, note, data}, or what the task says for the case that nobody decides."""
    if decision is None:
        is_approved = fields.get("on_timeout") == "approve"
        decision = {
            "approved": is_approved,
            "actor": "timeout",
            "note": "nobody decided in time",
            "data": fields.get("data"),
        }
    return End(State.COMPLETED, None, dict(decision)) if decision["approved"] else End(State.FAILED, Reason.REJECTED)
