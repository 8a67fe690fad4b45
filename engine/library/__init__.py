"""The engine as a library: run a workflow from a script or from async code, in this process, and get the result.

The same loader, run, executor, store and runner as in the daemon; attempts run in threads here (see `inline`). Its
rooms: `documents` (what programs hand in), `neighbours` (workflows called by name), `session` (Engine).
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from engine.library.documents import Document, folder_of
from engine.library.session import Engine, Status, Surroundings
from engine.views import RunView

__all__ = ["Document", "Engine", "Status", "Surroundings", "execute", "run"]


def run(workflow: Document, params: Mapping[str, Any] | None = None, **choices: Any) -> RunView:
    """Run a workflow to its end and return it as `dropmill show --json` would show it.

    `workflow` is a document as dict, JSON text or bytes, or the path of one; `choices` are those of Engine. Workflows
    that tasks call by name are looked for beside the document. Raises DocumentInvalidError or ParamsInvalidError with
    every problem; a run that fails is a result.
    """
    with Engine(**{"workflows": folder_of(workflow), **choices}) as engine:
        return engine.run(workflow, params)


async def execute(workflow: Document, params: Mapping[str, Any] | None = None, **choices: Any) -> RunView:
    """Do what `run` does without blocking the event loop of an async caller; the same arguments and errors."""
    return await asyncio.to_thread(run, workflow, params, **choices)
