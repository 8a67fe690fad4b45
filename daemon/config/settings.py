"""Every setting: its type, its default, its bounds and one sentence about it.

Owns what can be configured and nothing else: `reader` fills these structs, `checks` compares settings with each other,
and `manual` prints the sample file, the schema and the reference from them. A field without a description is none.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from daemon.config.kinds import Bytes, Count, FileName, Filled, Interval, Mode, Name, Seconds, TimeOfDay, Variable
from daemon.config.schedule import Schedule
from engine.limits import Limits
from engine.quotas import Quota

MOST_WORKERS = 8
_LARGEST_PORT = 65535


class Paths(msgspec.Struct, frozen=True, kw_only=True):
    """Where things are.

    The defaults follow from where this file is. Those shown hold in a folder called `etc`. For a file in /etc/dropmill
    all is in /var/lib/dropmill and /var/log/dropmill; for ~/.config/dropmill, and without a file, in
    ~/.local/state/dropmill; anywhere else in the folder of the file itself.
    """

    inbox: Annotated[
        Path, Meta(description="Drop workflow documents here; done/, failed/, rejected/ and duplicate/ are made in it.")
    ] = Path("../inbox")
    state: Annotated[
        Path,
        Meta(description="What must outlive a restart: state.db, the lock, the token and the socket; a local disk."),
    ] = Path("../var")
    logs: Annotated[Path, Meta(description="The daemon's log, and a log for each attempt that says something.")] = Path(
        "../var/log"
    )
    workflows: Annotated[
        tuple[Path, ...], Meta(description="Folders whose *.json files are the workflows known by name.")
    ] = (Path("workflows"),)
    plugins: Annotated[
        tuple[Path, ...], Meta(description="Folders whose *.py files are task types beside the built-in ones.")
    ] = (Path("../var/plugins"),)


class Executor(msgspec.Struct, frozen=True, kw_only=True):
    """How runs are carried out."""

    workers: Annotated[
        Annotated[int, Meta(ge=1, le=1024)] | Literal["auto"],
        Meta(description=f'Worker processes; "auto" is one for each processor at hand, 2 to {MOST_WORKERS}.'),
    ] = "auto"
    grace: Annotated[
        Seconds, Meta(description="Time a task is given to end by itself after it was asked to, before it is killed.")
    ] = 10.0
    recycle_after: Annotated[
        Count, Meta(description="Attempts after which a worker process is replaced by a fresh one; 0 is never.")
    ] = 1000
    recycle_memory: Annotated[
        Bytes, Meta(description="Resident memory above which a worker process is replaced when idle; 0 is never.")
    ] = 512 * 1024 * 1024
    max_runs: Annotated[
        int, Meta(ge=1, description="Most runs that are live at a time; above it, dropped files stay in the inbox.")
    ] = 1000
    working_directory: Annotated[
        Path | None,
        Meta(
            description="Folder in which tasks start; without it, `work` in `paths.state`; for `run`, where you are.",
            examples=["../work"],
        ),
    ] = None
    environment: Annotated[
        tuple[Variable, ...],
        Meta(
            description="Environment variables that workflows may read as ${{ env.NAME }}; they see no others.",
            examples=[["LANG", "TZ"]],
        ),
    ] = ()

    def worker_count(self) -> int:
        """Return the number of worker processes, with "auto" worked out for this machine."""
        if self.workers == "auto":
            return max(2, min(len(os.sched_getaffinity(0)), MOST_WORKERS))
        return self.workers


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """How long files stay in the inbox's last folders before they are deleted; 0 is for ever."""

    done: Annotated[Seconds, Meta(description="Age at which files in done/ are deleted.")] = 30 * 86400.0
    failed: Annotated[Seconds, Meta(description="Age at which files in failed/ are deleted.")] = 90 * 86400.0
    rejected: Annotated[Seconds, Meta(description="Age at which files in rejected/ are deleted.")] = 90 * 86400.0
    duplicate: Annotated[Seconds, Meta(description="Age at which files in duplicate/ are deleted.")] = 30 * 86400.0


