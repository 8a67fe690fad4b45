"""Due instants on their way through the one door: all that are due together are offered before the first is waited for.

Reads each workflow once for all schedules that are due with it. Called by `Schedules`.
"""

from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

from daemon.config import Schedule
from daemon.intake import Intake, Origin
from engine.clock import rfc3339
from engine.errors import InputError
from engine.submission import Receipt
from engine.task import Catalogue

Start = tuple[Schedule, float]


class Starting:
    """Submit what is due; paths of workflows start at `folder`, that of the configuration."""

    def __init__(self, intake: Intake, folder: Path) -> None:
        """Compose it."""
        self._intake, self._folder = intake, folder

    def start(self, due: Sequence[Start]) -> list[Receipt | InputError]:
        """Ask for the run of each (schedule, instant) and return its receipt, or why there can be no run.

        Raises what keeps the runs from being recorded.
        """
        catalogue = self._intake.catalogue()
        documents: dict[str, bytes | InputError] = {}
        offers = [self._offer(settings, instant, catalogue, documents) for settings, instant in due]
        return [offer if isinstance(offer, InputError) else offer.result() for offer in offers]

    def check(self, schedules: Sequence[Schedule]) -> list[str]:
        """Judge the workflow and the parameters of each schedule as if it were due: why it could not run, or ""."""
        if not schedules:
            return []
        catalogue = self._intake.catalogue()
        documents: dict[str, bytes | InputError] = {}
        return [self._complaint(settings, catalogue, documents) for settings in schedules]

    def _offer(
        self, settings: Schedule, due: float, catalogue: Catalogue, documents: dict[str, bytes | InputError]
    ) -> "Future[Receipt] | InputError":
        origin = Origin(
            trigger={"type": "schedule", "name": settings.name, "due": rfc3339(due)},
            params=settings.params,
            priority=settings.priority,
            due=(settings.name, due),
        )
        name = Path(settings.workflow).stem if self._is_path(settings.workflow) else settings.workflow
        try:
            document = self._document(settings.workflow, documents)
            prepared = self._intake.prepare(document, origin, name=name, catalogue=catalogue)
        except InputError as error:
            return error
        return self._intake.enter(prepared)

    def _complaint(self, settings: Schedule, catalogue: Catalogue, documents: dict[str, bytes | InputError]) -> str:
        origin = Origin(trigger={"type": "schedule"}, params=settings.params)
        try:
            document = self._document(settings.workflow, documents)
            self._intake.prepare(document, origin, name=settings.workflow, catalogue=catalogue)
        except InputError as error:
            return str(error)
        return ""

    def _document(self, workflow: str, documents: dict[str, bytes | InputError]) -> bytes:
        known = documents.get(workflow)
        if known is None:
            try:
                place = str(self._folder / workflow) if self._is_path(workflow) else workflow
                known = self._intake.read(place)
            except InputError as error:
                known = error
            documents[workflow] = known
        if isinstance(known, InputError):
            raise known
        return known

    @staticmethod
    def _is_path(workflow: str) -> bool:
        return "/" in workflow or workflow.endswith(".json")
