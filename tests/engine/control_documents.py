"""Random documents with every kind of control flow, and what their attempts do; strategies and nothing else.

A task of the type `scripted` does what its fields say: it fails its first `fails` times, then it gives `gives`, and
what it found as `inputs` if it `looks`. An approval is decided by the first word of its message. So a document tells
all of its story, wherever it runs. What would depend on who is faster is not drawn: a task that starts before all it
depends on has ended does not look at them.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from engine.limits import Limits
from engine.loader import load_value
from engine.model import TRIGGER_RULES, Workflow
from engine.task import Catalogue, TaskType
from tests.engine.interpreter import Script

SCRIPTED = "scripted"
FOREVER = 1000
# What the key of a cache has in it when the cache holds something, and what it holds then.
KNOWN, HELD = "is known", "as before"
EARLY = ("one_success", "one_failed")
scalars = st.sampled_from([None, True, 0, 1, 2, -3, 1.5, "", "a", "b c", "ä/%", "[1]", "${"])
keys = st.sampled_from(["a", "b", "b c", "ä", "x/y", "", "n" * 130])
lists = st.lists(scalars, max_size=4)
objects = st.dictionaries(keys, scalars, max_size=3)
values = st.one_of(scalars, lists, objects)
requires = st.sampled_from(["all", "all", "any", "50%", 0.3])


def seldom(strategy, otherwise=None):
    """Draw of a strategy now and then."""
    return st.one_of(st.just(otherwise), st.just(otherwise), st.just(otherwise), strategy)


@st.composite
def documents(draw, *, depth: int = 2, has_hooks: bool = True, most_tasks: int = 7, people: bool = True):
    """Draw a document; documents stand in documents down to `depth`."""
    writer = Writer(draw, depth, people=people)
    is_graph = draw(seldom(st.just(True))) is True
    tasks = writer.graph() if is_graph else {"tasks": writer.tasks("t", most_tasks)}
    document: dict[str, Any] = {"name": "drawn", "params": PARAMS, **tasks}
    ids = [task["id"] for task in document["tasks"]]
    if draw(seldom(st.just(True))) is True:
        document["outputs"] = {"of": f"${{{{ tasks.{draw(st.sampled_from(ids))}.output }}}}", "fixed": draw(scalars)}
        if draw(seldom(st.just(True))) is True:
            document["outputs"]["broken"] = "${{ 1 / (params.n - params.n) }}"
    if (most := draw(seldom(st.integers(1, 3)))) is not None:
        document["max_parallel"] = most
    for phase in ("on_success", "on_failure", "on_cancel", "finally") if has_hooks else ():
        if draw(st.booleans()):
            document[phase] = Writer(draw, min(depth, 1), people=people, known=ids).tasks(phase[-3:], 2)
    return document


PARAMS = {"n": {"type": "integer", "default": 2}, "list": {"type": "array", "default": [1, "b", None]}}


class Writer:
    """Write the tasks of one document; tasks of hooks may name the `known` ones of the run."""

    def __init__(self, draw, depth: int, *, people: bool, known: list[str] | None = None) -> None:
        self.draw, self.depth, self.people, self.known = draw, depth, people, known

    def seldom(self, strategy: Any) -> Any:
        return self.draw(seldom(strategy if isinstance(strategy, st.SearchStrategy) else st.just(strategy)))

    def one_of(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def tasks(self, prefix: str, most: int) -> list[dict[str, Any]]:
        count = self.draw(st.integers(1, most))
        written = [self.task(f"{prefix}{n}", [f"{prefix}{m}" for m in range(n)]) for n in range(count)]
        return self.draw(st.permutations(written))

    def task(self, key: str, before: list[str]) -> dict[str, Any]:
        behind = self.draw(st.lists(st.sampled_from(before), unique=True, max_size=3)) if before else []
        task: dict[str, Any] = {"id": key}
        if behind:
            task["trigger_rule"] = self.one_of("all_success", "all_success", "all_done", *TRIGGER_RULES)
            task["depends_on"] = self.edges(behind, task["trigger_rule"])
        is_early = task.get("trigger_rule") in EARLY
        seen = [] if is_early else [*behind, *(self.known or [])]
        if (when := self.seldom(st.sampled_from(self.conditions(seen)))) is not None:
            task["when"] = when
        if self.seldom(True):
            task["continue_on_failure"] = True
        local = self.spread(task, seen)
        return task | self.body(seen, local, looks=not is_early)

    def edges(self, behind: list[str], rule: str) -> list[Any]:
        edges: list[Any] = []
        for key in behind:
            conditions = [*self.conditions([key]), "false"]
            if len(behind) > 1 and rule not in ("all_done", "always"):
                # An error in one condition and a verdict of the rule without it: whichever comes first.
                conditions = [text for text in conditions if "/" not in text and "size" not in text]
            when = self.seldom(st.sampled_from(conditions))
            edges.append(key if when is None else {"task": key, "when": when})
        return edges

    def conditions(self, seen: list[str]) -> list[str]:
        of_run = ["run.state == 'FAILED'", "size(run.failed) > 0"] if self.known else []
        return [*of_run, "true", "params.n == 2", "params.n > 2", "1 / 0 == 1"] + [
            text
            for key in seen
            for text in (
                f"tasks.{key}.state == 'COMPLETED'",
                f"tasks.{key}.output != null",
                f"tasks.{key}.reason == null",
                f"size(tasks.{key}.output) > 1",
            )
        ]

    def spread(self, task: dict[str, Any], seen: list[str]) -> list[str]:
        """Perhaps make it a foreach or a loop; return the names that its fields may use then."""
        kind = self.one_of("", "", "", "foreach", "loop")
        if kind == "foreach":
            items = self.one_of(self.draw(lists), {"items": self.draw(objects)}, *self.lists_of(seen))
            if self.draw(st.booleans()):
                items = items if isinstance(items, dict) else {"items": items}
                items = items | {"require": self.draw(requires)}
                if self.seldom(True):
                    items["key"] = self.one_of("'k' + string(index)", "item", "string(item)", "index")
                if self.seldom(True):
                    items["max_parallel"] = self.draw(st.integers(1, 3))
            task["foreach"] = items
            return ["item", "index"]
        if kind == "loop":
            ends = self.one_of(
                {"until": f"iteration >= {self.draw(st.integers(1, 3))}"},
                {"while": f"iteration < {self.draw(st.integers(1, 3))}"},
                {"until": "output == 'never'"},
                {"until": "output != null"},
                {"while": "size(output) > 0"},
            )
            task["loop"] = {"max_iterations": self.draw(st.integers(1, 4)), **ends}
            if self.seldom(True):
                task["loop"]["at_limit"] = "complete"
            if self.seldom(True):
                task["loop"]["delay"] = 2
            return ["iteration", "output"]
        return []

    def lists_of(self, seen: list[str]) -> list[str]:
        return ["${{ params.list }}"] + [f"${{{{ tasks.{key}.output }}}}" for key in seen]

    def body(self, seen: list[str], local: list[str], *, looks: bool) -> dict[str, Any]:
        kinds = ["", "", "", ""] + ["workflow"] * (self.depth > 1) + ["approval"] * self.people
        kind = self.one_of(*kinds)
        retry = {"max_retries": self.draw(st.integers(0, 2)), "delay": self.one_of(0, 0, 3)}
        task: dict[str, Any] = {"retry": retry} if kind == "workflow" or self.draw(st.booleans()) else {}
        if kind == "workflow":
            inner = self.draw(documents(depth=self.depth - 1, has_hooks=False, most_tasks=3, people=self.people))
            if self.seldom(True):
                inner |= {"on_failure": Writer(self.draw, 1, people=False).tasks("hook", 1)}
            handed = ["${{ 'no list' }}", *(f"${{{{ {name} }}}}" for name in local), *self.lists_of(seen)]
            params = self.one_of({}, {}, {"n": 3}, {"n": "${{ 'no number' }}"}, {"list": self.one_of(*handed)})
            return task | {"type": "workflow", "workflow": inner, "params": params}
        if kind == "approval":
            return task | self.approval()
        return task | self.scripted(seen, local, retry["max_retries"] if task else 0, looks=looks)

    def approval(self) -> dict[str, Any]:
        word = self.one_of("yes", "yes", "no", "late")
        task: dict[str, Any] = {"type": "approval", "message": f"{word} ${{{{ params.n }}}}"}
        if word == "late":
            task |= {"within": 5, "on_timeout": self.one_of("approve", "reject")}
        return task | ({"data": self.draw(objects)} if word == "late" and self.draw(st.booleans()) else {})

    def scripted(self, seen: list[str], local: list[str], retries: int, *, looks: bool) -> dict[str, Any]:
        # Once too often is a failure, and done with when a workflow around it is tried again.
        fails = self.one_of(0, 0, 0, *range(retries + 2), FOREVER)
        task: dict[str, Any] = {"type": SCRIPTED, "gives": self.gives(seen, local)}
        if "index" in local and self.draw(st.booleans()):
            fails = f"${{{{ item == {self.one_of('1', 'null', repr('a'))} ? {self.one_of(1, FOREVER)} : 0 }}}}"
        if "iteration" in local and self.draw(st.booleans()):
            fails = f"${{{{ iteration == {self.draw(st.integers(1, 3))} ? {FOREVER} : 0 }}}}"
        if fails:
            task["fails"] = fails
        if looks and self.seldom(True):
            task["looks"] = True
        if self.seldom(True):
            task["cache"] = self.one_of(True, {"key": f"{KNOWN} ${{{{ params.n }}}}", "ttl": 60}, {"key": "new"})
        return task

    def gives(self, seen: list[str], local: list[str]) -> Any:
        drawn = self.draw(values)
        expressions = ["n is ${{ params.n }}", "${{ params.list }}", *(f"${{{{ {name} }}}}" for name in local)]
        if self.known:
            expressions += ["${{ run.state }}", "${{ run.reason }}", f"${{{{ '{self.known[0]}' in run.failed }}}}"]
        if not local:
            # Not once an instance: what grows would grow by the power.
            expressions += [f"${{{{ tasks.{key}.{name} }}}}" for key in seen for name in ("output", "state", "reason")]
        return self.one_of(drawn, drawn, self.one_of(*expressions), {"x": self.one_of(*expressions)})

    def graph(self) -> dict[str, Any]:
        """Write nodes that are visited one after the other, over a shared state."""
        ids = [f"n{n}" for n in range(self.draw(st.integers(1, 4)))]
        nodes = []
        for key in ids:
            gives = self.one_of(self.draw(scalars), {"last": key}, {"at": "${{ iteration }}"}, "${{ state }}")
            node = {"id": key, "type": SCRIPTED, "gives": gives}
            if self.seldom(True):
                node |= {"fails": self.one_of(FOREVER, "${{ iteration > 2 ? 1000 : 0 }}", "${{ 1 / 0 }}")}
            if self.seldom(True):
                node |= {"continue_on_failure": True}
            if self.seldom(True):
                node |= {"looks": True}
            nodes.append(node)
        conditions = [None, None, "iteration < 3", "iteration >= 2", "has(state.last)", "output != null", "1 / 0 == 1"]
        drawn = st.tuples(st.sampled_from(ids), st.sampled_from(ids), st.sampled_from(conditions))
        routing: dict[str, Any] = {
            "entry": ids[0],
            "edges": [
                {"from": source, "to": target} | ({} if condition is None else {"condition": condition})
                for source, target, condition in self.draw(st.lists(drawn, max_size=5))
            ],
            "max_iterations": self.draw(st.integers(1, 6)),
        }
        if self.draw(st.booleans()):
            routing["state"] = self.one_of({"seed": 1}, {"seed": "${{ params.n }}"})
        return {"tasks": nodes, "routing": routing}


def judged(document: dict[str, Any]) -> Workflow:
    """Have the loader judge a document; it has to accept it."""
    catalogue = Catalogue({SCRIPTED: TaskType(type=SCRIPTED)})
    workflow, problems = load_value(document, catalogue, Limits())
    assert workflow is not None, [(problem.pointer, problem.message) for problem in problems]
    return workflow


class Play:
    """Do what scripted tasks and approvals say of themselves; it counts, so one that is cut off was never tried."""

    def __init__(self) -> None:
        self.failures: Counter[str] = Counter()

    @property
    def script(self) -> Script:
        return Script(self.perform, self.decide, self.recall)

    def perform(self, path: str, fields: Mapping[str, Any], inputs: Mapping[str, Any]) -> tuple[bool, Any]:
        if self.failures[path] < fields.get("fails", 0):
            self.failures[path] += 1
            return False, None
        return True, outcome(fields, inputs)

    @staticmethod
    def recall(material: str | None) -> str | None:
        return HELD if KNOWN in (material or "") else None

    @staticmethod
    def decide(path: str, message: str) -> dict[str, Any] | None:
        word = message.split(maxsplit=1)[0]
        return None if word == "late" else {"approved": word == "yes", "actor": "ann", "note": "ok", "data": {"a": 1}}


def outcome(fields: Mapping[str, Any], inputs: Mapping[str, Any]) -> Any:
    """Return what a scripted task gives: what its fields say, and a short mark of what it found."""
    if not fields.get("looks"):
        return fields["gives"]
    found = json.dumps({key: value for key, value in inputs.items() if value is not None}, sort_keys=True)
    return {"gives": fields["gives"], "found": hashlib.sha256(found.encode()).hexdigest()[:8]}
