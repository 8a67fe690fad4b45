"""What clients do that are slow, rude, many or broken: none of it is a 500, and none of it holds up anybody else."""

import json
import select
import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.api.peer import MOST_CONNECTIONS
from tests.daemon.apis import HELLO, House
from tests.waiting import wait_for

SMALL = '[executor]\nworkers = 1\ngrace = "1s"\n[limits]\ndocument_bytes = "64KiB"\n'
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(
    ["workflow", "params", "idempotency_key", "priority", "run_at", "tasks", "name", "message", "from"]
)
BODIES = (
    st.binary(max_size=200)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(KEYS, JSON, max_size=5).map(lambda value: json.dumps(value).encode())
    | st.dictionaries(KEYS, JSON, max_size=3).map(lambda value: json.dumps({"workflow": value}).encode())
)
POSTS = ["/api/v1/runs", "/api/v1/runs/last/cancel", "/api/v1/runs/last/retry", "/api/v1/parts/schedules/x"]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    house = House(tmp_path_factory.mktemp("strain"), SMALL).begin()
    yield house
    house.end()


@given(path=st.sampled_from(POSTS), body=BODIES)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_is_more_than_it_can_take(house, path, body):
    reply = house.ask("POST", path, body)
    assert reply.status < 500, (reply, body)
    assert reply.status < 300 or reply.json["code"]


@given(st.text(alphabet=st.characters(codec="latin-1"), max_size=30))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_query_is_more_than_it_can_take(house, value):
    from urllib.parse import quote

    text = quote(value, safe="")
    for path in (f"runs?state={text}&since={text}", f"runs?before={text}", f"runs/{text}", f"runs?limit={text}"):
        assert house.ask("GET", f"/api/v1/{path}").status < 500


def test_bytes_that_are_no_http_are_answered_and_hurt_nobody(house):
    with house.connect() as connection:
        connection.sendall(b"\x00\xff nonsense\r\n\r\n")
        assert b"400" in connection.recv(4096)
    assert house.get("/health") == {"status": "ok"}


def test_a_body_over_the_limit_is_413_and_not_kept(house):
    document = HELLO | {"description": "x" * 80_000}
    reply = house.ask("POST", "/api/v1/runs", document)
    assert (reply.status, reply.json["code"]) == (413, "too_large")


def test_a_body_that_breaks_off_leads_to_no_run(house):
    before = house.get("/api/v1/runs?limit=1")
    with house.connect() as connection:
        connection.sendall(b'POST /api/v1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n{"tasks": [')
    assert house.get("/health") == {"status": "ok"}
    assert house.get("/api/v1/runs?limit=1") == before


def test_clients_that_send_or_read_nothing_hold_up_nobody(house):
    idle = [house.connect() for _ in range(40)]
    lazy = [house.connect() for _ in range(40)]
    for connection in idle[:20]:
        connection.sendall(b"POST /api/v1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{")
    for connection in lazy:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
    try:
        assert house.ended(house.submit()["id"])["state"] == "COMPLETED"
    finally:
        for connection in idle + lazy:
            connection.close()


def test_beyond_a_bound_connections_are_closed_at_once(house):
    many = [house.connect() for _ in range(MOST_CONNECTIONS + 20)]

    def closed():
        # One that is closed has something to read: its end.
        return select.select(many, [], [], 0)[0]

    try:
        wait_for(closed, "the end of a connection")
    finally:
        for connection in many:
            connection.close()
    wait_for(lambda: _answers(house), "an answer")


def test_a_stop_does_not_wait_for_clients(tmp_path):
    house = House(tmp_path, SMALL).begin()
    slow = house.connect()
    slow.sendall(b"POST /api/v1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{")
    house.end()
    with slow:
        assert house.api._thread is None


def test_what_nobody_foresaw_is_a_problem_document_and_a_line_in_the_log(house):
    from loguru import logger

    lines = []
    number = logger.add(lines.append, format="{message}")
    try:
        # The wish needs a name, which the part here takes for granted.
        reply = house.ask("POST", "/api/v1/parts/schedules/pause", {})
    finally:
        logger.remove(number)
    assert (reply.status, reply.json["code"]) == (500, "internal")
    assert any("KeyError" in line for line in lines)


def _answers(house):
    try:
        return house.get("/health")
    except (OSError, AssertionError):
        return None
