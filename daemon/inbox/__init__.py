"""The inbox: one thread that finds dropped files, claims and submits them, and files them when their runs have ended.

A service. Shares only a queue with others: the bell, the executor's listener and whoever reloads or stops put notes
into it. The rooms, lowest first: `noted`, `policy`, `notes`, `arrivals`, `tray`, `judging`, `filing`, `entrance`,
`reconciling`. The scan is the truth; the bell only shortens the wait.
"""

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple, Protocol

from daemon.bell import Bell, Heard
from daemon.config import Config
from daemon.inbox import entrance, filing, reconciling
from daemon.inbox.entrance import Entrance
from daemon.inbox.filing import Filing
from daemon.inbox.judging import Door
from daemon.inbox.noted import Noted, Observe, Status, Stuck
from daemon.inbox.policy import Policy, policies
from daemon.inbox.reconciling import Reconciling
from daemon.inbox.tray import Tray
from engine.clock import Clock
from engine.errors import DropmillError
from engine.facts import Finish, Order
from engine.views import OpenClaim

__all__ = ["Inbox", "Noted", "Status", "Stuck"]

_PULSE_SECONDS = 3.0
_PAUSE_SECONDS = 1.0
# Beyond so many notes the bell's are not kept one by one: the whole folder is looked at instead.
_MOST_NOTES = 50_000


class Store(entrance.Rows, filing.Rows, reconciling.Rows, Protocol):
    """What the inbox asks of the store."""


class History(entrance.Keys, filing.Runs, Protocol):
    """What the inbox asks of the history."""

    def open_claims(self) -> Sequence[OpenClaim]:
        """Return every claim that is not settled."""
        ...


class Owner(Protocol):
    """What the inbox asks of the executor."""

    @property
    def live(self) -> int:
        """Count the live runs."""
        ...

    def listen(self, listener: Callable[[str, Sequence[Order], float], None]) -> None:
        """Add a listener."""
        ...


class _Ended(NamedTuple):
    run: str


class _Changed(NamedTuple):
    config: Config


class _Stop:
    """The last note."""


_Note = Heard | _Ended | _Changed | _Stop


