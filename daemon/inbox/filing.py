"""Where claimed files end: which runs they wait for, the result or error beside them, the last folder, the settled row.

Each step may be cut off and done again: what stands beside a file is durable before the file moves, and the row is
settled last. Called by the inbox's thread alone; what cannot be filed now is tried again later.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from daemon.claims import DONE, DUPLICATE, FAILED, REJECTED, Ending, names
from daemon.inbox import notes
from daemon.inbox.judging import Held
from daemon.inbox.noted import Kind, Noted, Observe, Stuck
from daemon.inbox.notes import Complaint
from daemon.inbox.tray import Tray
from engine.clock import Clock, epoch
from engine.points import sync_point
from engine.states import ENDED, ClaimState, State
from engine.submission import ClaimEnd
from engine.views import RunView

_AT_ONCE = 256
_PAUSES = (1.0, 5.0, 30.0)
_STATES = {DONE: ClaimState.DONE, FAILED: ClaimState.FAILED}
_STATES |= {REJECTED: ClaimState.REJECTED, DUPLICATE: ClaimState.DUPLICATE}
_KINDS: dict[str, Kind] = {DONE: "filed", FAILED: "filed", REJECTED: "rejected", DUPLICATE: "duplicate"}


class Rows(Protocol):
    """What the inbox asks of the store to end a claim."""

    def settle_claims(self, ends: Sequence[ClaimEnd], now: float) -> int:
        """Record where claimed files ended."""
        ...


class Runs(Protocol):
    """What the inbox asks of the history to end a claim."""

    def runs_in_full(self, ids: Sequence[str]) -> dict[str, RunView]:
        """Show many runs in full."""
        ...


class _Open:
    """A claimed file that waits for runs: all of them in order, and those that have not ended."""

    __slots__ = ("held", "pending", "runs", "tray", "tries")

    def __init__(self, tray: Tray, held: Held, runs: Sequence[str], pending: set[str]) -> None:
        self.tray, self.held, self.runs, self.pending = tray, held, list(runs), pending
        self.tries = 0


class _Filed(NamedTuple):
    """A claimed file that knows its end."""

    tray: Tray
    held: Held
    ending: Ending
    ends: tuple[ClaimEnd, ...]
    run: str
    message: str


class Filing:
    """Keep the claims that wait for runs, and file them when those have ended."""

    def __init__(self, rows: Rows, runs: Runs, clock: Clock, observe: Observe) -> None:
        """Compose it."""
        self._rows, self._runs, self._clock, self._observe = rows, runs, clock, observe
        self._open: dict[str, _Open] = {}
        self._by_run: dict[str, list[_Open]] = {}
        self._ended: list[_Open] = []
        self._known: list[_Filed] = []
        self._unsettled: list[ClaimEnd] = []
        self._late: dict[str, tuple[float, int, _Filed]] = {}
        self._pause_until = 0.0
        self.stuck: dict[str, Stuck] = {}

    def wait(self, tray: Tray, held: Held, runs: Sequence[tuple[str, str]]) -> None:
        """File a claim when these runs, each (id, state now), have ended."""
        pending = {run for run, state in runs if state not in ENDED}
        claim = _Open(tray, held, [run for run, _ in runs], pending)
        self._open[held.claim] = claim
        for run in pending:
            self._by_run.setdefault(run, []).append(claim)
        if not pending:
            self._ended.append(claim)

    def hear_end(self, run: str) -> None:
        """Know that a run, of ours or not, has ended, durably."""
        for claim in self._by_run.pop(run, ()):
            claim.pending.discard(run)
            if not claim.pending:
                self._ended.append(claim)

    def complain(self, tray: Tray, held: Held, complaint: Complaint) -> None:
        """File a claim that leads to no run of its own: a duplicate where the complaint names a run, else rejected."""
        folder = REJECTED if complaint.run is None else DUPLICATE
        note = notes.error(complaint, held.shown, held.claim)
        end = ClaimEnd(
            id=held.claim,
            state=_STATES[folder],
            reason=complaint.code,
            message=complaint.message,
            run=complaint.run,
        )
        ending = _ending(tray, held, folder, held.claimed_at, names.ERROR, note)
        self._known.append(_Filed(tray, held, ending, (end,), complaint.run or "", complaint.message))

    def settle(self, ends: Iterable[ClaimEnd]) -> None:
        """Settle rows whose files need no move any more."""
        self._unsettled += ends

    def work(self) -> None:
        """File everything that has come to its end, many at once.

        Raises OSError or StateError; nothing is forgotten then, and a later call goes on.
        """
        ticks = self._clock.ticks()
        if ticks < self._pause_until:
            return
        self._pause_until = ticks + _PAUSES[0]
        for claim in [claim for claim, (due, _, _) in self._late.items() if due <= ticks]:
            self._known.append(self._late[claim][2])
        while self._ended or self._known:
            self._conclude()
            self._move()
            self._write_rows()
        self._write_rows()
        self._pause_until = 0.0

    @property
    def count(self) -> int:
        """Count the claims that are not filed."""
        return len(self._open) + len(self._known) + len(self._late)

    def due_in(self) -> float | None:
        """Return in how many seconds there is something to try again; None where there is nothing."""
        dues = [due for due, _, _ in self._late.values()]
        if self._ended or self._known or self._unsettled:
            dues.append(self._pause_until)
        return max(0.0, min(dues) - self._clock.ticks()) if dues else None

    def _conclude(self) -> None:
        """Turn claims whose runs have ended into claims that know where they go."""
        some = self._ended[:_AT_ONCE]
        wanted = list(dict.fromkeys(run for claim in some for run in claim.runs))
        views = self._runs.runs_in_full(wanted) if wanted else {}
        for claim in some:
            self._known.append(_concluded(claim, views))
            self._open.pop(claim.held.claim, None)
        del self._ended[: len(some)]

    def _move(self) -> None:
        by_tray: dict[Tray, list[_Filed]] = {}
        some = self._known[:_AT_ONCE]
        for filed in some:
            by_tray.setdefault(filed.tray, []).append(filed)
        for tray, batch in by_tray.items():
            outcome = tray.claims.file([filed.ending for filed in batch])
            for filed in batch:
                self._note(filed, outcome[filed.held.claim])
        del self._known[: len(some)]

    def _note(self, filed: _Filed, outcome: str | OSError) -> None:
        """Take down how a move went: done, or to be tried again, or nothing there to be moved."""
        claim = filed.held.claim
        if isinstance(outcome, OSError) and not isinstance(outcome, FileNotFoundError):
            _, tries, _ = self._late.get(claim, (0.0, 0, filed))
            due = self._clock.ticks() + _PAUSES[min(tries, len(_PAUSES) - 1)]
            self._late[claim] = due, tries + 1, filed
            message = f"cannot be moved to {filed.ending.folder}/: {outcome.strerror or outcome}"
            folder = str(filed.tray.policy.path)
            if not tries:
                self._tell("stuck", filed, message)
            self.stuck[claim] = Stuck(folder=folder, file=filed.held.shown, message=message)
            return
        self._late.pop(claim, None)
        self.stuck.pop(claim, None)
        self._unsettled += filed.ends
        if isinstance(outcome, OSError):
            self._tell("stuck", filed, "the claimed file is gone; somebody took it out of .claimed/")
        else:
            self._tell(_KINDS[filed.ending.folder], filed, f"{names.shown(outcome)}: {filed.message}".strip(": "))

    def _tell(self, kind: Kind, filed: _Filed, message: str) -> None:
        held, folder = filed.held, str(filed.tray.policy.path)
        self._observe(
            Noted(kind=kind, folder=folder, file=held.shown, claim=held.claim, run=filed.run, message=message)
        )

    def _write_rows(self) -> None:
        if self._unsettled:
            sync_point("inbox.filed")
            self._rows.settle_claims(self._unsettled, self._clock.wall())
            sync_point("inbox.settled")
            self._unsettled.clear()


def _concluded(claim: _Open, views: dict[str, RunView]) -> _Filed:
    """Say where a claim goes whose runs have ended."""
    held = claim.held
    found = [views[run] for run in claim.runs if run in views]
    if len(found) < len(claim.runs):
        gone = next(run for run in claim.runs if run not in views)
        complaint = Complaint(code="run_unknown", message=f"the run {gone} is not remembered any more")
        note, suffix, message = notes.error(complaint, held.shown, held.claim), names.ERROR, complaint.message
    elif held.is_lines and not claim.tray.policy.routes:
        note, suffix, message = notes.results(found), names.RESULTS, f"{len(found)} runs"
    else:
        note, suffix, message = notes.result(found[0]), names.RESULT, f"{found[0].state} {found[0].message}"
    is_done = len(found) == len(claim.runs) and all(view.state is State.COMPLETED for view in found)
    folder = DONE if is_done else FAILED
    ended_at = max((epoch(view.ended_at) for view in found if view.ended_at), default=held.claimed_at)
    first = next((view for view in found if view.state is not State.COMPLETED), None)
    reason, why = (None, "") if first is None else (first.reason, first.message)
    ids = [held.claim]
    if suffix == names.RESULTS:
        ids += [f"{held.claim}/{view.trigger.get('line')}" for view in found]
    ends = tuple(ClaimEnd(id=key, state=_STATES[folder], reason=reason, message=why) for key in ids)
    ending = _ending(claim.tray, held, folder, ended_at, suffix, note)
    return _Filed(claim.tray, held, ending, ends, claim.runs[0] if len(claim.runs) == 1 else "", message.strip())


def _ending(tray: Tray, held: Held, folder: str, at: float, suffix: str, note: bytes) -> Ending:
    # The day is that of the end as it is recorded, not of the move: a move done again goes to the same folder.
    day = datetime.fromtimestamp(at, UTC).astimezone().date().isoformat() if tray.policy.is_dated else ""
    return Ending(held.claim, held.name, held.held, folder, day, suffix, note)
