"""`dropmill run`: documents run for real, recorded in a state folder, and told on stdout."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from daemon.ownership import Ownership, owner_of
from tests.daemon.cli_calls import Site
from tests.waiting import wait_for

HELLO = {"id": "a", "type": "print", "message": "hi"}
FAILING = {"id": "b", "type": "shell", "argv": ["sh", "-c", "echo last words; exit 3"]}
SLOW = {"id": "slow", "type": "shell", "argv": ["sh", "-c", "echo begun; exec sleep 600"]}


@pytest.fixture
def site(tmp_path, capsys):
    return Site(tmp_path, capsys)


def test_a_run_that_completes_tells_its_output_and_ends_with_0(site):
    answer = site.call("run", site.write("hello.json", HELLO))
    assert answer.status == 0, answer.err
    lines = [line.split(" ", 1)[-1] for line in answer.out.splitlines()]
    assert any(line.endswith("of hello begins") for line in lines)
    assert "a started" in lines
    assert "a -> hi\n" in answer.out
    assert "hello completed in" in answer.out
    assert "(1 completed)" in answer.out


def test_a_run_that_fails_tells_what_failed_its_last_words_and_where_its_log_is_and_ends_with_1(site):
    answer = site.call("run", site.write("broken.json", HELLO, FAILING))
    assert answer.status == 1
    assert "b (shell) failed (exit_code): it ended with exit code 3" in answer.out
    assert "  | last words\n" in answer.out
    log = answer.out.partition("  log: ")[2].partition("\n")[0]
    assert Path(log).read_text() == "last words\n"
    assert "broken failed in" in answer.out
    assert "(1 completed, 1 failed)" in answer.out


def test_the_json_of_a_run_is_all_there_is_on_stdout_and_the_same_as_show_prints(site):
    ran = site.call("run", site.write("hello.json", HELLO), "--json")
    assert ran.err == ""
    assert list(ran.json) == [
        "id", "workflow", "state", "reason", "message", "trigger", "params", "created_at", "started_at", "ended_at",
        "tasks",
    ]  # fmt: skip
    assert list(ran.json["tasks"][0]) == [
        "id", "type", "state", "reason", "message", "attempts", "output", "started_at", "ended_at"
    ]  # fmt: skip
    assert ran.json["trigger"]["type"] == "cli"
    assert ran.json["tasks"][0]["output"] == "hi"
    assert site.call("show", "last", "--json").json == ran.json


def test_quiet_says_nothing_of_success_and_tells_a_failure_on_stderr(site):
    assert site.call("run", "-q", site.write("hello.json", HELLO)) == (0, "", "")
    answer = site.call("run", "-q", site.write("broken.json", FAILING))
    assert (answer.status, answer.out) == (1, "")
    assert "broken failed" in answer.err
    assert "last words" in answer.err


def test_a_document_that_is_not_valid_is_shown_like_a_compiler_does_and_nothing_is_recorded(site):
    path = site.write("bad.json", {"id": "a", "type": "prnt"})
    answer = site.call("run", path, "--json")
    assert (answer.status, answer.out) == (2, "")
    assert f"{path}:6:12: error: no plugin has" in answer.err
    assert 'Did you mean "print"?' in answer.err
    assert "^" in answer.err
    assert site.call("runs", "--json").json == []


PARAMS = {"params": {"count": {"type": "integer"}, "name": {"type": "string", "default": "x"}}}
ECHO = {"id": "a", "type": "print", "message": "${{ params }}"}


def test_parameters_come_from_options_and_from_a_file_and_options_win(site):
    path = site.write("p.json", ECHO, **PARAMS)
    (site.folder / "params.json").write_text('{"count": 1, "name": "file"}')
    answer = site.call("run", path, "--params-file", str(site.folder / "params.json"), "--param", "count=3", "--json")
    assert answer.json["params"] == {"count": 3, "name": "file"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], 'the parameter "count" is missing'),
        (["--param", "count=x"], 'the parameter "count" must be of type integer'),
        (["--param", "count=1", "--param", "nme=x"], 'Did you mean "name"?'),
        (["--param", "count"], "'count' is not NAME=VALUE"),
        (["--params-file", "/nonexistent"], "/nonexistent cannot be read: no such file or directory"),
    ],
)
def test_parameters_that_do_not_fit_are_said_and_end_with_2(site, arguments, sentence):
    answer = site.call("run", site.write("p.json", ECHO, **PARAMS), *arguments)
    assert (answer.status, answer.out) == (2, "")
    assert sentence in answer.err


def test_an_ephemeral_run_leaves_no_trace(site, tmp_path, monkeypatch):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    answer = site.call("run", "--ephemeral", site.write("broken.json", FAILING))
    assert answer.status == 1
    assert "last words" in answer.out
    assert "log: " not in answer.out
    assert list(temporary.iterdir()) == []
    assert not (site.folder / "var").exists()


def test_a_workflow_runs_by_its_name(site):
    (site.folder / "workflows").mkdir()
    site.write("workflows/greet.json", HELLO)
    assert site.call("run", "greet", "--json").json["workflow"] == "greet"
    answer = site.call("run", "gret")
    assert answer.status == 2
    assert "did you mean 'greet'?" in answer.err


def test_an_idempotency_key_that_was_seen_is_answered_by_the_run_that_had_it(site):
    path = site.write("hello.json", HELLO)
    first = site.call("run", path, "--idempotency-key", "k", "--json").json
    again = site.call("run", path, "--idempotency-key", "k")
    assert again.status == 0
    assert f"An earlier run had this idempotency key, and answers for this one: {first['id']}" in again.out
    assert len(site.call("runs", "--json").json) == 1


def test_a_run_waits_for_a_daemon_that_is_about_to_answer_and_says_so(site):
    owner = Ownership(site.folder / "var")
    owner.acquire("daemon")
    try:
        process = site.start(
            "run", site.write("hello.json", HELLO), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline().startswith("waiting: the daemon with process id")
    finally:
        owner.release()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 3
    assert "no daemon answers" in err


def test_a_run_waits_behind_another_and_says_so(site):
    owner = Ownership(site.folder / "var")
    owner.acquire("run")
    try:
        process = site.start("run", site.write("hello.json", HELLO), stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("waiting: the state folder")
    finally:
        owner.release()
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "hello completed" in out


def test_a_bad_document_does_not_wait_for_its_turn(site):
    owner = Ownership(site.folder / "var")
    owner.acquire("run")
    try:
        answer = site.call("run", site.write("bad.json", {"id": "a", "type": "nope"}))
    finally:
        owner.release()
    assert answer.status == 2
    assert 'no plugin has the task type "nope"' in answer.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cancels_the_run_and_says_so(site, number):
    process = site.start("run", site.write("slow.json", SLOW), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    wait_for(lambda: "slow started" in process.stdout.readline(), "the start of the task")
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "cancelling" in out
    assert "slow cancelled in" in out
    assert site.call("show", "last", "--json").json["state"] == "CANCELLED"
    assert owner_of(site.folder / "var") is None


def test_a_reader_that_goes_away_ends_the_output_and_not_the_run(site):
    gate = site.folder / "gate"
    path = site.write(
        "gated.json", {"id": "a", "type": "shell", "argv": ["sh", "-c", f"until [ -e {gate} ]; do sleep 0.01; done"]}
    )
    process = site.start("run", path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert "begins" in process.stdout.readline()
    process.stdout.close()
    gate.touch()
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert site.call("show", "last", "--json").json["state"] == "COMPLETED"


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_closed_standard_stream_is_no_trouble(site, closed):
    path = site.write("hello.json", HELLO)
    process = site.start("run", path, preexec_fn=lambda: os.close(closed))
    assert process.wait(timeout=30) == 0
    assert site.call("runs", "--json").json[0]["state"] == "COMPLETED"


def test_a_document_comes_from_standard_input(site):
    process = site.start("run", "-", "--json", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    out, _ = process.communicate(json.dumps({"tasks": [HELLO]}).encode(), timeout=30)
    assert process.returncode == 0
    assert json.loads(out)["tasks"][0]["output"] == "hi"


def test_logs_that_cannot_be_written_fail_no_run_and_are_said(site):
    (site.folder / "var").mkdir()
    (site.folder / "var" / "log").write_text("a file where a folder should be")
    answer = site.call("run", site.write("said.json", {"id": "a", "type": "shell", "argv": ["echo", "x"]}))
    assert answer.status == 0
    assert "note: the log" in answer.err
    assert "cannot be written" in answer.err


def test_a_signal_right_after_the_submission_cancels_the_run_and_leaves_nothing_open(site):
    from daemon.cli.documents import Document
    from daemon.cli.running import Here
    from daemon.cli.watching.following import SilentView
    from daemon.config import load
    from daemon.intake import Origin

    def show(*_):
        signal.raise_signal(signal.SIGINT)
        return SilentView()

    document = Document(json.dumps({"tasks": [SLOW]}).encode(), "slow.json", "slow")
    ended = Here(load(site.config, {}), document).run(lambda _: Origin(trigger={"type": "cli"}), show, print)
    assert (ended.run.state, ended.run.reason, ended.signal) == ("CANCELLED", "user", None)


def test_outputs_read_well_whatever_they_are(site):
    script = "import json; print(json.dumps({'rows': list(range(50))}))"
    tasks = [
        {"id": "text", "type": "print", "message": "one\ntwo\x1b[2J"},
        {"id": "flat", "type": "print", "message": {"a": [1, None]}},
        {"id": "large", "type": "shell", "argv": ["python3", "-c", script], "stdout": "json"},
        {"id": "none", "type": "shell", "argv": ["true"], "stdout": "none"},
    ]
    out = site.call("run", site.write("outputs.json", *tasks)).out
    assert "text ->\n  one\n  two\\x1b[2J\n" in out
    assert 'flat -> {"a":[1,null]}\n' in out
    assert 'large -> {"rows":[0,1,2' in out
    assert "none ->" not in out
