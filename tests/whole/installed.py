"""The daemon as an operator has it: installed by `dropmill service install` into a box, and handed to its systemd.

Everything is done as a person would, with the commands that install prints, and looked at from outside.
"""

import http.client
import json
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from tests.rules.source import ROOT
from tests.waiting import wait_for
from tests.whole.box import Box

STATE = Path("/var/lib/dropmill")
CONFIG = Path("/etc/dropmill/dropmill.toml")
DROPMILL = str(Path(sysconfig.get_path("scripts")) / "dropmill")
SERVICE = "dropmill.service"
_DROP_INS = Path(f"/etc/systemd/system/{SERVICE}.d")
_SETTINGS = '[executor]\nworkers = 1\ngrace = "500ms"\n[inbox]\nsettle = "50ms"\n'


class Installed:
    """A box with the service in it; `fresh` brings it to the same beginning for each test."""

    def __init__(self) -> None:
        """Boot the box and install, as root would."""
        self.box = Box(*_outermost(ROOT, Path(sys.prefix), Path(sys.base_prefix)))
        self.said = ""

    def install(self) -> None:
        """Install and do everything that install says is left to do."""
        self.said = self.box.do(DROPMILL, "service", "install")
        self.follow(self.said)

    def follow(self, said: str) -> None:
        """Do everything that install says is left to do."""
        for line in said.partition("Next:\n")[2].splitlines():
            self.box.do("sh", "-c", line)

    def fresh(self, settings: str = "") -> "Installed":
        """Start anew: no state, no drop-in, small settings."""
        self.box.call("systemctl", "stop", SERVICE)
        self.box.do("rm", "-rf", str(STATE), str(_DROP_INS))
        self.box.path(CONFIG).write_text(_SETTINGS + settings)
        self.box.do("systemctl", "daemon-reload")
        self.box.do("systemctl", "reset-failed")
        self.box.do("systemctl", "start", SERVICE)
        return self

    def drop_in(self, text: str) -> None:
        """Change the unit as README advises, and start it with the change."""
        folder = self.box.path(_DROP_INS)
        folder.mkdir(exist_ok=True)
        (folder / "test.conf").write_text(f"[Service]\n{text}\n")
        self.box.do("systemctl", "daemon-reload")
        self.box.do("systemctl", "restart", SERVICE)

    @property
    def unit(self) -> dict[str, str]:
        """Return what systemd knows of the service."""
        return self.box.show(SERVICE)

    @property
    def pid(self) -> int:
        """Return the process id of the daemon in the box."""
        return int(self.unit["MainPID"])

    def wait_for_restart(self, former: int) -> dict[str, str]:
        """Wait until another daemon than the former one is ready."""

        def again() -> dict[str, str] | None:
            unit = self.unit
            return unit if unit["ActiveState"] == "active" and int(unit["MainPID"]) not in {0, former} else None

        return wait_for(again, f"another daemon; {self.journal()[-3000:]}", 40.0)

    def journal(self) -> str:
        """Return what systemd and the daemon have said about the service."""
        return self.box.call("journalctl", "--no-pager", "--output=cat", f"--unit={SERVICE}").stdout

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the API over its socket."""
        client = http.client.HTTPConnection("localhost")
        client.sock = socket.socket(socket.AF_UNIX)
        client.sock.settimeout(20)
        try:
            client.sock.connect(str(self.box.path(STATE / "dropmill.sock")))
            data = None if body is None else json.dumps(body).encode()
            client.request(method, path, data, {"Content-Type": "application/json"} if data else {})
            answer = client.getresponse()
            text = answer.read()
            assert answer.status < http.client.BAD_REQUEST, (answer.status, text)
            return json.loads(text)
        finally:
            client.close()

    def submit(self, *tasks: dict[str, Any]) -> str:
        """Submit a workflow of these tasks and return the id of the run."""
        answer = self.ask("POST", "/api/v1/runs", {"name": "test", "tasks": tasks})
        return str(answer["id"])

    def wait_for_end(self, run: str) -> dict[str, Any]:
        """Wait for the end of a run and return it."""

        def ended() -> dict[str, Any] | None:
            found: dict[str, Any] = self.ask("GET", f"/api/v1/runs/{run}")
            return found if found["ended_at"] else None

        return wait_for(ended, f"the end of {run}; {self.journal()[-3000:]}", 30.0)

    def processes(self) -> list[str]:
        """List the processes of the service, the daemon and all it has started."""
        procs = self.box.path(f"/sys/fs/cgroup/system.slice/{SERVICE}/cgroup.procs")
        return procs.read_text().split() if procs.exists() else []


class Person:
    """An account in the box with a service manager of its own, as a login starts one."""

    def __init__(self, box: Box, name: str) -> None:
        """Make the account and start its service manager."""
        self.box, self.name, self.home = box, name, Path("/home") / name
        runtime = f"/run/user-{name}"
        box.do("useradd", "--create-home", name)
        box.do("install", "-d", "-o", name, "-m", "0700", runtime)
        # The interpreter may lie in root's home, where nobody else may look.
        box.do("chmod", "o+x", "/root")
        self._environ = {"HOME": str(self.home), "XDG_RUNTIME_DIR": runtime}
        manager = [
            *("Type=notify", "NotifyAccess=all", f"User={name}", "Delegate=yes"),
            "Environment=" + " ".join(f"{key}={value}" for key, value in self._environ.items()),
            "ExecStart=/usr/lib/systemd/systemd --user",
        ]
        box.path(f"/etc/systemd/system/{name}.service").write_text("\n".join(["[Service]", *manager, ""]))
        box.do("systemctl", "daemon-reload")
        box.do("systemctl", "start", name)

    def call(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a command as this person and return how it ended."""
        become = ["setpriv", f"--reuid={self.name}", f"--regid={self.name}", "--init-groups", "--inh-caps=-all"]
        return self.box.call(*become, "env", "-C", str(self.home), *command, **self._environ)

    def do(self, *command: str) -> str:
        """Run a command as this person that must succeed, and return what it wrote."""
        done = self.call(*command)
        assert done.returncode == 0, f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout


def shell(name: str, command: str, *after: str, **more: Any) -> dict[str, Any]:
    """Write a task that has a shell read a command."""
    return {"id": name, "type": "shell", "argv": ["sh", "-c", command], "depends_on": list(after), **more}


def _outermost(*paths: Path) -> list[Path]:
    return [path for path in dict.fromkeys(paths) if not any(other in path.parents for other in paths)]
