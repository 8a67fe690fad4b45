"""The composition root of the daemon: builds the parts, starts them in order, waits, stops them in reverse.

Signals and the death of a part are flags that the loop here acts on. What a part does is its own business.
"""

import contextlib
import errno
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from loguru import logger

from daemon import holding, log
from daemon.assembly import Assembly
from daemon.config import Config, load
from daemon.exits import Exit, exit_of
from daemon.parts import BEATING, PARTS, Making, Part, Questions
from daemon.ready import Notifier, Watchdog
from daemon.recovery import Recovery
from daemon.signals import Signals
from daemon.troubles import Troubles, shortages
from engine.clock import ticks
from engine.errors import ConfigInvalidError, DropmillError, StoreLostError
from engine.facts import Begin, Finish, Order, Warn
from engine.states import State
from engine.values import make_folder

_DISK_TROUBLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS})
_LOOK_SECONDS = 2.0
_PULSE_SECONDS = 30.0
_STOP_LOOK_SECONDS = 0.05
_START_SECONDS = 60.0
_PROGRESS_RUNS = 500


class Service:
    """Run the daemon on one configuration until it is told to stop; `run` returns the exit status.

    `makings` build the parts that stand on the engine, in the order in which they start; `banner` says what is there.
    """

    def __init__(
        self,
        path: Path | None,
        environ: Mapping[str, str],
        *,
        makings: Mapping[str, Making] | None = None,
        banner: Callable[[Config], None] = lambda _config: None,
    ) -> None:
        """Keep what is needed to start; nothing is read or touched yet."""
        self._path, self._environ, self._banner = path, environ, banner
        self._makings = PARTS if makings is None else makings
        self._notifier = Notifier(environ)
        self._parts: dict[str, Part] = {}
        self._wishes: dict[str, Mapping[str, Callable[..., Any]]] = {}
        self._failure: BaseException | None = None
        self._is_draining = False
        self._stamps_at_start: tuple[tuple[str, int, int], ...] | None = None
        self.phase = "starting"
        self._log: log.Log | None = None
        self.troubles = Troubles()
        self._shown: dict[str, Callable[[], Any]] = {"troubles": self.troubles.sentences}
        self.broken: ConfigInvalidError | None = None

    def drain(self) -> None:
        """Take nothing new, finish what lives, then stop; safe from any thread."""
        self._is_draining = True

    def questions(self) -> Questions:
        """Return what the parts show and what they can be asked to do, by name; both grow as parts start."""
        return self._shown, self._wishes

    def run(self) -> int:
        """Start, serve and stop; return the exit status."""
        signals = Signals()
        try:
            config = load(self._path, self._environ)
            self._stamps_at_start = _stamps(config)
            self._serve(config, signals)
        except DropmillError as error:
            self._failure = self._failure or error
        except BaseException as error:
            self._failure = self._failure or error
            raise
        finally:
            signals.restore()
            self._say_last_words()
        if self._failure is None:
            return Exit.STOPPED
        return exit_of(self._failure)

    def _say_last_words(self) -> None:
        """Name what ended the daemon, in the log or, where there is none yet, on standard error."""
        if self._failure is None:
            logger.info("stopped")
        else:
            self._notifier.stopping(f"failed: {self._failure}")
            if self._log is None:
                print(f"dropmill: {self._failure}", file=sys.stderr)  # noqa: T201 -- there is no log yet
            else:
                logger.error("the daemon ends: {}", self._failure)
        if self._log is not None:
            self._log.close()

    def _serve(self, config: Config, signals: Signals) -> None:
        def note_death(error: BaseException) -> None:
            self._failure = error
            signals.wake()

        assembly = Assembly(config, kind="daemon", listeners=[self._listen], on_death=note_death)
        try:
            self._start_on_disk(config, assembly)
            self._notifier.ready(self._status(assembly))
            logger.info("ready: {}", self._status(assembly))
            self._banner(config)
            self._wait(config, assembly, signals)
        finally:
            self._stop(config, assembly, signals)

    def _start_on_disk(self, config: Config, assembly: Assembly) -> None:
        """Start, and say of a disk that is full or broken what is said of it later on."""
        try:
            self._start(config, assembly)
        except OSError as error:
            if error.errno not in _DISK_TROUBLE:
                raise
            raise StoreLostError(f"{error.filename or config.paths.state}: {error.strerror}") from error

    def _start(self, config: Config, assembly: Assembly) -> None:
        """Recover before anything new is accepted, and be ready only when all of it is done."""
        # Before the log: two processes must not write to one file, which each may rotate.
        assembly.ownership.acquire("daemon")
        self._log = log.configure(
            config.log, config.paths.logs, to_terminal=True, secrets=tuple(assembly.ambience.secrets.values())
        )
        assembly.open()
        self._notifier.extend(_START_SECONDS)
        for folder in config.paths.plugins:
            if folder.parent == config.paths.state:
                make_folder(folder)
        assembly.start_workers()
        self._recover(config, assembly)
        held = holding.read(config.paths.state)
        if held is not None:
            assembly.executor.hold(held)
            self._note_held(assembly)
        assembly.executor.start()
        for name, make in self._makings.items():
            part = self._parts[name] = make(self, assembly)
            if hasattr(part, "status"):
                self._shown[name] = partial(_shown, part)
            if hasattr(part, "wishes"):
                self._wishes[name] = part.wishes
            self._parts[name].start()
        self.phase = "ready"

    def _recover(self, config: Config, assembly: Assembly) -> None:
        recovery = Recovery(
            assembly.executor,
            values=assembly.values,
            limits=config.limits,
            ambience=assembly.ambience,
            progress=self._note_progress,
        )
        report = recovery.take_up(assembly.history.open_runs())
        if report.runs:
            logger.info("runs taken up: {}; attempts lost with the last life: {}", report.runs, report.lost_attempts)
        for run, why in report.refused:
            logger.error("run {} cannot be taken up: {}", run, why)

    def _note_progress(self, done: int, total: int) -> None:
        if done % _PROGRESS_RUNS == 0:
            self._notifier.extend(_START_SECONDS)
            self._notifier.status(f"recovering: {done} of {total} runs")

    def _wait(self, config: Config, assembly: Assembly, signals: Signals) -> None:
        """Feed the watchdog, look after the machine, and act on flags until it is time to stop."""
        watchdog = Watchdog(self._notifier, self._pulses(assembly), self._environ)
        pause = min(_LOOK_SECONDS, watchdog.interval or _LOOK_SECONDS)
        next_ping = 0.0
        # From before READY: what came since then, a signal or a changed file, must not be missed.
        started, reloads, seen = config, 0, self._stamps_at_start
        catalogue = assembly.executor.catalogue()
        while not signals.stops and self._failure is None and not self._is_drained(assembly):
            signals.wait(pause)
            self._note_held(assembly)
            if catalogue.done() and catalogue.exception() is None:
                self.troubles.note_broken(catalogue.result().broken)
                catalogue = assembly.executor.catalogue()
            now = ticks()
            if now >= next_ping:
                stuck = watchdog.look()
                self.troubles.note("stuck", f"no sign of life from {', '.join(stuck)}" if stuck else "")
                next_ping = now + (watchdog.interval or _PULSE_SECONDS)
                self._notifier.status(self._status(assembly))
                self.troubles.note_all(shortages(config.paths.state, config.paths.logs, config.paths.inbox))
                self.troubles.note("workers", assembly.pool.problem)
            stamps = _stamps(config)
            if stamps is None:
                stamps = seen
            if signals.reloads != reloads or stamps != seen:
                reloads, seen = signals.reloads, stamps
                config = self._reload(config, started, assembly)

    def _note_held(self, assembly: Assembly) -> None:
        held = assembly.executor.held
        self.troubles.note("held", f"paused: {held}" if held else "")

    def _is_drained(self, assembly: Assembly) -> bool:
        """Close the sources once a drain was asked for; tell whether nothing lives any more."""
        if not self._is_draining:
            return False
        for name, part in self._parts.items():
            if name != "api":
                part.stop()
        return assembly.executor.live == 0

    def _pulses(self, assembly: Assembly) -> dict[str, Callable[[], int]]:
        pulses: dict[str, Callable[[], int]] = {"executor": lambda: assembly.executor.turns}
        for name in BEATING:
            if name in self._parts:
                pulses[name] = partial(self._pulse_of, name, assembly)
        return pulses

    def _pulse_of(self, name: str, assembly: Assembly) -> int:
        """Return a part's pulse; sources that a drain has stopped rest, and must not look as if they were stuck."""
        if self._is_draining and name != "api":
            return assembly.executor.turns
        part: Any = self._parts[name]
        return int(part.pulse)

    def _reload(self, config: Config, started: Config, assembly: Assembly) -> Config:
        """Read the configuration again; a broken one leaves the settings in force and is said once.

        What counts only after a restart is told apart by the configuration that the daemon `started` with.
        """
        self._notifier.reloading(ticks())
        try:
            fresh = load(self._path, self._environ)
        except ConfigInvalidError as error:
            self.broken = error
            self.troubles.note("configuration", f"the changed configuration is not used: {error}")
            self._notifier.ready("the configuration on disk is broken; the former one is in force")
            return config
        self.broken = None
        self.troubles.note("configuration", "")
        for part in self._parts.values():
            reload = getattr(part, "reload", None)
            if reload is not None:
                reload(fresh)
        assembly.executor.set_pools(fresh.pools)
        logger.info("the configuration was read again; {}", _needs_restart(started, fresh))
        self._notifier.ready("the configuration was read again")
        return fresh

    def _status(self, assembly: Assembly) -> str:
        live = assembly.executor.live
        return "; ".join([f"{live} live run" + ("" if live == 1 else "s"), *self.troubles.sentences()])

    def _listen(self, run: str, orders: Sequence[Order], _now: float) -> None:
        for order in orders:
            if isinstance(order, Begin):
                logger.info("run {} begins", run)
            elif isinstance(order, Warn):
                logger.warning("run {}: {}", run, order.message)
            elif isinstance(order, Finish):
                # What somebody looks for who was not told: a failure is no mere news.
                level = "WARNING" if order.state is State.FAILED else "INFO"
                told = f": {order.message}" if order.message else ""
                logger.log(level, "run {} ended {}{}", run, order.state, told)

    def _stop(self, config: Config, assembly: Assembly, signals: Signals) -> None:
        """Close the sources, give what runs its grace, then end it; a second signal takes the grace away."""
        grace = 0.0 if self._failure is not None else config.executor.grace
        # The sources take a moment to close, in which nothing more must start.
        assembly.executor.hold("the daemon is stopping")
        self.phase = "stopping"
        self._notifier.stopping(f"stopping: what runs gets {grace:g} s")
        if self._failure is None and self._log is not None:
            logger.info("stopping: what runs gets {:g} s to end; a second signal ends it at once", grace)
        self._notifier.extend(grace + _START_SECONDS)

        def close() -> None:
            for part in reversed(self._parts.values()):
                part.stop()
            assembly.stop(grace)

        end = threading.Thread(target=close, name="stop")
        end.start()
        while end.is_alive():
            signals.wait(_STOP_LOOK_SECONDS)
            if signals.stops > 1:
                assembly.executor.stop(0.0)
            end.join(0)


def _shown(part: Any) -> Any:
    """Ask a part how it stands, which some keep ready and others work out."""
    return part.status() if callable(part.status) else part.status


def _stamps(config: Config) -> tuple[tuple[str, int, int], ...] | None:
    """Return what shows that a file of the configuration has changed; None while that cannot be seen."""
    found = []
    try:
        for path in config.loaded.watched:
            for file in sorted(path.glob("*.toml")) if path.is_dir() else [path]:
                with contextlib.suppress(FileNotFoundError):
                    status = file.stat()
                    found.append((str(file), status.st_mtime_ns, status.st_size))
    except OSError:  # no file descriptors left, or a disk that does not answer: nothing has changed for all we know
        return None
    return tuple(found)


def _needs_restart(old: Config, new: Config) -> str:
    """Name the changed sections that count only after a restart."""
    later = [
        name
        for name in ("paths", "executor", "limits", "api", "history", "log", "secrets", "plugins")
        if getattr(old, name) != getattr(new, name)
    ]
    return f"changes to {', '.join(later)} count after a restart" if later else "all changes are in force"
