"""The configuration: from TOML files and environment variables to typed, documented settings, or to all that is wrong.

The rooms, lowest first: `kinds`, `schedule` and `settings` (what there is), `places` (lines of keys), `draft` (raw values
and where they came from), `leaves` and `wording` (one value), `reader` (all values), `timing` and `checks` (how they fit),
`locations`, `sources` and `environment` (where they come from), `loading` (the way in).
"""

from daemon.config.loading import load
from daemon.config.schedule import Schedule
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
    "Schedule",
    "Secrets",
    "load",
]
