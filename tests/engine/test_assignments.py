"""What a worker is handed for an attempt."""

import pytest

from engine.assignments import assignment, origin_of
from engine.facts import Start
from engine.model import Task


@pytest.mark.parametrize(
    ("trigger", "origin"),
    [
        ({"type": "api", "user": "ann"}, "api"),
        ({"type": "inbox", "file": "a.json"}, "inbox"),
        ({"type": "rerun", "run": "r1", "origin": "api"}, "api"),
        ({"type": "rerun", "run": "r1"}, "rerun"),
        ({}, ""),
    ],
)
def test_an_attempt_knows_what_the_run_came_by(trigger, origin):
    assert origin_of(trigger) == origin


def test_the_limits_of_a_task_ask_for_a_process_and_its_own_timeout_holds():
    order = Start("a", 2, fields={"x": 1}, inputs={}, memo=b"null")
    task = Task(id="a", type="print", timeout=5.0, memory_limit=10)
    made = assignment("r1", task, order, timeout=60.0, secrets=("s",), origin="api")
    assert (made.run, made.task, made.attempt, made.type, made.fields) == ("r1", "a", 2, "print", {"x": 1})
    assert (made.timeout, made.isolation, made.secrets, made.origin) == (5.0, "process", ("s",), "api")
    plain = assignment("r1", Task(id="a", type="print"), order, timeout=60.0, secrets=())
    assert (plain.timeout, plain.isolation, plain.origin) == (60.0, "worker", "")
