"""What a fresh process has to carry: a worker none of the heavy libraries, the pure floors none of them either."""

import importlib.util
import subprocess
import sys

import pytest

from tests.rules.source import ROOT, sources
from tests.rules.test_purity import pure_modules

HEAVY = {"alembic", "apscheduler", "click", "loguru", "requests", "rich", "sqlalchemy", "watchdog"}
# What a worker process has imported before it sees its first task.
WORKER_MODULES = ["engine.forkserver", "engine.worker", "engine.runner"]


def loaded_by(*modules: str) -> set[str]:
    """Import these modules in a fresh interpreter and name every top-level module that came with them."""
    program = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program, *modules], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize("module", WORKER_MODULES)
def test_a_fresh_worker_carries_no_heavy_library(module):
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not written yet")
    assert loaded_by(module) & HEAVY == set()


def test_the_pure_floors_carry_no_heavy_library():
    present = sorted(pure_modules() & {source.name for source in sources()})
    assert present
    assert loaded_by(*present) & HEAVY == set()


def test_a_heavy_library_is_seen():
    assert "loguru" in loaded_by("loguru") & HEAVY
