"""A real daemon as its own process, for tests of the commands that speak to it: started once, asked many times."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from daemon.cli.calling import Daemon
from daemon.config import Config, load
from engine.errors import DaemonAbsentError
from tests.daemon.cli_calls import PROGRAM, ROOT
from tests.waiting import wait_for

SETTINGS = """\
[paths]
inbox = "inbox"
state = "var"
logs = "var/log"
workflows = ["workflows"]
[executor]
workers = 2
grace = "1s"
[inbox]
rescan_interval = "1s"
"""
HELLO: dict[str, Any] = {"name": "hello", "tasks": [{"id": "a", "type": "print", "message": "hi"}]}
GREET: dict[str, Any] = {
    "name": "greet",
    "params": {"who": {"type": "string"}, "times": {"type": "integer", "default": 1}},
    "tasks": [{"id": "a", "type": "print", "message": "${{ params.who }} ${{ params.times + 1 }}"}],
}
SLOW: dict[str, Any] = {"name": "slow", "tasks": [{"id": "a", "type": "shell", "argv": ["sleep", "60"]}]}


class Place:
    """A folder with settings and workflows; `begin` starts a daemon on it."""

    def __init__(self, folder: Path, more: str = "") -> None:
        self.folder = folder
        self.file = folder / "dropmill.toml"
        self.file.write_text(SETTINGS + more)
        library = folder / "workflows"
        library.mkdir()
        for document in (HELLO, GREET, SLOW):
            (library / f"{document['name']}.json").write_text(json.dumps(document))
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Config:
        return load(self.file, {})

    def begin(self) -> "Place":
        with (self.folder / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*PROGRAM, "--config", str(self.file), "serve"], cwd=ROOT, stdout=log, stderr=log, env=dict(os.environ)
            )
        wait_for(self._answers, f"the daemon; {(self.folder / 'serve.log').read_text()}")
        return self

    def end(self) -> None:
        """Stop it, and kill it if that does not help."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def _answers(self) -> Any:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "serve.log").read_text()
        try:
            return Daemon(self.config).get("/api/v1/status")["state"] in ("ready", "paused")
        except DaemonAbsentError:
            return None
