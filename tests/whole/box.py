"""A box: a real systemd as process 1 in namespaces of its own, over the files of this machine, as root.

What is written in it goes to memory. The machine itself needs no systemd, only a cgroup2 hierarchy that is mounted or
can be. `close` ends everything, by pid; the kernel does if the test process dies. Called by tests of `systemd/`.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from tests.waiting import wait_for

_SCRIPT = Path(__file__).with_name("box.sh")
_NAMESPACES = ("--pid", "--mount", "--net", "--uts", "--ipc", "--cgroup")
_MOUNT_ROOT, _MOUNT_POINT = 3, 4  # fields of /proc/self/mountinfo
_COMMAND_SECONDS, _END_SECONDS = 50, 10


class Box:
    """Boot one; `paths` are seen in it at their own places even if they lie on mounts of their own, read-only."""

    def __init__(self, *paths: Path) -> None:
        self._cleanup = contextlib.ExitStack()
        try:
            self._boot(paths)
        except BaseException:
            self.close()
            raise

    def _boot(self, paths: tuple[Path, ...]) -> None:
        self.folder = folder = Path(tempfile.mkdtemp(prefix="dropmill-box-"))
        self._cleanup.callback(shutil.rmtree, folder)
        self._console_file = folder / "console"
        (folder / "files").mkdir()
        self.group = group = _make_group(self._cleanup, folder)
        # Into the group first: the new cgroup namespace begins where the process is.
        enter = ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(group)]
        apart = ["unshare", "--fork", "--kill-child", "--propagation", "private", *_NAMESPACES]
        inside = [str(_SCRIPT), str(folder / "files"), *map(str, paths)]
        with self._console_file.open("wb") as console:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *enter, *apart, *inside],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._cleanup.callback(self._end)
        self.pid = wait_for(self._first_process, f"the first process of the box; it said {self.console!r}")
        wait_for(self._has_booted, "systemd in the box")

    @property
    def console(self) -> str:
        """Return what systemd has said."""
        return self._console_file.read_text(errors="replace") if self._console_file.exists() else ""

    def path(self, place: str | Path) -> Path:
        """Return where a place of the box is seen from outside; links in it must be relative."""
        return Path(f"/proc/{self.pid}/root") / str(place).lstrip("/")

    def call(self, *command: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        """Run a command in the box as root and return how it ended."""
        entry = ["nsenter", "-t", str(self.pid), "-m", "-p", "-n", "-u", "-i", "-C", "env", "-C", "/"]
        outside = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
        return subprocess.run(
            [*entry, *command],
            env=outside | {"LANG": "C.UTF-8", "SYSTEMD_PAGER": ""} | environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=_COMMAND_SECONDS,
        )

    def do(self, *command: str, **environ: str) -> str:
        """Run a command in the box that must succeed, and return what it wrote."""
        done = self.call(*command, **environ)
        assert done.returncode == 0, f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def show(self, unit: str) -> dict[str, str]:
        """Return the properties of a unit."""
        return dict(line.partition("=")[::2] for line in self.do("systemctl", "show", unit).splitlines())

    def kill(self, pid: int, number: signal.Signals) -> None:
        """Send a signal to a process of the box, by the pid that the box knows it by."""
        self.do("kill", f"-{number.name.removeprefix('SIG')}", str(pid))

    def close(self) -> None:
        """End every process of the box and leave nothing of it behind; harmless twice."""
        self._cleanup.close()

    def _first_process(self) -> int | None:
        assert self._process.poll() is None, f"the box ended: {self.console}"
        return next((pid for pid in self._children() if _name(pid) == "systemd"), None)

    def _children(self) -> list[int]:
        """List what unshare has started and not yet reaped, so that the numbers are still theirs."""
        file = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        try:
            return [int(pid) for pid in file.read_text().split()]
        except OSError:
            return []

    def _has_booted(self) -> bool:
        assert self._process.poll() is None, f"the box ended: {self.console}"
        return self.call("systemctl", "is-active", "multi-user.target").stdout.strip() == "active"

    def _end(self) -> None:
        # The kernel ends a process namespace as a whole with its first process, and unshare with what it waits for.
        for pid in self._children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
        self._process.kill()
        self._process.wait()


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _make_group(cleanup: contextlib.ExitStack, folder: Path) -> Path:
    """Make a control group of our own, under where the cgroup2 hierarchy is mounted, or after mounting it."""
    hierarchy = _hierarchy()
    if hierarchy is None:
        hierarchy = folder / "hierarchy"
        hierarchy.mkdir()
        subprocess.run(["mount", "-t", "cgroup2", "cgroup2", str(hierarchy)], check=True)
        cleanup.callback(subprocess.run, ["umount", str(hierarchy)], check=True)
    group = hierarchy / f"dropmill-box-{os.getpid()}-{folder.name[-8:]}"
    group.mkdir()
    cleanup.callback(remove_group, group)
    return group


def _hierarchy() -> Path | None:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[fields.index("-") + 1] == "cgroup2" and os.access(fields[_MOUNT_POINT], os.W_OK):
            return Path(fields[_MOUNT_POINT])
    return None


def remove_group(group: Path) -> None:
    """End what is in a control group and remove it with all below it."""

    def is_gone() -> bool:
        below = [Path(folder) for folder, _, _ in os.walk(group, topdown=False)]
        for each in below:
            with contextlib.suppress(OSError):  # busy until its last process is reaped
                each.rmdir()
        return not group.exists()

    (group / "cgroup.kill").write_text("1")
    wait_for(is_gone, f"the end of the control group {group}")
