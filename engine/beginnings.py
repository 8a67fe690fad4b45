"""When a run begins: at the time it was submitted for, and not before there is a place for it (`concurrency`).

Owned by the executor, which hands in how a run is told a fact. The bounds themselves are in `gates`, the times in
`timers`.
"""

from collections.abc import Callable, Mapping

import msgspec

from engine.clock import Clock
from engine.errors import ExpressionError
from engine.facts import CancelAsked, Fact, Queued, Submitted
from engine.gates import Gates, Group
from engine.live import Live
from engine.states import Reason
from engine.timers import Timers
from engine.waits import RunWait

# Timers count monotonic time; a submission for later means wall time, so it is looked at again at least this often.
_WALL_CHECK_SECONDS = 30.0

Tell = Callable[[str, Fact, float], None]


class Beginnings:
    """Let the runs in `live` begin, which the executor keeps."""

    def __init__(self, live: Mapping[str, Live], timers: Timers, clock: Clock, tell: Tell) -> None:
        """Start with nobody waiting."""
        self._live, self._timers, self._clock, self._tell = live, timers, clock, tell
        self._gates = Gates()
        self.later: set[str] = set()
        self._taken_up: set[str] = set()

    def arm(self, key: str, now: float) -> None:
        """Let a run begin at its time, or now where that has come."""
        if key in self._taken_up:
            # All of them, in the order in which they stood in line: one that asks first may find the place free.
            again, self._taken_up = self._taken_up, set()
            for other in sorted(again & self._live.keys(), key=self._place):
                self.arm(other, now)
            return
        run_at = self._live[key].run_at
        if run_at is None or run_at <= now:
            self.later.discard(key)
            self._begin(key, now)
        else:
            self.later.add(key)
            self._timers.add(self._clock.ticks() + min(run_at - now, _WALL_CHECK_SECONDS), key, Submitted())

    def take_up(self, key: str, now: float) -> None:
        """Count a run of an earlier life that had begun, and let any other begin; those that had go first."""
        live = self._live[key]
        if not live.has_begun:
            if live.plan.workflow.concurrency is None or key in self.later:
                self.arm(key, now)
            else:
                # Not before all are taken up: one of them may have begun.
                self._taken_up.add(key)
                self._timers.add(self._clock.ticks(), key, Submitted())
            return
        group = self._group(live)
        if isinstance(group, tuple) and not self._shares_place(live, group):
            self._gates.enter(key, group)

    def ended(self, key: str, now: float) -> None:
        """Let those begin that waited for a run which has ended."""
        self.later.discard(key)
        for following in self._gates.leave(key):
            self._tell(following, Submitted(), now)

    def waits(self) -> list[RunWait]:
        """Show the runs that wait for earlier ones."""
        found = self._gates.waiting()
        return [RunWait(run=run, workflow=group[0], key=group[1], ahead=ahead) for run, group, ahead in found]

    def _begin(self, key: str, now: float) -> None:
        live = self._live[key]
        concurrency = live.plan.workflow.concurrency
        if concurrency is None:
            self._tell(key, Submitted(), now)
            return
        group = self._group(live)
        if group is None or isinstance(group, ExpressionError):
            self._tell(key, CancelAsked(Reason.EXPRESSION, f"concurrency: {group}"), now)
            return
        if self._shares_place(live, group):
            self._tell(key, Submitted(), now)
            return
        answer = self._gates.ask(key, group, concurrency, live.run.priority)
        for other in answer.replaced:
            self._tell(other, CancelAsked(Reason.REPLACED, f"run {key} takes its place"), now)
        if answer.may_begin:
            self._tell(key, Submitted(), now)
        elif answer.is_skipped:
            self._tell(key, CancelAsked(Reason.OVERLAP, f"run {answer.ahead} has not ended{_of(group)}"), now)
        else:
            self._tell(key, Queued(f"it waits for run {answer.ahead}{_of(group)}"), now)

    def _place(self, key: str) -> tuple[int, str]:
        """Return what runs are sorted by that wait: priority, then age, which ids begin with."""
        return -self._live[key].run.priority, key

    def _shares_place(self, live: Live, group: Group) -> bool:
        """Tell whether a run at this gate waits for this one, perhaps through others: both would wait for ever."""
        parent = live.parent
        while parent is not None:
            caller = self._live.get(parent.run)
            if caller is None or not caller.run.awaits(parent.task):
                return False
            if self._gates.has_begun(parent.run, group):
                return True
            parent = caller.parent
        return False

    def _group(self, live: Live) -> Group | ExpressionError | None:
        """Return what a run shares its gate with, or why that cannot be told; None where its workflow has none."""
        concurrency, template = live.plan.workflow.concurrency, live.plan.concurrency_key
        if concurrency is None:
            return None
        value = concurrency.key
        if template is not None:
            try:
                value = template.render({root: live.scope[root] for root in template.roots if root in live.scope})
            except ExpressionError as error:
                return error
        return live.plan.workflow.name, value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _of(group: Group) -> str:
    return f" (concurrency key {group[1]})" if group[1] else ""
