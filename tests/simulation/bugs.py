"""Bugs on purpose, each switched on for as long as its context lasts: what the simulation must see to be believed.

They stand here and nowhere in the product; `python -m tests.simulation --bug NAME` plays histories with one.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import msgspec

from daemon import recovery
from daemon.inbox.reconciling import Reconciling
from daemon.intake import Intake
from daemon.schedules import entry
from engine.executor import Executor
from engine.run import Run
from engine.run.nodes import Nodes
from engine.states import State
from engine.store import Store
from engine.submission import Receipt

Bug = Callable[[], contextlib.AbstractContextManager[Any]]


def no_compare_and_set() -> Any:
    """Take a report for what is under way now, whichever attempt it speaks of."""

    def awaited(nodes: Nodes, key: str, attempt: int) -> Any:
        node = nodes.by_key.get(key)
        return node if node is not None and node.is_under_way else None

    return patch.object(Nodes, "awaited", awaited)


def forgotten_timers() -> Any:
    """Arm nothing again after a restart."""
    return patch.object(Run, "waiting", lambda run: iter(()))


@contextlib.contextmanager
def acknowledged_before_commit() -> Iterator[None]:
    """Give the receipt, and record the run with the next thing that is written."""
    create, write, held = Store.create, Store.write, dict[int, list]()

    def create_later(store: Store, submissions: Any) -> list[Receipt]:
        held.setdefault(id(store), []).extend(submissions)
        return [Receipt(run=key, is_new=True, state="PENDING") for key, _, _ in submissions]

    def write_all(store: Store, batch: Any, now: float) -> Any:
        create(store, held.pop(id(store), []))
        return write(store, batch, now)

    with patch.object(Store, "create", create_later), patch.object(Store, "write", write_all):
        yield


@contextlib.contextmanager
def dispatched_before_commit() -> Iterator[None]:
    """Say of orders that they are recorded, and record them with the next ones."""
    write, held = Store.write, dict[int, list]()

    def write_later(store: Store, batch: Any, now: float) -> frozenset[str]:
        waiting = held.get(id(store), [])
        held[id(store)] = list(batch)
        for one in waiting:
            write(store, [one], now)
        return frozenset()

    with patch.object(Store, "write", write_later):
        yield


def unbounded_catchup() -> Any:
    """Run everything that was missed, however much and however old."""

    def missed(calendar: Any, last: float, now: float, policy: Any, rows: int) -> Any:
        return real(calendar, last, now, entry.CatchUp("all", 1e9, 10_000), rows)

    real = entry.missed
    return patch.object(entry, "missed", missed)


def keys_not_kept() -> Any:
    """Accept an idempotency key that was seen before."""
    prepare = Intake.prepare

    def forgetful(intake: Intake, document: bytes, origin: Any, **names: Any) -> Any:
        return prepare(intake, document, msgspec.structs.replace(origin, idempotency_key=None), **names)

    return patch.object(Intake, "prepare", forgetful)


def successes_forgotten() -> Any:
    """Take up a run as if what has completed in it had not."""
    snapshot = recovery._snapshot

    def forgetful(task: Any) -> Any:
        found = snapshot(task)
        is_done = found.state is State.COMPLETED
        return msgspec.structs.replace(found, state=State.PENDING) if is_done else found

    return patch.object(recovery, "_snapshot", forgetful)


def claims_not_taken_up() -> Any:
    """Leave what was claimed in a former life where it is."""
    return patch.object(Reconciling, "reconcile", lambda reconciling, trays, claims: None)


def early_timers() -> Any:
    """Ring at half the time."""
    arm = Executor._arm
    return patch.object(
        Executor, "_arm", lambda executor, run, fact, at, now: arm(executor, run, fact, now + (at - now) / 2, now)
    )


def lost_attempts_left() -> Any:
    """Take up a run without saying that its attempts are gone."""
    return patch.object(Run, "running", lambda run: iter(()))


BUGS: dict[str, Bug] = {
    bug.__name__.replace("_", "-"): bug
    for bug in (
        no_compare_and_set,
        forgotten_timers,
        acknowledged_before_commit,
        dispatched_before_commit,
        unbounded_catchup,
        keys_not_kept,
        successes_forgotten,
        claims_not_taken_up,
        early_timers,
        lost_attempts_left,
    )
}
