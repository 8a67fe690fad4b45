"""How the tests of the API set one up: a real engine on real processes, uvicorn on a real socket, a plain client."""

import http.client
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from daemon import holding
from daemon.api import Api
from daemon.api.desk import Desk
from daemon.assembly import Assembly
from daemon.config import Config
from daemon.whereabouts import socket_file
from engine.states import ENDED
from tests.daemon.configs import loaded
from tests.waiting import wait_for

HELLO = {"name": "hello", "tasks": [{"id": "a", "type": "print", "message": "hi"}]}
GREET = {
    "name": "greet",
    "params": {"who": {"type": "string"}},
    "tasks": [{"id": "a", "type": "print", "message": "hello ${{ params.who }}"}],
}


class Reply(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Read the body."""
        return json.loads(self.body)


class House:
    """An engine with its API; `end` stops all of it."""

    def __init__(self, folder: Path, text: str = "[executor]\nworkers = 1\ngrace = '1s'\n") -> None:
        self.config: Config = loaded(folder, text)
        library = folder / "etc" / "workflows"
        library.mkdir()
        for document in (HELLO, GREET):
            (library / f"{document['name']}.json").write_text(json.dumps(document))
        self.assembly = Assembly(self.config, kind="daemon")
        self.heard: list[Any] = []
        self.phase = "ready"
        self.desk = Desk(
            self.assembly,
            parts={"troubles": list, "schedules": lambda: [{"name": "nightly"}]},
            wishes={"schedules": {"pause": self._pause}},
            drain=lambda: self.heard.append("drain"),
            phase=lambda: self.phase,
        )
        self.path = socket_file(self.config)
        self.api = Api(self.desk, self.path, mode=0o660, limits=self.config.limits)

    def _pause(self, wish: Mapping[str, Any]) -> Any:
        self.heard.append(dict(wish))
        return {"paused": wish["name"]}

    def begin(self) -> "House":
        self.assembly.open()
        self.assembly.start()
        self.api.start()
        return self

    def end(self) -> None:
        self.api.stop()
        self.assembly.stop(0.0)
        self.assembly.history.close()
        holding.clear(self.config.paths.state)

    def connect(self) -> socket.socket:
        """Open a bare connection."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(20)
        connection.connect(str(self.path))
        return connection

    def ask(self, method: str, path: str, body: Any = None) -> Reply:
        """Ask once, on a connection of its own."""
        client = http.client.HTTPConnection("localhost")
        client.sock = self.connect()
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        client.request(method, path, data)
        answer = client.getresponse()
        reply = Reply(answer.status, dict(answer.headers), answer.read())
        client.close()
        return reply

    def get(self, path: str) -> Any:
        """Ask for something that is there."""
        reply = self.ask("GET", path)
        assert reply.status == 200, reply
        return reply.json

    def submit(self, body: Any = HELLO, query: str = "") -> Any:
        """Submit something sound and return the run."""
        reply = self.ask("POST", f"/api/v1/runs{query}", body)
        assert reply.status == 201, reply
        return reply.json

    def ended(self, run: str) -> Any:
        """Wait for the end of a run and return it."""

        def look() -> Any:
            found = self.get(f"/api/v1/runs/{run}")
            return found if found["state"] in ENDED else None

        return wait_for(look, f"the end of {run}")
