"""Which parts the daemon has beside the engine, in the order in which they start, and how each is made.

`service` starts and stops them; what a part does is its own business.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from loguru import logger

from daemon.api import Api
from daemon.api.desk import Desk
from daemon.assembly import Assembly
from daemon.inbox import Inbox, Noted
from daemon.janitor import Janitor
from daemon.schedules import Schedules
from daemon.whereabouts import socket_file
from engine.clock import SystemClock

Questions = tuple[dict[str, Callable[[], Any]], dict[str, Mapping[str, Callable[..., Any]]]]


class Part(Protocol):
    """What the service starts and stops; both are harmless twice."""

    def start(self) -> None:
        """Return when it runs."""
        ...

    def stop(self) -> None:
        """Return when it has stopped; it takes nothing new from the first moment on."""
        ...


class Host(Protocol):
    """What parts may ask of the service; `phase` is starting, ready or stopping."""

    phase: str

    def drain(self) -> None:
        """Take nothing new, finish what lives, then stop."""
        ...

    def questions(self) -> Questions:
        """Return what the parts started so far show, and what they can be asked to do, by name."""
        ...


Making = Callable[[Host, Assembly], Part]


def _make_inbox(_host: Host, assembly: Assembly) -> Part:
    return Inbox(
        assembly.config,
        door=assembly.intake,
        owner=assembly.executor,
        store=assembly.store,
        history=assembly.history,
        clock=SystemClock(),
        observe=_log_file,
    )


def _make_schedules(_host: Host, assembly: Assembly) -> Part:
    return Schedules(
        assembly.config,
        intake=assembly.intake,
        executor=assembly.executor,
        store=assembly.store,
        history=assembly.history,
        clock=SystemClock(),
    )


def _make_janitor(_host: Host, assembly: Assembly) -> Part:
    return Janitor(
        assembly.config, store=assembly.store, history=assembly.history, values=assembly.values, clock=SystemClock()
    )


def _make_api(host: Host, assembly: Assembly) -> Part:
    config = assembly.config
    parts, wishes = host.questions()
    desk = Desk(assembly, parts=parts, wishes=wishes, drain=host.drain, phase=lambda: host.phase)
    mode = int(config.api.socket_mode, 8)
    return Api(desk, socket_file(config), mode=mode, limits=config.limits)


def _log_file(noted: Noted) -> None:
    """Write down what befell a dropped file; what needs a person is a warning."""
    level = "WARNING" if noted.kind in ("rejected", "stuck") else "INFO"
    run = f", run {noted.run}" if noted.run else ""
    logger.log(level, "{} {}{}: {}", noted.kind, noted.file or noted.folder, run, noted.message or "ok")


# They stop in reverse: the API answers until the last.
PARTS: Mapping[str, Making] = {
    "api": _make_api,
    "schedules": _make_schedules,
    "inbox": _make_inbox,
    "janitor": _make_janitor,
}
# Those whose pulse proves that they work; the others may rest for hours.
BEATING = ("api", "schedules", "inbox")
