"""One process's worth of the daemon on the simulated machine: the real parts, put together as the service does it.

No part has its thread: `World` asks each when it would have something to do, and has it do that.
"""

import contextlib
import random
import traceback
from typing import Any

from daemon.ambience import Ambience
from daemon.bell import Heard
from daemon.config import Config
from daemon.inbox import Inbox
from daemon.intake import Intake
from daemon.library import Library
from daemon.plans import Plans
from daemon.recovery import Recovery
from daemon.schedules import Schedules
from engine.clock import Clock
from engine.errors import DropmillError, StoreLostError
from engine.executor import Executor
from engine.history import History
from engine.limits import Limits
from engine.store import Store
from engine.values import Values
from tests.simulation.hands import Hands
from tests.simulation.seams import CrashError
from tests.simulation.witness import Witness

LOOK_SECONDS = 5.0
_NEVER = float("inf")
AMBIENCE = Ambience(env={}, secrets={})


class Life:
    """The parts of one life; `begin` recovers and starts them."""

    def __init__(
        self, config: Config, limits: Limits, clock: Clock, rng: random.Random, hands: Hands, witness: Witness
    ):
        url = f"sqlite:///{witness.file}"
        self.config, self.limits, self.clock, self.hands = config, limits, clock, hands
        self._witness = witness
        self.values = Values(config.paths.state / "values", limits.inline_bytes)
        self.store = Store(url, values=self.values, clock=clock)
        self.history = History(url, values=self.values)
        library = Library(config.paths.workflows)
        plans = Plans(library, limits, self.history)
        self.executor = Executor(
            self.store,
            hands,
            clock=clock,
            limits=limits,
            values=self.values,
            ambience=AMBIENCE,
            workflows=plans,
            pools=config.pools,
            entropy=rng.randbytes,
            listeners=[witness.hear],
        )
        self.intake = Intake(self.executor, library, limits, plans)
        parts: dict[str, Any] = {"store": self.store, "history": self.history, "clock": clock}
        self.schedules = Schedules(config, intake=self.intake, executor=self.executor, **parts)
        self.inbox = Inbox(
            config,
            door=self.intake,
            owner=self.executor,
            observe=lambda noted: None,
            entropy=rng.randbytes,
            **parts,
        )
        self.is_dead = self._is_turning = self._is_busy = False
        self._look_at = self._pause_until = self._inbox_until = 0.0

    def begin(self) -> None:
        self.store.open()
        recovery = Recovery(self.executor, values=self.values, limits=self.limits, ambience=AMBIENCE)
        recovery.take_up(self.history.open_runs())

    def begin_schedules(self) -> None:
        self.schedules.settle_missed()

    def begin_inbox(self) -> None:
        self.inbox._begin()
        self._is_busy = True

    def drop(self) -> None:
        """Let go of what a process that dies lets go of; nothing is written."""
        with contextlib.suppress(Exception):
            self.store._disconnect()
        self.store._engine.dispose()
        self.history.close()
        for tray in self.inbox._trays.values():
            tray.claims.close()

    def turn(self) -> None:
        """Have the executor take its turn, as its loop does."""
        assert not self._is_turning, "the executor waits for itself"
        self._is_turning = True
        try:
            self.executor._turn()
        except CrashError:
            raise
        except Exception as error:
            if not isinstance(error, StoreLostError):
                self._witness.complain(f"the executor dies: {error!r} {traceback.format_exc(limit=-2)}")
            self.executor._die(error)
            self.executor._inquiries.end(error)
            self.is_dead = True
        finally:
            self._is_turning = False

    def pump(self, is_done: Any) -> None:
        """Wait for an answer of the executor."""
        for _ in range(10_000):
            if is_done():
                return
            self.turn()
        raise AssertionError("an answer never comes")

    def executor_in(self) -> float:
        executor = self.executor
        if self.hands.is_awake or executor._inquiries or executor._batch or executor._arrivals:
            return 0.0
        ticks = self.clock.ticks()
        waits = [self.hands.due_in(), executor._timers.next_in(ticks), executor._granting.next_in(ticks)]
        return min((wait for wait in waits if wait is not None), default=_NEVER)

    def schedules_in(self) -> float:
        ticks = self.clock.ticks()
        if self.schedules._bell.is_set():
            return max(0.0, self._pause_until - ticks)
        waits = [self._look_at - ticks] if self._look_at else []
        at = self.schedules._metronome.at
        if at is not None:
            waits.append(at - self.clock.wall())
        return max(0.0, self._pause_until - ticks, min(waits, default=_NEVER))

    def look_soon(self, seconds: float) -> None:
        """Have the schedules look although nothing rings: their own look comes within five seconds."""
        self._look_at = self.clock.ticks() + seconds

    def wake_schedules(self) -> None:
        self._look_at = 0.0
        metronome = self.schedules._metronome
        if metronome.at is not None and metronome.at <= self.clock.wall():
            metronome.at = None
        self.schedules._bell.clear()
        try:
            self.schedules.wake()
        except DropmillError:
            # As its loop does: what has no row is due again.
            self._look_at = self._pause_until = self.clock.ticks() + LOOK_SECONDS

    def inbox_in(self) -> float:
        inbox = self.inbox
        if inbox._last_trouble:
            return max(0.0, self._inbox_until - self.clock.ticks())
        if self._is_busy or inbox._notes.qsize():
            return 0.0
        waits = [tray.due_in() for tray in inbox._trays.values()]
        waits += [due for due in (inbox._filing.due_in(), inbox._entrance.due_in()) if due is not None]
        return min(waits)

    def turn_inbox(self) -> None:
        self.inbox._listen(0.0)
        self._is_busy = self.inbox._guarded_turn()
        self._inbox_until = self.clock.ticks() + 1.0

    def ring(self, name: str) -> None:
        """Ring the inbox's bell: a file was renamed into it."""
        self.inbox._hear(Heard(self.config.paths.inbox, name, True))
