"""What waits and for what, as a snapshot: for a slot of a pool, for earlier runs, for a person. Values only."""

import msgspec

from engine.quotas import Standing


class TaskWait(msgspec.Struct, frozen=True, kw_only=True):
    """Show the next task of a run that waits for a pool, and how many runs are ahead of it."""

    pool: str
    run: str
    task: str
    ahead: int


class RunWait(msgspec.Struct, frozen=True, kw_only=True):
    """Show a run that waits for earlier runs of its workflow with the same concurrency key."""

    run: str
    workflow: str
    key: str
    ahead: int


class PersonWait(msgspec.Struct, frozen=True, kw_only=True):
    """Show a task that waits for a person; `until` is wall seconds, where somebody decides for them then."""

    run: str
    task: str
    message: str
    until: float | None


class Waits(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what waits, in the order in which it goes on, and how the pools stand."""

    pools: tuple[Standing, ...] = ()
    tasks: tuple[TaskWait, ...] = ()
    runs: tuple[RunWait, ...] = ()
    persons: tuple[PersonWait, ...] = ()
