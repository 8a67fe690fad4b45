import getpass
import json
import stat

import pytest

from daemon import holding
from engine.clock import rfc3339, wall
from tests.daemon.apis import HELLO, House
from tests.waiting import wait_for

SLOW = {"name": "slow", "tasks": [{"id": "a", "type": "delay", "seconds": 60}]}
LATER = "2099-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    house = House(tmp_path_factory.mktemp("api")).begin()
    yield house
    house.end()


def test_a_document_becomes_a_run_that_can_be_read_back(house):
    run = house.submit()
    done = house.ended(run["id"])
    assert (done["state"], done["tasks"][0]["output"]) == ("COMPLETED", "hi")
    assert done["trigger"] == {"type": "api", "user": getpass.getuser()}
    assert house.ask("GET", f"/api/v1/runs/{run['id']}/logs?task=a").body == b"hi\n"
    events = house.get(f"/api/v1/runs/{run['id']}/events")
    assert [event["state"] for event in events if event["task"] is None][-1] == "COMPLETED"
    last = events[-1]["id"]
    assert house.get(f"/api/v1/runs/{run['id']}/events?after={last}") == []


def test_no_header_makes_one_user_another(house):
    client = house.connect()
    client.sendall(
        b"POST /api/v1/runs HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: somebody\r\nX-Dropmill-User: somebody\r\n"
        b'Content-Length: 20\r\nConnection: close\r\n\r\n{"workflow":"hello"}'
    )
    answer = b"".join(iter(lambda: client.recv(65536), b""))
    client.close()
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["trigger"]["user"] == getpass.getuser()


def test_a_request_names_a_workflow_and_its_parameters(house):
    run = house.submit({"workflow": "greet", "params": {"who": "world"}})
    assert house.ended(run["id"])["tasks"][0]["output"] == "hello world"


def test_a_request_may_hold_its_workflow_and_say_where_it_came_from(house):
    document = {
        "params": {"n": {"type": "integer"}},
        "tasks": [{"id": "a", "type": "print", "message": "${{params.n}}"}],
    }
    run = house.submit({"workflow": document, "params": {"n": 7}}, "?file=x/one.json&name=one")
    done = house.ended(run["id"])
    assert (done["workflow"], done["tasks"][0]["output"]) == ("one", 7)
    assert done["trigger"] == {"type": "cli", "user": getpass.getuser(), "file": "x/one.json"}


def test_the_document_in_a_request_is_kept_byte_for_byte(house):
    text = b'{ "name":"odd",  "tasks" :[{"id":"a","type":"print","message":"\\u00e4"}] }'
    run = house.submit(b'\xef\xbb\xbf{"workflow": ' + text + b"}")
    assert house.assembly.history.document_of(run["id"]) == text


def test_a_name_that_is_no_name_is_400(house):
    assert house.ask("POST", f"/api/v1/runs?name={'x' * 256}", HELLO).json["code"] == "bad_query"


def test_an_idempotency_key_answers_with_the_first_run(house):
    body = {"workflow": "hello", "idempotency_key": "once"}
    first, second = house.ask("POST", "/api/v1/runs", body), house.ask("POST", "/api/v1/runs", body)
    assert (first.status, second.status) == (201, 200)
    assert first.json["id"] == second.json["id"]


@pytest.mark.parametrize(
    ("body", "code", "problem"),
    [
        ({"tasks": [{"id": "a", "type": "prnt"}]}, "document_invalid", "unknown_type"),
        (b'{"tasks": [}', "document_invalid", "syntax"),
        (b'{"workflow": {"tasks": []}, "workflow": {"tasks": []}}', "document_invalid", "duplicate_key"),
        ({"workflow": "hello", "parms": {}}, "document_invalid", "unknown_key"),
        ({"workflow": "greet", "params": {"who": 3}}, "params_invalid", None),
        ({"workflow": "helo"}, "workflow_unknown", None),
        ({"workflow": "../hello"}, "document_invalid", "bad_value"),
        (b"", "document_invalid", None),
        (b"\xff", "document_invalid", None),
        (b"[" * 100_000, "document_invalid", None),
    ],
)
def test_what_cannot_run_is_422_with_the_problems_of_the_reject_file(house, body, code, problem):
    reply = house.ask("POST", "/api/v1/runs", body)
    assert (reply.status, reply.json["code"], reply.json["status"]) == (422, code, 422), reply.json
    assert reply.headers["content-type"] == "application/problem+json"
    if problem is not None:
        assert problem in [each["code"] for each in reply.json["problems"]]


def test_a_run_that_is_live_can_be_cancelled_once(house):
    run = house.submit(SLOW)["id"]
    wait_for(lambda: house.get(f"/api/v1/runs/{run}")["state"] == "RUNNING", "its start")
    assert house.ask("POST", f"/api/v1/runs/{run}/retry").json["code"] == "run_not_ended"
    assert house.ask("POST", f"/api/v1/runs/{run}/cancel", {"message": "enough"}).status == 202
    done = house.ended(run)
    assert (done["state"], done["reason"], done["message"]) == ("CANCELLED", "user", "enough")
    again = house.ask("POST", f"/api/v1/runs/{run}/cancel")
    assert (again.status, again.json["code"]) == (409, "run_ended")


