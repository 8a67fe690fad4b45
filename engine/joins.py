"""Decide, as a task's dependencies end one by one, whether it may start, must be skipped, or has to wait. Pure.

`run` keeps one Join a task. The rules and how a skip travels are the table in README; a test walks it.
"""

from enum import Enum

from engine.states import Reason, State


class Outcome(Enum):
    """Name how a dependency ended, as far as the tasks behind it care."""

    GOOD = "good"
    BAD = "bad"
    SKIPPED = "skipped"
    # It ran, and the condition on it is false: as if it had been skipped.
    RULED_OUT = "ruled out"


class Verdict(Enum):
    """Name what a join has come to."""

    READY = "ready"
    NEVER = "never"


def outcome(state: State, reason: Reason | None, *, is_good: bool) -> Outcome:
    """Sort an ended task: a skip that comes from a failure further up counts as bad, any other as skipped."""
    if is_good:
        return Outcome.GOOD
    if state is State.SKIPPED and reason is not Reason.UPSTREAM_FAILED:
        return Outcome.SKIPPED
    return Outcome.BAD


class Join:
    """Count how the dependencies of one task ended and apply its trigger rule; every verdict is given once."""

    __slots__ = ("_bad", "_culprit", "_good", "_rule", "_skipped", "_waiting", "is_open")

    def __init__(self, rule: str, dependencies: int) -> None:
        """Wait for this many dependencies; a task without any is ready when its run begins."""
        self._rule = rule
        self._waiting = dependencies
        self._good = self._bad = self._skipped = 0
        self._culprit: tuple[str, Outcome] | None = None
        self.is_open = True

    def hear(self, task: str, result: Outcome) -> Verdict | None:
        """Take in how a dependency ended; return the verdict if this decides it, None before and after."""
        self._waiting -= 1
        if result is Outcome.GOOD:
            self._good += 1
        elif result is Outcome.BAD:
            self._bad += 1
        else:
            self._skipped += 1
        if result is not Outcome.GOOD and (self._culprit is None or self._culprit[1] is not Outcome.BAD):
            self._culprit = (task, result)
        if not self.is_open:
            return None
        verdict = self._judge()
        self.is_open = verdict is None
        return verdict

    def explain(self) -> tuple[Reason, str]:
        """Return the reason code and the sentence of a NEVER verdict, the culprit named."""
        task, result = self._culprit or ("", Outcome.GOOD)
        if self._rule in ("all_success", "none_failed", "none_failed_min_one_success") and result is Outcome.BAD:
            return Reason.UPSTREAM_FAILED, f"task {task} did not complete"
        if self._rule == "all_success":
            why = (
                f"its condition on task {task} is false" if result is Outcome.RULED_OUT else f"task {task} was skipped"
            )
            return Reason.UPSTREAM_SKIPPED, why
        return Reason.TRIGGER_RULE, f"its trigger rule {self._rule} can no longer be met"

    def _judge(self) -> Verdict | None:
        if self._rule == "all_success":
            # The common case, first and without a table.
            if self._bad:
                return Verdict.NEVER
            if self._waiting:
                # After a skip too: should another one fail, that is the reason, whichever of the two came first.
                return None
            return Verdict.NEVER if self._skipped else Verdict.READY
        if _is_hopeless(self._rule, self._good, self._bad, self._skipped):
            return Verdict.NEVER
        if _is_met_early(self._rule, self._good, self._bad):
            return Verdict.READY
        if self._waiting:
            return None
        return Verdict.READY if _is_met(self._rule, self._good, self._bad) else Verdict.NEVER


def _is_hopeless(rule: str, good: int, bad: int, skipped: int) -> bool:
    if rule == "all_failed":
        return good + skipped > 0
    return rule in ("none_failed", "none_failed_min_one_success") and bad > 0


def _is_met_early(rule: str, good: int, bad: int) -> bool:
    return (rule == "one_success" and good > 0) or (rule == "one_failed" and bad > 0)


def _is_met(rule: str, good: int, bad: int) -> bool:
    """Judge a rule when every dependency has ended and nothing decided it earlier."""
    needed = {"one_success": good, "one_failed": bad, "none_failed_min_one_success": good, "all_failed": bad}
    return needed.get(rule, 1) > 0
