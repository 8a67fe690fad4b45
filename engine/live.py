"""A run that lives, and what the executor needs beside it to carry out its orders."""

from engine.plan import Plan
from engine.run import Run


class Live:
    """A live run; `run_at` is the wall time it was submitted for."""

    __slots__ = ("plan", "run", "run_at")

    def __init__(self, run: Run, plan: Plan, run_at: float | None) -> None:
        """Keep them together."""
        self.run, self.plan, self.run_at = run, plan, run_at
