"""Schedule expressions, and which due instants lie between two moments: pure, no clock, no input or output.

The rooms, lowest first: `zones` (a zone as stretches of one offset), `expressions` (the search and the daylight-saving
rule), `cron`, `moments` and `phrases` (what people write), `bounds` (`Calendar`: start, end, blackouts), `catchup`
(what was missed, jitter). Instants are seconds since the epoch, UTC, as `engine.clock.wall` gives them.
Called by the configuration, the schedules, recovery and `dropmill calendar`.
"""

from daemon.calendar.bounds import Calendar, parse_calendar
from daemon.calendar.catchup import CatchUp, Missed, MissedBefore, OnMissed, jitter_seconds, missed
from daemon.calendar.cron import parse_cron
from daemon.calendar.expressions import At, Every, Expression, WallClock
from daemon.calendar.phrases import (
    FORMS,
    parse_at,
    parse_daily,
    parse_every,
    parse_hourly,
    parse_monthly,
    parse_text,
    parse_weekly,
)
from daemon.calendar.zones import Zone, in_zone, parse_zone

__all__ = [
    "FORMS",
    "At",
    "Calendar",
    "CatchUp",
    "Every",
    "Expression",
    "Missed",
    "MissedBefore",
    "OnMissed",
    "WallClock",
    "Zone",
    "in_zone",
    "jitter_seconds",
    "missed",
    "parse_at",
    "parse_calendar",
    "parse_cron",
    "parse_daily",
    "parse_every",
    "parse_hourly",
    "parse_monthly",
    "parse_text",
    "parse_weekly",
    "parse_zone",
]
