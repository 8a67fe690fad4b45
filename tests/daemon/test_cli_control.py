"""The commands of control flow, with a real daemon: decisions, pauses, the tree of a run, who waits for what."""

import getpass
import json

import pytest

from daemon.cli import main
from tests.daemon.cli_calls import Answer
from tests.daemon.daemons import Place
from tests.waiting import wait_for

USER = getpass.getuser()
FORM = {"type": "object", "properties": {"version": {"type": "string"}}, "required": ["version"]}
ASK = {"id": "ask", "type": "approval", "message": "Release?", "form": FORM}
GO = {"id": "go", "type": "print", "message": "gone", "depends_on": ["ask"]}
INNER = {"name": "inner", "tasks": [{"id": "x", "type": "print", "message": "in"}]}
TREE = {
    "name": "tree",
    "tasks": [
        {
            "id": "each",
            "type": "shell",
            "argv": ["sh", "-c", "echo said ${{ item }}; test ${{ item }} != 2"],
            "foreach": {"items": [1, 2, 3], "require": "any"},
        },
        {"id": "call", "type": "workflow", "workflow": INNER},
    ],
    "outputs": {"said": "${{ tasks.each.output[0] }}"},
    "finally": [{"id": "clean", "type": "print", "message": "cleaned"}],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("place"), "[pools.db]\n")
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
def submit(call, tmp_path):
    def hand_in(document):
        path = tmp_path / "document.json"
        path.write_text(json.dumps(document))
        return call("submit", str(path), "--json").json["id"]

    return hand_in


@pytest.fixture
def asked(call, submit):
    def ask(**more):
        run = submit({"name": "asking", "tasks": [ASK | more, GO]})
        wait_for(lambda: call("approvals", run, "--json").json, "the question")
        return run

    return ask


def ended(call, run):
    return wait_for(
        lambda: found if (found := call("show", run, "--json").json)["ended_at"] else None, f"the end of {run}"
    )


def test_what_waits_is_listed_and_can_be_approved(call, asked, tmp_path):
    run = asked()
    listed = call("approvals", run).out.splitlines()[1].split()
    assert (listed[:3], listed[-1]) == ([run, "asking", "ask"], "Release?")
    data = tmp_path / "data.json"
    data.write_text('{"version": "4"}')
    answer = call("approve", run, "ask", "--note", "fine", "--data", f"@{data}")
    assert (answer.status, answer.out) == (0, f"ask of run {run} (asking) is approved\n")
    done = ended(call, run)
    assert done["tasks"][0]["output"] == {"approved": True, "actor": USER, "note": "fine", "data": {"version": "4"}}
    assert call("approvals", run).out == "Nothing waits for a person.\n"


def test_what_does_not_fit_the_form_is_said_as_problems_of_a_document_are(call, asked):
    run = asked()
    answer = call("approve", run, "ask", "--data", '{"version": 4}')
    assert answer.status == 2
    assert "the data of the approval cannot be used:" in answer.err
    assert "(at /version)" in answer.err
    broken = call("approve", run, "ask", "--data", '{"version": }')
    assert (broken.status, "line 1, column 13" in broken.err) == (2, True)
    assert call("approve", run, "ask", "--data", "@nowhere.json").status == 2
    unknown = call("approve", run, "aks")
    assert (unknown.status, "did you mean 'ask'?" in unknown.err) == (2, True)
    other = call("approve", run, "go")
    assert (other.status, "what waits in this run: ask" in other.err) == (4, True)
    assert call("reject", run, "ask", "--note", "no").status == 0
    assert call("show", run, "--json").json["tasks"][0]["message"] == f"rejected by {USER}: no"


def test_a_run_is_paused_and_goes_on(call, asked):
    run = asked()
    assert call("pause", run, "--message", "lunch").out == f"run {run} of asking is paused by {USER}: lunch\n"
    status = call("status").out
    assert f"paused by {USER}: lunch" in status
    call("approve", run, "ask", "--data", '{"version": "4"}')
    assert [task["state"] for task in call("show", run, "--json").json["tasks"]] == ["COMPLETED", "PENDING"]
    assert call("resume", run).out == f"run {run} of asking goes on\n"
    assert ended(call, run)["state"] == "COMPLETED"
    again = call("resume", run)
    assert (again.status, "has already ended" in again.err) == (4, True)


