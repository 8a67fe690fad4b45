"""What `dropmill doctor` looks at: each check says what it found and, where something is wrong, what to do about it.

Changes nothing and needs no daemon. A check that cannot be made says so; none of them ends the others.
"""

import sqlite3
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from daemon.bell import remote_kind
from daemon.claims import CLAIMED, safety
from daemon.cli import memory
from daemon.cli.calling import Daemon
from daemon.cli.catalogue import StockTaking
from daemon.cli.counting import counted
from daemon.cli.filed import inboxes
from daemon.config import Config
from daemon.ownership import owner_of
from daemon.troubles import shortages
from engine import params
from engine.errors import DaemonAbsentError, DropmillError, InputError
from engine.task import Catalogue

# Older ones may lose a write to the log when two connections meet: sqlite.org/wal.html#walresetbug
_SOUND_SQLITE = (3, 51, 3)
_FEWEST_WATCHES, _FEWEST_INSTANCES = 1024, 64
_INOTIFY = Path("/proc/sys/fs/inotify")

Verdict = Literal["ok", "warn", "fail"]


class Finding(NamedTuple):
    """Say what was looked at, how it is, and what to do where it is not well."""

    check: str
    verdict: Verdict
    message: str
    remedy: str = ""


def findings(config: Config, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Make every check, in an order in which the first one that fails is the one to mend first."""
    catalogue = _taken(StockTaking(config))
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        lambda: _configuration(config, environ),
        lambda: _state(config),
        lambda: _disk(config),
        lambda: _memory(config),
        _sqlite,
        lambda: _inboxes(config),
        _inotify,
        lambda: _plugins(catalogue),
        lambda: _schedules(config, catalogue),
        lambda: _owner(config),
    )
    for check in checks:
        yield from check()


def _taken(stock: StockTaking) -> Catalogue | DropmillError:
    try:
        return stock.result()
    except DropmillError as error:
        return error


def _configuration(config: Config, environ: Mapping[str, str]) -> Iterator[Finding]:
    from daemon.ambience import gather

    name = str(config.loaded.file) if config.loaded.file else "no file; all settings have their defaults"
    try:
        gather(config, environ)
    except InputError as error:
        yield Finding("settings", "fail", str(error), "mend the secrets that it names")
    else:
        yield Finding("settings", "ok", name)


def _state(config: Config) -> Iterator[Finding]:
    state = config.paths.state
    if not state.is_dir():
        yield Finding("state folder", "warn", f"{state} is not there yet", "`dropmill init` or the daemon makes it")
        return
    kind = remote_kind(state)
    mode = stat.S_IMODE(state.stat().st_mode)
    if kind is not None:
        remedy = "set paths.state to a folder on a local disk: SQLite is not safe on a network file system"
        yield Finding("state folder", "fail", f"{state} is on a network file system ({kind})", remedy)
    elif mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield Finding("state folder", "fail", f"others may write to {state} (mode {mode:04o})", f"chmod 0700 {state}")
    else:
        yield Finding("state folder", "ok", f"{state} (mode {mode:04o})")


def _disk(config: Config) -> Iterator[Finding]:
    place = config.paths.state if config.paths.state.is_dir() else Path("/")
    others = (config.paths.logs, *(inboxes(config) if config.inbox.enabled else ()))
    found = [sentence for sentence in shortages(place, *others).values() if sentence]
    for sentence in found:
        yield Finding("room", "warn", sentence, "free some space, or raise the limit")
    if not found:
        yield Finding("room", "ok", "enough free space and file descriptors")


def _memory(config: Config) -> Iterator[Finding]:
    if not memory.is_there(config):
        yield Finding("history", "ok", "nothing is recorded yet")
        return
    try:
        with memory.opened(config) as history:
            live = sum(history.counts().runs.values())
    except DropmillError as error:
        yield Finding("history", "fail", str(error), "stop the daemon, then restore a backup")
        return
    if live and owner_of(config.paths.state) is None:
        yield Finding(
            "history", "warn", f"{counted(live, 'live run')} and nobody to carry on", "`dropmill serve` takes them up"
        )
    else:
        yield Finding("history", "ok", f"it can be read; {counted(live, 'live run')}")


def _sqlite() -> Iterator[Finding]:
    version = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < _SOUND_SQLITE:
        remedy = "a newer Python or SQLite has it; Dropmill writes from one process only, which avoids it"
        yield Finding("SQLite", "ok", f"{version} is older than 3.51.3, which mended a rare race in its log", remedy)
    else:
        yield Finding("SQLite", "ok", version)


def _inboxes(config: Config) -> Iterator[Finding]:
    if not config.inbox.enabled:
        yield Finding("inbox", "warn", "no inbox is watched", "set inbox.enabled = true if files are to be taken")
        return
    for folder in inboxes(config):
        yield from _inbox(config, folder)


def _inbox(config: Config, folder: Path) -> Iterator[Finding]:
    if not folder.is_dir():
        yield Finding("inbox", "warn", f"{folder} is not there yet", "`dropmill init` or the daemon makes it")
        return
    try:
        if not config.inbox.allow_world_writable:
            safety.check(folder)
        claimed = sum(1 for _ in (folder / CLAIMED).iterdir()) if (folder / CLAIMED).is_dir() else 0
    except (InputError, OSError) as error:
        yield Finding("inbox", "fail", str(error), "the daemon does not start before this is mended")
        return
    kind = remote_kind(folder)
    if kind is not None:
        yield Finding(
            "inbox", "warn", f"{folder} is on a network file system ({kind}) and is polled", "use a local one"
        )
    elif claimed and owner_of(config.paths.state) is None:
        yield Finding("inbox", "warn", f"{claimed} files in {folder / CLAIMED} wait", "`dropmill serve` takes them up")
    else:
        yield Finding("inbox", "ok", str(folder))


def _inotify() -> Iterator[Finding]:
    try:
        watches = int((_INOTIFY / "max_user_watches").read_text())
        instances = int((_INOTIFY / "max_user_instances").read_text())
    except (OSError, ValueError):
        yield Finding("inotify", "warn", "its limits cannot be read", "folders are polled if it does not work")
        return
    message = f"{watches:,} watches, {instances:,} instances for each user"
    if watches < _FEWEST_WATCHES or instances < _FEWEST_INSTANCES:
        yield Finding("inotify", "warn", message, "raise fs.inotify.max_user_instances and max_user_watches by sysctl")
    else:
        yield Finding("inotify", "ok", message)


def _plugins(catalogue: Catalogue | DropmillError) -> Iterator[Finding]:
    if isinstance(catalogue, DropmillError):
        yield Finding("plugins", "fail", str(catalogue), "take the newest plugin file out of its folder")
        return
    for broken in catalogue.broken:
        yield Finding("plugins", "fail", f"{broken.source}: {broken.message}", "mend the file, or take it away")
    if not catalogue.broken:
        yield Finding("plugins", "ok", f"{len(catalogue.types)} task types")


def _schedules(config: Config, catalogue: Catalogue | DropmillError) -> Iterator[Finding]:
    if isinstance(catalogue, DropmillError):
        return
    count = 0
    for schedule in config.schedules:
        try:
            _judge(config, schedule.workflow, schedule.params, catalogue)
        except InputError as error:
            remedy = "mend the workflow or the schedule; `dropmill validate` shows the places"
            yield Finding("schedules", "fail", f"{schedule.name} cannot run: {error}", remedy)
        else:
            count += 1
    if count == len(config.schedules):
        yield Finding("schedules", "ok", f"{count} schedules, and what they run is sound")


def _judge(config: Config, workflow: str, given: Mapping[str, object], catalogue: Catalogue) -> None:
    from daemon.cli.documents import read_file
    from daemon.intake import judge
    from daemon.library import Library

    is_path = "/" in workflow or workflow.endswith(".json")
    path = config.loaded.folder / workflow if is_path else Library(config.paths.workflows).find(workflow)
    plan = judge(read_file(path, config.limits.document_bytes + 1), catalogue, config.limits, name=path.stem)
    params.resolve(plan.workflow, given)


def _owner(config: Config) -> Iterator[Finding]:
    owner = owner_of(config.paths.state)
    try:
        status = Daemon(config).get("/api/v1/status")
    except DaemonAbsentError:
        if owner is None:
            yield Finding("daemon", "warn", "none runs on these settings", "start it: `dropmill serve`")
        elif owner.kind == "daemon":
            yield Finding("daemon", "fail", f"{owner} does not answer", "look into its log; it may just be starting")
        else:
            yield Finding("daemon", "ok", f"{owner} owns the state folder; no daemon runs")
        return
    except DropmillError as error:
        yield Finding("daemon", "fail", str(error))
        return
    stuck = [
        f"{each['file'] or each['folder']}: {each['message']}" for each in status.get("inbox", {}).get("stuck", [])
    ]
    for sentence in [*status["troubles"], *stuck]:
        yield Finding("daemon", "warn", sentence, "`dropmill status` shows when it is over")
    if not (status["troubles"] or stuck):
        yield Finding("daemon", "ok", f"{owner or 'it'} is {status['state']}")