def test_a_retry_runs_what_failed_and_what_is_behind_it(house, tmp_path):
    flag, ledger = tmp_path / "flag", tmp_path / "ledger"

    def note(task, **more):
        return {"id": task, "type": "shell", "argv": ["sh", "-c", f"echo {task} >> {ledger}"], **more}

    tasks = [
        note("first"),
        {"id": "second", "type": "shell", "argv": ["test", "-e", str(flag)], "depends_on": ["first"]},
        note("sweep", depends_on=["second"], trigger_rule="all_done"),
    ]
    failed = house.ended(house.submit({"name": "twice", "tasks": tasks})["id"])
    assert failed["state"] == "FAILED"
    flag.touch()
    reply = house.ask("POST", f"/api/v1/runs/{failed['id']}/retry")
    assert reply.status == 201, reply
    done = house.ended(reply.json["id"])
    assert (done["state"], done["trigger"]["type"], done["trigger"]["run"]) == ("COMPLETED", "rerun", failed["id"])
    assert done["trigger"]["origin"] == "api"
    assert ledger.read_text().split() == ["first", "sweep", "sweep"]
    assert house.ask("POST", f"/api/v1/runs/{done['id']}/retry").status == 409
    wrong = house.ask("POST", f"/api/v1/runs/{done['id']}/retry", {"from": "secnd"})
    assert (wrong.status, wrong.json["code"]) == (404, "task_unknown")
    assert "second" in wrong.json["detail"]
    again = house.ask("POST", f"/api/v1/runs/{done['id']}/retry", {"from": "first"})
    assert house.ended(again.json["id"])["state"] == "COMPLETED"
    assert ledger.read_text().split() == ["first", "sweep", "sweep", "first", "sweep"]


def test_a_pause_lets_nothing_start_and_outlives_the_process(house):
    assert house.ask("POST", "/api/v1/pause", {"reason": "disk is full"}).json == {"state": "paused"}
    run = house.submit()["id"]
    status = house.get("/api/v1/status")
    assert (status["state"], status["reason"]) == ("paused", "disk is full")
    assert holding.read(house.config.paths.state) == "disk is full"
    turns = house.assembly.executor.turns
    # A full turn of the executor later the task would have started.
    house.assembly.executor.catalogue().result(20)
    wait_for(lambda: house.assembly.executor.turns > turns, "a turn")
    assert house.get(f"/api/v1/runs/{run}")["tasks"][0]["state"] == "PENDING"
    house.ask("POST", "/api/v1/resume")
    assert house.ended(run)["state"] == "COMPLETED"
    assert holding.read(house.config.paths.state) is None


def test_what_runs_when_a_pause_comes_ends_and_nothing_follows(house, tmp_path):
    flag = tmp_path / "flag"
    wait = {"id": "a", "type": "shell", "argv": ["sh", "-c", f"until test -e {flag}; do sleep 0.02; done"]}
    run = house.submit({"tasks": [wait, {"id": "b", "type": "print", "message": "on", "depends_on": ["a"]}]})["id"]

    def states():
        return {task["id"]: task["state"] for task in house.get(f"/api/v1/runs/{run}")["tasks"]}

    wait_for(lambda: states()["a"] == "RUNNING", "its start")
    house.ask("POST", "/api/v1/pause")
    flag.touch()
    wait_for(lambda: states()["a"] == "COMPLETED", "its end")
    house.assembly.executor.catalogue().result(20)
    assert states()["b"] == "PENDING"
    house.ask("POST", "/api/v1/resume")
    assert house.ended(run)["state"] == "COMPLETED"


def test_the_status_says_what_runs_and_what_waits(house):
    later = house.submit({"workflow": "hello", "run_at": LATER})["id"]
    slow = house.submit(SLOW)["id"]
    wait_for(lambda: house.get(f"/api/v1/runs/{slow}")["state"] == "RUNNING", "its start")
    status = house.get("/api/v1/status")
    assert [run["id"] for run in status["running"]] == [slow]
    assert [run["id"] for run in status["waiting"]] == [later]
    assert status["schedules"] == house.get("/api/v1/parts/schedules") == [{"name": "nightly"}]
    for run in (slow, later):
        house.ask("POST", f"/api/v1/runs/{run}/cancel")
        house.ended(run)


def test_a_daemon_that_starts_is_not_ready_yet(house):
    house.phase = "starting"
    assert house.get("/api/v1/status")["state"] == "starting"
    house.phase = "ready"
    assert house.get("/api/v1/status")["state"] == "ready"


