"""The routes of the API in one table: path, method, what it is for, and the function that answers.

Handlers read the request, ask the desk in a thread, and write what it says as JSON. OpenAPI is printed from the table.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from daemon.api import problems
from daemon.api.desk import Desk
from engine.clock import epoch
from engine.errors import DropmillError, InputError

Handler = Callable[[Desk, Request], Awaitable[Response]]

_MOST_ROWS = 500
_USER_HEADER = "x-dropmill-user"


class Route(NamedTuple):
    """One way to ask: `body` names what a POST takes, for the OpenAPI document."""

    method: str
    path: str
    purpose: str
    handler: Handler
    body: str | None = None


class BadQueryError(InputError):
    """A query parameter or a body cannot be read."""

    code = "bad_query"


class TooLargeError(InputError):
    """A body is larger than the limit."""

    code = "too_large"


async def _ask(function: Callable[..., Any], *given: Any, **named: Any) -> Any:
    return await asyncio.to_thread(functools.partial(function, *given, **named))


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _user(request: Request) -> str:
    return request.headers.get(_USER_HEADER, "")[:64]


def _number(request: Request, name: str, default: int, most: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit()) or not 0 <= int(text[:12]) <= most:
        raise BadQueryError(f"{name} must be a whole number from 0 to {most}, not {text[:40]!r}")
    return int(text)


async def _body(request: Request) -> bytes:
    """Read a body that is not larger than a document may be."""
    most: int = request.app.state.body_bytes
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > most:
            raise TooLargeError(f"the body is larger than the limit of {most} bytes (limits.document_bytes)")
    return bytes(data)


async def _wish(request: Request) -> dict[str, Any]:
    """Read a small JSON object; an empty body is an empty one."""
    data = await _body(request)
    try:
        return msgspec.json.decode(data or b"{}", type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise BadQueryError(f"the body must be a JSON object: {error}") from None


async def health(desk: Desk, request: Request) -> Response:
    """Say that it is alive; anything worse does not answer."""
    return _json({"status": "ok"})


async def status(desk: Desk, request: Request) -> Response:
    """Say how things are."""
    return _json(await _ask(desk.status))


async def submit(desk: Desk, request: Request) -> Response:
    """Record a run: 201 for a new one, 200 for the one that had the idempotency key before."""
    receipt = await _ask(desk.submit, await _body(request), _user(request))
    view = await _ask(desk.run, receipt.run)
    return _json(view, 201 if receipt.is_new else 200)


async def list_runs(desk: Desk, request: Request) -> Response:
    """List runs, the newest first."""
    wanted = request.query_params
    since = wanted.get("since")
    try:
        moment = None if since is None else epoch(since)
    except ValueError as error:
        raise BadQueryError(f"since: {error}") from None
    found = await _ask(
        desk.runs,
        state=wanted.get("state"),
        workflow=wanted.get("workflow"),
        trigger=wanted.get("trigger"),
        before=wanted.get("before"),
        since=moment,
        limit=_number(request, "limit", 50, _MOST_ROWS),
    )
    return _json(found)


async def show_run(desk: Desk, request: Request) -> Response:
    """Show one run with its tasks."""
    return _json(await _ask(desk.run, request.path_params["run"]))


async def list_events(desk: Desk, request: Request) -> Response:
    """List what happened to a run, oldest first."""
    after, limit = _number(request, "after", 0, 2**53), _number(request, "limit", _MOST_ROWS, 10_000)
    return _json(await _ask(desk.events, request.path_params["run"], after, limit))


async def show_log(desk: Desk, request: Request) -> Response:
    """Return the log of an attempt as text."""
    task = request.query_params.get("task")
    if task is None:
        raise BadQueryError("name the task: ?task=ID")
    attempt = _number(request, "attempt", 0, 2**31) or None
    return PlainTextResponse(await _ask(desk.log, request.path_params["run"], task, attempt))


async def cancel(desk: Desk, request: Request) -> Response:
    """End a live run."""
    wish = await _wish(request)
    return _json(await _ask(desk.cancel, request.path_params["run"], str(wish.get("message", ""))), 202)


async def retry(desk: Desk, request: Request) -> Response:
    """Run again what did not complete, as a new run."""
    start = (await _wish(request)).get("from")
    receipt = await _ask(desk.retry, request.path_params["run"], None if start is None else str(start), _user(request))
    return _json(await _ask(desk.run, receipt.run), 201)


async def pause(desk: Desk, request: Request) -> Response:
    """Start no further task."""
    await _ask(desk.hold, str((await _wish(request)).get("reason") or "a person paused it"))
    return _json({"state": "paused"})


async def resume(desk: Desk, request: Request) -> Response:
    """Start tasks again."""
    await _ask(desk.release)
    return _json({"state": "ready"})


async def drain(desk: Desk, request: Request) -> Response:
    """Take nothing new, finish what lives, then stop."""
    await _ask(desk.drain)
    return _json({"state": "draining"}, 202)


async def list_workflows(desk: Desk, request: Request) -> Response:
    """List the workflows known by name."""
    return _json(await _ask(desk.workflows))


async def list_plugins(desk: Desk, request: Request) -> Response:
    """List the task types there are, and the plugin files that cannot be used."""
    return _json(await _ask(desk.plugins))


async def wish_part(desk: Desk, request: Request) -> Response:
    """Pass a wish on to a part: what it understands is its own business."""
    part, verb = request.path_params["part"], request.path_params["verb"]
    return _json(await _ask(desk.wish, part, verb, await _wish(request)))


async def open_api(desk: Desk, request: Request) -> Response:
    """Describe the API."""
    return _json(description())


ROUTES: tuple[Route, ...] = (
    Route("GET", "/health", "Whether it is alive.", health),
    Route("GET", "/api/v1/openapi.json", "This description.", open_api),
    Route("GET", "/api/v1/status", "What lives, what waits and why, what is due next, what is wrong.", status),
    Route("POST", "/api/v1/runs", "Run a workflow document, or a workflow known by name.", submit, "document"),
    Route("GET", "/api/v1/runs", "List runs, the newest first.", list_runs),
    Route("GET", "/api/v1/runs/{run}", "Show one run with its tasks.", show_run),
    Route("GET", "/api/v1/runs/{run}/events", "What happened to a run.", list_events),
    Route("GET", "/api/v1/runs/{run}/logs", "What an attempt has said.", show_log),
    Route("POST", "/api/v1/runs/{run}/cancel", "End a live run.", cancel, '{"message"}'),
    Route("POST", "/api/v1/runs/{run}/retry", "Run again what did not complete.", retry, '{"from"}'),
    Route("POST", "/api/v1/pause", "Start no further task.", pause, '{"reason"}'),
    Route("POST", "/api/v1/resume", "Start tasks again.", resume),
    Route("POST", "/api/v1/drain", "Take nothing new, finish what lives, then stop.", drain),
    Route("GET", "/api/v1/workflows", "The workflows known by name.", list_workflows),
    Route("GET", "/api/v1/plugins", "The task types there are.", list_plugins),
    Route("POST", "/api/v1/parts/{part}/{verb}", "Pass a wish on to a part: schedules, inbox.", wish_part, "object"),
)


def guarded(route: Route) -> Callable[[Request], Awaitable[Response]]:
    """Wrap a handler so that every error of the tree becomes a problem document."""

    async def handle(request: Request) -> Response:
        try:
            return await route.handler(request.app.state.desk, request)
        except TooLargeError as error:
            return problems.problem(413, error.code, str(error))
        except DropmillError as error:
            return problems.answer(error)
        except ClientDisconnect:
            return Response(status_code=499)

    return handle


def description() -> dict[str, Any]:
    """Print the routes as an OpenAPI document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        names = [part[1:-1] for part in route.path.split("/") if part.startswith("{")]
        entry: dict[str, Any] = {
            "summary": route.purpose,
            "operationId": route.handler.__name__,
            "parameters": [
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
            ],
            "responses": {"default": {"description": "The answer, or a problem document (RFC 9457)."}},
        }
        if route.body is not None:
            entry["requestBody"] = {"content": {"application/json": {"schema": {"type": "object"}}}}
        paths.setdefault(route.path, {})[route.method.lower()] = entry
    return {"openapi": "3.1.0", "info": {"title": "Dropmill", "version": "1"}, "paths": paths}
