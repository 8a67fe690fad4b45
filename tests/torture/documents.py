"""Workflow documents drawn at random, all of whose tasks keep the ledger: plain ones, and each kind of control flow.

Small on purpose: many runs in few seconds. Called by `load`; which kinds there are is said by PLAIN and CONTROL.
"""

import random
from collections.abc import Callable
from typing import Any

from tests.whole.mill import Mill

Kinds = tuple[str, ...]
PLAIN: Kinds = ("chain", "chain", "chain", "diamond")
CONTROL: Kinds = (*PLAIN, "fan", "loop", "child", "hooks", "approval", "pool", "cached", "graph")
_SECONDS = (0.0, 0.0, 0.0, 0.02, 0.1)
_SCRIPTS = (["ok"], ["ok"], ["ok"], ["ok"], ["fail", "ok"], ["fail"], ["later", "ok"], ["die", "ok"])
_RETRY = {"defaults": {"retry": {"max_retries": 1, "delay": 0.01}}}


class Documents:
    """Draw documents for one mill."""

    def __init__(self, mill: Mill, rng: random.Random, kinds: Kinds = PLAIN) -> None:
        self._mill, self._random, self._kinds = mill, rng, kinds

    def draw(self) -> dict[str, Any]:
        """Return a document of any kind, with one retry for each task."""
        return self.of(self._random.choice(self._kinds))

    def of(self, kind: str) -> dict[str, Any]:
        """Return a document of this kind."""
        make: Callable[[], dict[str, Any]] = getattr(self, f"_{kind}")
        return _RETRY | {"name": kind} | make()

    def _task(self, name: str, *after: str, **fields: Any) -> dict[str, Any]:
        drawn = {"seconds": self._random.choice(_SECONDS), "script": self._random.choice(_SCRIPTS)}
        return self._mill.task(name, after, **(drawn | fields))

    def _chain(self) -> dict[str, Any]:
        length = self._random.choice((1, 2, 2, 3, 5))
        return {"tasks": [self._task(f"t{n}", *((f"t{n - 1}",) if n else ())) for n in range(length)]}

    def _diamond(self) -> dict[str, Any]:
        sides = [self._task(name, "a") for name in ("b", "c", "d")]
        return {"tasks": [self._task("a"), *sides, self._task("z", "b", "c", "d", trigger_rule="all_done")]}

    def _fan(self) -> dict[str, Any]:
        items = list(range(self._random.choice((0, 1, 3, 6))))
        spread = {"items": items, "max_parallel": 3, "require": self._random.choice(("all", "any"))}
        return {"tasks": [self._task("a"), self._task("fan", "a", foreach=spread), self._task("z", "fan")]}

    def _loop(self) -> dict[str, Any]:
        rounds = {"until": "iteration >= 3", "max_iterations": 5, "delay": self._random.choice((0, 0.02))}
        return {"tasks": [self._task("round", loop=rounds), self._task("z", "round")]}

    def _child(self) -> dict[str, Any]:
        inner = {"tasks": [self._task("i1"), self._task("i2", "i1")]} | _RETRY
        call = {"id": "call", "type": "workflow", "workflow": inner, "depends_on": ["a"]}
        return {"tasks": [self._task("a"), call, self._task("z", "call")]}

    def _hooks(self) -> dict[str, Any]:
        hooks = {f"on_{end}": [self._task(f"on_{end}", script=["ok"])] for end in ("success", "failure", "cancel")}
        return self._chain() | hooks | {"finally": [self._task("last", script=["ok"])]}

    def _approval(self) -> dict[str, Any]:
        on_timeout = self._random.choice(("approve", "reject"))
        ask = {"id": "ask", "type": "approval", "message": "Go on?", "within": "2s", "on_timeout": on_timeout}
        return {"tasks": [ask, self._task("z", "ask")]}

    def _pool(self) -> dict[str, Any]:
        tasks = [self._task(f"t{n}", pool={"name": "narrow", "weight": 1 + n % 2}) for n in range(4)]
        return {"tasks": tasks}

    def _cached(self) -> dict[str, Any]:
        key = f"key-{self._random.randrange(3)}"
        return {"tasks": [self._task("a", cache={"key": key, "ttl": "1h"}), self._task("z", "a")]}

    def _graph(self) -> dict[str, Any]:
        nodes = [self._task("one"), self._task("two")]
        for node in nodes:
            del node["depends_on"]
        edges = [{"from": "one", "to": "two"}, {"from": "two", "to": "one", "condition": "iteration < 4"}]
        return {"tasks": nodes, "routing": {"entry": "one", "edges": edges, "max_iterations": 9}}
