"""The routes of the API in one table: path, method, what it is for, and the function that answers.

Handlers read the request, ask the desk in a thread, and write what it says as JSON. OpenAPI is printed from the table.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from loguru import logger
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from daemon.api import problems, reading
from daemon.api.desk import Desk
from daemon.api.route import Route
from engine.errors import DropmillError
from engine.task import Catalogue
from engine.views import ApprovalView, EventView, RunView

_MOST_ROWS = 500
_MOST_EVENTS = 10_000
_LONGEST_NAME, _LONGEST_FILE = 255, 4096
_ANSWER_SECONDS = 30.0
_LONGEST_NOTE = 4096
# The type of trigger of a run that another run called.
_CALLED = "workflow"


async def _ask(function: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """Ask the desk in a thread, with an end to the patience; what was asked for may still be done later."""
    asking = asyncio.to_thread(functools.partial(function, *given, **named))
    async with asyncio.timeout(_ANSWER_SECONDS):
        return await asking


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _user(request: Request) -> str:
    return request.client.host if request.client is not None else ""


async def health(desk: Desk, request: Request) -> Response:
    """Say that it is alive; anything worse does not answer."""
    return _json({"status": "ok"})


async def status(desk: Desk, request: Request) -> Response:
    """Say how things are."""
    return _json(await _ask(desk.status))


async def submit(desk: Desk, request: Request) -> Response:
    """Record a run: 201 for a new one, 200 for the one that had the idempotency key before."""
    named = {
        "file": reading.short(request, "file", _LONGEST_FILE),
        "name": reading.short(request, "name", _LONGEST_NAME) or "",
        "use_cache": reading.choice(request, "use_cache", default=True),
    }
    receipt = await _ask(desk.submit, await reading.document(request), _user(request), **named)
    view = await _ask(desk.run, receipt.run)
    return _json(view, 201 if receipt.is_new else 200)


async def list_runs(desk: Desk, request: Request) -> Response:
    """List runs, the newest first."""
    wanted = request.query_params
    found = await _ask(
        desk.runs,
        state=wanted.get("state"),
        workflow=wanted.get("workflow"),
        trigger=wanted.get("trigger"),
        parent=wanted.get("parent"),
        with_called=reading.choice(request, "all", default=False) or "parent" in wanted or _names_calls(request),
        before=wanted.get("before"),
        since=reading.instant(request, "since"),
        limit=reading.number(request, "limit", 50, 1, _MOST_ROWS),
    )
    return _json(found)


def _names_calls(request: Request) -> bool:
    """Tell whether only called runs are asked for, so that leaving them out would leave nothing."""
    return bool(request.query_params.get("trigger") == _CALLED)


async def show_run(desk: Desk, request: Request) -> Response:
    """Show one run with its tasks."""
    return _json(await _ask(desk.run, request.path_params["run"]))


async def list_events(desk: Desk, request: Request) -> Response:
    """List what happened to a run, oldest first."""
    after = reading.number(request, "after", 0, 0, 2**53)
    limit = reading.number(request, "limit", _MOST_ROWS, 1, _MOST_EVENTS)
    return _json(await _ask(desk.events, request.path_params["run"], after, limit))


async def show_document(desk: Desk, request: Request) -> Response:
    """Return the document of a run, byte for byte."""
    return Response(await _ask(desk.document, request.path_params["run"]), media_type="application/json")


async def show_log(desk: Desk, request: Request) -> Response:
    """Return the log of an attempt as text."""
    task = request.query_params.get("task")
    if task is None:
        raise problems.BadQueryError("name the task: ?task=ID")
    attempt = reading.number(request, "attempt", 0, 0, 2**31) or None
    return PlainTextResponse(await _ask(desk.log, request.path_params["run"], task, attempt))


async def cancel(desk: Desk, request: Request) -> Response:
    """End a live run."""
    message = reading.text(await reading.wish(request), "message") or ""
    return _json(await _ask(desk.cancel, request.path_params["run"], message), 202)


async def retry(desk: Desk, request: Request) -> Response:
    """Run again what did not complete, as a new run."""
    wish = await reading.wish(request)
    start, use_cache = reading.text(wish, "from"), reading.flag(wish, "use_cache", default=True)
    receipt = await _ask(desk.retry, request.path_params["run"], start, _user(request), use_cache=use_cache)
    return _json(await _ask(desk.run, receipt.run), 201)


async def list_approvals(desk: Desk, request: Request) -> Response:
    """List what waits for a person."""
    return _json(await _ask(desk.approvals, request.query_params.get("run")))


async def approve(desk: Desk, request: Request) -> Response:
    """Approve what waits for a person."""
    wish = reading.only(await reading.wish(request), "note", "data")
    return await _decide(desk, request, wish, is_approved=True, data=wish.get("data"))


async def reject(desk: Desk, request: Request) -> Response:
    """Reject what waits for a person."""
    return await _decide(desk, request, reading.only(await reading.wish(request), "note"), is_approved=False)


async def _decide(desk: Desk, request: Request, wish: dict[str, Any], **decision: Any) -> Response:
    named = request.path_params
    note = _note(wish, "note")
    return _json(await _ask(desk.decide, named["run"], named["task"], _user(request), note=note, **decision))


def _note(wish: dict[str, Any], name: str) -> str:
    text = (reading.text(wish, name) or "").strip()
    if len(text) > _LONGEST_NOTE:
        raise problems.BadQueryError(f"{name} must have at most {_LONGEST_NOTE} characters, not {len(text)}")
    return text


async def pause_run(desk: Desk, request: Request) -> Response:
    """Let nothing more of a run start."""
    message = _note(reading.only(await reading.wish(request), "message"), "message")
    return _json(await _ask(desk.pause_run, request.path_params["run"], _user(request), message))


async def resume_run(desk: Desk, request: Request) -> Response:
    """Let a paused run go on."""
    message = _note(reading.only(await reading.wish(request), "message"), "message")
    return _json(await _ask(desk.resume_run, request.path_params["run"], _user(request), message))


async def pause(desk: Desk, request: Request) -> Response:
    """Start no further task."""
    reason = (reading.text(await reading.wish(request), "reason") or "").strip()
    await _ask(desk.hold, reason or f"{_user(request) or 'a person'} paused it")
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


async def show_part(desk: Desk, request: Request) -> Response:
    """Show how one part stands."""
    return _json(await _ask(desk.part, request.path_params["part"]))


async def wish_part(desk: Desk, request: Request) -> Response:
    """Pass a wish on to a part: what it understands is its own business."""
    part, verb = request.path_params["part"], request.path_params["verb"]
    return _json(await _ask(desk.wish, part, verb, await reading.wish(request)))


async def open_api(desk: Desk, request: Request) -> Response:
    """Describe the API."""
    return _json(request.app.state.description)


_ONE = "Its id, a beginning or an end of it that fits no other, or `last` for the newest."
_FILTERS = {
    "state": "Only runs in this state.",
    "workflow": "Only runs of this workflow.",
    "trigger": "Only runs that this type of trigger has caused.",
    "parent": "Only runs that the run with this id has called.",
    "all": "`true`: also runs that other runs have called; they are left out unless `parent` or `trigger` asks.",
    "since": "Only runs from this instant on, in RFC 3339.",
    "before": "The page behind the run with this id.",
    "limit": f"At most so many, up to {_MOST_ROWS}.",
}
_AFTER = {"after": "Only what came behind the event with this id.", "limit": f"At most so many, up to {_MOST_EVENTS}."}
_OF_ATTEMPT = {"task": "The id of the task.", "attempt": "Its attempt, counted from 1; without it, the last one."}
_NAMED = {
    "file": "What a command line read the document from; the trigger is `cli` then.",
    "name": "A name for a document that gives itself none.",
    "use_cache": "`false`: the cache is left alone, as by the key of this name in a request.",
}
_ANY = dict[str, Any]

ROUTES: tuple[Route, ...] = (
    Route("GET", "/health", "Whether it is alive.", health, _ANY),
    Route("GET", "/api/v1/openapi.json", "This description.", open_api, _ANY),
    Route("GET", "/api/v1/status", "What lives, what waits and why, what is due next, what is wrong.", status, _ANY),
    Route(
        "POST",
        "/api/v1/runs",
        "Run a workflow document, or what a request asks for: a known workflow, or one written into it.",
        submit,
        RunView,
        _ANY,
        _NAMED,
    ),
    Route(
        "GET",
        "/api/v1/runs",
        "List runs, the newest first, without their tasks.",
        list_runs,
        list[RunView],
        None,
        _FILTERS,
    ),
    Route("GET", "/api/v1/runs/{run}", f"Show one run with its tasks. {_ONE}", show_run, RunView),
    Route("GET", "/api/v1/runs/{run}/events", "What happened to a run.", list_events, list[EventView], None, _AFTER),
    Route("GET", "/api/v1/runs/{run}/document", "The document that a run was made from.", show_document, _ANY),
    Route("GET", "/api/v1/runs/{run}/logs", "What an attempt has said.", show_log, str, None, _OF_ATTEMPT),
    Route("POST", "/api/v1/runs/{run}/cancel", "End a live run; body: message.", cancel, RunView, _ANY),
    Route(
        "POST",
        "/api/v1/runs/{run}/retry",
        "Run again what did not complete; body: from, use_cache.",
        retry,
        RunView,
        _ANY,
    ),
    Route("POST", "/api/v1/runs/{run}/pause", "Start nothing more of a run; body: message.", pause_run, RunView, _ANY),
    Route("POST", "/api/v1/runs/{run}/resume", "Let a paused run go on; body: message.", resume_run, RunView, _ANY),
    Route(
        "POST",
        "/api/v1/runs/{run}/tasks/{task}/approve",
        "Approve what waits for a person; body: note, and data that fill in its form.",
        approve,
        RunView,
        _ANY,
    ),
    Route(
        "POST",
        "/api/v1/runs/{run}/tasks/{task}/reject",
        "Reject what waits for a person; body: note.",
        reject,
        RunView,
        _ANY,
    ),
    Route(
        "GET",
        "/api/v1/approvals",
        "What waits for a person: what is asked, since when, until when.",
        list_approvals,
        list[ApprovalView],
        None,
        {"run": "Only of this run."},
    ),
    Route("POST", "/api/v1/pause", "Start no further task; body: reason.", pause, _ANY, _ANY),
    Route("POST", "/api/v1/resume", "Start tasks again.", resume, _ANY),
    Route("POST", "/api/v1/drain", "Take nothing new, finish what lives, then stop.", drain, _ANY),
    Route("GET", "/api/v1/workflows", "The workflows known by name.", list_workflows, list[str]),
    Route("GET", "/api/v1/plugins", "The task types there are.", list_plugins, Catalogue),
    Route("GET", "/api/v1/parts/{part}", "How one part stands, such as schedules or inbox.", show_part, Any),
    Route("POST", "/api/v1/parts/{part}/{verb}", "Ask a part for something it understands.", wish_part, Any, _ANY),
)


def guarded(route: Route) -> Callable[[Request], Awaitable[Response]]:
    """Wrap a handler so that whatever goes wrong becomes a problem document; what nobody foresaw is logged."""

    async def handle(request: Request) -> Response:
        try:
            return await route.handler(request.app.state.desk, request)
        except DropmillError as error:
            return problems.answer(error)
        except ClientDisconnect:
            return Response(status_code=499)
        except TimeoutError:
            detail = f"there was no answer within {_ANSWER_SECONDS:g} s; what was asked for may still be done"
            return problems.problem(503, "timeout", detail)
        except Exception as error:
            logger.opt(exception=error).error("{} {} went wrong: {}", route.method, request.url.path, error)
            return problems.problem(500, "internal", f"{type(error).__name__}; the log of the daemon has the rest")

    return handle
