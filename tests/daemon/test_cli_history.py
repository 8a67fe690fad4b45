"""`runs`, `show`, `logs`: what is remembered, also while it is written, and after whoever ran it has died."""

import os
import re
import signal
import subprocess

import pytest

from tests.daemon.cli_calls import Site
from tests.waiting import wait_for

HELLO = {"id": "a", "type": "print", "message": "hi"}
FAILING = {"id": "b", "type": "shell", "argv": ["sh", "-c", "echo last words; exit 3"], "depends_on": ["a"]}
AGAIN = {
    "id": "flaky",
    "type": "shell",
    "argv": ["sh", "-c", "echo try $DROPMILL_ATTEMPT; test $DROPMILL_ATTEMPT = 2"],
    "retry": {"max_retries": 1, "delay": "1ms"},
}


STAMP = re.compile(r"^((\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d\.\d{3}| +) ")


@pytest.fixture
def site(tmp_path, capsys):
    return Site(tmp_path, capsys)


@pytest.fixture(scope="module")
def past(tmp_path_factory):
    """Run three workflows once, for the tests that only read."""
    folder = tmp_path_factory.mktemp("past")
    site = Site(folder, None)
    documents = [
        site.write("hello.json", HELLO),
        site.write("broken.json", HELLO, FAILING),
        site.write("flaky.json", AGAIN, params={"day": {"type": "string", "default": "\u202emonday"}}),
    ]
    for document in documents:
        site.start("run", "-q", document, stderr=subprocess.DEVNULL).wait(timeout=30)
    return folder


@pytest.fixture
def read(past, capsys):
    site = Site(past, capsys)
    return site.call


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["runs"], 0, "No run is recorded yet; `dropmill run FILE` makes one.\n"),
        (["show", "last"], 2, "error: no run is recorded yet; `dropmill run FILE` makes one\n"),
        (["show", "abc"], 2, "error: no run has the id 'abc'; `dropmill runs` lists them\n"),
        (["logs", "abc", "a"], 2, "error: no run has the id 'abc'; `dropmill runs` lists them\n"),
        (["logs", "-f", "abc"], 2, "error: no run has the id 'abc'; `dropmill runs` lists them\n"),
    ],
)
def test_where_nothing_is_yet_a_sentence_says_so_and_nothing_is_made(site, arguments, status, sentence):
    answer = site.call(*arguments)
    assert (answer.status, answer.out + answer.err) == (status, sentence)
    assert not (site.folder / "var").exists()


def test_an_empty_list_is_json_too(site):
    assert site.call("runs", "--json").json == []


def test_runs_are_listed_the_newest_first(read):
    lines = read("runs").out.splitlines()
    assert lines[0].split() == ["RUN", "WORKFLOW", "STATE", "TRIGGER", "CREATED", "TOOK", "WHY"]
    assert [line.split()[1] for line in lines[1:]] == ["flaky", "broken", "hello"]
    assert "task b failed: it ended with exit code 3" in lines[2]


def test_runs_as_json_are_run_objects_without_their_tasks(read):
    listed = read("runs", "--json").json
    assert [run["workflow"] for run in listed] == ["flaky", "broken", "hello"]
    assert "tasks" not in listed[0]
    shown = read("show", listed[0]["id"], "--json").json
    assert {name: value for name, value in shown.items() if name != "tasks"} == listed[0]


@pytest.mark.parametrize(
    ("arguments", "workflows"),
    [
        (["--state", "failed"], ["broken"]),
        (["--workflow", "hello"], ["hello"]),
        (["--trigger", "schedule"], []),
        (["--trigger", "cli", "--limit", "1"], ["flaky"]),
        (["--since", "1h"], ["flaky", "broken", "hello"]),
        (["--since", "2099-01-01"], []),
        (["--before", "last"], ["broken", "hello"]),
        (["--before", "last", "--state", "COMPLETED"], ["hello"]),
    ],
)
def test_runs_are_filtered_and_paged(read, arguments, workflows):
    assert [run["workflow"] for run in read("runs", "--json", *arguments).json] == workflows


def test_a_filter_that_nothing_fits_says_so(read):
    assert read("runs", "--workflow", "none").out == "No run fits.\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--since", "soon"], "'soon' is no time: write for example 1h"),
        (["--state", "SLEEPING"], "'SLEEPING' is not one of"),
        (["--limit", "0"], "0 is not in the range"),
        (["--before", "zzz"], "no run has the id 'zzz'"),
    ],
)
def test_a_filter_that_cannot_be_is_bad_input(read, arguments, sentence):
    answer = read("runs", *arguments)
    assert (answer.status, answer.out) == (2, "")
    assert sentence in answer.err


def test_a_run_is_found_by_its_end_and_last_is_the_newest(read):
    newest = read("runs", "--json").json[0]["id"]
    assert read("show", newest[-8:], "--json").json["id"] == newest
    assert read("show", "last", "--json").json["id"] == newest
    ambiguous = read("show", newest[:4])
    assert ambiguous.status == 2
    assert "fits 3 runs" in ambiguous.err


