"""One run by the daemon that owns the state folder: handed in over its socket, and followed there to its end.

Called by `run` and `submit`; `running` is the same in this process. Reads the events of the run as they are recorded.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from queue import SimpleQueue
from typing import Any

import msgspec

from daemon.cli.calling import Daemon, of_run
from daemon.cli.documents import Document
from daemon.cli.running import Ended, Show
from daemon.cli.watching.following import Died, Heard, Item, Signals, follow, settle
from daemon.cli.watching.progress import Change, Progress
from daemon.config import Config
from daemon.intake import Origin, judge
from daemon.ownership import owner_of
from engine.clock import epoch, rfc3339
from engine.errors import DaemonAbsentError, DaemonRefusedError, DropmillError
from engine.model import Workflow
from engine.plan import Plan
from engine.states import State
from engine.submission import Receipt
from engine.task import Catalogue
from engine.views import EventView

_LOOK_SECONDS = 0.1
_AGAIN = "once more leaves that to the daemon"


class There:
    """Have one document run by the daemon."""

    def __init__(self, config: Config, document: Document) -> None:
        """Ask nothing yet."""
        self._config, self._document = config, document
        self._daemon = Daemon(config)
        self._heard: Heard = SimpleQueue()

    def run(self, make_origin: Callable[[Workflow], Origin], show: Show, say: Callable[[str], None]) -> Ended:
        """Hand it in and follow; `say` tells what is waited for. Raises what a submission raises."""
        with Signals() as signals:
            plan = self._plan(self._catalogue(say))
            origin = make_origin(plan.workflow)
            # From here on there is a run to cancel.
            signals.into(self._heard)
            receipt = self._submit(origin)
            try:
                return self._watch(receipt, plan, show)
            except DaemonAbsentError:
                say(f"the daemon is gone; run {receipt.run} is recorded, and the next daemon takes it up")
                raise
            finally:
                signals.into(None)

    def hand_in(self, make_origin: Callable[[Workflow], Origin]) -> tuple[Receipt, str]:
        """Hand it in, wait for nothing, and return the name of the workflow too. Raises what a submission raises."""
        workflow = self._plan(self._daemon.catalogue()).workflow
        return self._submit(make_origin(workflow)), workflow.name

    def _submit(self, origin: Origin) -> Receipt:
        body = request(self._document.data, origin)
        view, is_new = self._daemon.submit(body, file=self._document.shown, name=self._document.name)
        return Receipt(run=view.id, is_new=is_new, state=view.state)

    def _plan(self, catalogue: Catalogue) -> Plan:
        # Judged here too: places of problems are those in the file, and the picture needs the tasks.
        return judge(self._document.data, catalogue, self._config.limits, name=self._document.name)

    def _catalogue(self, say: Callable[[str], None]) -> Catalogue:
        """Ask the daemon for its task types, and wait for one that is about to start."""
        pause, was_said = threading.Event(), False
        while True:
            try:
                return self._daemon.catalogue()
            except DaemonAbsentError:
                owner = owner_of(self._config.paths.state)
                if owner is None or owner.kind != "daemon":
                    raise
                if not was_said:
                    was_said = True
                    say(f"waiting: {owner} is starting, or about to stop")
                pause.wait(_LOOK_SECONDS)

    def _watch(self, receipt: Receipt, plan: Plan, show: Show) -> Ended:
        if not receipt.is_new:
            # The run that answers for this one may have been made from another document.
            plan = _plan_of(self._daemon, self._config, receipt.run)
        return _watched(self._daemon, receipt, plan, show, self._heard)


def wait_for(config: Config, run: str, show: Show) -> Ended:
    """Follow a run that was handed in by other means to its end."""
    daemon, heard = Daemon(config), SimpleQueue[Item]()
    with Signals() as signals:
        receipt = Receipt(run=run, is_new=True, state=State.PENDING)
        plan = _plan_of(daemon, config, run)
        signals.into(heard)
        ended = _watched(daemon, receipt, plan, show, heard)
        signals.into(None)
    return ended


def _plan_of(daemon: Daemon, config: Config, run: str) -> Plan:
    return judge(daemon.document(run), daemon.catalogue(), config.limits, name=daemon.run(run).workflow)


def _watched(daemon: Daemon, receipt: Receipt, plan: Plan, show: Show, heard: Heard) -> Ended:
    """Follow a run of the daemon to its end, or to the second signal."""
    progress = Progress((key, planned.task.type) for key, planned in plan.tasks.items())
    view = show(receipt, plan, progress)
    over = threading.Event()
    thread = threading.Thread(target=_listen, args=(daemon, receipt.run, heard, over), name="events", daemon=True)
    thread.start()

    def cancel() -> None:
        try:
            daemon.post(of_run(receipt.run, "cancel"))
        except DaemonRefusedError as error:
            view.note(str(error))

    try:
        cut = follow(heard, progress, view, cancel, again=_AGAIN)
    finally:
        over.set()
        thread.join()
        settle(heard, progress)
    return Ended(daemon.run(receipt.run), plan, progress, receipt.is_new, cut, None)


def request(document: bytes, origin: Origin) -> bytes:
    """Write a request that holds its workflow, which is known to be sound JSON, byte for byte."""
    more: dict[str, Any] = {"params": origin.params, "priority": origin.priority}
    if origin.idempotency_key is not None:
        more["idempotency_key"] = origin.idempotency_key
    if origin.run_at is not None:
        more["run_at"] = rfc3339(origin.run_at)
    if not origin.use_cache:
        more["use_cache"] = False
    return msgspec.json.encode({"workflow": msgspec.Raw(document.removeprefix(b"\xef\xbb\xbf").strip())} | more)


def _listen(daemon: Daemon, run: str, heard: Heard, over: threading.Event) -> None:
    last = 0
    while not over.is_set():
        try:
            events = daemon.events(run, last)
        except DropmillError as error:
            heard.put(Died(error))
            return
        if events:
            last = events[-1].id
            heard.put(list(changes(events)))
        else:
            over.wait(_LOOK_SECONDS)


def changes(events: Iterable[EventView]) -> Iterator[Change]:
    """Read what events change for a watcher; those that change no state change nothing.

    An attempt that failed and its task that is tried again are two events and one change.
    """
    told = [event for event in events if event.state is not None]
    for before, event, behind in zip([None, *told], told, [*told[1:], None], strict=False):
        if not _is_retried(event, behind):
            message = before.message if before is not None and _is_retried(before, event) else event.message
            state = State(event.state or State.PENDING)
            yield Change(event.task, state, epoch(event.at), event.attempt or 0, event.reason, message)


def _is_retried(event: EventView, behind: EventView | None) -> bool:
    if behind is None or event.state is not State.FAILED:
        return False
    return (behind.state, behind.task, behind.attempt) == (State.RETRYING, event.task, event.attempt)
