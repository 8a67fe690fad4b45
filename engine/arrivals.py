"""Submissions that have come since the last turn: recorded in one transaction, and made into live runs.

Owned by the executor, which lets them begin. Who asked hears of it through the answer that came along.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future

from engine.assignments import Ambience, scope
from engine.ids import new_id
from engine.limits import Limits
from engine.live import Live
from engine.memory import Memory
from engine.outputs import SpilledOutputs
from engine.plan import Plan
from engine.points import sync_point
from engine.run import Run
from engine.submission import Receipt, Submission
from engine.values import Values

Answer = Future[Receipt]


class Arrivals:
    """Keep what was submitted and is not recorded yet."""

    def __init__(
        self, memory: Memory, *, values: Values, limits: Limits, ambience: Ambience, entropy: Callable[[int], bytes]
    ) -> None:
        """Start with none; `entropy` makes ids."""
        self._memory, self._values, self._limits = memory, values, limits
        self._ambience, self._entropy = ambience, entropy
        self._waiting: list[tuple[Submission, Plan, Answer]] = []

    def add(self, submission: Submission, plan: Plan, answer: Answer) -> None:
        """Take in a submission; the answer is its receipt, when the run is recorded durably."""
        self._waiting.append((submission, plan, answer))

    def admit(self, now: float) -> Iterator[tuple[Live | None, Answer, Receipt]]:
        """Record them all and yield the run that came of each, None where an earlier one answers for it."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        keyed = [(new_id(now, self._entropy(10)), submission, now) for submission, _, _ in waiting]
        sync_point("executor.asked")
        receipts = self._memory.create(keyed)
        sync_point("executor.created")
        for (key, submission, _), (_, plan, answer), receipt in zip(keyed, waiting, receipts, strict=True):
            live = self._make(key, submission, plan, now) if receipt.is_new else None
            yield live, answer, receipt

    def _make(self, key: str, submission: Submission, plan: Plan, now: float) -> Live:
        outputs = SpilledOutputs(self._values, self._limits.inline_bytes)
        outputs.update(submission.reused)
        names = scope(self._ambience, key, plan, submission.params, submission.trigger, now)
        run = Run(
            key,
            plan,
            scope=names,
            outputs=outputs,
            priority=submission.priority,
            max_lost=self._limits.max_lost,
            max_instances=self._limits.foreach_items,
            max_output=self._limits.output_bytes,
            use_cache=submission.use_cache,
            is_called=submission.parent is not None,
            expansions=submission.expansions,
            called=submission.called,
        )
        run.reuse(submission.reused)
        return Live(
            run,
            plan,
            names,
            run_at=submission.run_at,
            parent=submission.parent,
            use_cache=submission.use_cache,
        )

    def __len__(self) -> int:
        """Count what waits."""
        return len(self._waiting)
