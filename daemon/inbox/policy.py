"""What holds for one folder that is dropped into: whose rules, how long a file settles, what it may ask for.

Read from the configuration: the main inbox, the further ones, and the folders of routes. Values only.
"""

import fnmatch
from pathlib import Path

import msgspec

from daemon.config import Config, Route


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the rules of a folder; `name` is empty for the main inbox and for routes, None of a list allows all."""

    path: Path
    name: str = ""
    settle: float = 0.5
    task_types: tuple[str, ...] | None = None
    workflows: tuple[str, ...] | None = None
    priority: int = 0
    routes: tuple[Route, ...] = ()
    dedupes: bool = False
    is_dated: bool = False
    is_open_to_all: bool = False

    def route_of(self, name: str) -> Route | None:
        """Return the first route that takes a file of this name."""
        return next((route for route in self.routes if fnmatch.fnmatchcase(name, route.match)), None)


def policies(config: Config) -> list[Policy]:
    """List the rules of every folder that is to be watched; none where the inbox is not enabled."""
    inbox = config.inbox
    if not inbox.enabled:
        return []
    main = Policy(
        path=config.paths.inbox,
        settle=inbox.settle,
        dedupes=inbox.dedupe == "content",
        is_dated=inbox.dated_folders,
        is_open_to_all=inbox.allow_world_writable,
    )
    further = [
        msgspec.structs.replace(
            main,
            path=other.path,
            name=name,
            settle=inbox.settle if other.settle is None else other.settle,
            task_types=other.task_types,
            workflows=other.workflows,
            priority=other.priority,
        )
        for name, other in config.inboxes.items()
        if other.enabled
    ]
    routes: dict[Path, list[Route]] = {}
    for route in config.routes:
        routes.setdefault(route.path, []).append(route)
    # A route says what runs for any file, also for the same bytes again.
    data = [
        msgspec.structs.replace(main, path=path, routes=tuple(some), dedupes=False) for path, some in routes.items()
    ]
    return [main, *further, *data]
