"""System calls of the daemon that fail, or at which it dies: the k-th fsync, write or rename of a thread, by strace.

A case is one call and one effect: an error (EIO, ENOSPC) or SIGKILL. A batch is one state folder that lives through
many, each life with the same work, and then one without. Expected: it is loud (a status of its own, a sentence, no
traceback), nothing acknowledged is lost, nothing is done twice.
"""

from collections import Counter
from itertools import product
from pathlib import Path
from typing import NamedTuple

from tests.torture import load
from tests.torture.part import Batch, Part, Tally
from tests.waiting import wait_for
from tests.whole import checker
from tests.whole.mill import Mill, mills

SYNCS, WRITES, RENAMES = "fsync,fdatasync", "pwrite64", "rename,renameat,renameat2"
EFFECTS = ("error=EIO", "error=ENOSPC", "signal=SIGKILL")
# Input/output error; a start that cannot make the folders or the sockets it needs.
LOUD = (74, 2, 1)
_READY_SECONDS = 120.0
_WORK_SECONDS = 30.0
_MOST = {SYNCS: 20, WRITES: 40, RENAMES: 12}


class Case(NamedTuple):
    """Name a call, what becomes of it, and at which time a thread makes it."""

    calls: str
    effect: str
    when: int

    def command(self, trace: Path) -> tuple[str, ...]:
        """Return what stands before the daemon's own command; its process stays the child of who starts it.

        Not with --seccomp-bpf: there the kernel forgets the signal.
        """
        inject = f"inject={self.calls}:{self.effect}:when={self.when}"
        return ("strace", "-D", "-f", "-qq", "-o", str(trace), "-e", f"trace={self.calls}", "-e", inject)


# Neighbours differ in everything, so that each batch has some of all.
CASES = sorted(
    (Case(calls, effect, when) for calls, effect in product(_MOST, EFFECTS) for when in range(1, _MOST[calls] + 1)),
    key=lambda case: (case.when, case.calls, case.effect),
)


class Life:
    """Let daemons of one mill do a fixed piece of work each, and remember what was acknowledged."""

    def __init__(self, mill: Mill, producer: load.Producer) -> None:
        self._mill, self._producer = mill, producer
        self.counts: Counter[str] = Counter()

    def spend(self, case: Case) -> None:
        """Go through one life under this case; AssertionError if it ends in a way that is not expected."""
        mill = self._mill
        trace = mill.folder / "trace"
        trace.unlink(missing_ok=True)
        process = mill.launch(*case.command(trace))
        wait_for(lambda: process.poll() is not None or mill.has_said_ready(), f"ready or dead: {case}", _READY_SECONDS)
        if process.poll() is None:
            self._work()
            wait_for(lambda: process.poll() is not None or mill.is_quiet(), f"quiet or dead: {case}", _WORK_SECONDS)
        if process.poll() is None:
            mill.kill()
            is_met = trace.exists() and "(INJECTED)" in trace.read_text(errors="replace")
            self.counts["borne" if is_met else "not reached"] += 1
            return
        status = process.returncode
        self.counts["died at the call" if status < 0 else "ended loudly"] += 1
        assert status == -9 or status in LOUD, f"{case} ended it with {status}: {mill.words()}"
        assert status != -9 or "SIGKILL" in case.effect, f"{case} killed it"
        assert "Traceback" not in mill.words(), mill.words()

    def _work(self) -> None:
        producer = self._producer
        for act in (producer.drop, producer.submit, producer.drop_broken, producer.submit, producer.drop_requests):
            act()


def go_through(mill: Mill, seed: object, cases: list[Case]) -> Counter[str]:
    """Let a mill that load.SETTINGS configured live through these cases, then judge; return what happened."""
    load.prepare(mill)
    producer = load.Producer(mill, seed)
    life, witnesses = Life(mill, producer), list[checker.Witness]()
    for case in cases:
        life.spend(case)
        if checker.has_memory(mill):
            witnesses.append(checker.witness(mill))
    load.conclude(mill, producer, witnesses)
    return life.counts


def _carry_out(batch: Batch) -> Tally:
    first = batch.number * PART.batch
    cases = [CASES[at % len(CASES)] for at in range(first, first + batch.count)]
    tally = Tally(cases=len(cases))
    try:
        with mills() as folder:
            mill = Mill(folder, load.SETTINGS)
            try:
                tally.counts = dict(go_through(mill, batch.draws, cases))
            finally:
                mill.close()
    except AssertionError as error:
        tally.violations.append(f"{error} {' '.join(getattr(error, '__notes__', ()))}"[:1500])
    return tally


PART = Part(
    name="calls",
    unit="failed or fatal system calls",
    promise="An fsync, write or rename that fails stops the acknowledging, loudly, and never loses or doubles a run.",
    goal=len(CASES),
    batch=12,
    lane="moments",
    carry_out=_carry_out,
    needs=("strace",),
)
