"""From a claimed file to what is submitted for it, or to what is wrong with it; all lines judged before one is entered.

Reads the file once, by `claims`, and asks the one door. Writes and moves nothing. Called by `entrance` for fresh claims
and for those of a former life.
"""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

import msgspec

from daemon import requests
from daemon.claims import Claims, RefusedError, names
from daemon.inbox.notes import Complaint, counted
from daemon.inbox.policy import Policy
from daemon.intake import Origin, Prepared
from daemon.requests import Request
from engine import positions
from engine.errors import DocumentInvalidError, InputError, ParamsInvalidError, Problem, WorkflowUnknownError
from engine.limits import Limits
from engine.model import WORKFLOW_TYPE, Task, Workflow
from engine.problems import meant, quoted
from engine.submission import Receipt
from engine.task import Catalogue

_LONGEST_WORKFLOW_NAME = 200


class Door(Protocol):
    """What the inbox asks of the intake."""

    def read(self, name: str) -> bytes:
        """Return the document of a known workflow."""
        ...

    def prepare(
        self, document: bytes, origin: Origin, *, name: str = "", catalogue: Catalogue | None = None
    ) -> Prepared:
        """Judge a submission."""
        ...

    def enter(self, prepared: Prepared) -> "Future[Receipt]":
        """Ask for its run."""
        ...

    def catalogue(self) -> Catalogue:
        """Return the task types that can be run now."""
        ...


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """Hold a claimed file: its name as it was dropped, and what it is called among the claimed ones.

    `has_runs` says that some of its lines were submitted in a former life, so that it can be rejected no more.
    """

    claim: str
    name: str
    held: str
    claimed_at: float
    has_runs: bool = False

    @property
    def is_lines(self) -> bool:
        """Tell whether it is a file of requests, one a line."""
        return self.name.endswith(".jsonl")

    @property
    def shown(self) -> str:
        """The name for people."""
        return names.shown(self.name)


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what to enter, each under its own claim id; `content_key` where the same bytes may run only once."""

    prepared: tuple[Prepared, ...]
    content_key: str | None = None


class RejectedError(Exception):
    """A claimed file that cannot be run; `complaint` says why."""

    def __init__(self, complaint: Complaint) -> None:
        super().__init__(complaint.message)
        self.complaint = complaint


class RouteBrokenError(Exception):
    """The workflow of a route cannot be run: no fault of the data file, which waits."""


class Judge:
    """Judge the claimed files of one batch; keeps what it looked up for as long as the batch lasts."""

    def __init__(self, door: Door, limits: Limits, catalogue: Catalogue) -> None:
        """Take the task types that can be run now."""
        self._door, self._limits, self._catalogue = door, limits, catalogue
        self._known: dict[str, bytes] = {}

    def judge(self, held: Held, claims: Claims, policy: Policy) -> Judged:
        """Return what to enter for a file.

        Raises RejectedError with all that is wrong, RouteBrokenError, and OSError.
        """
        try:
            if policy.routes:
                claims.check(held.held)
                return self._data_file(held, claims, policy)
            data = claims.read(held.held, self._limits.document_bytes)
        except RefusedError as refused:
            problem = refused.problem
            raise RejectedError(_complaint(problem.code, [problem])) from None
        if held.is_lines:
            return self._lines(held, policy, data)
        request, problems = requests.read(data, self._limits)
        if problems:
            raise RejectedError(_complaint("request_invalid", problems))
        if request is not None:
            return self._one_request(held, policy, data, request)
        return self._document(held, policy, data)

    def check_routes(self, policy: Policy) -> None:
        """Raise RouteBrokenError if a route of this folder could not start its workflow now."""
        for route in policy.routes:
            self._route(route.workflow, Origin(trigger={"type": "inbox"}, params=route.params))

    def _document(self, held: Held, policy: Policy, data: bytes) -> Judged:
        key = _content_key(data) if policy.dedupes else None
        origin = _origin(held, policy, idempotency_key=key)
        try:
            prepared = self._door.prepare(data, origin, name=_workflow_name(held), catalogue=self._catalogue)
        except DocumentInvalidError as error:
            raise RejectedError(_complaint(error.code, error.problems)) from None
        except ParamsInvalidError as error:
            hint = "Give the parameters defaults, or drop a request that names a known workflow."
            raise RejectedError(_complaint(error.code, error.problems, hint)) from None
        problems = _forbidden(prepared, policy, data)
        if problems:
            raise RejectedError(_complaint("not_allowed", problems))
        return Judged(prepared=(prepared,), content_key=key)

    def _one_request(self, held: Held, policy: Policy, data: bytes, request: Request) -> Judged:
        key = _content_key(data) if policy.dedupes else None
        origin = _origin(held, policy, request, idempotency_key=key)
        prepared, problems = self._request(request, policy, origin, data)
        if prepared is None:
            raise RejectedError(_complaint("request_invalid", problems))
        return Judged(prepared=(prepared,))

    def _lines(self, held: Held, policy: Policy, data: bytes) -> Judged:
        found, problems = requests.read_lines(data, self._limits)
        key = _content_key(data) if policy.dedupes else None
        lines = data.split(b"\n") if found else []
        ready, wrong = [], list(problems)
        for request in found:
            number = request.line or 0
            own = None if key is None else f"{key}/{number}"
            origin = _origin(held, policy, request, idempotency_key=own)
            prepared, misfits = self._request(request, policy, origin, lines[number - 1])
            wrong += [msgspec.structs.replace(problem, line=number) for problem in misfits]
            if prepared is not None:
                ready.append(prepared)
        if wrong:
            raise RejectedError(_complaint("request_invalid", wrong[: self._limits.document_problems]))
        return Judged(prepared=tuple(ready))

    def _request(
        self, request: Request, policy: Policy, origin: Origin, data: bytes
    ) -> tuple[Prepared | None, Sequence[Problem]]:
        """Judge a request by what it names; problems get their place in the request's own text."""
        if policy.workflows is not None and request.workflow not in policy.workflows:
            message = f"requests for the workflow {quoted(request.workflow)} are not taken here"
            hint = meant(request.workflow, policy.workflows) or _listed(policy.workflows, "workflows")
            return None, _placed([Problem(code="not_allowed", message=message, pointer="/workflow", hint=hint)], data)
        try:
            document = self._read(request.workflow)
            return self._door.prepare(document, origin, name=request.workflow, catalogue=self._catalogue), ()
        except ParamsInvalidError as error:
            problems = [msgspec.structs.replace(item, pointer=f"/params{item.pointer}") for item in error.problems]
            return None, _placed(problems, data)
        except WorkflowUnknownError as error:
            problem = Problem(code="unknown_workflow", message=str(error), pointer="/workflow")
        except DocumentInvalidError as error:
            message = f"the known workflow {quoted(request.workflow)} cannot be run: {counted(error.problems)}"
            problem = Problem(code="broken_workflow", message=message, pointer="/workflow")
        except InputError as error:
            problem = Problem(code="broken_workflow", message=str(error), pointer="/workflow")
        return None, _placed([problem], data)

    def _data_file(self, held: Held, claims: Claims, policy: Policy) -> Judged:
        route = policy.route_of(held.name)
        if route is None:
            raise RouteBrokenError(f"no route takes {held.shown} any more")
        trigger = {
            "type": "inbox",
            "route": names.shown(f"{route.path}/{route.match}"),
            "file": held.shown,
            "path": names.shown(claims.place(held.held)),
        }
        origin = Origin(trigger=trigger, params=route.params, priority=policy.priority, claim=held.claim)
        return Judged(prepared=(self._route(route.workflow, origin),))

    def _route(self, workflow: str, origin: Origin) -> Prepared:
        try:
            return self._door.prepare(self._read(workflow), origin, name=Path(workflow).stem, catalogue=self._catalogue)
        except InputError as error:
            raise RouteBrokenError(f"the workflow {workflow} of a route cannot be run: {error}") from None

    def _read(self, workflow: str) -> bytes:
        if workflow not in self._known:
            self._known[workflow] = self._door.read(workflow)
        return self._known[workflow]


