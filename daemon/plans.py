"""Documents judged and planned once: for the intake, and for tasks that call workflows by name or path.

A document that was seen before under the same catalogue of task types has its plan already. Safe from any thread.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from daemon.library import Library
from daemon.rerun import Former, reusable
from engine import documentfile, loader
from engine.calls import Found, Repeated
from engine.errors import DocumentInvalidError, InputError, RunUnknownError
from engine.history import History
from engine.limits import Limits
from engine.plan import Plan, make_plan
from engine.task import Catalogue
from engine.views import RunView

_PLANS_KEPT = 64


class Plans:
    """Find documents by name and keep the last plans; obeys `engine.calls.Workflows`."""

    def __init__(self, library: Library, limits: Limits, history: History | None = None) -> None:
        """Compose it; without a `history` nothing is taken over from earlier runs."""
        self._library, self._limits, self._history = library, limits, history
        self._plans: OrderedDict[tuple[str, str], tuple[Catalogue, Plan]] = OrderedDict()

    def read(self, name: str) -> bytes:
        """Return the document of a workflow given by name, or by path if there is a slash or an ending in it.

        Raises WorkflowUnknownError or InputError.
        """
        path = Path(name) if "/" in name or name.endswith(".json") else self._library.find(name)
        try:
            return documentfile.read(path, self._limits.document_bytes)
        except OSError as error:
            message = f"the workflow {name} cannot be read: {error.strerror or error}"
            raise InputError(message) from None

    def plan(self, document: bytes, catalogue: Catalogue, *, name: str = "") -> Plan:
        """Judge a document and make its plan, or take the one made before; `name` is for one that gives itself none.

        Raises DocumentInvalidError with every problem.
        """
        key = (hashlib.sha256(document).hexdigest(), name)
        known, plan = self._plans.get(key, (None, None))
        if plan is None or known is not catalogue:
            plan = judge(document, catalogue, self._limits, name=name)
            self._plans[key] = catalogue, plan
            while len(self._plans) > _PLANS_KEPT:
                self._plans.popitem(last=False)
        return plan

    def find(self, reference: str, catalogue: Catalogue) -> Found:
        """Return the workflow of this name or path; raises as `read` and `plan` do."""
        document = self.read(reference)
        plan = self.plan(document, catalogue, name=Path(reference).stem)
        return Found(plan.workflow, document, plan)

    def repeated(self, run: str, found: Found, params: Mapping[str, Any]) -> Repeated:
        """Return what completed in a run that has ended; nothing if that was of another document, or of other params.

        Nothing, too, where nobody knows the run any more.
        """
        if self._history is None:
            return Repeated()
        try:
            view = self._history.run(run)
            if view.params != params or self._history.document_of(run) != found.document:
                return Repeated()
            kept = reusable(former(self._history, view), found.plan, None)
        except RunUnknownError:
            return Repeated()
        return Repeated(kept.reused, kept.expansions, kept.called)


def former(history: History, view: RunView) -> Former:
    """Gather what is known of a run that is to be repeated.

    Raises RunUnknownError if it was pruned meanwhile.
    """
    return Former(
        run=view.id,
        states={task.id: task.state for task in view.tasks or ()},
        outputs=history.outputs(view.id),
        expansions=history.expansions(view.id),
        called={child.task: child.run for child in sorted(view.children or (), key=lambda child: child.attempt)},
    )


def judge(document: bytes, catalogue: Catalogue | None, limits: Limits, *, name: str = "") -> Plan:
    """Load a document and plan it; `name` is for one that gives itself none, no catalogue for one judged before.

    Raises DocumentInvalidError with every problem.
    """
    workflow, problems = loader.load(document, catalogue, limits)
    if workflow is None:
        raise DocumentInvalidError(problems, name or None)
    if workflow.name == "unnamed" and name:
        workflow = msgspec.structs.replace(workflow, name=name)
    return make_plan(workflow, limits)
