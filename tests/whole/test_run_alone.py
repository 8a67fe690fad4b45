"""`dropmill run`, which owns its state folder for one run, killed on the way."""

import json
import os
import subprocess

import pytest

from engine.points import VARIABLE
from tests.rules.source import ROOT
from tests.torture.points import ONCE
from tests.waiting import wait_for
from tests.whole import checker
from tests.whole.mill import PROGRAM, Mill
from tests.whole.test_points import GROUPS

SETTINGS = "[limits]\nmax_lost = 1000\n"
# One run is asked for in the life of such a process; the other moments come in every turn.
FIRST = ONCE | {"executor.asked", "executor.created"}


def run_and_die(mill: Mill, point: str) -> None:
    document = mill.folder / "chain.json"
    document.write_text(json.dumps(mill.chain(3, seconds=0.01)))
    died = subprocess.run(
        [*PROGRAM, "--config", str(mill.config), "run", str(document)],
        env={"PATH": os.environ["PATH"], "HOME": str(mill.folder), "PYTHONPATH": str(ROOT), VARIABLE: point},
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert died.returncode == -9, died.stderr


@pytest.mark.parametrize("mill", [SETTINGS], indirect=True)
@pytest.mark.timeout(120)  # a command for each point
def test_a_run_whose_process_dies_at_any_named_moment_leaves_no_process_and_a_true_history(mill):
    points = [point for point in (*GROUPS["executor"], *GROUPS["store"]) if point != "executor.adopted"]
    witnesses = []
    for point in points:
        run_and_die(mill, point if point in FIRST else f"{point}#3")
        wait_for(lambda: not mill.processes(), "the end of its workers")
        witnesses.append(checker.witness(mill))
    shown = mill.call("show", "last", "--json")
    assert shown.returncode == 0, shown.stderr
    view = json.loads(shown.stdout)
    recorded = dict(
        mill.rows("SELECT t.key, t.state FROM tasks t JOIN runs r ON r.pk = t.run_pk WHERE r.id = ?", view["id"])
    )
    assert {task["id"]: task["state"] for task in view["tasks"]} == recorded
    done = mill.call("run", "--quiet", str(mill.folder / "chain.json"))
    assert done.returncode == 0, done.stderr
    mill.start()
    mill.wait_for_quiet()
    assert {state for (state,) in mill.rows("SELECT state FROM runs")} == {"COMPLETED"}
    checker.check(mill, tuple(witnesses))