class Inbox:
    """Watch the configured folders; a service: `start` returns after the first scan, `stop` when all is put down.

    `observe` is called in the inbox's thread with everything that happens to a file; it must return at once.
    """

    def __init__(  # noqa: PLR0913 -- the parts it is composed of, by name
        self,
        config: Config,
        *,
        door: Door,
        owner: Owner,
        store: Store,
        history: History,
        clock: Clock,
        observe: Observe,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Compose it; from now on it hears which runs end, and nothing else happens before `start`."""
        self._config, self._owner, self._history, self._clock = config, owner, history, clock
        self._observe = observe
        self._notes: SimpleQueue[_Note] = SimpleQueue()
        self._bell = Bell(self._hear)
        self._filing = Filing(store, history, clock, observe)
        self._entrance = Entrance(
            door=door,
            rows=store,
            keys=history,
            filing=self._filing,
            limits=config.limits,
            clock=clock,
            observe=observe,
            entropy=entropy,
        )
        self._reconciling = Reconciling(store, self._entrance, self._filing, clock, observe)
        self._trays: dict[Path, Tray] = {}
        self._thread: threading.Thread | None = None
        self._is_up = threading.Event()
        self._is_stopping = False
        self._has_missed = False
        self._last_trouble = ""
        self.failure: BaseException | None = None
        self.pulse = 0
        self.status = Status()
        owner.listen(self._hear_end)

    def start(self) -> None:
        """Take up what was claimed in a former life, watch, and return when everything was looked at once.

        Harmless twice. Raises InputError for a folder that cannot be an inbox, or what kept it from starting.
        """
        if self._thread is not None:
            return
        self._thread = threading.Thread(target=self._run, name="inbox", daemon=True)
        self._thread.start()
        self._is_up.wait()
        if self.failure is not None:
            raise self.failure

    def stop(self) -> None:
        """Take nothing more, and return when what was being taken and filed is done; harmless twice."""
        self._is_stopping = True
        self._notes.put(_Stop())
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def reload(self, config: Config) -> None:
        """Put changed settings and folders in force soon; a new folder that cannot be used is told, not raised."""
        self._notes.put(_Changed(config))

    def _hear(self, heard: Heard) -> None:
        if self._notes.qsize() > _MOST_NOTES:
            self._has_missed = True
        else:
            self._notes.put(heard)

    def _hear_end(self, run: str, orders: Sequence[Order], _now: float) -> None:
        if any(type(order) is Finish for order in orders):
            self._notes.put(_Ended(run))

    def _run(self) -> None:
        try:
            self._begin()
            self._is_up.set()
            while not self._is_stopping:
                is_busy = self._guarded_turn()
                self._listen(0.0 if is_busy else self._patience())
            self._guarded_turn()
        except BaseException as error:
            # Nobody is left to tell but whoever looks at the pulse and at `failure`.
            self.failure = error
            self._observe(Noted(kind="stuck", folder="", message=f"the inbox has stopped: {error!r}"))
        finally:
            self._bell.stop()
            self._is_up.set()
            for tray in self._trays.values():
                tray.claims.close()

    def _begin(self) -> None:
        """Open the folders, reconcile, and only then watch and look: what comes meanwhile is seen by the first look."""
        for policy in policies(self._config):
            tray = self._make(policy)
            tray.open()
            self._trays[policy.path] = tray
        self._reconciling.reconcile(list(self._trays.values()), self._history.open_claims())
        for tray in self._trays.values():
            tray.arm()
            tray.look_around()
        self._show()

    def _make(self, policy: Policy) -> Tray:
        return Tray(policy, self._config.inbox, self._bell, self._clock, self._observe)

    def _guarded_turn(self) -> bool:
        """Do a turn; whatever it meets is told, and after a pause there is another. Return whether more waits."""
        self.pulse += 1
        try:
            is_busy = self._turn()
        except Exception as error:
            sentence = str(error) if isinstance(error, DropmillError | OSError) else repr(error)
            if sentence != self._last_trouble:
                self._observe(Noted(kind="stuck", folder="", message=sentence))
            self._last_trouble = sentence
            is_busy = False
        else:
            self._last_trouble = ""
        self._show()
        return is_busy

    def _turn(self) -> bool:
        if self._has_missed:
            self._has_missed = False
            self._look_soon()
        self._rearm()
        self._filing.work()
        if self._is_stopping:
            return False
        self._entrance.work()
        is_busy = False
        for tray in list(self._trays.values()):
            tray.look_around()
            room = self._config.executor.max_runs - self._owner.live
            # Without room too: what has settled meanwhile is noted, or there would be nothing to wait for.
            if self._entrance.take(tray, max(0, room)):
                is_busy = is_busy or tray.arrivals.has_ready
        self._filing.work()
        return is_busy and self._owner.live < self._config.executor.max_runs

    def _rearm(self) -> None:
        """Make the bell anew if its thread died; the folders that it watched are looked at at once."""
        watched = [tray for tray in self._trays.values() if tray.watch == "inotify"]
        if watched and not self._bell.is_alive:
            for tray in watched:
                tray.arm()

    def _look_soon(self) -> None:
        for tray in self._trays.values():
            tray.look_soon()

    def _patience(self) -> float:
        """Return how long the thread may wait for a note, in seconds."""
        if self._last_trouble:
            return _PAUSE_SECONDS
        waits = [_PULSE_SECONDS, *(tray.due_in() for tray in self._trays.values())]
        waits += [due for due in (self._filing.due_in(), self._entrance.due_in()) if due is not None]
        return min(waits)

    def _listen(self, patience: float) -> None:
        """Wait for a note, then take in all there are."""
        try:
            note = self._notes.get(timeout=patience) if patience > 0 else self._notes.get_nowait()
            while True:
                self._take_in(note)
                note = self._notes.get_nowait()
        except Empty:
            return

    def _take_in(self, note: _Note) -> None:
        match note:
            case Heard(folder, name, is_moved):
                tray = self._trays.get(folder)
                if tray is None:
                    return
                if name is None:
                    tray.look_soon()
                else:
                    self._look(tray, name, is_moved=is_moved)
            case _Ended(run):
                self._filing.hear_end(run)
            case _Changed(config):
                self._change(config)
            case _Stop():
                return

    def _look(self, tray: Tray, name: str, *, is_moved: bool) -> None:
        try:
            tray.arrivals.hear(name, is_moved=is_moved)
        except OSError:
            # The next look at the whole folder says what is wrong.
            tray.look_soon()

    def _change(self, config: Config) -> None:
        self._config = config
        wanted = {policy.path: policy for policy in policies(config)}
        for path in self._trays.keys() - wanted.keys():
            # What is claimed there is still filed: filing holds on to the tray.
            self._trays.pop(path).close()
        for path, policy in wanted.items():
            tray = self._trays.get(path)
            try:
                if tray is not None:
                    tray.change(policy, config.inbox)
                    continue
                tray = self._make(policy)
                tray.open()
            except DropmillError as error:
                self._observe(Noted(kind="stuck", folder=str(path), message=str(error)))
                continue
            self._trays[path] = tray
            tray.arm()

    def _show(self) -> None:
        trays = self._trays.values()
        stuck = [Stuck(folder=str(tray.policy.path), file="", message=tray.trouble) for tray in trays if tray.trouble]
        for tray in trays:
            folder = str(tray.policy.path)
            stuck += [Stuck(folder=folder, file=name, message=why) for name, why in tray.arrivals.stuck().items()]
        stuck += [*self._entrance.stuck.values(), *self._filing.stuck.values()]
        self.status = Status(
            watch={str(tray.policy.path): tray.watch for tray in trays},
            waiting=sum(tray.arrivals.waiting for tray in trays),
            claimed=self._filing.count + self._entrance.count,
            stuck=tuple(stuck),
        )
