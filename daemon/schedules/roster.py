"""The schedules of a configuration, put together with what the memory knows of them.

Says which are new, edited or gone; decides nothing about due instants. Called by `Schedules` at start and reload, and
whenever disk and memory may disagree.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache

import msgspec

from daemon.config import Schedule, calendar_of
from daemon.schedules.entry import Entry
from engine.clock import rfc3339
from engine.errors import ScheduleInvalidError
from engine.states import DueState, Reason
from engine.submission import DueRecord, ScheduleRecord
from engine.views import Timetable


class Roster(msgspec.Struct):
    """Hold every schedule by name, and what is to be written since they differ from what was known."""

    entries: dict[str, Entry]
    changed: list[ScheduleRecord]
    forgotten: list[str]
    rows: list[DueRecord]


def call(schedules: Sequence[Schedule], known: Timetable, owners: Mapping[str, str], now: float) -> Roster:
    """Make an entry of each schedule; one that is new, or differs from what it was, counts from now.

    `owners` are runs (by id, with the schedule's name) of whose end we have not heard yet, whatever the memory says.
    """
    entries: dict[str, Entry] = {}
    changed = []
    for settings in schedules:
        record = _record(settings, known.records.get(settings.name), now)
        if record is not known.records.get(settings.name):
            changed.append(record)
        entries[settings.name] = _entry(settings, record, known, now)
    for run, name, due in known.open:
        if name in entries:
            entries[name].open[run] = due
    for run, name in owners.items():
        if name in entries:
            entries[name].open.setdefault(run, 0.0)
    rows = []
    for name, due in known.queued:
        if name in entries:
            entries[name].waiting.append(due)
        else:
            rows.append(_abandoned(name, due))
    return Roster(entries, changed, sorted(known.records.keys() - entries.keys()), rows)


def digest_of(settings: Schedule) -> str:
    """Return what shows that a definition was edited; settings left at their defaults do not count."""
    given = {name: value for name, usual in _defaults() if (value := getattr(settings, name)) != usual}
    return hashlib.sha256(msgspec.json.encode(given, order="deterministic")).hexdigest()


@cache
def _defaults() -> tuple[tuple[str, object], ...]:
    fields = msgspec.structs.fields(Schedule)
    return tuple((field.name, {} if field.default_factory is dict else field.default) for field in fields)


def _record(settings: Schedule, known: ScheduleRecord | None, now: float) -> ScheduleRecord:
    digest = digest_of(settings)
    if known is None:
        return ScheduleRecord(name=settings.name, definition_hash=digest, since=now)
    if known.definition_hash != digest:
        # Paused it stays: who paused it has not said otherwise.
        return msgspec.structs.replace(known, definition_hash=digest, since=now, failures=0)
    return known


def _entry(settings: Schedule, record: ScheduleRecord, known: Timetable, now: float) -> Entry:
    newest, last = known.newest.get(settings.name, (0.0, None))
    try:
        calendar, broken = calendar_of(settings), ""
    except ScheduleInvalidError as error:
        # The checks of the configuration let it pass; the zones of this machine may have changed since.
        calendar, broken = None, str(error)
    entry = Entry(settings, record, calendar, last, newest)
    entry.broken = broken
    entry.rewind(now)
    return entry


def _abandoned(name: str, due: float) -> DueRecord:
    message = f"the schedule was removed while the start due at {rfc3339(due)} waited"
    return DueRecord(schedule=name, due_at=due, state=DueState.SKIPPED, reason=Reason.OVERLAP.value, message=message)
