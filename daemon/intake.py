"""The one door: every source hands its submissions in here and gets one receipt.

Judges the document once and completely, resolves the parameters, and asks the executor for the run. Keeps the plans of
documents seen lately, so that a workflow dropped a thousand times is planned once.
"""

from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec

from daemon.library import Library
from daemon.plans import Plans
from daemon.plans import judge as judge  # noqa: PLC0414 -- handed on to whoever judges and submits nothing
from engine import params
from engine.executor import Executor
from engine.limits import Limits
from engine.plan import Plan
from engine.submission import Receipt, Submission
from engine.task import Catalogue


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Say where a submission comes from and what came along with it; see `engine.submission.Submission`."""

    trigger: dict[str, Any]
    params: Mapping[str, Any] = {}
    idempotency_key: str | None = None
    priority: int = 0
    run_at: float | None = None
    claim: str | None = None
    due: tuple[str, float] | None = None
    labels: dict[str, str] = {}
    reused: dict[str, bytes] = {}
    expansions: dict[str, bytes] = {}
    called: dict[str, str] = {}
    use_cache: bool = True


class Prepared(msgspec.Struct, frozen=True):
    """Hold a submission that passed every check, and the plan of its workflow."""

    submission: Submission
    plan: Plan


class Intake:
    """Turn documents and names into runs; safe from any thread."""

    def __init__(self, executor: Executor, library: Library, limits: Limits, plans: Plans | None = None) -> None:
        """Compose it; `plans` are those that it shares with whoever else plans documents."""
        self._executor, self.library = executor, library
        self._plans = Plans(library, limits) if plans is None else plans

    def submit(self, document: bytes, origin: Origin, *, name: str = "") -> Receipt:
        """Run a workflow document and return the receipt when the run is recorded durably.

        Raises as `offer` does, or what kept the run from being recorded.
        """
        return self.offer(document, origin, name=name).result()

    def offer(self, document: bytes, origin: Origin, *, name: str = "") -> "Future[Receipt]":
        """Judge a workflow document and ask for its run; the receipt comes when the run is recorded durably.

        `name` is used for a document that gives itself none. Raises DocumentInvalidError or ParamsInvalidError with
        every problem; nothing is recorded then.
        """
        return self.enter(self.prepare(document, origin, name=name))

    def prepare(
        self, document: bytes, origin: Origin, *, name: str = "", catalogue: Catalogue | None = None
    ) -> "Prepared":
        """Judge a submission and record nothing; `enter` asks for its run. Raises as `offer` does.

        Who prepares many at once asks for the `catalogue` once and hands it in.
        """
        plan = self.plan(document, name=name, catalogue=catalogue)
        given = params.resolve(plan.workflow, origin.params)
        submission = Submission(
            workflow=plan.workflow,
            document=document,
            params=given,
            trigger=origin.trigger,
            idempotency_key=origin.idempotency_key,
            priority=origin.priority,
            run_at=origin.run_at,
            claim=origin.claim,
            due=origin.due,
            labels=origin.labels,
            reused=origin.reused,
            expansions=origin.expansions,
            called=origin.called,
            use_cache=origin.use_cache,
        )
        return Prepared(submission, plan)

    def enter(self, prepared: "Prepared") -> "Future[Receipt]":
        """Ask for the run of a submission that was judged; the receipt comes when it is recorded durably."""
        return self._executor.submit(prepared.submission, prepared.plan)

    def catalogue(self) -> Catalogue:
        """Return the task types that can be run now."""
        return self._executor.catalogue().result()

    def submit_named(self, name: str, origin: Origin) -> Receipt:
        """Run a workflow known by name.

        Raises WorkflowUnknownError, or as `submit` does.
        """
        return self.submit(self.read(name), origin, name=Path(name).stem)

    def read(self, name: str) -> bytes:
        """Return the document of a workflow given by name, or by path if there is a slash or an ending in it.

        Raises WorkflowUnknownError or InputError.
        """
        return self._plans.read(name)

    def plan(self, document: bytes, *, name: str = "", catalogue: Catalogue | None = None) -> Plan:
        """Judge a document and make its plan, or take the one made before.

        Raises DocumentInvalidError with every problem.
        """
        catalogue = self.catalogue() if catalogue is None else catalogue
        return self._plans.plan(document, catalogue, name=name)
