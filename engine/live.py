"""A run that lives, and what its owner needs beside it to carry out its orders."""

from collections.abc import Mapping
from typing import Any

from engine.plan import Plan
from engine.run import Run
from engine.states import State
from engine.submission import Parent


class Live:
    """A live run; `scope` holds the names of its expressions, `run_at` is the wall time it was submitted for."""

    __slots__ = ("parent", "plan", "run", "run_at", "scope", "use_cache")

    def __init__(
        self,
        run: Run,
        plan: Plan,
        scope: Mapping[str, Any],
        *,
        run_at: float | None = None,
        parent: Parent | None = None,
        use_cache: bool = True,
    ) -> None:
        """Keep them together."""
        self.run, self.plan, self.scope = run, plan, scope
        self.run_at, self.parent, self.use_cache = run_at, parent, use_cache

    @property
    def priority(self) -> int:
        """Return the priority it was submitted with."""
        return self.run.priority - self.plan.workflow.priority

    @property
    def depth(self) -> int:
        """Return how deep it lies in runs that call runs; 1 for one that nobody called."""
        return 1 if self.parent is None else self.parent.depth + 1

    @property
    def trigger(self) -> Mapping[str, Any]:
        """Return what caused it."""
        trigger: Mapping[str, Any] = self.scope.get("trigger", {})
        return trigger

    @property
    def has_begun(self) -> bool:
        """Tell whether it has begun; one that was paused has."""
        return self.run.is_paused or self.run.state is State.RUNNING
