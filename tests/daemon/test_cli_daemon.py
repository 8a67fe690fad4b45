"""The commands that speak to a daemon, with a real one."""

import json
import os
import signal
import subprocess

import pytest

from daemon import holding
from daemon.cli import main
from daemon.ownership import Ownership
from engine.clock import epoch
from tests.daemon.cli_calls import PROGRAM, ROOT, Answer
from tests.daemon.daemons import HELLO, SLOW, Place
from tests.waiting import wait_for


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("place"))
    place.begin()
    yield place
    place.end()


@pytest.fixture
def call(place, capsys):
    def run(*arguments):
        capsys.readouterr()
        status = main(["--config", str(place.file), *arguments])
        captured = capsys.readouterr()
        return Answer(status, captured.out, captured.err)

    return run


@pytest.fixture
def written(tmp_path):
    def write(name, document):
        path = tmp_path / name
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return str(path)

    return write


def shown(call, run):
    return call("show", run, "--json").json


def ended(call, run):
    return wait_for(lambda: found if (found := shown(call, run))["ended_at"] else None, f"the end of {run}")


def test_status_says_that_it_is_ready(call):
    answer = call("status")
    assert answer.status == 0
    assert "is ready" in answer.out
    assert call("status", "--json").json["state"] == "ready"


def test_a_known_workflow_is_submitted_by_name_with_parameters_of_their_types(call):
    answer = call("submit", "greet", "--param", "who=world", "--param", "times=2", "--json")
    assert answer.status == 0
    done = ended(call, answer.json["id"])
    assert (done["params"], done["tasks"][0]["output"]) == ({"who": "world", "times": 2}, "world 3")
    assert done["trigger"]["type"] == "cli"


def test_a_submitted_document_is_named_as_it_names_itself(call, written):
    name = written("release-17.json", {"name": "release", "tasks": [{"id": "a", "type": "print", "message": "x"}]})
    assert call("submit", name).out.endswith(" of release\n")


def test_submit_waits_for_the_end_and_tells_it(call, written):
    good = call("submit", "hello", "--wait")
    assert (good.status, "hello completed" in good.out) == (0, True)
    bad = call("submit", written("bad.json", {"tasks": [{"id": "a", "type": "shell", "argv": ["false"]}]}), "--wait")
    assert bad.status == 1
    assert "failed" in bad.err


def test_run_is_carried_out_by_the_daemon_and_reads_as_without_one(call, written):
    path = written(
        "pair.json", {"tasks": [*HELLO["tasks"], {"id": "b", "type": "log", "message": "x", "depends_on": ["a"]}]}
    )
    answer = call("run", path)
    assert answer.status == 0
    assert [line.split(" ", 1)[1] for line in answer.out.splitlines() if "started" in line] == [
        "a started",
        "b started",
    ]
    assert "pair completed in" in answer.out
    alone = call("run", path, "--ephemeral")
    assert [line.split()[1] for line in alone.out.splitlines()[1:]] == [
        line.split()[1] for line in answer.out.splitlines()[1:-1]
    ]
    found = call("run", path, "--json").json
    assert (found["state"], found["workflow"], found["trigger"]["file"]) == ("COMPLETED", "pair", path)


def test_a_retry_at_the_daemon_is_one_line_that_names_what_went_wrong_and_no_wrong_pause(call, written):
    flaky = {
        "id": "a",
        "type": "shell",
        "argv": ["sh", "-c", 'test "$DROPMILL_ATTEMPT" -ge 2'],
        "retry": {"max_retries": 1, "delay": "10ms"},
    }
    answer = call("submit", written("flaky.json", {"tasks": [flaky]}), "--follow")
    assert answer.status == 0
    failures = [line.partition(" ")[2] for line in answer.out.splitlines() if " a failed" in line]
    assert failures == ["a failed, another attempt follows: it ended with exit code 1"]


