"""The systemd unit of the daemon: every line of it with its reason, for a system service and for a person's own.

Owns the text and how values are quoted; touches no file. Asked by `installing`. `python -m daemon.cli.unit` prints
`systemd/dropmill.service`, for a program in /opt/dropmill; a test compares.
"""

import math
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from daemon.exits import Exit

FOLDER_NAME = "dropmill"  # of /var/lib, /var/log, /etc and /run
ACCOUNT = "dropmill"
HOMES = (Path("/home"), Path("/root"), Path("/run/user"))  # what ProtectHome= hides
HIDDEN = (*HOMES, Path("/tmp"), Path("/var/tmp"))  # noqa: S108 -- and what PrivateTmp= hides
_STOP_MARGIN_SECONDS = 60


class Place(NamedTuple):
    """Say what a unit is for: the program, its configuration, and which paths it must be let at.

    `writes` are folders beside those that systemd makes; `hidden` are paths to read that ProtectHome= would hide, and
    `hidden_writes` such folders to write to. `grace` is how long tasks may take to end, in seconds.
    """

    program: Path
    config: Path
    grace: float = 10.0
    writes: tuple[Path, ...] = ()
    hidden: tuple[Path, ...] = ()
    hidden_writes: tuple[Path, ...] = ()


SHIPPED = Place(Path("/opt/dropmill/.venv/bin/dropmill"), Path("/etc/dropmill/dropmill.toml"))

_Line = tuple[str, str]  # the reason of a group of directives, and the directives

_PROTOCOL: tuple[_Line, ...] = (
    ("Started means ready: what the last life left is taken up, the inbox is watched.", "Type=notify"),
    ("Only the daemon itself may speak for it, not a task.", "NotifyAccess=main"),
    ("Restarted if it stands still: it pings only while each of its parts moves.", "WatchdogSec=30"),
    ("Read the settings again.", "ExecReload=/bin/kill -HUP $MAINPID"),
)

_ENDING: tuple[_Line, ...] = (
    ("A crash is taken up again, a full disk may get free: try for ever, but not in a hurry.", "Restart=on-failure"),
    ("", "RestartSec=5"),
    (
        "It would fail again: settings that cannot be used, a damaged database, another daemon at work.",
        f"RestartPreventExitStatus={Exit.BAD_INPUT:d} {Exit.DATABASE_UNUSABLE:d} {Exit.ALREADY_RUNNING:d}",
    ),
    ("SIGTERM to the daemon alone, which asks its tasks; what is left at the end is killed.", "KillMode=mixed"),
    ("One that stood still has nothing left to say.", "TimeoutAbortSec=10"),
    ("The kernel may kill one greedy task: that fails the task, it does not stop the daemon.", "OOMPolicy=continue"),
)

_FOLDERS: tuple[_Line, ...] = (
    (
        "/var/lib, /var/log and /run with a folder `dropmill`, made and owned; its group may look in.",
        f"StateDirectory={FOLDER_NAME}",
    ),
    ("", "StateDirectoryMode=0750"),
    ("", f"LogsDirectory={FOLDER_NAME}"),
    ("", "LogsDirectoryMode=0750"),
    ("", f"RuntimeDirectory={FOLDER_NAME}"),
    ("", "RuntimeDirectoryMode=0750"),
    (
        "/etc/dropmill belongs to root: the daemon reads its settings and changes none.",
        f"ConfigurationDirectory={FOLDER_NAME}",
    ),
    ("Results and the socket are for the group, nothing is for others.", "UMask=0027"),
    (
        "Secrets: each is ${{ secrets.NAME }} in a workflow, and a file that only root can read.",
        "#LoadCredential=api_token:/etc/dropmill/secrets/api_token",
    ),
)

# What any process may give up, also one of a person's own service manager.
_MANNERS: tuple[_Line, ...] = (
    ("No task becomes somebody else through a setuid program.", "NoNewPrivileges=yes"),
    ("No task makes a setuid program for later.", "RestrictSUIDSGID=yes"),
    ("No task takes the processor for itself with a real-time class.", "RestrictRealtime=yes"),
    ("The odd ways to run code for other systems are closed.", "LockPersonality=yes"),
    (
        "System calls of this architecture only: filters for one do not hold for another.",
        "SystemCallArchitectures=native",
    ),
    ("What services need. Resource limits stay allowed: a task may have its own.", "SystemCallFilter=@system-service"),
    ("What only root needs.", "SystemCallFilter=~@privileged"),
    ("A refused call is an error that a task can show, not its sudden end.", "SystemCallErrorNumber=EPERM"),
    ("No packets made by hand, no netlink, no odd protocols.", "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6"),
    ("No containers inside: new namespaces are a way to attack the kernel.", "RestrictNamespaces=yes"),
)

# What needs root to set up.
_WALLS: tuple[_Line, ...] = (
    ("None of root's powers, and no way to get one.", "CapabilityBoundingSet="),
    ("", "AmbientCapabilities="),
    ("All of the file system is read-only but the folders named here.", "ProtectSystem=strict"),
    ("A /tmp that nobody else sees; it goes with the service.", "PrivateTmp=yes"),
    ("/dev holds null, zero, random and the like, no disk.", "PrivateDevices=yes"),
    ("", "DevicePolicy=closed"),
    ("Other users do not exist here: even a broken kernel check yields nobody's rights.", "PrivateUsers=yes"),
    ("No shared memory or queues with other services, and none left behind.", "PrivateIPC=yes"),
    ("", "RemoveIPC=yes"),
    ("What is mounted inside is not seen outside.", "PrivateMounts=yes"),
    (
        "The machine's clock, name, settings, modules, log and control groups are not a task's to change.",
        "ProtectClock=yes",
    ),
    ("", "ProtectHostname=yes"),
    ("", "ProtectKernelTunables=yes"),
    ("", "ProtectKernelModules=yes"),
    ("", "ProtectKernelLogs=yes"),
    ("", "ProtectControlGroups=yes"),
    (
        "Processes of others are invisible. The rest of /proc stays: programs look there for memory and processors.",
        "ProtectProc=invisible",
    ),
    ("No keys of other sessions in the kernel's key ring.", "KeyringMode=private"),
)

