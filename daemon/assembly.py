"""The engine put together on one state folder: owner's lock, memory, worker processes, executor, intake.

`service` and `dropmill run` both stand on it; it starts its parts in order and stops them in reverse, even if a start
failed half-way.
"""

import contextlib
import os
from collections.abc import Callable, Sequence

from daemon.ambience import Ambience, gather
from daemon.config import Config
from daemon.intake import Intake
from daemon.library import Library
from daemon.ownership import Ownership
from daemon.plans import Plans
from daemon.whereabouts import database_url, values_folder
from engine.attemptlog import AttemptLogs
from engine.clock import SystemClock
from engine.errors import BackendError
from engine.executor import Executor, Listener
from engine.history import History
from engine.pool import Pool, end_leftovers
from engine.store import Store
from engine.values import Values

_LEFTOVER_SECONDS = 10.0


class Assembly:
    """Own the parts of a running engine; a service with `start` and `stop`."""

    def __init__(
        self,
        config: Config,
        *,
        kind: str,
        listeners: Sequence[Listener] = (),
        on_death: Callable[[BaseException], None] | None = None,
    ) -> None:
        """Compose the parts; `kind` says in the lock what owns the folder (`daemon` or `run`)."""
        state = config.paths.state
        self.config, self._kind = config, kind
        self._mark = str(state.absolute())
        # Where attempts begin: in a folder of their own under a daemon, where the person is under `dropmill run`.
        self._directory = config.executor.working_directory or (state / "work" if kind == "daemon" else None)
        self._parts = contextlib.ExitStack()
        self.ambience: Ambience = gather(config, os.environ)
        self.ownership = Ownership(state)
        clock = SystemClock()
        self.values = values = Values(values_folder(config))
        self.logs = AttemptLogs(config.paths.logs, config.limits)
        self.store = Store(database_url(config), values=values, clock=clock)
        self.history = History(database_url(config), values=values)
        self.pool = Pool(
            workers=config.executor.worker_count(),
            folders=[str(folder) for folder in config.paths.plugins],
            settings=config.plugins,
            limits=config.limits,
            logs=self.logs,
            clock=clock,
            grace_seconds=config.executor.grace,
            recycle_after=config.executor.recycle_after,
            recycle_memory=config.executor.recycle_memory,
            state=self._mark,
            directory=self._directory,
        )
        library = Library(config.paths.workflows)
        plans = Plans(library, config.limits, self.history)
        self.executor = Executor(
            self.store,
            self.pool,
            clock=clock,
            limits=config.limits,
            values=values,
            ambience=self.ambience,
            workflows=plans,
            pools=config.pools,
            listeners=listeners,
            on_death=on_death,
        )
        self.intake = Intake(self.executor, library, config.limits, plans)

    def open(self) -> None:
        """Take the folder, end what a former owner left running, open the memory; recovery may look around then.

        Raises StateBusyError, BackendError if leftovers cannot be ended, or what `Store.open` raises.
        """
        self.ownership.acquire(self._kind)
        self._parts.callback(self.ownership.release)
        if self._directory is not None:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        left = end_leftovers(self._mark, _LEFTOVER_SECONDS)
        if left:
            pids = ", ".join(str(process.pid) for process in left)
            raise BackendError(f"processes of a former life cannot be ended (pids {pids})")
        self.store.open()
        self._parts.callback(self.store.close)

    def start(self) -> None:
        """Start workers and executor; `open` came before."""
        self.start_workers()
        self.executor.start()

    def start_workers(self) -> None:
        """Start the worker processes alone: what is left to recovery happens before the executor starts."""
        self.pool.start()
        self._parts.callback(self.pool.stop, 0.0)

    def stop(self, grace_seconds: float = 0.0) -> None:
        """Stop everything in reverse; harmless twice and after a start that failed."""
        try:
            self.executor.stop(grace_seconds)
        finally:
            self._parts.close()