class Inbox(msgspec.Struct, frozen=True, kw_only=True):
    """How dropped files are found and filed."""

    enabled: Annotated[
        bool, Meta(description="If false, no folder is watched and dropped files stay where they are.")
    ] = True
    settle: Annotated[
        Seconds,
        Meta(description="Time a file written in place must stay unchanged to be taken; renamed-in files do not wait."),
    ] = 0.5
    watch: Annotated[
        Literal["auto", "inotify", "poll"],
        Meta(description='How changes are noticed; "auto" is inotify, and polling where that cannot work.'),
    ] = "auto"
    poll_interval: Annotated[Interval, Meta(description="Time between two looks at the folder when it is polled.")] = (
        1.0
    )
    rescan_interval: Annotated[
        Interval,
        Meta(description="Time between two full looks at the folder beside inotify, which may lose events."),
    ] = 30.0
    allow_world_writable: Annotated[
        bool,
        Meta(
            description="If true, start even though anyone on this machine may write to the inbox and so run programs."
        ),
    ] = False
    dedupe: Annotated[
        Literal["none", "content"],
        Meta(
            description='"content" moves a file whose bytes were seen before to duplicate/ instead of running it again.'
        ),
    ] = "none"
    dated_folders: Annotated[bool, Meta(description="If true, files are filed by day, as in done/2027-01-31/.")] = False
    retention: Annotated[
        Retention, Meta(description="How long files stay in the last folders before they are deleted; 0 is for ever.")
    ] = Retention()


class FurtherInbox(msgspec.Struct, frozen=True, kw_only=True):
    """One more inbox with its own rules; [inbox] holds for it too."""

    path: Annotated[Path, Meta(description="Folder to drop into.", examples=["../inbox-partner"])]
    task_types: Annotated[
        tuple[str, ...] | None,
        Meta(
            description="Task types that documents dropped here may use; without it, any; [] takes requests only.",
            examples=[["print", "api_call"]],
        ),
    ] = None
    workflows: Annotated[
        tuple[str, ...] | None,
        Meta(
            description="Names of workflows that what is dropped here may ask for or have run; without it, any.",
            examples=[["nightly-report"]],
        ),
    ] = None
    priority: Annotated[int, Meta(description="Priority of runs that come from here; higher ones start first.")] = 0
    settle: Annotated[
        Seconds | None, Meta(description="As `inbox.settle`, for this folder; without it, the same.", examples=["2s"])
    ] = None
    enabled: Annotated[bool, Meta(description="If false, files dropped here stay where they are.")] = True


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Run a workflow for any data file dropped into a folder; the workflow reads its place from ${{ trigger.path }}."""

    path: Annotated[Path, Meta(description="Folder to drop data files into.", examples=["../incoming/sales"])]
    match: Annotated[
        Filled, Meta(description="Shell pattern of the file names that are taken.", examples=["*.csv"])
    ] = "*"
    workflow: Annotated[
        Filled,
        Meta(description="Name of a known workflow, or path of a document.", examples=["load-sales"]),
    ]
    params: Annotated[
        dict[str, Any], Meta(description="Parameters handed to the workflow.", examples=[{"currency": "EUR"}])
    ] = {}


class Api(msgspec.Struct, frozen=True, kw_only=True):
    """The HTTP API; the Unix socket in `paths.state` is always there, for the command line."""

    enabled: Annotated[bool, Meta(description="If true, the API is served over TCP too, with a token.")] = True
    listen: Annotated[
        str, Meta(description="Address and port of the TCP side; port 0 takes a free one.", examples=["[::1]:8420"])
    ] = "127.0.0.1:8420"
    allowed_hosts: Annotated[
        tuple[Filled, ...],
        Meta(description="Host names under which browsers and programs may reach it; any other is refused."),
    ] = ("localhost", "127.0.0.1", "[::1]")
    socket_mode: Annotated[
        Mode, Meta(description="Permissions of the Unix socket, in octal: who may write to it may run workflows.")
    ] = "0660"

    def address(self) -> tuple[str, int]:
        """Return host and port of `listen`, the host without brackets.

        Raises ValueError when it is not an address and a port; a checked configuration has one.
        """
        host, colon, port = self.listen.rpartition(":")
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        if not colon or not bare or (":" in bare) != (bare != host) or not re.fullmatch(r"[0-9]{1,5}", port):
            raise ValueError(self.listen)
        if int(port) > _LARGEST_PORT or re.search(r"[\s/@]", bare):
            raise ValueError(self.listen)
        return bare, int(port)


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of runs that have ended."""

    url: Annotated[
        Filled | None,
        Meta(
            description="Database; without it, SQLite in `paths.state`.",
            examples=["postgresql+psycopg://dropmill@localhost/dropmill"],
        ),
    ] = None
    retention: Annotated[
        Seconds, Meta(description="Age at which runs that have ended are deleted, with their logs; 0 is never.")
    ] = 90 * 86400.0
    retention_runs: Annotated[
        Count, Meta(description="Most runs that have ended to keep; beyond it the oldest are deleted; 0 is no bound.")
    ] = 0
    prune_interval: Annotated[
        Interval, Meta(description="Time between two looks for what is too old, in the inbox folders too.")
    ] = 3600.0
    vacuum: Annotated[
        bool, Meta(description="If true, space freed in SQLite is given back to the file system after deleting.")
    ] = True


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """The daemon's own log; attempts have their own files."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="The least that is worth a line.")
    ] = "info"
    json: Annotated[bool, Meta(description="If true, the file holds one JSON object a line.")] = False
    file: Annotated[
        FileName, Meta(description='File in `paths.logs`; "" writes none and leaves it to the journal or the terminal.')
    ] = "dropmill.log"
    rotation: Annotated[Bytes, Meta(description="Size at which a new file is begun; 0 is never.")] = 10 * 1024 * 1024
    rotation_time: Annotated[
        TimeOfDay | None,
        Meta(
            description="Time of day, local, at which a new file is begun as well; without it, none.",
            examples=["00:00"],
        ),
    ] = None
    retention: Annotated[Seconds, Meta(description="Age at which old log files are deleted; 0 is never.")] = (
        30 * 86400.0
    )
    retention_files: Annotated[
        Count, Meta(description="Most old log files to keep; beyond it the oldest are deleted; 0 is no bound.")
    ] = 20
    compression: Annotated[Literal["none", "gz", "bz2", "xz"], Meta(description="How old log files are packed.")] = "gz"


class Secrets(msgspec.Struct, frozen=True, kw_only=True):
    """Where ${{ secrets.NAME }} comes from: files of mode 0400 or 0600, or systemd's $CREDENTIALS_DIRECTORY."""

    folder: Annotated[
        Path | None,
        Meta(
            description="Folder in which each file is a secret of that name; without it, none.", examples=["../secrets"]
        ),
    ] = None
    files: Annotated[
        dict[Name, Path],
        Meta(
            description="Single files, by the name of the secret.", examples=[{"api_token": "/etc/dropmill/api_token"}]
        ),
    ] = {}