def test_show_tells_how_each_task_ended(read):
    text = read("show", read("runs", "--json", "--workflow", "broken").json[0]["id"]).out
    lines = text.splitlines()
    assert lines[0].startswith("broken  ")
    assert "FAILED" in lines[0]
    table = text[text.index("TASK") :].splitlines()
    assert table[1].split()[:4] == ["a", "print", "COMPLETED", "1"]
    assert table[1].endswith(" hi")
    assert table[2].split()[:4] == ["b", "shell", "FAILED", "1"]
    assert table[2].endswith("it ended with exit code 3")


def test_show_with_events_tells_what_happened_in_order(read):
    answer = read("show", "last", "--events", "--json").json
    states = [(event["task"], event["state"]) for event in answer["events"]]
    assert states[0] == (None, "PENDING")
    assert states[-1] == (None, "COMPLETED")
    assert [state for task, state in states if task == "flaky"] == [
        "RUNNING",
        "FAILED",
        "RETRYING",
        "RUNNING",
        "COMPLETED",
    ]
    assert "RETRYING" in read("show", "last", "--events").out


def test_what_others_wrote_cannot_reorder_the_line_it_is_shown_in(read):
    assert "\u202e" not in read("show", "last").out
    assert "\\u202emonday" in read("show", "last").out


def test_the_log_of_a_task_is_that_of_its_last_attempt_or_of_the_one_asked_for(read):
    assert read("logs", "last", "flaky").out == "try 2\n"
    assert read("logs", "last", "flaky", "--attempt", "1").out == "try 1\n"
    assert read("logs", "-f", "last", "flaky").out == "try 1\ntry 2\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["last", "flakey"], "did you mean 'flaky'?"),
        (["last", "flaky", "--attempt", "3"], "has had 2 attempts, so there is no attempt 3"),
        (["last", "--attempt", "1"], "--attempt needs a TASK"),
    ],
)
def test_a_log_that_cannot_be_is_bad_input(read, arguments, sentence):
    answer = read("logs", *arguments)
    assert (answer.status, answer.out) == (2, "")
    assert sentence in answer.err


def test_the_log_of_a_run_has_the_lines_of_each_attempt_between_its_beginning_and_its_end(read):
    for arguments in (["logs", "last"], ["logs", "-f", "last"]):
        lines = [STAMP.sub("", line) for line in read(*arguments).out.splitlines()]
        assert lines[0] == "run   PENDING by cli"
        place = lines.index("flaky RUNNING")
        assert lines[place : place + 3] == [
            "flaky RUNNING",
            "flaky | try 1",
            "flaky FAILED  exit_code: it ended with exit code 1",
        ]
        place = lines.index("flaky RUNNING (attempt 2)")
        assert lines[place + 1 : place + 3] == ["flaky | try 2", "flaky COMPLETED (attempt 2)"]
        assert lines[-1] == "run   COMPLETED"


@pytest.fixture
def gated(site):
    """A run under way that says something, waits for a gate, and says something else."""
    gate = site.folder / "gate"
    script = f"echo one; until [ -e {gate} ]; do sleep 0.01; done; echo two"
    path = site.write("gated.json", {"id": "a", "type": "shell", "argv": ["sh", "-c", script]})
    process = site.start("run", path, stdout=subprocess.DEVNULL)
    wait_for(lambda: site.call("logs", "last", "a").out == "one\n", "the first line of the task")
    yield site, gate, process
    if process.poll() is None:
        process.kill()
    process.wait()


def test_a_run_is_read_while_it_is_written(gated):
    site, _, _ = gated
    assert site.call("runs", "--json", "--state", "RUNNING").json[0]["workflow"] == "gated"
    shown = site.call("show", "last")
    assert "RUNNING" in shown.out
    assert "nobody runs it now" not in shown.out + shown.err


@pytest.mark.parametrize("task", [[], ["a"]])
def test_a_log_is_followed_until_the_run_has_ended(gated, task):
    site, gate, _ = gated
    follower = site.start("logs", "-f", "last", *task, stdout=subprocess.PIPE, text=True)
    assert follower.stdout is not None
    wait_for(lambda: "one" in follower.stdout.readline(), "the first line")
    gate.touch()
    out, _ = follower.communicate(timeout=30)
    assert follower.returncode == 0
    assert "two" in out


def test_a_deadline_that_only_warns_is_not_told_as_an_end(site):
    late = {"id": "a", "type": "shell", "argv": ["sh", "-c", "sleep 0.3"], "deadline": "10ms"}
    site.call("run", site.write("late.json", late))
    told = site.call("logs", "last").out
    assert " a deadline passed  deadline: task a has not ended within its deadline" in told
    assert "asked to end" not in told


def test_after_a_crash_the_truth_is_told_and_no_follower_waits_for_ever(gated):
    site, _, process = gated
    follower = site.start("logs", "-f", "last", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert follower.stdout is not None
    wait_for(lambda: "one" in follower.stdout.readline(), "the first line")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    _, err = follower.communicate(timeout=30)
    assert follower.returncode == 1
    assert "nobody runs it now: the process that did is gone" in err
    shown = site.call("show", "last")
    assert shown.status == 0
    assert "RUNNING" in shown.out
    assert "nobody runs it now" in shown.out
    assert "has not ended; nobody runs it now" in site.call("runs").err
    assert site.call("show", "last", "--json").json["state"] == "RUNNING"
