"""Start of day for dropped files: what is claimed on disk and what is claimed in the memory, brought together.

Every claimed file is waited for, filed or submitted again under its claim; every row without a file is closed. Cut off
anywhere it can be done again. Runs in the inbox's thread before its first look at the folders.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from daemon.claims import names
from daemon.inbox.entrance import Entrance
from daemon.inbox.filing import Filing
from daemon.inbox.judging import Held
from daemon.inbox.noted import Noted, Observe
from daemon.inbox.tray import Tray
from engine.clock import Clock
from engine.points import sync_point
from engine.states import ENDED, ClaimState, State
from engine.submission import ClaimEnd, ClaimRecord
from engine.views import OpenClaim

# Few, since they are held in memory together and nobody knows how large they are.
_AT_ONCE = 32


class Rows(Protocol):
    """What reconciling asks of the store."""

    def record_claims(self, records: Sequence[ClaimRecord], now: float) -> None:
        """Record that files are ours."""
        ...


class Reconciling:
    """Bring the folders and the memory together, once."""

    def __init__(self, rows: Rows, entrance: Entrance, filing: Filing, clock: Clock, observe: Observe) -> None:
        """Compose it."""
        self._rows, self._entrance, self._filing = rows, entrance, filing
        self._clock, self._observe = clock, observe

    def reconcile(self, trays: Sequence[Tray], open_claims: Sequence[OpenClaim]) -> None:
        """Go through everything that is claimed.

        Raises OSError or DropmillError.
        """
        rows = {row.id: row for row in open_claims if "/" not in row.id}
        lines: dict[str, list[OpenClaim]] = {}
        for row in open_claims:
            parent, slash, _ = row.id.partition("/")
            if slash:
                lines.setdefault(parent, []).append(row)
        for tray in trays:
            self._take_up(tray, rows, lines)
            sync_point("inbox.taken_up")
        self._close(trays, rows, lines)

    def _take_up(self, tray: Tray, rows: dict[str, OpenClaim], lines: dict[str, list[OpenClaim]]) -> None:
        """Wait for the runs of claimed files that have some, and submit the others again."""
        again: list[Held] = []
        unknown: list[ClaimRecord] = []
        now = self._clock.wall()
        for name in tray.claims.held():
            claim = names.claim_of(name)
            if claim is None:
                message = "this is none of ours and was left in .claimed/; move it away"
                self._observe(
                    Noted(kind="stuck", folder=str(tray.policy.path), file=names.shown(name), message=message)
                )
                continue
            row, of_lines = rows.pop(claim, None), lines.pop(claim, ())
            dropped_as = name if row is None or row.name is None else os.fsdecode(row.name)
            claimed_at = now if row is None else row.claimed_at
            held = Held(claim=claim, name=dropped_as, held=name, claimed_at=claimed_at, has_runs=bool(of_lines))
            if row is None:
                path = os.fsencode(tray.policy.path)
                unknown.append(ClaimRecord(id=claim, name=os.fsencode(name), path=path))
            if row is not None and row.run is not None and row.state is not None:
                self._filing.wait(tray, held, [(row.run, row.state)])
            else:
                again.append(held)
        self._rows.record_claims(unknown, now)
        for at in range(0, len(again), _AT_ONCE):
            self._entrance.enter(tray, again[at : at + _AT_ONCE])

    def _close(
        self, trays: Sequence[Tray], rows: Mapping[str, OpenClaim], lines: Mapping[str, list[OpenClaim]]
    ) -> None:
        """Settle rows whose files are not claimed any more: filed before the row was, never renamed, or taken away."""
        by_path = {tray.policy.path: tray for tray in trays}
        ends: list[ClaimEnd] = []
        for claim, row in rows.items():
            tray = by_path.get(Path(os.fsdecode(row.path))) if row.path is not None else None
            runs = [part for part in (row, *lines.get(claim, ())) if part.run is not None and part.state is not None]
            ids = [claim, *(part.id for part in lines.get(claim, ()))]
            if row.path is not None and tray is None:
                message = "it was claimed in a folder that is no inbox any more; it waits there in .claimed/"
                name = names.shown(os.fsdecode(row.name or b""))
                folder = names.shown(os.fsdecode(row.path))
                self._observe(Noted(kind="stuck", folder=folder, file=name, claim=claim, message=message))
            elif not runs:
                message = "it was never taken, or it was filed without a run"
                ends += [ClaimEnd(id=key, state=ClaimState.VOID, message=message) for key in ids]
            elif tray is not None and any(part.state not in ENDED for part in runs):
                name = os.fsdecode(row.name or claim.encode())
                held = Held(claim=claim, name=name, held=names.claimed(name, claim), claimed_at=row.claimed_at)
                self._filing.wait(tray, held, [(part.run or "", part.state or "") for part in runs])
            else:
                is_done = all(part.state is State.COMPLETED for part in runs)
                state = ClaimState.DONE if is_done else ClaimState.FAILED
                ends += [ClaimEnd(id=key, state=state) for key in ids]
        self._filing.settle(ends)
