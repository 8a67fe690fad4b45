"""The metronome: rings at a given moment. The only user of APScheduler, which decides nothing and keeps nothing.

It sleeps by the wall clock as it was when it was set: a clock that is set back makes it late. Who listens therefore
looks up by itself from time to time.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from apscheduler.executors.debug import DebugExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.date import DateTrigger

_BEAT = "beat"


class Metronome:
    """Call `ring`, which returns at once, in a thread of its own; a service, harmless to start and stop twice."""

    def __init__(self, ring: Callable[[], None]) -> None:
        """Compose it; nothing runs before `start`."""
        self._ring = ring
        # The debug executor calls in the scheduler's own thread: to set a flag needs no pool.
        self._scheduler = BackgroundScheduler(
            timezone=UTC, jobstores={"default": MemoryJobStore()}, executors={"default": DebugExecutor()}
        )

    def start(self) -> None:
        """Start the thread."""
        if not self._scheduler.running:
            self._scheduler.start()

    def stop(self) -> None:
        """End the thread."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)

    def set(self, at: float | None) -> None:
        """Ring at this moment (wall seconds) in place of the one before, at once if it has passed; None is never."""
        if at is None:
            if self._scheduler.get_job(_BEAT) is not None:
                self._scheduler.remove_job(_BEAT)
            return
        trigger = DateTrigger(datetime.fromtimestamp(at, UTC))
        self._scheduler.add_job(self._ring, trigger, id=_BEAT, replace_existing=True, misfire_grace_time=None)