def _origin(held: Held, policy: Policy, request: Request | None = None, *, idempotency_key: str | None) -> Origin:
    trigger: dict[str, Any] = {"type": "inbox", "file": held.shown}
    if policy.name:
        trigger["inbox"] = policy.name
    if request is None:
        return Origin(trigger=trigger, priority=policy.priority, claim=held.claim, idempotency_key=idempotency_key)
    if request.line is not None:
        trigger["line"] = request.line
    return Origin(
        trigger=trigger,
        params=request.params,
        idempotency_key=request.idempotency_key or idempotency_key,
        priority=policy.priority if request.priority is None else request.priority,
        run_at=request.run_at,
        use_cache=request.use_cache,
        claim=held.claim if request.line is None else f"{held.claim}/{request.line}",
    )


def _content_key(data: bytes) -> str:
    return f"content:{hashlib.sha256(data).hexdigest()}"


def _workflow_name(held: Held) -> str:
    """Name a workflow that gives itself no name after its file."""
    return held.shown.rpartition(".")[0][:_LONGEST_WORKFLOW_NAME] or held.shown[:_LONGEST_WORKFLOW_NAME]


def _forbidden(prepared: Prepared, policy: Policy, data: bytes) -> list[Problem]:
    """Say what a document does that this inbox does not take: task types, and workflows that it would have run."""
    problems = []
    for at, task in _tasks(prepared.plan.workflow, ""):
        if policy.task_types is not None and task.type not in policy.task_types:
            problems.append(_forbidden_type(task, at, policy.task_types))
        elif policy.workflows is not None and task.type == WORKFLOW_TYPE and task.inner is None:
            # One that is named by an expression is known only when it is too late to say no.
            named = task.fields.get("workflow")
            if named not in policy.workflows:
                message = f"the workflow {quoted(named)} may not be run from here"
                hint = _listed(policy.workflows, "workflows")
                problems.append(Problem(code="not_allowed", message=message, pointer=f"{at}/workflow", hint=hint))
    return _placed(problems, data)