def test_the_status_names_tasks_that_wait_for_their_next_attempt(house):
    task = {"id": "a", "type": "shell", "argv": ["false"], "retry": {"max_retries": 1, "delay": "1h"}}
    run = house.submit({"tasks": [task]})["id"]
    found = wait_for(lambda: house.get("/api/v1/status")["held_up"], "the retry")
    assert [(each["run"], each["task"], each["state"]) for each in found] == [(run, "a", "RETRYING")]
    house.ask("POST", f"/api/v1/runs/{run}/cancel")
    house.ended(run)


def test_lists_page_by_key_and_filter(house):
    ids = [house.submit()["id"] for _ in range(3)]
    for run in ids:
        house.ended(run)
    first = house.get("/api/v1/runs?limit=2&workflow=hello&state=COMPLETED&trigger=api")
    second = house.get(f"/api/v1/runs?limit=1&workflow=hello&before={first[-1]['id']}")
    assert [run["id"] for run in first + second] == ids[::-1]
    assert house.get(f"/api/v1/runs?since={rfc3339(wall() + 3600)}") == []
    assert house.get("/api/v1/runs/last")["id"] == ids[-1]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=501", "limit=x", "limit=-1", "limit=%D9%A1", "since=now"],
)
def test_a_query_that_cannot_be_read_is_400(house, query):
    reply = house.ask("GET", f"/api/v1/runs?{query}")
    assert (reply.status, reply.json["code"]) == (400, "bad_query")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/runs/nope", 404, "run_unknown"),
        ("GET", "/api/v1/runs/%00", 404, "run_unknown"),
        ("GET", "/api/v1/runs/..%2f", 404, "route_unknown"),
        ("GET", "/api/v1/runs/last/logs", 400, "bad_query"),
        ("GET", "/api/v1/runs/last/logs?task=nope", 404, "task_unknown"),
        ("GET", "/api/v1/parts/nope", 404, "wish_unknown"),
        ("POST", "/api/v1/parts/nope/pause", 404, "wish_unknown"),
        ("GET", "/nowhere", 404, "route_unknown"),
        ("DELETE", "/api/v1/runs", 405, "method_unknown"),
        ("GET", "/api/v1/runs/", 404, "route_unknown"),
    ],
)
def test_what_is_not_there_is_a_problem_document(house, method, path, status, code):
    house.ended(house.submit()["id"])
    reply = house.ask(method, path)
    assert (reply.status, reply.json["code"]) == (status, code)
    assert reply.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"reason": 3}', b'{"reason": "a", "reason": "b"}', b"\xff"])
def test_a_small_body_is_read_strictly(house, body):
    reply = house.ask("POST", "/api/v1/pause", body)
    assert reply.status in (400, 422)
    assert house.get("/api/v1/status")["state"] == "ready"


def test_a_wish_reaches_the_part_that_it_is_for(house):
    reply = house.ask("POST", "/api/v1/parts/schedules/pause", {"name": "nightly"})
    assert reply.json == {"paused": "nightly"}
    assert house.heard[-1] == {"name": "nightly"}


def test_workflows_and_task_types_are_listed(house):
    assert house.get("/api/v1/workflows") == ["greet", "hello"]
    assert {"print", "shell"} <= set(house.get("/api/v1/plugins")["types"])


def test_the_socket_is_for_whom_the_settings_name(house):
    assert stat.S_IMODE(house.path.stat().st_mode) == 0o660


def test_a_drain_takes_nothing_new(tmp_path):
    house = House(tmp_path).begin()
    try:
        assert house.ask("POST", "/api/v1/drain").status == 202
        assert house.heard == ["drain"]
        reply = house.ask("POST", "/api/v1/runs", HELLO)
        assert (reply.status, reply.json["code"]) == (503, "stopping")
        assert house.get("/api/v1/status")["state"] == "draining"
    finally:
        house.end()
    assert not house.path.exists()


def test_a_folder_deeper_than_a_socket_address_will_do(tmp_path):
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    house = House(deep)
    house.assembly.open()
    house.assembly.start()
    try:
        house.api.start()
        assert house.path.is_socket()
    finally:
        house.end()


def test_the_description_is_json_that_names_every_route(house):
    from daemon.api.routes import ROUTES

    found = house.get("/api/v1/openapi.json")
    assert {(path, method.upper()) for path, of_path in found["paths"].items() for method in of_path} == {
        (route.path, route.method) for route in ROUTES
    }
    operations = [operation for of_path in found["paths"].values() for operation in of_path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    references = [part.split('"')[0] for part in json.dumps(found).split("#/components/schemas/")[1:]]
    assert set(references) <= set(found["components"]["schemas"])


def test_a_drain_is_refused_while_it_is_paused_since_what_waits_would_never_end(tmp_path):
    house = House(tmp_path).begin()
    try:
        house.ask("POST", "/api/v1/pause")
        assert house.ask("POST", "/api/v1/drain").status == 409
        house.ask("POST", "/api/v1/resume")
        assert house.ask("POST", "/api/v1/drain").status == 202
    finally:
        house.end()