class Origin(msgspec.Struct, frozen=True, gc=False):
    """Say where a value came from: `kind` is default, file or environment; lines count from 1."""

    kind: Literal["default", "file", "environment"] = "default"
    name: str = ""
    line: int | None = None

    def __str__(self) -> str:
        if self.kind == "default":
            return "default"
        return f"{self.name}:{self.line}" if self.line else self.name


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """What the settings were read from.

    `file` is None when there was none; `folder` is where relative paths start; `watched` are the files and folders
    whose change makes the settings stale; `origins` is by dotted key and holds what is not default.
    """

    file: Path | None
    folder: Path
    watched: tuple[Path, ...]
    origins: dict[str, Origin]


def _about(section: type) -> Meta:
    return Meta(description=" ".join(str(section.__doc__).split()))


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """All settings, section by section, and what they were read from."""

    paths: Annotated[Paths, _about(Paths)] = Paths()
    executor: Annotated[Executor, _about(Executor)] = Executor()
    limits: Annotated[Limits, Meta(description="What a document, an expression, an output and a log are held to.")] = (
        Limits()
    )
    pools: Annotated[dict[Name, Quota], _about(Quota)] = {}
    inbox: Annotated[Inbox, _about(Inbox)] = Inbox()
    inboxes: Annotated[dict[Name, FurtherInbox], _about(FurtherInbox)] = {}
    routes: Annotated[tuple[Route, ...], _about(Route)] = ()
    api: Annotated[Api, _about(Api)] = Api()
    history: Annotated[History, _about(History)] = History()
    log: Annotated[Log, _about(Log)] = Log()
    secrets: Annotated[Secrets, _about(Secrets)] = Secrets()
    plugins: Annotated[
        dict[Name, dict[str, Any]],
        Meta(
            description="Settings of task types, one table each, handed to the plugin as they are.",
            examples=[{"shell": {"allow_command": True}, "python": {"folders": ["/srv/tasks"]}}],
        ),
    ] = {}
    schedules: Annotated[tuple[Schedule, ...], _about(Schedule)] = ()
    loaded: Loaded
