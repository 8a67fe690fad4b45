"""The daemon as commands call it: HTTP over its Unix socket, answers as values, refusals as errors of the tree.

Knows the routes and no sentence for a person. Imports no engine, so that `status` answers at once.
"""

import http.client
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import msgspec

from daemon.config import Config
from daemon.whereabouts import socket_file
from engine.errors import (
    DaemonAbsentError,
    DaemonRefusedError,
    DecisionInvalidError,
    DocumentInvalidError,
    DropmillError,
    InputError,
    ParamsInvalidError,
    Problem,
)

if TYPE_CHECKING:
    from engine.task import Catalogue
    from engine.views import EventView, RunView

_PATIENCE_SECONDS = 60.0
_CREATED = 201
_FIRST_REFUSAL = 400
_INPUT = frozenset({400, 404, 413, 422})
_EVENTS_AT_ONCE = 5_000


class _Refusal(msgspec.Struct):
    """What is read of a problem document."""

    code: str
    detail: str
    problems: tuple[Problem, ...] = ()


class Daemon:
    """Ask the daemon of a configuration; each question has a connection of its own.

    Every method raises DaemonAbsentError, DaemonRefusedError or InputError.
    """

    def __init__(self, config: Config) -> None:
        """Ask nothing yet."""
        self.socket, self._state = socket_file(config), config.paths.state

    def get(self, path: str, **query: str | int) -> Any:
        """Ask for something and return its JSON."""
        return msgspec.json.decode(self._ask("GET", path, query)[1])

    def post(self, path: str, wish: dict[str, Any] | None = None) -> Any:
        """Ask for something to be done and return what is said to it."""
        try:
            body = msgspec.json.encode(wish or {})
        except UnicodeEncodeError:
            message = "an argument is not text in UTF-8, which is all that the daemon takes; write it anew"
            raise InputError(message) from None
        return msgspec.json.decode(self._ask("POST", path, {}, body)[1])

    def submit(self, body: bytes, *, file: str, name: str) -> "tuple[RunView, bool]":
        """Hand in a document or a request; return the run and whether it is new."""
        from engine.views import RunView

        status, answer = self._ask("POST", "/api/v1/runs", {"file": file, "name": name}, body)
        return msgspec.json.decode(answer, type=RunView), status == _CREATED

    def run(self, run: str) -> "RunView":
        """Return a run in full; `last` is the newest."""
        from engine.views import RunView

        return msgspec.json.decode(self._ask("GET", of_run(run), {})[1], type=RunView)

    def document(self, run: str) -> bytes:
        """Return the document that a run was made from."""
        return self._ask("GET", of_run(run, "document"), {})[1]

    def events(self, run: str, after: int) -> "list[EventView]":
        """Return what happened to a run behind an event, as much as comes at a time."""
        from engine.views import EventView

        query: dict[str, str | int] = {"after": after, "limit": _EVENTS_AT_ONCE}
        return msgspec.json.decode(self._ask("GET", of_run(run, "events"), query)[1], type=list[EventView])

    def catalogue(self) -> "Catalogue":
        """Return the task types that the daemon can run."""
        from engine.task import Catalogue

        return msgspec.json.decode(self._ask("GET", "/api/v1/plugins", {})[1], type=Catalogue)

    def _ask(self, method: str, path: str, query: dict[str, Any], body: bytes | None = None) -> tuple[int, bytes]:
        client = http.client.HTTPConnection("localhost", timeout=_PATIENCE_SECONDS)
        client.sock = self._connect()
        try:
            target = path + ("?" + urlencode(query, errors="backslashreplace") if query else "")
            client.request(method, target, body, {"Content-Type": "application/json"} if body is not None else {})
            answer = client.getresponse()
            status, data = answer.status, answer.read()
        except TimeoutError:
            raise DaemonRefusedError(
                f"the daemon did not answer within {_PATIENCE_SECONDS:g} s; its log may say why"
            ) from None
        except (http.client.HTTPException, OSError):
            raise DaemonAbsentError(f"{self.socket} (it was cut off)") from None
        finally:
            client.close()
        if status >= _FIRST_REFUSAL:
            raise _refusal(status, data)
        return status, data

    def _connect(self) -> socket.socket:
        """Connect by descriptor: the address of a Unix socket holds 107 bytes, and a folder may be deeper than that."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(_PATIENCE_SECONDS)
        try:
            folder = os.open(self.socket.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                connection.connect(f"/proc/self/fd/{folder}/{self.socket.name}")
            finally:
                os.close(folder)
        except PermissionError:
            connection.close()
            raise DaemonRefusedError(_no_entry(self.socket)) from None
        except OSError:
            connection.close()
            raise DaemonAbsentError(str(self.socket), self._owner()) from None
        return connection

    def _owner(self) -> str:
        """Name the daemon that is there and does not answer; empty if there is none to wait for."""
        from daemon.ownership import owner_of

        owner = owner_of(self._state)
        return str(owner) if owner is not None and owner.kind == "daemon" else ""


def of_run(run: str, *rest: str) -> str:
    """Return the path of a run, and of something of it."""
    return "/".join(["/api/v1/runs", quote(run, safe="", errors="backslashreplace"), *rest])


def _refusal(status: int, data: bytes) -> DropmillError:
    try:
        said = msgspec.json.decode(data, type=_Refusal)
    except msgspec.MsgspecError:
        return DaemonRefusedError(f"the daemon answered with status {status} and nothing that can be read")
    if said.problems:
        of_code = {kind.code: kind for kind in (ParamsInvalidError, DecisionInvalidError)}
        return of_code.get(said.code, DocumentInvalidError)(said.problems)
    return InputError(said.detail) if status in _INPUT else DaemonRefusedError(said.detail)


def _no_entry(path: Path) -> str:
    return f"you may not speak to the daemon at {path}; join the group that owns it, or become its user"
