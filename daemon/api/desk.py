"""What the API can be asked, without HTTP: each method is one question, in the words of the parts behind it.

Blocking; `routes` calls it in a thread. Raises the errors of the tree, nothing else.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from daemon import holding, requests
from daemon.assembly import Assembly
from daemon.intake import Origin
from daemon.rerun import reusable
from engine.attemptlog import LogReader
from engine.errors import DocumentInvalidError, InputError, RunNotEndedError
from engine.states import ENDED, Reason
from engine.submission import Receipt
from engine.views import EventView, RunView

_ANSWER_SECONDS = 30.0

Status = Callable[[], Any]
Wish = Callable[[Mapping[str, Any]], Any]


class UnknownWishError(InputError):
    """No part of the daemon understands this."""

    code = "wish_unknown"

    def __init__(self, part: str, verb: str) -> None:
        super().__init__(f"nothing here can {verb} {part}")


class Desk:
    """Answer questions about the engine and pass wishes on to it.

    `parts` are further things to show in the status, by name: each a call that returns something JSON can hold.
    `wishes` are what parts can be asked to do, by part and verb; `drain` begins the end of the daemon.
    """

    def __init__(
        self,
        assembly: Assembly,
        *,
        parts: Mapping[str, Status],
        wishes: Mapping[str, Mapping[str, Wish]],
        drain: Callable[[], None],
    ) -> None:
        """Stand on an assembled engine."""
        self._assembly, self._parts, self._wishes, self._drain = assembly, parts, wishes, drain
        self._logs = LogReader(assembly.config.paths.logs)

    def status(self) -> dict[str, Any]:
        """Say how things are: what lives, what waits and why, what is wrong."""
        executor = self._assembly.executor
        waiting = [
            {"run": view.id, "workflow": view.workflow, "state": view.state, "reason": view.reason}
            for state in ("WAITING", "PENDING")
            for view in self._assembly.history.runs(state=state, limit=20)
        ]
        running = [
            {"run": view.id, "workflow": view.workflow, "started_at": view.started_at}
            for view in self._assembly.history.runs(state="RUNNING", limit=20)
        ]
        counts = self._assembly.history.counts()
        return {
            "state": "paused" if executor.held else "ready",
            "reason": executor.held or None,
            "live_runs": executor.live,
            "runs": counts.runs,
            "tasks": counts.tasks,
            "running": running,
            "waiting": waiting,
            **{name: ask() for name, ask in self._parts.items()},
        }

    def submit(self, body: bytes, user: str) -> Receipt:
        """Take a workflow document, or a request for a workflow known by name or written into the request itself.

        Raises DocumentInvalidError, ParamsInvalidError, WorkflowUnknownError.
        """
        trigger, intake = {"type": "api", "user": user}, self._assembly.intake
        inline, rest = _inline(body)
        request, problems = requests.read(rest, self._assembly.config.limits)
        if problems:
            raise DocumentInvalidError(problems)
        if request is None:
            return intake.submit(body, Origin(trigger=trigger))
        origin = Origin(
            trigger=trigger,
            params=request.params,
            idempotency_key=request.idempotency_key,
            priority=request.priority or 0,
            run_at=request.run_at,
        )
        if inline is not None:
            return intake.submit(inline, origin, name=request.workflow)
        return intake.submit_named(request.workflow, origin)

    def run(self, name: str) -> RunView:
        """Show a run; `last` is the newest."""
        return self._assembly.history.run(name)

    def runs(self, **filters: Any) -> list[RunView]:
        """List runs as `History.runs` does."""
        return self._assembly.history.runs(**filters)

    def events(self, run: str, after: int, limit: int) -> list[EventView]:
        """List what happened to a run."""
        return self._assembly.history.events(run, after, limit)

    def log(self, run: str, task: str, attempt: int | None) -> str:
        """Return what an attempt has said; without a number, the last one."""
        view = self._assembly.history.run(run)
        attempts = self._assembly.history.attempts(view.id, task)
        number = attempt or (attempts[-1].attempt if attempts else 0)
        return self._logs.read(view.id, task, number) if number else ""

    def cancel(self, run: str, message: str) -> RunView:
        """End a live run; raises RunEndedError for any other."""
        view = self._assembly.history.run(run)
        self._assembly.executor.cancel(view.id, reason=Reason.USER, message=message).result(_ANSWER_SECONDS)
        return self._assembly.history.run(view.id)

    def retry(self, run: str, start: str | None, user: str) -> Receipt:
        """Run again what did not complete, as a new run; from `start` on where it is given.

        Raises RunNotEndedError for a live run.
        """
        view = self._assembly.history.run(run)
        if view.state not in ENDED:
            raise RunNotEndedError(view.id, view.state)
        document = self._assembly.history.document_of(view.id)
        intake = self._assembly.intake
        plan = intake.plan(document, name=view.workflow)
        kept = reusable(view.id, plan, self._assembly.history.outputs(view.id), start)
        trigger = {"type": "rerun", "run": view.id, "user": user} | ({"from": start} if start else {})
        origin = Origin(trigger=trigger, params=view.params, reused=kept)
        return intake.submit(document, origin, name=view.workflow)

    def hold(self, reason: str) -> None:
        """Start no further task until `release`, also after a restart; what runs goes on."""
        holding.write(self._assembly.config.paths.state, reason)
        self._assembly.executor.hold(reason)

    def release(self) -> None:
        """Start tasks again."""
        holding.clear(self._assembly.config.paths.state)
        self._assembly.executor.release()

    def drain(self) -> None:
        """Take nothing new, finish what lives, then stop the daemon."""
        self._drain()

    def wish(self, part: str, verb: str, wish: Mapping[str, Any]) -> Any:
        """Pass a wish on to a part of the daemon; raises UnknownWishError if it has no such verb."""
        verbs = self._wishes.get(part, {})
        if verb not in verbs:
            raise UnknownWishError(part, verb)
        return verbs[verb](wish)

    def workflows(self) -> list[str]:
        """List the workflows known by name."""
        return self._assembly.intake.library.names()

    def plugins(self) -> Any:
        """Return the catalogue of task types."""
        return self._assembly.executor.catalogue().result(_ANSWER_SECONDS)


def socket_path(state: Path) -> Path:
    """Return where the Unix socket of a state folder is."""
    return state / "dropmill.sock"


def _inline(body: bytes) -> tuple[bytes | None, bytes]:
    """Part a request that holds its workflow into the document and a request that names it; else (None, the body)."""
    try:
        value = msgspec.json.decode(body)
    except msgspec.MsgspecError:
        return None, body
    if not isinstance(value, dict) or not isinstance(value.get("workflow"), dict):
        return None, body
    document = value["workflow"]
    name = document.get("name")
    return msgspec.json.encode(document), msgspec.json.encode(
        value | {"workflow": name if isinstance(name, str) else "inline"}
    )
