"""From what is ready in an inbox to recorded runs, many files at a time: record the names, rename, judge, enter.

The names are in the memory before the first rename, so a crash anywhere leaves files that are found again. What cannot
be entered now (the memory cannot write, a route's workflow is broken) stays claimed and is tried again later.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import NamedTuple, Protocol

from daemon.claims import Wanted, names
from daemon.inbox.arrivals import Arrival
from daemon.inbox.filing import Filing
from daemon.inbox.judging import Door, Held, Judge, Judged, RejectedError, RouteBrokenError
from daemon.inbox.noted import Kind, Noted, Observe, Stuck
from daemon.inbox.notes import Complaint
from daemon.inbox.tray import Tray
from engine.clock import Clock
from engine.errors import DropmillError
from engine.ids import new_id
from engine.limits import Limits
from engine.points import sync_point
from engine.states import ClaimState
from engine.submission import ClaimEnd, ClaimRecord, Receipt

_AT_ONCE = 256
_RANDOM_BYTES = 10
_PAUSE_SECONDS = 5.0
_SHORT_SECONDS = 1.0


class Rows(Protocol):
    """What the inbox asks of the store to begin a claim."""

    def record_claims(self, records: Sequence[ClaimRecord], now: float) -> None:
        """Record that dropped files are about to become ours."""
        ...


class Keys(Protocol):
    """What the inbox asks of the history to tell bytes that were seen before."""

    def keyed(self, keys: Sequence[str]) -> dict[str, tuple[str, str | None]]:
        """Return the oldest run of each idempotency key, as (run, claim)."""
        ...


class _Again(NamedTuple):
    due: float
    tray: Tray
    held: list[Held]


class Entrance:
    """Take files in; a service's part, called by the inbox's thread alone."""

    def __init__(  # noqa: PLR0913 -- the parts it is composed of, by name
        self,
        *,
        door: Door,
        rows: Rows,
        keys: Keys,
        filing: Filing,
        limits: Limits,
        clock: Clock,
        observe: Observe,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Compose it."""
        self._door, self._rows, self._keys, self._filing = door, rows, keys, filing
        self._limits, self._clock, self._observe, self._entropy = limits, clock, observe, entropy
        self._again: list[_Again] = []
        self.stuck: dict[str, Stuck] = {}

    def take(self, tray: Tray, most: int) -> int:
        """Take up to so many files that are ready, and return how many were.

        Raises OSError or DropmillError; every file is then still in the inbox or claimed, and tried again.
        """
        arrivals = tray.arrivals.take(min(most, _AT_ONCE))
        if not arrivals:
            return 0
        try:
            if tray.policy.routes:
                self._judge().check_routes(tray.policy)
            taken = self._claim(tray, arrivals)
        except RouteBrokenError as error:
            tray.worry(str(error))
            self._put_back(tray, arrivals, _PAUSE_SECONDS)
            return 0
        except BaseException:
            self._put_back(tray, arrivals, _SHORT_SECONDS)
            raise
        self.enter(tray, taken, is_durable=True)
        return len(arrivals)

    def enter(self, tray: Tray, taken: Sequence[Held], *, is_durable: bool = False) -> None:
        """Judge claimed files and ask for their runs; each waits for its run then, or is filed for what is wrong.

        Raises OSError or DropmillError; what was not entered is tried again.
        """
        open_claims = {held.claim: held for held in taken}
        try:
            if taken and not is_durable:
                # A former try, or a former life, may not have come so far; a run of a file that a power cut puts back
                # into the inbox would be followed by a second one.
                tray.claims.sync()
            judged = self._judge_all(tray, taken, open_claims)
            keys: set[str] = set()
            first: list[tuple[Held, Judged]] = []
            rest: list[tuple[Held, Judged]] = []
            for held, one in judged:
                # Of the same bytes in one batch, one goes before, so that the others find it in the memory.
                (rest if one.content_key in keys else first).append((held, one))
                keys |= {one.content_key} if one.content_key else set()
            self._submit(tray, first, open_claims)
            self._submit(tray, rest, open_claims)
        finally:
            self._try_later(tray, list(open_claims.values()))

    def work(self) -> None:
        """Try again what could not be entered; raises as `enter`."""
        ticks = self._clock.ticks()
        due = [again for again in self._again if again.due <= ticks]
        self._again = [again for again in self._again if again.due > ticks]
        for number, again in enumerate(due):
            try:
                self.enter(again.tray, again.held)
            except BaseException:
                self._again += due[number + 1 :]
                raise

    def due_in(self) -> float | None:
        """Return in how many seconds there is something to try again; None where there is nothing."""
        return max(0.0, min(again.due for again in self._again) - self._clock.ticks()) if self._again else None

    @property
    def count(self) -> int:
        """Count the claims that could not be entered yet."""
        return sum(len(again.held) for again in self._again)

    def _claim(self, tray: Tray, arrivals: Sequence[Arrival]) -> list[Held]:
        now = self._clock.wall()
        chosen: list[tuple[Held, Wanted]] = []
        for arrival in arrivals:
            claim = new_id(now, self._entropy(_RANDOM_BYTES))
            held = Held(claim=claim, name=arrival.name, held=names.claimed(arrival.name, claim), claimed_at=now)
            chosen.append((held, Wanted(arrival.name, held.held, arrival.identity)))
        folder = os.fsencode(tray.policy.path)
        records = [ClaimRecord(id=held.claim, name=os.fsencode(held.name), path=folder) for held, _ in chosen]
        self._rows.record_claims(records, now)
        sync_point("inbox.recorded")
        held_files = [held for held, _ in chosen]
        try:
            stayed = tray.claims.take([want for _, want in chosen])
        except OSError:
            # Renamed, perhaps not durably: nothing is acknowledged before that has worked.
            self._try_later(tray, [held for held in held_files if tray.claims.look(held.name) is None])
            raise
        taken = [held for held in held_files if held.name not in stayed]
        for held in taken:
            tray.arrivals.forget(held.name)
        self._give_up(tray, [held for held in held_files if held.name in stayed], stayed)
        return taken

    def _give_up(self, tray: Tray, stayed: Sequence[Held], why: dict[str, OSError]) -> None:
        """Close the claims of files that could not be taken; they stay where they are for the time being."""
        ends = []
        for held in stayed:
            error = why[held.name]
            sentence = f"cannot be taken: {error.strerror or 'it was replaced meanwhile'}"
            ends.append(ClaimEnd(id=held.claim, state=ClaimState.VOID, message=sentence))
            if isinstance(error, FileNotFoundError):
                tray.arrivals.put_back(held.name, 0.0)
            elif tray.arrivals.fail(held.name, sentence):
                self._tell("stuck", tray, held, message=f"{sentence}; it is left alone until it changes")
        self._filing.settle(ends)

    def _judge(self) -> Judge:
        return Judge(self._door, self._limits, self._door.catalogue())

    def _judge_all(self, tray: Tray, taken: Sequence[Held], open_claims: dict[str, Held]) -> list[tuple[Held, Judged]]:
        judge = self._judge()
        judged = []
        for held in taken:
            try:
                judged.append((held, judge.judge(held, tray.claims, tray.policy)))
            except RejectedError as error:
                if held.has_runs:
                    self._note_stuck(tray, held, f"some of its lines run, the others no longer can: {error}")
                    continue
                self._complain(tray, held, error.complaint, open_claims)
            except FileNotFoundError:
                self._tell("stuck", tray, held, message="the claimed file is gone; somebody took it out of .claimed/")
                self._filing.settle([ClaimEnd(id=held.claim, state=ClaimState.VOID, message="the file is gone")])
                del open_claims[held.claim]
            except (RouteBrokenError, OSError) as error:
                self._note_stuck(tray, held, str(error))
        return judged

    def _submit(self, tray: Tray, judged: Sequence[tuple[Held, Judged]], open_claims: dict[str, Held]) -> None:
        keys = [key for _, one in judged if (key := one.content_key)]
        seen = self._keys.keyed(keys) if keys else {}
        asked: list[tuple[Held, list[Future[Receipt]]]] = []
        for held, one in judged:
            run, claim = seen.get(one.content_key or "", (None, None))
            if run is not None and claim != held.claim:
                self._complain(tray, held, _duplicate("the same bytes were", run), open_claims)
            else:
                asked.append((held, [self._door.enter(prepared) for prepared in one.prepared]))
        sync_point("inbox.entered")
        for held, futures in asked:
            try:
                receipts = [future.result() for future in futures]
            except DropmillError as error:
                self._note_stuck(tray, held, str(error))
            else:
                self._receive(tray, held, receipts, open_claims)

    def _receive(self, tray: Tray, held: Held, receipts: Sequence[Receipt], open_claims: dict[str, Held]) -> None:
        if all(receipt.matched == "idempotency_key" for receipt in receipts):
            what = "its idempotency key was" if len(receipts) == 1 else "the idempotency keys of all its requests were"
            self._complain(tray, held, _duplicate(what, receipts[0].run), open_claims)
            return
        sync_point("inbox.received")
        self._filing.wait(tray, held, [(receipt.run, receipt.state) for receipt in receipts])
        del open_claims[held.claim]
        self.stuck.pop(held.claim, None)
        fresh = [receipt for receipt in receipts if receipt.is_new]
        if fresh:
            runs = "" if len(receipts) == 1 else f"{len(fresh)} of {len(receipts)} requests lead to new runs"
            self._tell("accepted", tray, held, run=fresh[0].run, message=runs)

    def _complain(self, tray: Tray, held: Held, complaint: Complaint, open_claims: dict[str, Held]) -> None:
        self._filing.complain(tray, held, complaint)
        del open_claims[held.claim]
        self.stuck.pop(held.claim, None)

    def _try_later(self, tray: Tray, held: list[Held]) -> None:
        if held:
            self._again.append(_Again(self._clock.ticks() + _PAUSE_SECONDS, tray, held))

    def _put_back(self, tray: Tray, arrivals: Sequence[Arrival], seconds: float) -> None:
        for arrival in arrivals:
            tray.arrivals.put_back(arrival.name, seconds)

    def _note_stuck(self, tray: Tray, held: Held, message: str) -> None:
        """Take down why a claimed file waits; said once, shown as long as it lasts."""
        if held.claim not in self.stuck:
            self._tell("stuck", tray, held, message=message)
        self.stuck[held.claim] = Stuck(folder=str(tray.policy.path), file=held.shown, message=message)

    def _tell(self, kind: Kind, tray: Tray, held: Held, *, run: str = "", message: str = "") -> None:
        folder = str(tray.policy.path)
        self._observe(Noted(kind=kind, folder=folder, file=held.shown, claim=held.claim, run=run, message=message))


def _duplicate(what: str, run: str) -> Complaint:
    message = f"{what} seen before, in run {run}"
    return Complaint(code="duplicate", message=message, run=run, hint=f"`dropmill show {run}` shows what came of it.")
