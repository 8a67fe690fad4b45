"""What people decide, with a real daemon: kept across a kill, and seen on the command line as in the result file."""

import json

from tests.waiting import wait_for, wait_for_file
from tests.whole.mill import Mill

FORM = {"type": "object", "properties": {"version": {"type": "string"}}, "required": ["version"]}


def asking(mill: Mill):
    ask = {"id": "ask", "type": "approval", "message": "Release?", "form": FORM, "depends_on": ["build"]}
    return {"name": "asking", "tasks": [mill.task("build"), ask, mill.task("publish", ("ask",))]}


def begins(mill: Mill, run: str) -> list[str]:
    return [entry.task for entry in mill.ledger() if entry.run == run and entry.phase == "begin"]


def test_a_question_and_its_answer_outlive_kills(mill):
    mill.start()
    run = mill.submit(asking(mill))
    wait_for(lambda: json.loads(mill.call("approvals", "--json").stdout), "the question")
    mill.kill()
    # Also while nobody is there to be answered.
    assert "Release?" in mill.call("approvals").stdout
    refused = mill.call("approve", run, "ask", "--data", '{"version": "4"}')
    assert (refused.returncode, "no daemon answers" in refused.stderr) == (3, True)
    mill.start()
    assert mill.call("pause", run, "--message", "not yet").returncode == 0
    assert mill.call("approve", run, "ask", "--data", '{"version": 4}').returncode == 2
    approved = mill.call("approve", run, "ask", "--note", "go", "--data", '{"version": "4"}')
    assert (approved.returncode, approved.stderr) == (0, "")
    # What a person was told is so, whatever happens to the daemon the moment after.
    mill.kill()
    mill.start()
    view = mill.run(run)
    assert (view["state"], view["reason"], view["tasks"][1]["state"]) == ("WAITING", "paused", "COMPLETED")
    assert view["tasks"][1]["output"]["data"] == {"version": "4"}
    assert begins(mill, run) == ["build"], "paused, and nothing again"
    assert mill.call("resume", run).returncode == 0
    assert mill.wait_for_end(run)["state"] == "COMPLETED"
    assert begins(mill, run) == ["build", "publish"]


def test_a_tree_reads_the_same_in_the_result_file_the_api_and_the_command_line(mill):
    mill.start()
    inner = {"name": "inner", "tasks": [{"id": "x", "type": "print", "message": "in"}]}
    each = {"id": "each", "type": "print", "message": "${{ item }}", "foreach": ["a", "b"]}
    call = {"id": "call", "type": "workflow", "workflow": inner, "depends_on": ["each"]}
    hook = {"id": "clean", "type": "print", "message": "${{ run.state }}"}
    outputs = {"said": "${{ tasks.each.output }}"}
    mill.drop("tree.json", {"tasks": [each, call], "finally": [hook], "outputs": outputs})
    result = json.loads(wait_for_file(mill.inbox / "done" / "tree.json.result.json").read_bytes())
    assert [task["id"] for task in result["tasks"]] == ["each", "each[0]", "each[1]", "call", "clean"]
    assert result["output"] == {"said": ["a", "b"]}
    [child] = result["children"]
    assert (child["task"], child["state"]) == ("call", "COMPLETED")
    assert json.loads(mill.call("show", "--json", result["id"]).stdout) == result == mill.run(result["id"])
    shown = json.loads(mill.call("show", "--json", child["run"]).stdout)
    assert shown["parent"] == {"run": result["id"], "task": "call", "attempt": 1}
    listed = [run["id"] for run in json.loads(mill.call("runs", "--json").stdout)]
    assert listed == [result["id"]]
