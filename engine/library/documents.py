"""Documents as programs give them: a dict, JSON text or bytes, or the path of a file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine import loader
from engine import params as engine_params
from engine.errors import DocumentInvalidError
from engine.limits import Limits
from engine.submission import Submission
from engine.task import Catalogue

Document = Mapping[str, Any] | str | bytes | Path


def submission(workflow: Document, given: Mapping[str, Any], catalogue: Catalogue, limits: Limits) -> Submission:
    """Judge a document and its parameters.

    Raises DocumentInvalidError or ParamsInvalidError with every problem.
    """
    document, name = read(workflow)
    loaded, problems = loader.load(document, catalogue, limits)
    if loaded is None:
        raise DocumentInvalidError(problems, name)
    resolved = engine_params.resolve(loaded, given)
    return Submission(workflow=loaded, document=document, params=resolved, trigger={"type": "api", "origin": "library"})


def read(workflow: Document) -> tuple[bytes, str | None]:
    """Return the document as bytes, and its path if it came from one."""
    if isinstance(workflow, Path):
        return workflow.read_bytes(), str(workflow)
    if isinstance(workflow, bytes):
        return workflow, None
    if isinstance(workflow, str):
        # No JSON document begins like a path does; a text that is neither is judged, and refused, as JSON.
        if not workflow.lstrip().startswith(("{", "[")) and Path(workflow).is_file():
            return Path(workflow).read_bytes(), workflow
        return workflow.encode(), None
    return json.dumps(workflow, ensure_ascii=False).encode(), None


def folder_of(workflow: Document) -> Path:
    """Return the folder a document lies in, the current one for what is no file."""
    path = read(workflow)[1]
    return Path.cwd() if path is None else Path(path).parent
