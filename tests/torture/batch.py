"""Carry out one batch of one part in this process: `python -m tests.torture.batch PART SEED NUMBER COUNT`.

Prints the Tally as JSON on its last line. `python -m tests.torture` starts these; by hand it repeats a batch.
"""

import sys
import tempfile
from pathlib import Path

import msgspec

from tests.torture import parts
from tests.torture.part import Batch


def main(arguments: list[str]) -> int:
    """Do it; the exit status says whether there were violations."""
    name, seed, number, count = arguments
    with tempfile.TemporaryDirectory(prefix=f"dropmill-{name}-") as folder:
        tally = parts.load(name).carry_out(Batch(int(seed), int(number), int(count), Path(folder)))
    sys.stdout.write("\n" + msgspec.json.encode(tally).decode() + "\n")
    return 1 if tally.violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
