"""What a restart makes of runs that were accepted under other circumstances than those of the moment."""

import contextlib
import json
import sqlite3

import msgspec
import pytest

from daemon.intake import judge
from daemon.recovery import Recovery
from engine.library import Surroundings
from engine.limits import Limits
from engine.states import State
from engine.submission import Submission
from engine.task import Catalogue, TaskType
from tests.hands.workshop import workshops

CATALOGUE = Catalogue({"ledger": TaskType(type="ledger")})


@pytest.fixture
def make(tmp_path):
    with workshops(tmp_path) as make:
        yield make


def written(life, **fields):
    """Write a workflow of two tasks; what the second one is given is worked out when the first has ended."""
    ledger = {"type": "ledger", "ledger": str(life.ledger_path)}
    tasks = [{"id": "a"} | ledger, {"id": "b", "depends_on": ["a"]} | ledger | fields]
    return msgspec.json.encode({"tasks": tasks})


def accept(life, document, limits, params=None):
    """Record the run of a document as the intake does, in a life that ends before the run begins."""
    plan = judge(document, CATALOGUE, limits)
    life.start()
    life.executor.hold("nothing begins in this life")
    submission = Submission(workflow=plan.workflow, document=document, params=params or {})
    run = life.executor.submit(submission, plan).result(20).run
    life.stop()
    return run


def take_up(life, limits):
    """Take up what the memory holds under these limits, as the daemon does."""
    recovery = Recovery(life.executor, values=life.values, limits=limits, ambience=Surroundings())
    report = recovery.take_up(life.history.open_runs())
    life.start()
    return report


def test_a_document_with_a_byte_order_mark_is_taken_up(make):
    life = make()
    run = accept(life, b"\xef\xbb\xbf" + written(life), Limits())
    later = make()
    assert take_up(later, Limits()).runs == 1
    assert later.end_of(run).state is State.COMPLETED


def test_expressions_of_a_run_that_is_taken_up_keep_the_limit_of_the_operator(make):
    life = make()
    turns = "[1, 2, 3].map(x, [1, 2, 3].map(y, [1, 2, 3].map(z, x + y + z)))"
    limits = Limits(expression_steps=10**12)
    run = accept(life, written(life, note=f"${{{{ {turns.replace('[1, 2, 3]', str(list(range(40))))} }}}}"), limits)
    later = make()
    take_up(later, limits)
    assert later.end_of(run).state is State.COMPLETED


def test_a_limit_that_was_lowered_refuses_no_run_that_was_accepted(make):
    life = make()
    run = accept(life, written(life), Limits())
    later = make()
    assert take_up(later, Limits(document_bytes=10, document_depth=1, document_tasks=1)).refused == ()
    assert later.end_of(run).state is State.COMPLETED


def test_hooks_and_documents_inside_tasks_are_taken_up_whatever_the_limits_are_now(make):
    life = make()
    document = json.loads(written(life))
    task = document["tasks"][0]
    hook = {**task, "id": "h", "foreach": [1, 2]}
    document["on_failure"] = [hook, {"id": "c", "type": "workflow", "workflow": {"tasks": [task]}}]
    run = accept(life, json.dumps(document).encode(), Limits())
    later = make()
    assert take_up(later, Limits(foreach_items=1, workflow_depth=1)).refused == ()
    assert later.end_of(run).state is State.COMPLETED


def test_a_run_whose_document_cannot_be_read_any_more_is_ended_and_says_why(make):
    life = make()
    run = accept(life, written(life), Limits())
    with contextlib.closing(sqlite3.connect(life.folder / "state.db")) as memory:
        memory.execute("UPDATE workflows SET document = ?", (b'{"tasks": [{"id": "a", "type": "ledger", "when": 1}]}',))
        memory.commit()
    later = make()
    report = take_up(later, Limits())
    assert [key for key, _ in report.refused] == [run]
    ended = later.end_of(run)
    assert (ended.state, ended.reason) == (State.FAILED, "invalid")
    assert "when" in ended.message
    assert {task.state for task in ended.tasks} == {State.CANCELLED}


def test_a_run_whose_state_cannot_be_known_any_more_is_ended_and_keeps_no_other_from_being_taken_up(make):
    life = make()
    task = {"id": "a", "type": "ledger", "ledger": str(life.ledger_path)}
    routing = {"entry": "a", "state": {"n": "${{ params.day.of }}"}}
    params = {"day": {"type": "object", "default": {"of": 1}}}
    document = msgspec.json.encode({"params": params, "routing": routing, "tasks": [task]})
    runs = [accept(life, document, Limits(), {"day": {"of": 1}})]
    life = make()
    runs.append(accept(life, written(life), Limits()))
    later = make()
    recovery = Recovery(later.executor, values=later.values, limits=Limits(), ambience=Surroundings())
    records = [msgspec.structs.replace(record, params={}) for record in later.history.open_runs()]
    report = recovery.take_up(records)
    later.start()
    assert [later.end_of(run).state for run in runs] == [State.FAILED, State.COMPLETED]
    assert [run for run, _ in report.refused] == runs[:1]
