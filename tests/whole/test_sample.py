"""The sample configuration as a new user meets it: it holds, and the workflows it schedules run on this machine."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from daemon.config import load
from tests.rules.source import ROOT


def dropmill(folder, *words):
    program = [sys.executable, "-c", "from daemon.cli import main; main()", *words]
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT)}
    return subprocess.run(program, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=50)


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(ROOT / "etc", tmp_path / "etc")
    return tmp_path


def test_the_sample_has_no_mistake(copy):
    done = dropmill(copy, "config", "check")
    assert (done.returncode, done.stderr) == (0, "")


def test_every_scheduled_workflow_runs_to_its_end(copy):
    for schedule in load(copy / "etc" / "dropmill.toml", {}).schedules:
        file = f"etc/workflows/{schedule.workflow}.json"
        params = [word for name, value in schedule.params.items() for word in ("--param", f"{name}={value}")]
        done = dropmill(copy, "run", "--ephemeral", "--json", file, *params)
        assert done.returncode == 0, done.stderr + done.stdout
        assert json.loads(done.stdout)["state"] == "COMPLETED"