def test_run_fails_as_without_a_daemon(call, written):
    path = written("bad.json", {"tasks": [{"id": "a", "type": "shell", "argv": ["sh", "-c", "echo no; exit 3"]}]})
    answer = call("run", path)
    assert (answer.status, "exit code 3" in answer.out) == (1, True)


def test_problems_stand_where_they_are_in_the_file(call, written):
    path = written("odd.json", '{\n  "tasks": [\n    {"id": "a", "type": "prnt"}\n  ]\n}')
    for command in ("run", "submit"):
        answer = call(command, path)
        assert answer.status == 2
        assert f"{path}:3:" in answer.err


def test_a_key_seen_before_answers_with_the_earlier_run(call):
    first = call("submit", "hello", "--idempotency-key", "k1", "--json").json["id"]
    again = call("submit", "hello", "--idempotency-key", "k1")
    assert (again.status, first in again.out) == (0, True)
    assert "earlier run" in call("run", "hello", "--idempotency-key", "k1").out


def test_a_run_for_later_waits_and_can_be_cancelled(call):
    run = call("submit", "hello", "--run-at", "1h", "--json").json["id"]
    due = shown(call, run)["message"].removeprefix("it waits until ")
    assert 3500 < epoch(due) - epoch(shown(call, run)["created_at"]) < 3700
    status = call("status").out
    assert run in status
    assert due in status
    assert call("cancel", run[-10:], "--message", "never mind").status == 0
    assert ended(call, run)["message"] == "never mind"
    again = call("cancel", run)
    assert (again.status, "already ended" in again.err) == (4, True)


