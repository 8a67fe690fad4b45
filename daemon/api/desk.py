"""What the API can be asked, without HTTP: each method is one question, in the words of the parts behind it.

Blocking; `routes` calls it in a thread. Raises the errors of the tree, nothing else.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from daemon import holding, requests
from daemon.api.problems import WishUnknownError
from daemon.assembly import Assembly
from daemon.intake import Origin
from daemon.plans import former
from daemon.rerun import reusable
from engine import natives, strictjson
from engine.assignments import origin_of
from engine.attemptlog import LogReader
from engine.clock import ticks
from engine.decisions import Decision
from engine.errors import (
    DaemonRefusedError,
    DocumentInvalidError,
    ExecutorStoppedError,
    RunEndedError,
    RunNotEndedError,
)
from engine.limits import Limits
from engine.states import ENDED, Reason, State
from engine.submission import Receipt
from engine.task import Catalogue
from engine.views import ApprovalView, EventView, RunView
from engine.waits import Waits

LAST = "last"
_READY = "ready"
_ANSWER_SECONDS = 30.0
# How long the status waits for an executor that is busy; it says the rest without it then.
_SURVEY_SECONDS = 2.0
_LOOK_SECONDS = 0.005
_SHOWN = 20
# As many running runs are looked into for what their tasks wait for.
_LOOKED_INTO = 5
_HELD_UP = (State.RETRYING, State.WAITING)

Status = Callable[[], Any]
Wish = Callable[[Mapping[str, Any]], Any]


class Desk:
    """Answer questions about the engine and pass wishes on to it.

    `parts` are further things to show in the status, by name: each a call that returns something JSON can hold.
    `wishes` are what parts can be asked to do, by part and verb; `drain` begins the end of the daemon, `phase` says
    whether it is starting, ready or stopping.
    """

    def __init__(
        self,
        assembly: Assembly,
        *,
        parts: Mapping[str, Status],
        wishes: Mapping[str, Mapping[str, Wish]],
        drain: Callable[[], None],
        phase: Callable[[], str] = lambda: _READY,
    ) -> None:
        """Stand on an assembled engine."""
        self._phase = phase
        self._assembly, self._parts, self._wishes, self._drain = assembly, parts, wishes, drain
        self._logs = LogReader(assembly.config.paths.logs)
        self._is_draining = False

    def status(self) -> dict[str, Any]:
        """Say how things are: what lives, what waits and why, what is wrong."""
        executor, history = self._assembly.executor, self._assembly.history
        counts = history.counts()
        running = history.runs(state=State.RUNNING, limit=_SHOWN) if counts.runs else []
        waiting = [
            view
            for state in (State.WAITING, State.PENDING)
            if counts.runs.get(state)
            for view in history.runs(state=state, limit=_SHOWN)
        ]
        is_held_up = any(counts.tasks.get(state) for state in _HELD_UP)
        held = executor.held
        return {
            "state": self._state(),
            "reason": held or None,
            "pid": os.getpid(),
            "runs": counts.runs,
            "tasks": counts.tasks,
            "running": running,
            "waiting": waiting,
            "waits": self._waits(),
            "held_up": list(self._held_up(running[:_LOOKED_INTO])) if is_held_up else [],
            **{name: ask() for name, ask in list(self._parts.items())},
        }

    def _waits(self) -> dict[str, Any]:
        """Say what waits for a slot, for earlier runs, and for a person."""
        found = Waits()
        if self._phase() == _READY:
            with contextlib.suppress(TimeoutError, ExecutorStoppedError):
                found = self._assembly.executor.waits().result(_SURVEY_SECONDS)
        approvals = self._assembly.history.approvals()[:_SHOWN] if found.persons else []
        return {
            "pools": found.pools,
            "tasks": found.tasks[:_SHOWN],
            "runs": found.runs[:_SHOWN],
            "approvals": approvals,
        }

    def _state(self) -> str:
        phase = self._phase()
        if phase != _READY:
            return phase
        return "draining" if self._is_draining else "paused" if self._assembly.executor.held else _READY

    def part(self, name: str) -> Any:
        """Show one part of the status; raises WishUnknownError if nothing is called so."""
        if name not in self._parts:
            raise WishUnknownError(name, "show")
        return self._parts[name]()

    def submit(
        self, body: bytes, user: str, *, file: str | None = None, name: str = "", use_cache: bool = True
    ) -> Receipt:
        """Take a workflow document, or a request for a workflow known by name or written into the request itself.

        `file` is what a command line read the document from, `name` is for a document that gives itself none, and
        `use_cache` holds for a document as for a request that says nothing about it. Raises
        DocumentInvalidError, ParamsInvalidError, WorkflowUnknownError, and ExecutorStoppedError during a drain.
        """
        self._refuse_if_draining()
        trigger = {"type": "api", "user": user} if file is None else {"type": "cli", "user": user, "file": file}
        intake, limits = self._assembly.intake, self._assembly.config.limits
        inline, rest = _parted(body, limits)
        request, problems = requests.read(rest, limits)
        if problems:
            raise DocumentInvalidError(problems)
        if request is None:
            return intake.submit(body, Origin(trigger=trigger, use_cache=use_cache), name=name)
        origin = Origin(
            trigger=trigger,
            params=request.params,
            idempotency_key=request.idempotency_key,
            priority=request.priority or 0,
            run_at=request.run_at,
            use_cache=request.use_cache and use_cache,
        )
        if inline is not None:
            return intake.submit(inline, origin, name=name)
        return intake.submit_named(request.workflow, origin)

    def run(self, name: str) -> RunView:
        """Show a run; `last` is the newest that no other run called."""
        if name == LAST:
            newest = self._assembly.history.runs(limit=1, with_called=False)
            name = newest[0].id if newest else name
        return self._assembly.history.run(name)

    def runs(self, **filters: Any) -> list[RunView]:
        """List runs as `History.runs` does."""
        if filters.get("parent"):
            filters["parent"] = self.run(filters["parent"]).id
        return self._assembly.history.runs(**filters)

    def events(self, run: str, after: int, limit: int) -> list[EventView]:
        """List what happened to a run."""
        return self._assembly.history.events(self.run(run).id if run == LAST else run, after, limit)

    def document(self, run: str) -> bytes:
        """Return the document that a run was made from, as it was written."""
        return self._assembly.history.document_of(self.run(run).id)

    def log(self, run: str, task: str, attempt: int | None) -> str:
        """Return what an attempt has said; without a number, the last one."""
        view = self.run(run)
        attempts = self._assembly.history.attempts(view.id, task)
        number = attempt or (attempts[-1].attempt if attempts else 0)
        return self._logs.read(view.id, task, number) if number else ""

    def cancel(self, run: str, message: str) -> RunView:
        """End a live run; raises RunEndedError for any other."""
        view = self._live(run)
        self._assembly.executor.cancel(view.id, reason=Reason.USER, message=message).result(_ANSWER_SECONDS)
        return self._assembly.history.run(view.id)

    def approvals(self, run: str | None = None) -> list[ApprovalView]:
        """List what waits for a person, of one run or of all."""
        return self._assembly.history.approvals(None if run is None else self.run(run).id)

    def decide(self, run: str, task: str, user: str, *, is_approved: bool, note: str = "", data: Any = None) -> RunView:
        """Approve or reject what waits for a person; `data` fills in its form, null is what the task has for it.

        Raises RunEndedError, TaskUnknownError, NotWaitingError, and DecisionInvalidError where the data do not fit.
        """
        key = self._live(run).id
        decision = Decision(is_approved=is_approved, actor=user, note=note, data=data)
        self._assembly.executor.decide(key, task, decision).result(_ANSWER_SECONDS)
        return self._recorded(key, lambda view: not _waits_for_person(view, task))

    def pause_run(self, run: str, user: str, message: str) -> RunView:
        """Let nothing more of a live run start until `resume_run`, also after a restart; what runs goes on."""
        key = self._live(run).id
        told = f"{user or 'a person'}: {message}" if message else user or "a person"
        self._assembly.executor.pause_run(key, message=told, actor=user).result(_ANSWER_SECONDS)
        return self._recorded(key, _is_paused)

    def resume_run(self, run: str, user: str, message: str) -> RunView:
        """Let a paused run go on; raises DaemonRefusedError for one that is not paused."""
        view = self._live(run)
        if not _is_paused(view):
            raise DaemonRefusedError(f"run {view.id} is {view.state} and not paused")
        self._assembly.executor.resume_run(view.id, message=message, actor=user).result(_ANSWER_SECONDS)
        return self._recorded(view.id, lambda found: not _is_paused(found))

    def _recorded(self, run: str, is_so: Callable[[RunView], bool]) -> RunView:
        """Return a run when what was asked is durable: the executor answers a moment before it writes."""
        pause, end = threading.Event(), ticks() + _ANSWER_SECONDS
        while True:
            view = self._assembly.history.run(run)
            if is_so(view) or view.state in ENDED:
                return view
            if ticks() > end:
                raise TimeoutError
            pause.wait(_LOOK_SECONDS)

    def _live(self, run: str) -> RunView:
        view = self.run(run)
        if view.state in ENDED:
            raise RunEndedError(view.id, view.state)
        return view

    def retry(self, run: str, start: str | None, user: str, *, use_cache: bool = True) -> Receipt:
        """Run again what did not complete, as a new run; from `start` on where it is given.

        Raises RunNotEndedError for a live run, DaemonRefusedError where nothing is to be done again.
        """
        self._refuse_if_draining()
        view = self.run(run)
        if view.state not in ENDED:
            raise RunNotEndedError(view.id, view.state)
        if view.state is State.COMPLETED and start is None:
            raise DaemonRefusedError(f"run {view.id} has completed; name the task to start again from (--from)")
        document = self._assembly.history.document_of(view.id)
        intake = self._assembly.intake
        plan = intake.plan(document, name=view.workflow)
        kept = reusable(former(self._assembly.history, view), plan, start)
        # What the first run came by, by which task types judge what it may reach.
        trigger = {"type": "rerun", "run": view.id, "user": user, "origin": origin_of(view.trigger)}
        trigger |= {"from": start} if start else {}
        origin = Origin(
            trigger=trigger,
            params=view.params,
            reused=kept.reused,
            expansions=kept.expansions,
            called=kept.called,
            use_cache=use_cache,
        )
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
        """Take nothing new, finish what lives, then stop the daemon.

        Raises DaemonRefusedError while it is paused: nothing that waits would ever end.
        """
        if self._assembly.executor.held:
            raise DaemonRefusedError("it is paused, so what waits would never end; `dropmill resume` first")
        self._is_draining = True
        self._drain()

    def wish(self, part: str, verb: str, wish: Mapping[str, Any]) -> Any:
        """Pass a wish on to a part of the daemon; raises WishUnknownError if it has no such verb."""
        verbs = self._wishes.get(part, {})
        if verb not in verbs:
            raise WishUnknownError(part, verb)
        return verbs[verb](wish)

    def workflows(self) -> list[str]:
        """List the workflows known by name."""
        return self._assembly.intake.library.names()

    def plugins(self) -> Catalogue:
        """Return the catalogue of task types, the engine's own too."""
        return natives.beside(self._assembly.executor.catalogue().result(_ANSWER_SECONDS))

    def _refuse_if_draining(self) -> None:
        if self._is_draining:
            raise ExecutorStoppedError

    def _held_up(self, running: list[RunView]) -> Iterator[dict[str, Any]]:
        """Name tasks of these runs that wait for their time, and why."""
        for run in running:
            held_up = [task for task in self._assembly.history.run(run.id).tasks or () if task.state in _HELD_UP]
            for task in held_up[:_SHOWN]:
                yield {"run": run.id, "task": task.id, "state": task.state} | {
                    "reason": task.reason,
                    "message": task.message,
                }


def _is_paused(view: RunView) -> bool:
    return (view.state, view.reason) == (State.WAITING, Reason.PAUSED)


def _waits_for_person(view: RunView, task: str) -> bool:
    states = {each.id: (each.state, each.reason) for each in view.tasks or ()}
    return states.get(task) == (State.WAITING, Reason.APPROVAL)


def _parted(body: bytes, limits: Limits) -> tuple[bytes | None, bytes]:
    """Part a request that holds its workflow into the document, byte for byte, and a request that names it.

    Anything else, and what is no sound JSON, comes back as (None, the body).
    """
    if b'"workflow"' not in body:
        return None, body
    value, problems = strictjson.parse(body, limits)
    if problems or not isinstance(value, dict) or not isinstance(value.get("workflow"), dict):
        return None, body
    document = msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"), type=dict[str, msgspec.Raw])["workflow"]
    return bytes(document), msgspec.json.encode(value | {"workflow": "inline"})
