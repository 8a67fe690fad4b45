"""The harness proves itself: bugs are put into a copy of the tree, one at a time, and each has to be caught.

A case is a bug. Its catcher (the cheapest test or part that should see it) passes on the tree as it is and fails on the
one with the bug; which did, and how fast, becomes a table. Which bugs there are is in `bugs`.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.rules.source import ROOT
from tests.torture.part import Batch, Part, Tally
from tests.torture.seeded.bugs import BUGS, Bug

_TREE = ("engine", "daemon", "plugins", "tests", "etc", "pyproject.toml")
_PASSED, _FAILED = 0, 1
_LONGEST_SECONDS = 600.0


def copy_tree(target: Path) -> None:
    """Copy what tests need of the tree."""
    for name in _TREE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / name)


def plant(bug: Bug, tree: Path) -> None:
    """Put a bug into a tree; AssertionError where the text that it changes is not there exactly once."""
    for edit in bug.edits:
        path = tree / edit.path
        text = path.read_text()
        assert text.count(edit.old) == 1, f"{bug.name}: {edit.path} holds {text.count(edit.old)} times {edit.old!r}"
        path.write_text(text.replace(edit.old, edit.new))


def try_out(tree: Path, catcher: str) -> tuple[int, float, str]:
    """Run a catcher on a tree; return its exit status, how long it took, and its last words."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *catcher.split(" ", 2)],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "DROPMILL_SEED": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=_LONGEST_SECONDS,
    )
    return done.returncode, time.monotonic() - began, _last_words(done.stdout)


def _last_words(said: str) -> str:
    failed = [line for line in said.splitlines() if line.startswith("FAILED")]
    return (failed or said.splitlines() or [""])[-1][:300]


def _carry_out(batch: Batch) -> Tally:
    tally = Tally(cases=0, counts={"caught": 0})
    first = batch.number * PART.batch
    for bug in BUGS[first : first + batch.count]:
        tally.cases += 1
        trouble = _prove(bug, batch.folder / bug.name, tally)
        if trouble:
            tally.violations.append(f"{bug.name}: {trouble}")
    return tally


def _prove(bug: Bug, folder: Path, tally: Tally) -> str:
    """See that a bug is caught; return what is wrong, nothing if it is."""
    copy_tree(folder)
    status, _, said = try_out(folder, bug.catcher)
    if status != _PASSED:
        return f"{bug.catcher} does not pass without the bug (status {status}): {said}"
    plant(bug, folder)
    status, seconds, said = try_out(folder, bug.catcher)
    if status != _FAILED:
        return f"{bug.catcher} does not catch it (status {status}): {said}"
    tally.counts["caught"] += 1
    sys.stdout.write(f"| {bug.name} | {bug.what} | `{bug.catcher}` | {seconds:.1f} |\n")
    sys.stdout.flush()
    return ""


PART = Part(
    name="seeded",
    unit="seeded bugs",
    promise="A bug of a kind that this harness is for is seen by it.",
    goal=len(BUGS),
    batch=1,
    lane="troubles",
    carry_out=_carry_out,
)
