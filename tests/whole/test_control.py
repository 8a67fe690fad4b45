"""A real daemon: workflows that call workflows by name, and pools whose sizes change while it runs."""

import json
import os
import signal

from tests.waiting import wait_for


def shelve(mill, document):
    folder = mill.config.parent / "workflows"
    folder.mkdir(exist_ok=True)
    (folder / f"{document['name']}.json").write_text(json.dumps(document))


def test_a_called_workflow_outlives_a_kill_and_is_not_called_twice(mill):
    gate = mill.folder / "gate"
    shelve(mill, {"name": "child", "tasks": [mill.task("inner", until=str(gate)), mill.task("last", ("inner",))]})
    mill.start()
    call = {"id": "call", "type": "workflow", "workflow": "child"}
    run = mill.submit({"name": "parent", "tasks": [call, mill.task("after", ("call",))]})
    mill.wait_for_begin("inner")
    mill.kill()
    gate.touch()
    mill.start()
    assert mill.wait_for_end(run)["state"] == "COMPLETED"
    assert mill.rows("SELECT workflow, state FROM runs WHERE parent = ?", run) == [("child", "COMPLETED")]
    assert [entry.task for entry in mill.ledger() if entry.phase == "end"] == ["inner", "last", "after"]


def test_a_pool_that_grows_in_the_settings_grows_while_the_daemon_runs(mill):
    mill.configure("[pools.db]\nsize = 1\n")
    mill.start()
    tasks = [mill.task(f"t{n}", pool="db", until=str(mill.folder / "gate")) for n in range(2)]
    run = mill.submit({"tasks": tasks})
    mill.wait_for_begin("t0")
    mill.configure("[pools.db]\nsize = 2\n")
    os.kill(mill.pid, signal.SIGHUP)
    wait_for(lambda: "the configuration was read again" in mill.words(), "the reload")
    mill.wait_for_begin("t1")
    (mill.folder / "gate").touch()
    assert mill.wait_for_end(run)["state"] == "COMPLETED"