def test_an_interrupted_run_is_cancelled_at_the_daemon(place, call):
    process = subprocess.Popen(
        [*PROGRAM, "--config", str(place.file), "run", "slow"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    lines = iter(process.stdout.readline, b"")
    run = next(line.split()[2].decode() for line in lines if b" begins" in line)
    wait_for(lambda: shown(call, run)["state"] == "RUNNING", "its start")
    process.send_signal(signal.SIGINT)
    rest = b"".join(lines)
    assert process.wait(20) == 1, rest
    assert ended(call, run)["state"] == "CANCELLED"
    process.stdout.close()


def test_a_run_whose_key_has_a_live_run_waits_for_that(place, call):
    first = call("submit", "slow", "--idempotency-key", "k2", "--json").json["id"]
    process = subprocess.Popen(
        [*PROGRAM, "--config", str(place.file), "run", "slow", "--idempotency-key", "k2"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert first.encode() in process.stdout.readline()
    call("cancel", first)
    rest = process.stdout.read().decode()
    process.stdout.close()
    assert (process.wait(20), "earlier run" in rest, "nobody runs it" in rest) == (1, True, False)


def test_a_run_outlives_the_daemon_it_was_handed_to(tmp_path):
    place = Place(tmp_path).begin()
    process = subprocess.Popen(
        [*PROGRAM, "--config", str(place.file), "run", "slow"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert b"begins" in process.stdout.readline()
        assert place.process is not None
        place.process.kill()
        out, err = process.communicate(timeout=30)
        assert process.returncode == 3, (out, err)
        assert b"the next daemon takes it up" in out
        assert b"no daemon answers" in err
    finally:
        place.end()


def test_a_retry_begins_where_it_failed(call, written, tmp_path):
    flag = tmp_path / "flag"
    tasks = [*HELLO["tasks"], {"id": "b", "type": "shell", "argv": ["test", "-e", str(flag)], "depends_on": ["a"]}]
    first = call("run", written("twice.json", {"tasks": tasks}), "--json").json
    assert first["state"] == "FAILED"
    flag.touch()
    answer = call("retry", first["id"], "--wait", "--json")
    assert answer.status == 0
    assert {task["id"]: task["reason"] for task in answer.json["tasks"]} == {"a": "reused", "b": None}
    assert answer.json["trigger"]["run"] == first["id"]
    refused = call("retry", answer.json["id"])
    assert (refused.status, "--from" in refused.err) == (4, True)
    assert call("retry", answer.json["id"], "--from", "a").status == 0
    assert call("retry", answer.json["id"], "--from", "c").status == 2


def test_a_pause_is_kept_shown_and_lifted(place, call):
    assert call("pause", "--reason", "tea").status == 0
    assert "is paused: tea" in call("status").out
    run = call("submit", "hello", "--json").json["id"]
    assert "no task starts: tea" in call("status").out
    assert call("resume").status == 0
    assert ended(call, run)["state"] == "COMPLETED"
    assert holding.read(place.config.paths.state) is None


def test_unknown_runs_and_workflows_are_bad_input(call):
    assert call("cancel", "nope").status == 2
    unknown = call("submit", "helo")
    assert (unknown.status, "hello" in unknown.err) == (2, True)


def test_a_drain_ends_the_daemon_when_its_runs_have_ended(tmp_path, capsys):
    place = Place(tmp_path).begin()
    try:
        arguments = ["--config", str(place.file)]
        assert main([*arguments, "submit", "slow", "--json"]) == 0
        run = json.loads(capsys.readouterr().out)["id"]
        assert main([*arguments, "drain"]) == 0
        assert main([*arguments, "submit", "hello"]) == 4
        assert main([*arguments, "cancel", run]) == 0
        assert place.process is not None
        assert place.process.wait(20) == 0
    finally:
        place.end()


def test_without_a_daemon_a_document_goes_into_the_inbox_whole(tmp_path, capsys):
    place = Place(tmp_path)
    arguments = ["--config", str(place.file), "submit"]
    assert main([*arguments, "greet", "--param", "who=you", "--priority", "3", "--idempotency-key", "k"]) == 0
    [path] = (tmp_path / "inbox").iterdir()
    assert json.loads(path.read_bytes()) == {
        "workflow": "greet",
        "params": {"who": "you"},
        "priority": 3,
        "idempotency_key": "k",
    }
    document = tmp_path / "slow me.json"
    document.write_text(json.dumps(SLOW, indent=3))
    assert main([*arguments, str(document)]) == 0
    [other] = set((tmp_path / "inbox").iterdir()) - {path}
    assert other.read_bytes() == document.read_bytes()
    assert "in the inbox" in capsys.readouterr().out


def test_without_a_daemon_what_a_file_cannot_bring_or_nobody_can_do_is_refused(tmp_path, capsys):
    place = Place(tmp_path)
    arguments = ["--config", str(place.file)]
    document = tmp_path / "one.json"
    document.write_text(json.dumps(HELLO))
    assert main([*arguments, "submit", str(document), "--priority", "1"]) == 2
    assert main([*arguments, "submit", "greet"]) == 2
    assert not (tmp_path / "inbox").exists()
    for command in (["submit", "hello", "--wait"], ["status"], ["cancel", "x"], ["retry", "x"], ["drain"]):
        assert main([*arguments, *command]) == 3, command
    assert "dropmill serve" in capsys.readouterr().err


def test_a_daemon_that_does_not_answer_is_named_and_nobody_is_told_to_start_another(tmp_path, capsys):
    place = Place(tmp_path)
    ownership = Ownership(place.config.paths.state)
    ownership.acquire("daemon")
    try:
        assert main(["--config", str(place.file), "submit", "hello"]) == 3
    finally:
        ownership.release()
    said = capsys.readouterr().err
    assert f"process id {os.getpid()}" in said
    assert "dropmill serve" not in said


def test_a_pause_without_a_daemon_holds_the_next_one(tmp_path, capsys):
    place = Place(tmp_path)
    arguments = ["--config", str(place.file)]
    assert main([*arguments, "pause", "--reason", "later"]) == 0
    place.begin()
    try:
        assert main([*arguments, "status"]) == 0
        assert "is paused: later" in capsys.readouterr().out
    finally:
        place.end()
    assert main([*arguments, "resume"]) == 0
    assert holding.read(place.config.paths.state) is None
