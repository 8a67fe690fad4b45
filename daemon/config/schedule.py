"""The settings of one schedule; what its expression means is the calendar's."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from daemon.config.kinds import Count, Filled, Instant, Moment, Name, Period, Seconds, Span


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """Run a workflow by the clock: a name, a workflow, and exactly one of the settings from `cron` to `monthly`."""

    name: Annotated[
        Name,
        Meta(description="Name of the schedule, which no other has.", examples=["nightly-report"]),
    ]
    workflow: Annotated[
        Filled,
        Meta(description="Name of a known workflow, or path of a document.", examples=["nightly-report"]),
    ]
    cron: Annotated[
        str | None,
        Meta(
            description="Five fields as cron reads them, or @hourly, @daily, @weekly, @monthly, @yearly.",
            examples=["30 2 * * 1-5"],
        ),
    ] = None
    every: Annotated[Period | None, Meta(description="Elapsed time between two starts.", examples=["15m"])] = None
    at: Annotated[Instant | None, Meta(description="One moment, once.", examples=["2027-01-01T00:00:00+01:00"])] = None
    hourly: Annotated[str | None, Meta(description="Minutes of each hour.", examples=[":15"])] = None
    daily: Annotated[str | None, Meta(description="Times of each day.", examples=["02:30"])] = None
    weekly: Annotated[str | None, Meta(description="Weekdays and times.", examples=["mon-fri 08:00"])] = None
    monthly: Annotated[
        str | None, Meta(description="Days of the month (or last) and times.", examples=["1,last 02:30"])
    ] = None
    timezone: Annotated[
        str, Meta(description="Time zone whose wall clock counts, by its IANA name.", examples=["Europe/Berlin"])
    ] = "UTC"
    on_missed: Annotated[
        Literal["skip", "last", "all"],
        Meta(
            description="What to do about due times that passed while nothing could start them: none, the last, or all."
        ),
    ] = "last"
    catchup_window: Annotated[Seconds, Meta(description="Due times older than this are not caught up.")] = 86400.0
    catchup_max: Annotated[
        int, Meta(ge=1, description="Most due times that are caught up at once; the latest ones count.")
    ] = 100
    overlap: Annotated[
        Literal["skip", "queue", "replace", "allow"],
        Meta(description="What to do while its last run has not ended: skip, queue, replace that run, or allow both."),
    ] = "skip"
    jitter: Annotated[
        Seconds,
        Meta(
            description="Longest delay after the due time, to spread load; each schedule has its own fixed share of it."
        ),
    ] = 0.0
    params: Annotated[
        dict[str, Any], Meta(description="Parameters handed to the workflow.", examples=[{"day": "yesterday"}])
    ] = {}
    start: Annotated[
        Moment | None,
        Meta(
            description="Not due before this moment, or the beginning of this day.",
            examples=["2026-12-01"],
        ),
    ] = None
    end: Annotated[
        Moment | None,
        Meta(description="Not due after this moment, or the end of this day.", examples=["2028-01-01T00:00:00Z"]),
    ] = None
    blackout: Annotated[
        tuple[Span, ...],
        Meta(
            description="Dates, and spans of two dates or moments, in which it is not due, by its own wall clock.",
            examples=[["2027-12-24", ["2027-12-31", "2028-01-01"]]],
        ),
    ] = ()
    stop_after_failures: Annotated[
        Count, Meta(description="After this many failed runs in a row the schedule pauses itself; 0 is never.")
    ] = 0
    priority: Annotated[int, Meta(description="Priority of its runs; higher ones start first.")] = 0
    enabled: Annotated[bool, Meta(description="If false, it is never due.")] = True
