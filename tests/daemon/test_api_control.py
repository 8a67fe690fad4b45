"""The API of control flow: decisions of people, a pause of one run, called runs, a cache that is left alone."""

import getpass

import pytest

from tests.daemon.apis import House
from tests.waiting import wait_for

USER = getpass.getuser()
FORM = {"type": "object", "properties": {"version": {"type": "string"}}, "required": ["version"]}


def asking(**more):
    ask = {"id": "ask", "type": "approval", "message": "Release ${{ params.what }}?", **more}
    go = {"id": "go", "type": "print", "message": "${{ tasks.ask.output }}", "depends_on": ["ask"]}
    return {"name": "asking", "params": {"what": {"type": "string", "default": "it"}}, "tasks": [ask, go]}


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    house = House(tmp_path_factory.mktemp("control"), "[executor]\nworkers = 2\ngrace = '1s'\n[pools.db]\n").begin()
    yield house
    house.end()


def asked(house, document=None):
    """Submit what asks a person, and return the run when it does."""
    run = house.submit(document or asking(form=FORM))["id"]
    wait_for(lambda: house.get(f"/api/v1/approvals?run={run}"), "the question")
    return run


def decide(house, run, verb, body=None, task="ask"):
    return house.ask("POST", f"/api/v1/runs/{run}/tasks/{task}/{verb}", body)


def test_what_waits_for_a_person_is_listed_with_what_is_asked(house):
    run = asked(house, asking(form=FORM, within="1h", data={"version": "1"}))
    [waiting] = [each for each in house.get("/api/v1/approvals") if each["run"] == run]
    assert (waiting["task"], waiting["message"], waiting["form"]) == ("ask", "Release it?", FORM)
    assert (waiting["workflow"], waiting["on_timeout"], waiting["data"]) == ("asking", "reject", {"version": "1"})
    assert waiting["since"] < waiting["until"]
    assert run in [each["run"] for each in house.get("/api/v1/status")["waits"]["approvals"]]
    decide(house, run, "reject")


def test_an_approval_completes_its_task_with_who_and_what(house):
    run = asked(house)
    reply = decide(house, run, "approve", {"note": "fine", "data": {"version": "4"}})
    assert reply.status == 200
    # What was answered is recorded already: nothing a person was told is undone by a crash.
    assert {task["id"]: task["state"] for task in reply.json["tasks"]}["ask"] == "COMPLETED"
    done = house.ended(run)
    decision = {"approved": True, "actor": USER, "note": "fine", "data": {"version": "4"}}
    assert (done["state"], done["tasks"][1]["output"]) == ("COMPLETED", decision)
    assert decide(house, run, "approve").json["code"] == "run_ended"


def test_a_rejection_fails_its_task_and_says_who_and_why(house):
    run = asked(house)
    assert decide(house, run, "reject", {"note": "too early"}).status == 200
    ask = house.ended(run)["tasks"][0]
    assert (ask["state"], ask["reason"], ask["message"]) == ("FAILED", "rejected", f"rejected by {USER}: too early")


def test_data_that_do_not_fit_the_form_are_422_with_problems_and_nothing_is_decided(house):
    run = asked(house)
    reply = decide(house, run, "approve", {"data": {"version": 4}})
    assert (reply.status, reply.json["code"]) == (422, "decision_invalid")
    [problem] = reply.json["problems"]
    assert (problem["code"], problem["pointer"]) == ("form_invalid", "/version")
    assert "string" in problem["message"]
    assert decide(house, run, "approve").status == 422, "the form has no data of its own"
    assert house.get(f"/api/v1/approvals?run={run}") != []
    assert decide(house, run, "approve", {"data": {"version": "4"}}).status == 200


@pytest.mark.parametrize(
    ("verb", "body", "code"),
    [
        ("approve", {"notes": "x"}, "bad_query"),
        ("approve", {"note": 1}, "bad_query"),
        ("approve", {"note": "x" * 4097}, "bad_query"),
        ("reject", {"data": {}}, "bad_query"),
        ("approve", b'{"note": "a", "note": "b"}', "document_invalid"),
    ],
)
def test_what_cannot_be_read_decides_nothing(house, verb, body, code):
    run = asked(house)
    assert decide(house, run, verb, body).json["code"] == code
    assert house.get(f"/api/v1/approvals?run={run}") != []
    decide(house, run, "reject")


def test_what_waits_for_nobody_is_409_and_names_what_does(house):
    run = asked(house)
    reply = decide(house, run, "approve", task="go")
    assert (reply.status, reply.json["code"]) == (409, "not_waiting")
    assert "ask" in reply.json["detail"]
    missing = decide(house, run, "approve", task="aks")
    assert (missing.status, missing.json["code"]) == (404, "task_unknown")
    assert "ask" in missing.json["detail"]
    decide(house, run, "reject")


def test_an_instance_is_decided_by_its_key(house):
    ask = {"id": "ask", "type": "approval", "message": "${{ item }}?", "foreach": ["a/b", "c"]}
    run = house.submit({"tasks": [ask]})["id"]
    wait_for(lambda: len(house.get(f"/api/v1/approvals?run={run}")) == 2, "both questions")
    assert decide(house, run, "approve", task="ask%5B0%5D").status == 200
    assert decide(house, run, "approve", task="ask%5B1%5D").status == 200
    assert house.ended(run)["state"] == "COMPLETED"


