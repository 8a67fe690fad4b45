"""The HTTP API: a part of the service with a thread and an event loop of its own; so far on the Unix socket alone.

What can be asked is in `desk`, the routes in `routes`. No request waits in the executor's thread, and a slow client
keeps nobody but itself waiting.
"""

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as WebRoute

from daemon.api import problems
from daemon.api.description import describe
from daemon.api.desk import Desk
from daemon.api.peer import Connection
from daemon.api.routes import ROUTES, guarded
from engine.errors import StateError
from engine.limits import Limits

_BEAT_SECONDS = 2.0
_CLOSE_SECONDS = 2
_START_SECONDS = 20.0
_THREADS = 8


class Api:
    """Serve the API on a Unix socket; who may write to the socket may run workflows."""

    def __init__(self, desk: Desk, path: Path, *, mode: int, limits: Limits) -> None:
        """Compose it; `mode` are the permissions of the socket, `limits` bound what a request may bring."""
        self._path, self._mode = path, mode
        self._beats = 0
        self._thread: threading.Thread | None = None
        self._is_up = threading.Event()
        application = Starlette(
            routes=[WebRoute(route.path, guarded(route), methods=[route.method]) for route in ROUTES],
            lifespan=self._live,
            exception_handlers={HTTPException: _no_route},
            # Tokens, hosts and limits of the side that TCP will have come in here, as `middleware`.
            middleware=[],
        )
        application.router.redirect_slashes = False
        application.state.desk, application.state.limits = desk, limits
        application.state.description = describe(ROUTES)
        config = uvicorn.Config(
            application,
            http=Connection,
            ws="none",
            proxy_headers=False,  # who asks is the kernel's to say
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_CLOSE_SECONDS,
        )
        self._server = uvicorn.Server(config)

    def start(self) -> None:
        """Return when it answers; harmless twice.

        Raises StateError if the socket cannot be made.
        """
        if self._thread is not None:
            return
        listening = self._bind()
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listening]}, name="api", daemon=True
        )
        self._thread.start()
        if not self._is_up.wait(_START_SECONDS):
            raise StateError(f"the API did not start on {self._path}")

    def stop(self) -> None:
        """Answer what is being asked, close, and return; harmless twice."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()
            self._path.unlink(missing_ok=True)
            self._thread = None

    @property
    def pulse(self) -> int:
        """Count the beats of the event loop."""
        return self._beats

    def _bind(self) -> socket.socket:
        """Make the socket; one left by a former life is in the way and goes, since the state folder is ours."""
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._path.unlink(missing_ok=True)
            # By descriptor: the address of a Unix socket holds 107 bytes, and a folder may be deeper than that.
            folder = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                listening.bind(f"/proc/self/fd/{folder}/{self._path.name}")
            finally:
                os.close(folder)
            self._path.chmod(self._mode)
            listening.listen(128)
        except OSError as error:
            listening.close()
            raise StateError(f"the socket {self._path} cannot be made: {error.strerror or error}") from None
        return listening

    @contextlib.asynccontextmanager
    async def _live(self, _application: Starlette) -> AsyncIterator[None]:
        async def beat() -> None:
            while True:
                self._beats += 1
                await asyncio.sleep(_BEAT_SECONDS)

        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="api"))
        heart = loop.create_task(beat())
        self._is_up.set()
        try:
            yield
        finally:
            heart.cancel()


async def _no_route(_request: Request, error: Exception) -> Response:
    """Say that there is no such route, or not with this method, in the words of every other refusal."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    code, detail = {405: ("method_unknown", "this route has other methods")}.get(
        status, ("route_unknown", "there is nothing here; /api/v1/openapi.json lists what there is")
    )
    return problems.problem(status, code, detail)