_LEFT_OUT = """\
# Not here, because tasks are programs of yours and may need it; a drop-in adds it where they do not (see README.md):
#   MemoryDenyWriteExecute=yes    breaks languages that compile as they run: Java, Node, PyPy, LuaJIT
#   IPAddressDeny=any             with IPAddressAllow=localhost: tasks reach no other machine
#   SystemCallFilter=~@resources  tasks can have no memory_limit and no cpu_limit
#   ProcSubset=pid                /proc/meminfo and /proc/cpuinfo disappear
#   MemoryMax=, TasksMax=, CPUQuota=   bounds for the daemon and all its tasks together"""


def for_system(place: Place) -> str:
    """Write the unit of a system service that runs as the account `dropmill`."""
    return _text(
        [
            _section("Unit", [*_description(), ("Mounted first.", _paths("RequiresMountsFor", place.writes))]),
            _section(
                "Service",
                [*_program(place), *_PROTOCOL, *_ending(place)],
                [
                    ("An account of its own that nobody can log in to.", f"User={ACCOUNT}"),
                    ("", f"Group={ACCOUNT}"),
                    *_FOLDERS,
                ],
                [*_MANNERS, *_WALLS, *_reach(place)],
            ),
            _LEFT_OUT,
            _section("Install", [("Started with the machine.", "WantedBy=multi-user.target")]),
        ]
    )


def for_person(place: Place) -> str:
    """Write the unit for a person's own service manager (`systemctl --user`), which can set up less."""
    return _text(
        [
            _section("Unit", _description()),
            _section("Service", [*_program(place), *_PROTOCOL, *_ending(place)], _MANNERS),
            _section(
                "Install", [("Started when the person logs in, or at boot with lingering.", "WantedBy=default.target")]
            ),
        ]
    )


def _description() -> list[_Line]:
    return [
        ("", "Description=Dropmill, a workflow daemon"),
        ("Schedules need the right time, tasks often the network.", "After=network.target time-sync.target"),
        ("A start that fails is tried again for as long as it takes (see RestartSec=).", "StartLimitIntervalSec=0"),
    ]


def _program(place: Place) -> list[_Line]:
    command = " ".join(quoted(str(word)) for word in (place.program, "--config", place.config, "serve"))
    return [("", f"ExecStart={command}")]


def _ending(place: Place) -> list[_Line]:
    seconds = math.ceil(place.grace) + _STOP_MARGIN_SECONDS
    reason = f"Longer than the grace that tasks get to end ({place.grace:g} s), so that the end is recorded."
    return [*_ENDING, (reason, f"TimeoutStopSec={seconds}")]


def _reach(place: Place) -> Iterator[_Line]:
    """Open what the walls would close and the settings name."""
    has_hidden = place.hidden or place.hidden_writes
    if has_hidden:
        yield "Homes are empty here, but for what follows.", "ProtectHome=tmpfs"
        readable = " ".join(f"{home}:ro,mode=0755" for home in HOMES)
        yield (
            "The same, read-only: by the line above alone anyone may write there (systemd 252).",
            (f"TemporaryFileSystem={readable}"),
        )
    else:
        yield "Homes are empty here.", "ProtectHome=yes"
    yield "The program and what it reads.", _paths("BindReadOnlyPaths", place.hidden, may_lack=True)
    yield "", _paths("BindPaths", place.hidden_writes)
    yield "Folders that the settings name.", _paths("ReadWritePaths", (*place.writes, *place.hidden_writes))


def _paths(directive: str, paths: Iterable[Path], *, may_lack: bool = False) -> str:
    """Write a list of paths, nothing if there is none; with `may_lack` the service starts without them too."""
    words = " ".join(quoted(f"-{path}" if may_lack else str(path), is_command=False) for path in paths)
    return f"{directive}={words}" if words else ""


def quoted(word: str, *, is_command: bool = True) -> str:
    """Write a word so that systemd reads exactly it: specifiers, variables, quotes and spaces mean nothing."""
    word = word.replace("%", "%%")
    if is_command:
        word = word.replace("$", "$$")
    if word and all(character.isalnum() or character in "/._-+:@%$=," for character in word):
        return word
    return '"' + "".join(_spelled(character) for character in word) + '"'


def _spelled(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else "".join(f"\\x{byte:02x}" for byte in character.encode())


def _section(name: str, *groups: Iterable[_Line]) -> str:
    return f"[{name}]\n" + "\n".join("\n".join(_lines(group)) + "\n" for group in groups).rstrip("\n")


def _lines(group: Iterable[_Line]) -> Iterator[str]:
    for reason, directive in group:
        if directive:
            if reason:
                yield f"# {reason}"
            yield directive


def _text(parts: Iterable[str]) -> str:
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.stdout.write(for_system(SHIPPED))
