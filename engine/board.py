"""A page of memory that pool and workers share: which attempt each worker has begun last, which one it is asked to end.

It answers at no cost what no message can: what a worker that is dead now had begun. And a signal, which only says
"end", gets its addressee from it, so that it never hits the attempt that came after. The pool makes it, its fork
servers inherit it, each worker has a slot.
"""

import mmap
import os

_CELL_BYTES = 8
_CELLS = 2  # begun, asked
SLOTS = 4096


class Board:
    """Hold the sequence number begun last and the one asked to end, for each slot; 0 is none."""

    def __init__(self, descriptor: int) -> None:
        """Share the page behind a descriptor that `make` returned, here or in another process."""
        self._memory = mmap.mmap(descriptor, SLOTS * _CELLS * _CELL_BYTES)
        self._cells = memoryview(self._memory).cast("q")

    @staticmethod
    def make() -> int:
        """Make the page and return its descriptor; close it when every process that needs it has it."""
        descriptor = os.memfd_create("dropmill-board", os.MFD_CLOEXEC)
        os.ftruncate(descriptor, SLOTS * _CELLS * _CELL_BYTES)
        return descriptor

    def begun(self, slot: int) -> int:
        """Return the number of the attempt that the worker began last."""
        return self._cells[slot * _CELLS]

    def asked(self, slot: int) -> int:
        """Return the number of the attempt that the worker is asked to end."""
        return self._cells[slot * _CELLS + 1]

    def begin(self, slot: int, seq: int) -> None:
        """Say that this attempt has begun; the worker calls it before the first instruction of the plugin."""
        self._cells[slot * _CELLS] = seq

    def ask(self, slot: int, seq: int) -> None:
        """Ask for the end of this attempt; the pool calls it before it has the signal sent."""
        self._cells[slot * _CELLS + 1] = seq

    def clear(self, slot: int) -> None:
        """Prepare the slot for a new worker."""
        self.begin(slot, 0)
        self.ask(slot, 0)

    def close(self) -> None:
        """Let go of the page here; the others keep theirs."""
        self._cells.release()
        self._memory.close()
