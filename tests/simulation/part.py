"""The simulation as a part of the torture: so many histories of thirty days a batch, in a process of their own."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from tests.torture.part import Batch, Part, Tally

_ROOT = Path(__file__).parents[2]
_SHOWN = 300


def carry_out(batch: Batch) -> Tally:
    """Play the histories of a batch; each has the seed with which `python -m tests.simulation` repeats it."""
    first = batch.seed * 1_000_000 + batch.number * batch.count
    tally = Tally(cases=0)
    counts: Counter[str] = Counter()
    for told in played(str(first), str(batch.count)):
        tally.cases += 1
        counts.update(told["counts"])
        tally.violations += [f"{told['replay']}: {one[:_SHOWN]}" for one in told["violations"]]
    if tally.cases < batch.count:
        tally.violations.append(f"the histories from seed {first} on broke off after {tally.cases} of {batch.count}")
    tally.counts = {name: counts[name] for name in ("crashes", "runs", "attempts", "instants", "files") if counts[name]}
    return tally


def played(*arguments: str) -> list[dict[str, Any]]:
    """Play histories in a process with a hash seed of its own, and return what it tells of each."""
    command = [sys.executable, "-m", "tests.simulation", *arguments, "--json"]
    environ = os.environ | {"PYTHONHASHSEED": "0"}
    done = subprocess.run(command, cwd=_ROOT, env=environ, capture_output=True, check=False)
    if done.stderr and done.returncode not in (0, 1):
        raise RuntimeError(done.stderr.decode()[-2000:])
    return [msgspec.json.decode(line) for line in done.stdout.splitlines()]


PART = Part(
    name="simulation",
    unit="histories of 30 days",
    promise="in simulated months with crashes at every seam, all that was accepted ends once, as the rules say",
    goal=2_000,
    batch=50,
    lane="reasoning",
    carry_out=carry_out,
)
