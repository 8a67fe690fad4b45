"""The schedules as they stand, from the daemon or, without one, from the settings and what is remembered.

Called by `schedules` and `schedule`. Without a daemon nothing is settled: what was due meanwhile is the next one's.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import msgspec

from daemon.cli import memory
from daemon.cli.calling import Daemon
from daemon.config import Config
from daemon.schedules import ScheduleView
from daemon.schedules.entry import Entry
from daemon.schedules.roster import call
from daemon.schedules.views import view_of
from daemon.whereabouts import database_url, values_folder
from engine.clock import SystemClock, wall
from engine.errors import DaemonAbsentError, DropmillError, ScheduleUnknownError
from engine.problems import nearest
from engine.submission import ScheduleRecord
from engine.views import DueView

if TYPE_CHECKING:
    from engine.store import Store


def shown(config: Config) -> list[ScheduleView]:
    """Show every schedule, in the order of the configuration."""
    try:
        answer = Daemon(config).get("/api/v1/parts/schedules")
    except DaemonAbsentError:
        return list(_recalled(config))
    return msgspec.convert(answer, list[ScheduleView])


def find(views: list[ScheduleView], name: str) -> ScheduleView:
    """Return the one of this name; raises ScheduleUnknownError with the nearest."""
    for view in views:
        if view.name == name:
            return view
    raise ScheduleUnknownError(name, nearest(name, [view.name for view in views]))


def due_times(config: Config, name: str, limit: int) -> list[DueView]:
    """List what became of a schedule's due instants, newest first."""
    with memory.opened(config) as history:
        return history.due_times(name, limit=limit)


def change(config: Config, name: str, how: Callable[[Entry], None]) -> None:
    """Change where a schedule stands, as long as no daemon does; raises ScheduleUnknownError, StateBusyError."""
    from daemon.ownership import Ownership

    ownership = Ownership(config.paths.state)
    ownership.acquire("schedule")
    try:
        with _store(config) as store, memory.opened(config) as history:
            entries = call(config.schedules, history.timetable(), {}, wall()).entries
            entry = entries.get(name)
            if entry is None:
                raise ScheduleUnknownError(name, nearest(name, entries))
            how(entry)
            record: ScheduleRecord = entry.record
            store.record_schedules([record], wall())
    finally:
        ownership.release()


def _recalled(config: Config) -> Iterator[ScheduleView]:
    now = wall()
    with memory.opened(config) as history:
        known = history.timetable()
    for entry in call(config.schedules, known, {}, now).entries.values():
        entry.settled = max(entry.settled, now)
        entry.broken = entry.broken or _missing(config, entry.settings.workflow)
        yield view_of(entry)


def _missing(config: Config, workflow: str) -> str:
    """Say that a workflow is not there; whether it is sound is the daemon's to say, who knows the plugins."""
    from daemon.library import Library

    if "/" in workflow or workflow.endswith(".json"):
        path = config.loaded.folder / workflow
        return "" if path.is_file() else f"the workflow {path} is not there"
    try:
        Library(config.paths.workflows).find(workflow)
    except DropmillError as error:
        return str(error)
    return ""


@contextlib.contextmanager
def _store(config: Config) -> "Iterator[Store]":
    from engine.store import Store
    from engine.values import Values

    store = Store(database_url(config), values=Values(values_folder(config)), clock=SystemClock())
    store.open()
    try:
        yield store
    finally:
        store.close()
