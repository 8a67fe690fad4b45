"""The engine as a library: run a workflow from a script or from async code, in this process, and get the result.

The same loader, run, executor, store and runner as in the daemon; attempts run in threads here (see `inline`).
"""

import asyncio
import contextlib
import json
import queue
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from engine import loader
from engine import params as engine_params
from engine.attemptlog import AttemptLogs
from engine.calls import Found, Repeated
from engine.clock import SystemClock
from engine.errors import DocumentInvalidError, InputError, WorkflowUnknownError
from engine.executor import Executor
from engine.facts import Finish, Order
from engine.history import History
from engine.inline import Inline
from engine.limits import Limits
from engine.plan import Plan, make_plan
from engine.problems import nearest
from engine.quotas import Quota
from engine.registry import Registry
from engine.store import Store
from engine.submission import Submission
from engine.task import Catalogue
from engine.values import Values
from engine.views import RunView

_DEFAULT_THREADS = 4
_GRACE_SECONDS = 5.0

Document = Mapping[str, Any] | str | bytes | Path


class Surroundings(msgspec.Struct, frozen=True):
    """What expressions find beside the document: environment variables and secrets by name."""

    env: Mapping[str, str] = {}
    secrets: Mapping[str, str] = {}


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
            document = path.read_bytes()
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

    def repeated(self, run: str, plan: Plan) -> Repeated:  # noqa: ARG002 -- all of it runs again
        """Take nothing over: a called workflow that is tried again runs as a whole."""
        return Repeated({}, {})


def run(  # noqa: PLR0913 -- one choice each, by name
    workflow: Document,
    params: Mapping[str, Any] | None = None,
    *,
    plugins: Sequence[Path | str] = (),
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    surroundings: Surroundings | None = None,
    registry: Registry | None = None,
    keep: Path | str | None = None,
    threads: int = _DEFAULT_THREADS,
    limits: Limits | None = None,
    pools: Mapping[str, Quota] | None = None,
) -> RunView:
    """Run a workflow to its end and return it as `dropmill show --json` would show it.

    `workflow` is a document as dict, JSON text or bytes, or the path of one. `plugins` are folders of plugin files,
    `settings` what the operator would write under [plugins.TYPE]; a `registry` of your own goes before `plugins`.
    `keep` is a state folder for the history; without it nothing is kept. `pools` are what the operator would write
    under [pools.NAME]. Workflows that tasks call by name are looked for beside the document. Raises
    DocumentInvalidError or ParamsInvalidError with every problem; a run that fails is a result.
    """
    if registry is None:
        registry = Registry(folders=plugins)
        registry.load()
    limits = limits or Limits()
    submission = _submission(workflow, params or {}, registry.catalogue(), limits)
    with _folder(keep) as folder:
        values = Values(folder / "values")
        store = Store(f"sqlite:///{folder / 'state.db'}", values=values, clock=SystemClock())
        logs = AttemptLogs(folder / "log", limits)
        backend = Inline(registry, workers=threads, logs=logs, settings=settings, limits=limits)
        choices: dict[str, Any] = {"limits": limits, "values": values, "pools": pools or {}}
        choices |= {"ambience": surroundings or Surroundings(), "workflows": Neighbours(_folder_of(workflow), limits)}
        key = _carry_out(submission, store, backend, choices)
        return History(f"sqlite:///{folder / 'state.db'}", values=values).run(key)


def _carry_out(submission: Submission, store: Store, backend: Inline, choices: Mapping[str, Any]) -> str:
    """Put an engine together, wait for the end of one run and take the engine apart again."""
    # Runs that have ended, those that tasks called among them, or what the engine died of.
    ended: queue.SimpleQueue[str | BaseException] = queue.SimpleQueue()

    def listen(run: str, orders: Sequence[Order], _now: float) -> None:
        if any(isinstance(order, Finish) for order in orders):
            ended.put(run)

    with contextlib.ExitStack() as parts:
        store.open()
        parts.callback(store.close)
        backend.start()
        parts.callback(backend.stop, 0.0)
        executor = Executor(
            store,
            backend,
            clock=SystemClock(),
            listeners=[listen],
            on_death=ended.put,
            **choices,
        )
        executor.start()
        parts.callback(executor.stop, 0.0)
        receipt = executor.submit(submission, make_plan(submission.workflow, choices["limits"])).result()
        while (end := ended.get()) != receipt.run:
            if isinstance(end, BaseException):
                raise end
        return receipt.run


async def execute(workflow: Document, params: Mapping[str, Any] | None = None, **choices: Any) -> RunView:
    """Do what `run` does without blocking the event loop of an async caller; the same arguments and errors."""
    return await asyncio.to_thread(run, workflow, params, **choices)


def _submission(workflow: Document, given: Mapping[str, Any], catalogue: Catalogue, limits: Limits) -> Submission:
    document, name = _read(workflow)
    loaded, problems = loader.load(document, catalogue, limits)
    if loaded is None:
        raise DocumentInvalidError(problems, name)
    resolved = engine_params.resolve(loaded, given)
    return Submission(workflow=loaded, document=document, params=resolved, trigger={"type": "api"})


def _read(workflow: Document) -> tuple[bytes, str | None]:
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


def _folder_of(workflow: Document) -> Path:
    path = _read(workflow)[1]
    return Path.cwd() if path is None else Path(path).parent


@contextlib.contextmanager
def _folder(keep: Path | str | None) -> Iterator[Path]:
    if keep is not None:
        yield Path(keep).absolute()
        return
    with tempfile.TemporaryDirectory(prefix="dropmill-") as folder:
        yield Path(folder)