def test_a_run_is_shown_as_a_tree(call, submit):
    run = submit(TREE)
    done = ended(call, run)
    child = done["children"][0]["run"]
    out = call("show", run).out
    lines = [line.split()[0] if not line.startswith("  ->") else line.split()[2] for line in out.splitlines() if line]
    shown = lines[lines.index("TASK") :]
    assert shown == ["TASK", "each", "each[0]", "each[1]", "each[2]", "call", child, "finally", "TASK", "clean"]
    assert 'output   {"said":"said 1"}' in out
    assert f"called by run {run}, task call, attempt 1" in call("show", child).out
    assert call("logs", run, "each[2]").out == "said 3\n"
    parent = call("logs", run, "each")
    assert (parent.status, "each[0], each[1], each[2]" in parent.err) == (2, True)


def test_called_runs_are_listed_where_they_are_asked_for(call, submit):
    run = submit(TREE)
    child = ended(call, run)["children"][0]["run"]

    def listed(*more):
        return [each["id"] for each in call("runs", "--json", *more).json]

    assert child not in listed()
    assert child in listed("--all")
    assert child in listed("--trigger", "workflow")
    assert listed("--parent", run) == [child]
    assert call("show", "last", "--json").json["id"] == run


def test_following_hears_of_instances_and_hooks_and_ends_with_its_own_run(call, tmp_path):
    path = tmp_path / "tree.json"
    path.write_text(json.dumps(TREE))
    answer = call("run", str(path))
    assert answer.status == 0
    told = [line.split(" ", 1)[1] for line in answer.out.splitlines()[:-3]]
    assert [line for line in told if line == "each started"] == ["each started"]
    assert sum(line.startswith("each[1] failed") for line in told) == 1
    assert told[-1].startswith("clean completed")
    assert 'output -> {"said":"said 1"}' in answer.out
    assert "(3 completed; 3 instances: 2 completed, 1 failed)" in answer.out


def test_one_instance_is_counted_in_the_singular(call, tmp_path):
    path = tmp_path / "one.json"
    path.write_text(json.dumps({"tasks": [{"id": "a", "type": "print", "message": "${{ item }}", "foreach": [1]}]}))
    assert "(1 completed; 1 instance: 1 completed)" in call("run", str(path)).out


def test_the_status_says_what_waits_for_what(call, submit, asked):
    slow = {"name": "slot", "tasks": [{"id": "a", "type": "shell", "argv": ["sleep", "60"], "pool": "db"}]}
    runs = [submit(slow) for _ in range(3)]
    busy = {"name": "one", "concurrency": {"key": "customer-7"}, "tasks": [ASK]}
    runs += [submit(busy) for _ in range(3)]
    question = asked(within="1h", data={"version": "1"})
    out = wait_for(
        lambda: text if "1 ahead" in (text := call("status").out) and "behind 1 run" in text else None, "all of it"
    )
    assert "pool      db: 1 of 1 slots taken" in out
    assert f"{runs[1]} a waiting for pool db, next in line" in out
    assert f"{runs[2]} a waiting for pool db, 1 ahead" in out
    assert "next in line (concurrency customer-7)" in out
    assert "behind 1 run (concurrency customer-7)" in out
    assert f"decide    {question} ask: Release?, asked" in out
    assert ", then reject" in out
    for run in [*reversed(runs), question]:
        assert call("cancel", run).status == 0
        ended(call, run)


def test_a_retry_may_leave_the_cache_alone(call, submit):
    cached = {"id": "a", "type": "print", "message": "kept", "cache": True}
    run = submit({"name": "kept", "tasks": [cached]})
    ended(call, run)
    for more, reason in (((), "cached"), (("--no-cache",), None)):
        again = call("retry", run, "--from", "a", "--json", *more).json["id"]
        assert ended(call, again)["tasks"][0]["reason"] == reason
