"""The configuration: from TOML files and environment variables to typed, documented settings, or to all that is wrong.

The rooms, lowest first: `kinds`, `schedule`, `settings` (what there is), `places` (lines of keys), `draft` (raw values
and where they stand), `leaves` and `wording` (one value), `reader` (all values), `timing` and `checks` (how they fit),
`locations`, `sources` and `environment` (where they come from), `loading` (the way in), `manual`, `schema` and `shown`
(the way out), `schedulefiles` (what the command line writes).
"""

from daemon.config.loading import load, salvage
from daemon.config.manual import reference, sample
from daemon.config.schedule import Schedule
from daemon.config.schedulefiles import add_schedule, remove_schedule
from daemon.config.schema import schema
from daemon.config.settings import (
    Api,
    Config,
    Executor,
    FurtherInbox,
    History,
    Inbox,
    Loaded,
    Log,
    Origin,
    Paths,
    Retention,
    Route,
    Secrets,
)
from daemon.config.shown import Row, show
from daemon.config.timing import calendar_of, forms_of

__all__ = [
    "Api",
    "Config",
    "Executor",
    "FurtherInbox",
    "History",
    "Inbox",
    "Loaded",
    "Log",
    "Origin",
    "Paths",
    "Retention",
    "Route",
    "Row",
    "Schedule",
    "Secrets",
    "add_schedule",
    "calendar_of",
    "forms_of",
    "load",
    "reference",
    "remove_schedule",
    "salvage",
    "sample",
    "schema",
    "show",
]
