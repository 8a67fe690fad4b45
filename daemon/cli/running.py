"""One run in this very process: the state folder taken, the engine started, the run submitted and followed to its end.

Called by `run`. What it looks like meanwhile is the view's, how it is told afterwards `outcome`'s.
"""

import contextlib
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

import msgspec

from daemon.assembly import Assembly
from daemon.cli.documents import Document
from daemon.cli.watching.following import Died, Heard, Signals, View, follow, settle
from daemon.cli.watching.progress import Progress, changes
from daemon.config import Config
from daemon.intake import Origin, judge
from daemon.ownership import owner_of
from engine.errors import DaemonRefusedError, StateBusyError
from engine.facts import Order
from engine.model import Workflow
from engine.plan import Plan
from engine.submission import Receipt
from engine.views import RunView

_LOOK_SECONDS = 0.1

Show = Callable[[Receipt, Plan, Progress], View]


class Ended(NamedTuple):
    """How it went; `signal` is the number of the signal that cut the run short, `trouble` what went wrong beside it."""

    run: RunView
    plan: Plan
    progress: Progress
    is_new: bool
    signal: int | None
    trouble: str | None


@contextlib.contextmanager
def ephemeral(config: Config) -> Iterator[Config]:
    """Lend settings whose state and logs are in a temporary folder, and remove that at the end."""
    folder = Path(tempfile.mkdtemp(prefix="dropmill-"))
    try:
        paths = msgspec.structs.replace(config.paths, state=folder / "state", logs=folder / "log")
        history = msgspec.structs.replace(config.history, url=None)
        yield msgspec.structs.replace(config, paths=paths, history=history)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Here:
    """Run one document in this process."""

    def __init__(self, config: Config, document: Document) -> None:
        """Touch nothing yet."""
        self._config, self._document = config, document
        self._heard: Heard = SimpleQueue()
        self._run = ""

    def run(self, make_origin: Callable[[Workflow], Origin], show: Show, say: Callable[[str], None]) -> Ended:
        """Take the state folder, run, and let go of everything; `say` tells what is waited for.

        Raises what a submission raises, and DaemonRefusedError where a daemon owns the folder.
        """
        with Signals() as signals:
            assembly = Assembly(self._config, kind="run", listeners=[self._listen], on_death=self._die)
            try:
                self._open(assembly, say)
                assembly.start()
                plan = assembly.intake.plan(self._document.data, name=self._document.name)
                origin = make_origin(plan.workflow)
                # From here on there is a run to cancel: an interruption would leave it open.
                signals.into(self._heard)
                receipt = assembly.intake.submit(self._document.data, origin, name=self._document.name)
                progress = Progress((key, planned.task.type) for key, planned in plan.tasks.items())
                cut = self._follow(assembly, receipt, progress, show(receipt, plan, progress))
            finally:
                signals.into(None)
                assembly.stop(0.0)
            settle(self._heard, progress)
            run = assembly.history.run(receipt.run)
            assembly.history.close()
        return Ended(run, plan, progress, receipt.is_new, cut, assembly.logs.problem)

    def _follow(self, assembly: Assembly, receipt: Receipt, progress: Progress, view: View) -> int | None:
        if not receipt.is_new:
            return None
        return follow(self._heard, progress, view, lambda: assembly.executor.cancel(receipt.run))

    def _listen(self, run: str, orders: Sequence[Order], now: float) -> None:
        # The first that is heard of is the one that was submitted; others are those that it calls.
        self._run = self._run or run
        if run == self._run:
            # Read in the thread that follows: this one has runs to carry out.
            self._heard.put(changes(orders, now))

    def _die(self, error: BaseException) -> None:
        self._heard.put(Died(error))

    def _open(self, assembly: Assembly, say: Callable[[str], None]) -> None:
        """Take the state folder, behind every other `run` that has it."""
        pause, was_said = threading.Event(), False
        while True:
            try:
                assembly.open()
            except StateBusyError as error:
                self._give_way(error)
                if not was_said:
                    was_said = True
                    self._check()
                    say(f"waiting: the state folder {error.folder} is in use by {error.owner}")
                pause.wait(_LOOK_SECONDS)
            else:
                return

    def _give_way(self, error: StateBusyError) -> None:
        owner = owner_of(self._config.paths.state)
        if owner is not None and owner.kind == "daemon":
            raise DaemonRefusedError(
                f"{error.owner} has just taken the state folder {error.folder}: "
                "call again, and it runs the document; or run it apart from it with --ephemeral"
            )

    def _check(self) -> None:
        """Find what is wrong with the document before waiting for who knows how long."""
        from daemon.cli.catalogue import StockTaking

        judge(self._document.data, StockTaking(self._config).result(), self._config.limits, name=self._document.name)
