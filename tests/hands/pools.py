"""Makes real pools for tests, small and quick to stop, and stops them."""

import contextlib
import uuid

from engine.attemptlog import AttemptLogs
from engine.limits import Limits
from engine.pool import Pool
from tests.hands.driver import ACTS

LIMITS = Limits(output_bytes=1_000_000, log_bytes=1_000_000)


@contextlib.contextmanager
def pools(folder):
    """Yield a function that makes a started pool; logs go to `folder`, and none outlives the block."""
    made = []

    def make(*, workers=2, folders=(ACTS,), builtin="", limits=LIMITS, grace_seconds=0.3, **more):
        pool = Pool(
            workers=workers,
            logs=AttemptLogs(folder, limits),
            folders=folders,
            limits=limits,
            grace_seconds=grace_seconds,
            state=uuid.uuid4().hex,
            builtin_package=builtin,
            **more,
        )
        made.append(pool)
        pool.start()
        return pool

    try:
        yield make
    finally:
        for pool in made:
            pool.stop(0.0)
