"""Tasks that have another workflow run: the run is found or made, and the task is told how it goes.

Works for the executor, in its thread; documents are looked for, and read, in a thread of their own. Which run belongs
to which attempt is known to the memory too: after a restart a call is made again and leads to the run it led to before.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import msgspec

from engine import params
from engine.assignments import origin_of
from engine.errors import DropmillError, ParamsInvalidError, WorkflowUnknownError
from engine.facts import Call, CancelAsked, ChildEnded, ChildStarted, Fact, Finish
from engine.limits import Limits
from engine.live import Live
from engine.model import Workflow
from engine.plan import Plan
from engine.points import sync_point
from engine.states import Reason, State
from engine.submission import Parent, Receipt, Submission
from engine.task import Catalogue
from engine.views import RunEnd

Tell = Callable[[str, Fact, float], None]
Attempt = tuple[str, str, int]  # run, task, number


class Found(NamedTuple):
    """A workflow that passed every check, its document as written, and its plan."""

    workflow: Workflow
    document: bytes
    plan: Plan


class Repeated(NamedTuple):
    """What a run may take over from an earlier one; see Submission."""

    reused: Mapping[str, bytes] = {}
    expansions: Mapping[str, bytes] = {}
    called: Mapping[str, str] = {}


class Workflows(Protocol):
    """Where calls find workflows and earlier runs; asked from a thread of its own."""

    def find(self, reference: str, catalogue: Catalogue) -> Found:
        """Return the workflow of this name or path.

        Raises WorkflowUnknownError, DocumentInvalidError or InputError.
        """
        ...

    def repeated(self, run: str, found: Found, params: Mapping[str, Any]) -> Repeated:
        """Return what completed in a run that has ended; nothing if that was of another document, or of other params.

        Nothing, too, where nobody knows the run any more.
        """
        ...


class Door(NamedTuple):
    """What calls ask of their owner, each in its thread but `later`.

    `submit` has a run recorded with the next ones, `ended` says how a run has ended, `later` has something carried out
    in the owner's thread, with the wall time then.
    """

    catalogue: Callable[[], Catalogue]
    submit: Callable[[Submission, Plan, "Future[Receipt]"], None]
    ended: Callable[[str], RunEnd | None]
    later: Callable[[Callable[[float], None]], None]


_NOTHING = Repeated()
# Deleted by a person between two lives; nobody can say any more what became of it.
_GONE = RunEnd(State.FAILED, None, "nothing is known of it any more", b"null")


class Calls:
    """Have workflows run for tasks of the runs in `live`, which the executor keeps."""

    def __init__(
        self, live: Mapping[str, Live], door: Door, tell: Tell, *, workflows: Workflows | None, limits: Limits
    ) -> None:
        """Start with none; without `workflows` only documents that tasks have in themselves can be called."""
        self._live, self._door, self._tell = live, door, tell
        self._workflows, self._limits = workflows, limits
        self._children: dict[Attempt, str] = {}
        self._parents: dict[str, Attempt] = {}
        # Calls whose run is not there yet, and why it is not wanted any more, where that is so.
        self._coming: dict[Attempt, Reason | None] = {}
        self._finder: ThreadPoolExecutor | None = None

    def know(self, child: str, parent: Parent) -> None:
        """Know a called run of an earlier life."""
        self._link(child, (parent.run, parent.task, parent.attempt))

    def make(self, key: str, call: Call) -> None:
        """Carry out a call of a run, a turn later: after a restart all runs are taken over by then.

        One that was made before leads to the run it led to.
        """
        attempt = (key, call.task, call.attempt)
        if attempt not in self._coming:
            self._coming[attempt] = None
            self._door.later(lambda now: self._make(attempt, call, now))

    def _make(self, attempt: Attempt, call: Call, now: float) -> None:
        live = self._live.get(attempt[0])
        if live is None:
            self._coming.pop(attempt, None)
            return
        child = self._children.get(attempt)
        if child is not None:
            self._coming.pop(attempt, None)
            self._tell(attempt[0], ChildStarted(call.task, call.attempt, child), now)
            return
        if live.depth >= self._limits.workflow_depth:
            message = f"it would be {live.depth + 1} deep; the limit workflow_depth is {self._limits.workflow_depth}"
            self._fail(attempt, message, now)
            return
        document = _inner(live, call.task)
        if document is not None and not call.repeats:
            self._submit(attempt, call, document, _NOTHING, now)
        else:
            self._look(attempt, call, document)

    def end(self, child: str, finish: Finish, now: float) -> None:
        """Tell the caller of a run that it has ended; harmless for one that nobody called."""
        attempt = self._unlink(child)
        if attempt is not None:
            run, task, number = attempt
            ended = ChildEnded(task, number, child, finish.state, finish.reason, finish.message, finish.output)
            self._tell(run, ended, now)

    def cancel(self, attempt: Attempt, reason: Reason, now: float) -> None:
        """End the run that an attempt called, or keep it from coming to be; harmless if it has ended.

        Where there is no call, since it could not be made again after a restart, the task need not wait for it.
        """
        child = self._children.get(attempt)
        if child is not None:
            self._tell(child, CancelAsked(reason, _made_by(attempt)), now)
        elif attempt in self._coming:
            self._coming[attempt] = reason
        else:
            run, task, number = attempt
            self._tell(run, ChildEnded(task, number, "", State.CANCELLED, reason), now)

    def stop(self) -> None:
        """Look for nothing more; what was looked for is asked again in a later life."""
        if self._finder is not None:
            self._finder.shutdown(wait=False, cancel_futures=True)

    def _look(self, attempt: Attempt, call: Call, inner: Found | None) -> None:
        """Find the workflow, and what may be taken over from an earlier run of it, without holding up the owner."""
        if self._finder is None:
            self._finder = ThreadPoolExecutor(1, thread_name_prefix="calls")
        catalogue = self._door.catalogue()
        looked = self._finder.submit(self._find, call, inner, catalogue)
        looked.add_done_callback(
            lambda done: (
                None if done.cancelled() else self._door.later(lambda now: self._found(attempt, call, done, now))
            )
        )

    def _find(self, call: Call, inner: Found | None, catalogue: Catalogue) -> tuple[Found, Repeated]:
        if self._workflows is None:
            if inner is None:
                raise WorkflowUnknownError(call.workflow or "")
            return inner, _NOTHING
        found = inner or self._workflows.find(call.workflow or "", catalogue)
        if not call.repeats:
            return found, _NOTHING
        given = params.resolve(found.workflow, call.params)
        return found, self._workflows.repeated(call.repeats, found, given)

    def _found(self, attempt: Attempt, call: Call, looked: "Future[tuple[Found, Repeated]]", now: float) -> None:
        error = looked.exception()
        if error is None:
            self._submit(attempt, call, *looked.result(), now)
        else:
            # Whatever it is, it is the trouble of one task: nobody else's run ends for it.
            told = str(error) if isinstance(error, DropmillError) else f"{type(error).__name__}: {error}"
            self._fail(attempt, told, now)

    def _submit(self, attempt: Attempt, call: Call, found: Found, repeated: Repeated, now: float) -> None:
        """Ask for the run; the memory knows whether there is one for this attempt already."""
        live = self._live.get(attempt[0])
        if live is None or self._coming.get(attempt) is not None:
            self._fail(attempt, "", now)
            return
        try:
            given = params.resolve(found.workflow, call.params)
        except ParamsInvalidError as error:
            self._fail(attempt, str(error), now)
            return
        trigger = {"type": "workflow", "run": attempt[0], "task": call.task, "workflow": live.plan.workflow.name}
        submission = Submission(
            workflow=found.workflow,
            document=found.document,
            params=given,
            trigger=trigger | {"origin": origin_of(live.trigger)},
            priority=live.priority,
            parent=Parent(*attempt, depth=live.depth),
            use_cache=live.use_cache,
            reused=dict(repeated.reused),
            expansions=dict(repeated.expansions),
            called=dict(repeated.called),
        )
        answer: Future[Receipt] = Future()
        # By way of the owner: what goes wrong in a callback of a future is swallowed, and the task would wait for ever.
        answer.add_done_callback(lambda done: self._door.later(lambda now: self._recorded(attempt, done.result(), now)))
        sync_point("calls.asked")
        self._door.submit(submission, found.plan, answer)

    def _recorded(self, attempt: Attempt, receipt: Receipt, now: float) -> None:
        """Tell the task of its run, which is recorded; it may have ended since."""
        sync_point("calls.recorded")
        unwanted = self._coming.pop(attempt, None)
        run, task, number = attempt
        self._tell(run, ChildStarted(task, number, receipt.run), now)
        if receipt.run in self._live:
            self._link(receipt.run, attempt)
            if unwanted is not None:
                self.cancel(attempt, unwanted, now)
            return
        end = self._door.ended(receipt.run) or _GONE
        self._tell(run, ChildEnded(task, number, receipt.run, end.state, end.reason, end.message, end.output), now)

    def _fail(self, attempt: Attempt, message: str, now: float) -> None:
        """Tell a task that there will be no run, for a reason, or since it is not wanted any more."""
        unwanted = self._coming.pop(attempt, None)
        run, task, number = attempt
        state, reason = (State.FAILED, Reason.INVALID) if unwanted is None else (State.CANCELLED, unwanted)
        self._tell(run, ChildEnded(task, number, "", state, reason, message), now)

    def _link(self, child: str, attempt: Attempt) -> None:
        self._children[attempt], self._parents[child] = child, attempt

    def _unlink(self, child: str) -> Attempt | None:
        attempt = self._parents.pop(child, None)
        if attempt is not None:
            self._children.pop(attempt, None)
        return attempt


def _inner(live: Live, task: str) -> Found | None:
    """Return the document that a task has in itself, under a name of its own; None if it has none."""
    planned = live.plan.at(task)
    inner, control = planned.task.inner, planned.control
    if inner is None or control is None or control.inner is None:
        return None
    workflow, plan = inner.workflow, control.inner
    if workflow.name == "unnamed":
        workflow = msgspec.structs.replace(workflow, name=f"{live.plan.workflow.name}.{planned.task.id}")
        plan = msgspec.structs.replace(plan, workflow=workflow)
    return Found(workflow, inner.document, plan)


def _made_by(attempt: Attempt) -> str:
    run, task, _ = attempt
    return f"task {task} of run {run}, which called it, does not wait for it any more"
