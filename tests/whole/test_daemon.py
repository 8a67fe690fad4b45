"""The daemon as a process of its own: what it promises while nothing and while everything goes wrong around it."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from engine import tree
from tests.plugins.servers import serving
from tests.rules.source import ROOT
from tests.waiting import wait_for, wait_for_file
from tests.whole import checker
from tests.whole.mill import Mill, names_in

LONG_GRACE = '[executor]\nworkers = 2\ngrace = "60s"\n'


def attempts(mill: Mill, run: str, task: str):
    """Return (number, state, reason) of every attempt."""
    query = (
        "SELECT a.number, a.state, a.reason FROM attempts a JOIN runs r ON r.pk = a.run_pk "
        "WHERE r.id = ? AND a.task = ? ORDER BY a.number"
    )
    return mill.rows(query, run, task)


def test_a_daemon_gets_ready_runs_what_it_is_given_and_leaves_no_process_behind(mill):
    mill.start()
    view = mill.wait_for_end(mill.submit(mill.chain(3)))
    mill.drop("chain.json", mill.chain(3))
    wait_for_file(mill.inbox / "done" / "chain.json")
    mill.wait_for_quiet()
    assert view["state"] == "COMPLETED"
    checker.check(mill)
    assert mill.stop() == 0
    assert mill.processes() == []


def test_a_result_file_holds_what_show_prints(mill):
    mill.start()
    mill.drop("chain.json", mill.chain(2))
    result = json.loads(wait_for_file(mill.inbox / "done" / "chain.json.result.json").read_bytes())
    shown = mill.call("show", "--json", result["id"])
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout) == result == mill.run(result["id"])


def test_every_example_dropped_into_a_fresh_copy_ends_in_done(mill):
    shutil.rmtree(mill.config.parent)
    shutil.copytree(ROOT / "etc", mill.config.parent)
    mill.start(DROPMILL__API__ENABLED="false", DROPMILL__EXECUTOR__WORKERS="3")
    examples = sorted((ROOT / "etc" / "examples").glob("*.json"))
    with serving() as web:
        for path in examples:
            document = json.loads(path.read_bytes())
            if path.stem == "http":  # its usual port may be in use, also by another test
                document["params"]["url"]["default"] = web.url('/json/[{"city":"Rome","total":99.5}]', "localhost")
            mill.drop(path.name, document)
        mill.wait_for_quiet()
    assert names_in(mill.inbox / "done") == {
        name for path in examples for name in (path.name, f"{path.name}.result.json")
    }
    checker.check(mill)


def test_a_second_daemon_on_the_state_folder_ends_with_66_and_says_who_has_it(mill):
    mill.start()
    before = mill.pid
    second = mill.call("serve")
    assert second.returncode == 66
    assert str(before) in second.stderr
    assert [line[:9] for line in second.stderr.splitlines()] == ["dropmill:"]  # nothing was started, nothing stops
    assert mill.wait_for_end(mill.submit(mill.chain(2)))["state"] == "COMPLETED"
    assert mill.pid == before


def test_what_a_second_daemon_says_is_not_in_the_log_of_the_first(mill):
    mill.start()
    assert mill.call("serve").returncode == 66
    log = (mill.state / "log" / "dropmill.log").read_text()
    assert "ready" in log
    assert "in use" not in log


def test_the_plugin_folder_is_there_to_drop_into_and_a_broken_plugin_is_trouble_while_it_is(tmp_path):
    mill = Mill(tmp_path / "mill", "[paths]\n")
    try:
        mill.start()
        plugin = mill.state / "plugins" / "odd.py"
        plugin.write_text("def broken(:\n")
        said = wait_for(lambda: mill.ask("GET", "/api/v1/status")[1]["troubles"], "the trouble")
        assert len(said) == 1
        assert said[0].startswith(f"{plugin} cannot be used: line 1")
        plugin.write_text("TASK_TYPE = 'odd'\n\ndef run(task):\n    return True\n")
        wait_for(lambda: not mill.ask("GET", "/api/v1/status")[1]["troubles"], "the end of the trouble")
    finally:
        mill.close()


def test_a_stop_says_what_it_waits_for(mill):
    mill.start()
    mill.submit(mill.chain(1, until=str(mill.folder / "gate")))
    mill.wait_for_begin("t0")
    assert mill.stop() == 0
    words = mill.words()
    assert words.index("stopping: what runs gets 0.3 s to end") < words.index("stopped")


def test_what_runs_gets_the_grace_of_a_stop_then_is_cut_off_and_runs_again_in_the_next_life(mill):
    gate = mill.folder / "gate"
    mill.start()
    run = mill.submit(mill.chain(2, until=str(gate)))
    mill.drop("long.json", mill.chain(2, until=str(gate)))
    wait_for(lambda: len(mill.ledger()) == 2, "both first tasks")
    assert mill.stop() == 0
    assert mill.processes() == []
    assert attempts(mill, run, "t0") == [(1, "FAILED", "daemon_stopped")]
    assert mill.rows("SELECT state FROM runs") == [("RUNNING",), ("RUNNING",)]
    gate.touch()
    mill.start()
    assert mill.wait_for_end(run)["state"] == "COMPLETED"
    mill.wait_for_quiet()
    assert [state for _, state, _ in attempts(mill, run, "t0")] == ["FAILED", "COMPLETED"]
    checker.check(mill)


@pytest.mark.parametrize("mill", [LONG_GRACE], indirect=True)
def test_what_ends_within_the_grace_is_recorded_and_nothing_more_is_started(mill):
    gate = mill.folder / "gate"
    mill.start()
    run = mill.submit(mill.chain(2, until=str(gate)))
    mill.wait_for_begin("t0")
    os.kill(mill.pid, signal.SIGTERM)
    wait_for(lambda: any(b"STOPPING=1" in notice for notice in mill.notices()), "the begin of the stop")
    gate.touch()
    assert mill.ended() == 0
    assert attempts(mill, run, "t0") == [(1, "COMPLETED", None)]
    assert attempts(mill, run, "t1") == []


@pytest.mark.parametrize("mill", [LONG_GRACE], indirect=True)
@pytest.mark.parametrize("is_apart", [True, False], ids=["apart", "at once"])
def test_a_second_stop_takes_the_grace_away(mill, is_apart):
    mill.start()
    run = mill.submit(mill.chain(1, until=str(mill.folder / "gate")))
    mill.wait_for_begin("t0")
    os.kill(mill.pid, signal.SIGTERM)
    if is_apart:
        wait_for(lambda: any(b"STOPPING=1" in notice for notice in mill.notices()), "the begin of the stop")
    os.kill(mill.pid, signal.SIGINT)  # another number: two of the same may reach a busy process as one
    assert mill.ended(20) == 0
    assert attempts(mill, run, "t0") == [(1, "FAILED", "daemon_stopped")]
    assert mill.processes() == []


def servers(mill: Mill) -> list[tree.Process]:
    return [process for process in mill.processes() if name_of(process) == "dropmill-server"]


def name_of(process: tree.Process) -> str:
    try:
        return Path(f"/proc/{process.pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""  # it has ended meanwhile


def test_a_fork_server_that_is_killed_is_replaced_and_what_ran_is_tried_again(mill):
    gate = mill.folder / "gate"
    document = mill.chain(2, until=str(gate))
    document["defaults"] = {"retry": {"max_retries": 5, "delay": 0.01}}
    mill.start()
    run = mill.submit(document)
    mill.wait_for_begin("t0")
    [server] = servers(mill)
    tree.kill(server)
    wait_for(lambda: attempts(mill, run, "t0")[0][1] != "RUNNING", "the end of the attempt")
    gate.touch()
    assert mill.wait_for_end(run)["state"] == "COMPLETED"
    [(_, state, reason), *_] = attempts(mill, run, "t0")
    assert (state, reason) == ("FAILED", "worker_lost")
    wait_for(lambda: len(servers(mill)) == 1, "workers that go by their own name")
    checker.check(mill)


def test_a_daemon_that_was_frozen_goes_on_and_what_came_meanwhile_is_done_once(mill):
    mill.start()
    run = mill.submit(mill.chain(3, seconds=0.05))
    mill.wait_for_begin("t0")
    os.kill(mill.pid, signal.SIGSTOP)
    wait_for(lambda: tree.look(mill.pid).state == "T", "the daemon to freeze")
    for number in range(5):
        mill.drop(f"chain-{number}.json", mill.chain(1))
    os.kill(mill.pid, signal.SIGCONT)
    assert mill.wait_for_end(run)["state"] == "COMPLETED"
    wait_for(lambda: len(names_in(mill.inbox / "done")) == 10, "all files in done/")
    mill.wait_for_quiet()
    checker.check(mill)


def test_a_daemon_that_is_killed_leaves_nothing_running_once_the_next_is_ready(mill):
    mill.start()
    script = "setsid sleep 1000 & (setsid sh -c 'sleep 1000 & sleep 1000' &) ; echo grown; sleep 1000"
    shell = {"id": "grow", "type": "shell", "argv": ["sh", "-c", script], "retry": {"max_retries": 0}}
    run = mill.submit({"tasks": [shell]})
    sleeping = f"DROPMILL_RUN_ID={run}"
    wait_for(lambda: len(tree.marked(sleeping)) >= 4, "the whole tree")
    old = {(process.pid, process.started) for process in tree.marked(sleeping)}
    mill.kill()
    mill.start()
    assert not old & {(process.pid, process.started) for process in tree.everyone() if not process.is_dead}
    status, _ = mill.ask("POST", f"/api/v1/runs/{run}/cancel", {})
    assert status < 300
    assert mill.wait_for_end(run)["state"] == "CANCELLED"
    wait_for(lambda: not tree.marked(sleeping), "the end of the tree")


@pytest.mark.parametrize("damage", [b"this is no database" * 500, None], ids=["other bytes", "all but its first page"])
def test_a_damaged_database_is_not_touched_and_the_status_is_65(mill, damage):
    mill.start()
    mill.wait_for_end(mill.submit(mill.chain(2)))
    assert mill.stop() == 0
    file = mill.state / "state.db"
    data = file.read_bytes()
    broken = damage or data[:4096] + b"\x5a" * (len(data) - 4096)
    file.write_bytes(broken)
    assert mill.launch().wait(30) == 65, mill.words()
    assert "state.db" in mill.words()
    assert file.read_bytes() == broken
    assert mill.processes() == []


@pytest.mark.parametrize(
    ("fault", "told"),
    [("\nthis is no TOML", "has 1 problem;"), ("\n[executor]\nwokers = 3\n", "has 1 problem;")],
    ids=["syntax", "a misspelt key"],
)
def test_a_daemon_is_seen_and_heard_while_its_settings_are_broken(mill, fault, told):
    mill.start()
    run = mill.submit(mill.chain(1))
    mill.wait_for_end(run)
    mill.config.write_text(mill.config.read_text() + fault)
    for words in (["status"], ["runs"], ["show", run], ["schedules"], ["pause", "--reason", "later"], ["resume"]):
        done = mill.call(*words)
        assert done.returncode == 0, (words, done.stderr)
        assert told in done.stderr
        assert "goes on with the settings it had" in done.stderr
    assert "COMPLETED" in mill.call("show", run).stdout
    mill.stop()
    assert mill.call("status").returncode == 2, "without a daemon, the fault is what matters"
