"""The workflows that lie in one folder, for tasks that call others by name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from engine import documentfile, loader
from engine.calls import Found, Repeated
from engine.errors import DocumentInvalidError, InputError, WorkflowUnknownError
from engine.limits import Limits
from engine.plan import make_plan
from engine.problems import nearest
from engine.task import Catalogue


class Neighbours:
    """The documents in one folder, for tasks that call workflows; obeys `engine.calls.Workflows`."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        """Look in this folder."""
        self._folder, self._limits = folder, limits

    def find(self, reference: str, catalogue: Catalogue) -> Found:
        """Return the workflow of this path, from this folder on, or of this name: that of its file without `.json`.

        Raises WorkflowUnknownError, DocumentInvalidError or InputError.
        """
        is_path = "/" in reference or reference.endswith(".json")
        path = self._folder / (reference if is_path else f"{reference}.json")
        try:
            document = documentfile.read(path, self._limits.document_bytes)
        except FileNotFoundError:
            raise WorkflowUnknownError(
                reference, nearest(reference, [each.stem for each in self._folder.glob("*.json")])
            ) from None
        except OSError as error:
            message = f"the workflow {reference} cannot be read: {error.strerror or error}"
            raise InputError(message) from None
        workflow, problems = loader.load(document, catalogue, self._limits)
        if workflow is None:
            raise DocumentInvalidError(problems, reference)
        if workflow.name == "unnamed":
            workflow = msgspec.structs.replace(workflow, name=path.stem)
        return Found(workflow, document, make_plan(workflow, self._limits))

    def repeated(self, run: str, found: Found, params: Mapping[str, Any]) -> Repeated:  # noqa: ARG002 -- all runs again
        """Take nothing over: a called workflow that is tried again runs as a whole."""
        return Repeated()