def _forbidden_type(task: Task, at: str, allowed: Sequence[str]) -> Problem:
    return Problem(
        code="not_allowed",
        message=f"tasks of the type {quoted(task.type)} are not taken here",
        pointer=f"{at}/type",
        hint=_listed(allowed, "task types") if allowed else "This inbox takes requests for known workflows only.",
    )


def _tasks(workflow: Workflow, at: str) -> Iterator[tuple[str, Task]]:
    """Yield every task with its pointer, those of hooks and of documents inside tasks too."""
    for phase, tasks in workflow.phases().items():
        for position, task in enumerate(tasks):
            own = f"{at}/{phase}/{position}"
            yield own, task
            if task.inner is not None:
                yield from _tasks(task.inner.workflow, f"{own}/workflow")


def _listed(allowed: Sequence[str], what: str) -> str:
    return f"The {what} taken here: {', '.join(allowed) or 'none'}."


def _placed(problems: Sequence[Problem], data: bytes) -> list[Problem]:
    if not problems:
        return []
    text = data.decode("utf-8-sig", "replace")
    found = positions.spots(text, {name for problem in problems for name in positions.lineage(problem.pointer)})
    placed = []
    for problem in problems:
        line, column = positions.place(text, found, problem.pointer)
        placed.append(msgspec.structs.replace(problem, line=line, column=column))
    return placed


def _complaint(code: str, problems: Sequence[Problem], hint: str | None = None) -> Complaint:
    message = problems[0].message if len(problems) == 1 and problems[0].line is None else counted(problems)
    hint = hint or (problems[0].hint if len(problems) == 1 else None)
    return Complaint(code=code, message=message, problems=tuple(problems), hint=hint)
