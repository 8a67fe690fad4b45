"""What a person sees of a schedule, as a frozen value that encodes to the JSON of `dropmill schedules`."""

from datetime import datetime

import msgspec

from daemon.calendar import parse_zone
from daemon.config import forms_of
from daemon.schedules.entry import Entry
from engine.clock import rfc3339
from engine.views import DueView


class ScheduleView(msgspec.Struct, frozen=True, kw_only=True):
    """Show a schedule: `when` as written, `next` in its own zone, `last` and what became of it.

    `reason` and `message` say why it is paused, `broken` why its workflow cannot run. `runs` have not ended; `waiting`
    are due instants that wait for them.
    """

    name: str
    workflow: str
    when: str
    timezone: str
    is_enabled: bool
    is_paused: bool
    reason: str | None
    message: str
    broken: str
    next: str | None
    last: DueView | None
    failures: int
    runs: list[str]
    waiting: list[str]


def view_of(entry: Entry) -> ScheduleView:
    """Show a schedule as it stands."""
    settings, record = entry.settings, entry.record
    return ScheduleView(
        name=settings.name,
        workflow=settings.workflow,
        when=", ".join(f"{form} {value}" for form, value in forms_of(settings).items()),
        timezone=settings.timezone,
        is_enabled=settings.enabled,
        is_paused=record.is_paused,
        reason=record.reason,
        message=record.message,
        broken=entry.broken,
        next=_in_zone(entry.next_due(), settings.timezone),
        last=entry.last,
        failures=record.failures,
        runs=list(entry.open),
        waiting=[rfc3339(due) or "" for due in entry.waiting],
    )


def _in_zone(instant: float | None, timezone: str) -> str | None:
    """Write an instant in RFC 3339 as the zone's wall clock shows it, with the offset."""
    return None if instant is None else datetime.fromtimestamp(instant, parse_zone(timezone)).isoformat()