def test_a_paused_run_starts_nothing_until_it_is_resumed(house):
    run = asked(house, asking())
    paused = house.ask("POST", f"/api/v1/runs/{run}/pause", {"message": "lunch"})
    assert (paused.status, paused.json["state"], paused.json["reason"]) == (200, "WAITING", "paused")
    assert paused.json["message"] == f"{USER}: lunch"
    assert decide(house, run, "approve").status == 200
    states = {task["id"]: task["state"] for task in house.get(f"/api/v1/runs/{run}")["tasks"]}
    assert states == {"ask": "COMPLETED", "go": "PENDING"}
    assert house.ask("POST", f"/api/v1/runs/{run}/resume").json["state"] in ("RUNNING", "COMPLETED")
    assert house.ended(run)["state"] == "COMPLETED"
    assert house.ask("POST", f"/api/v1/runs/{run}/pause").json["code"] == "run_ended"


def test_a_run_that_is_not_paused_cannot_be_resumed(house):
    run = asked(house, asking())
    reply = house.ask("POST", f"/api/v1/runs/{run}/resume")
    assert (reply.status, reply.json["code"]) == (409, "daemon_refused")
    decide(house, run, "reject")


def test_called_runs_are_listed_only_where_they_are_asked_for(house):
    inner = {"name": "inner", "tasks": [{"id": "x", "type": "print", "message": "in"}]}
    run = house.submit({"name": "outer", "tasks": [{"id": "call", "type": "workflow", "workflow": inner}]})["id"]
    done = house.ended(run)
    [child] = done["children"]
    assert (child["task"], child["attempt"], child["state"]) == ("call", 1, "COMPLETED")
    called = house.get(f"/api/v1/runs/{child['run']}")
    assert called["parent"] == {"run": run, "task": "call", "attempt": 1}
    assert (called["trigger"]["type"], called["output"]) == ("workflow", {"x": "in"})

    def listed(query):
        return [each["id"] for each in house.get(f"/api/v1/runs{query}")]

    assert listed(f"?parent={run[-12:]}") == [child["run"]]
    assert child["run"] not in listed("")
    assert child["run"] in listed("?all=true")
    assert child["run"] in listed("?trigger=workflow")
    assert house.get("/api/v1/runs/last")["id"] == run
    assert house.ask("GET", "/api/v1/runs?all=yes").json["code"] == "bad_query"


def test_the_cache_is_used_unless_it_is_to_be_left_alone(house):
    cached = {"id": "a", "type": "print", "message": "same", "cache": {"key": "${{ run.workflow }}"}}
    document = {"name": "cached", "tasks": [cached]}

    def reason(body, query=""):
        return house.ended(house.submit(body, query)["id"])["tasks"][0]["reason"]

    assert reason(document) is None
    assert reason(document) == "cached"
    assert reason(document, "?use_cache=false") is None
    assert reason({"workflow": document, "use_cache": False}) is None
    assert reason({"workflow": document, "use_cache": True}) == "cached"
    assert house.ask("POST", "/api/v1/runs?use_cache=no", document).json["code"] == "bad_query"


def test_a_retry_can_leave_the_cache_alone(house):
    cached = {"id": "a", "type": "print", "message": "twice", "cache": True}
    run = house.submit({"name": "twice", "tasks": [cached]})["id"]
    house.ended(run)
    for body, reason in (({"from": "a"}, "cached"), ({"from": "a", "use_cache": False}, None)):
        again = house.ask("POST", f"/api/v1/runs/{run}/retry", body)
        assert house.ended(again.json["id"])["tasks"][0]["reason"] == reason
    assert house.ask("POST", f"/api/v1/runs/{run}/retry", {"use_cache": 0}).json["code"] == "bad_query"


def test_the_status_says_who_waits_for_a_slot_and_who_is_ahead(house):
    slow = {"name": "slot", "tasks": [{"id": "a", "type": "shell", "argv": ["sleep", "60"], "pool": "db"}]}
    runs = [house.submit(slow)["id"] for _ in range(3)]
    waits = wait_for(
        lambda: found if len((found := house.get("/api/v1/status")["waits"])["tasks"]) == 2 else None, "two that wait"
    )
    assert [(each["pool"], each["task"], each["run"], each["ahead"]) for each in waits["tasks"]] == [
        ("db", "a", runs[1], 0),
        ("db", "a", runs[2], 1),
    ]
    assert [(pool["name"], pool["held"], pool["size"]) for pool in waits["pools"]] == [("db", 1, 1)]
    for run in reversed(runs):
        house.ask("POST", f"/api/v1/runs/{run}/cancel")
        house.ended(run)


def test_the_status_says_behind_how_many_runs_one_is(house):
    document = {
        "name": "one",
        "concurrency": {"key": "${{ params.who }}"},
        "params": {"who": {"type": "string", "default": "ann"}},
        "tasks": [{"id": "a", "type": "approval", "message": "go on?"}],
    }
    first, second = house.submit(document)["id"], house.submit(document)["id"]
    [wait] = wait_for(lambda: house.get("/api/v1/status")["waits"]["runs"], "one that waits")
    assert (wait["run"], wait["workflow"], wait["key"], wait["ahead"]) == (second, "one", "ann", 0)
    assert house.ask("POST", f"/api/v1/runs/{second}/pause").json["code"] == "run_not_begun"
    for run in (second, first):
        house.ask("POST", f"/api/v1/runs/{run}/cancel")
        house.ended(run)
