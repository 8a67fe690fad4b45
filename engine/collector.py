"""Keeps Python's cyclic collector from walking a large structure again and again while it is built.

Nothing else of memory is our business. Called by `loader`, and by whoever builds something of a task each.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# So many new objects are worth moving; it is what some 10,000 tasks are made of.
_MANY = 100_000


@contextmanager
def paused() -> Iterator[None]:
    """Collect no cycles within; a growing document costs 3 to 5 times as much with them.

    If very much was built it counts as old afterwards, so that the next collection does not walk all of it either.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            # Together these two move everything to the oldest generation, without looking at it; but what a program
            # has frozen for good would be thawed. Python does not count what is moved so when it decides whether to
            # look at that generation: done for every small document, what has ended would never be collected.
            if gc.get_count()[0] > _MANY and not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()
            gc.enable()
