"""An engine in the program's own process, for many runs."""

import asyncio
import re
import threading

import pytest

import engine
from engine.errors import ExecutorStoppedError, NotWaitingError, RunEndedError, RunUnknownError
from engine.states import State
from tests.rules.source import ROOT

CALLING = {
    "tasks": [{"id": "c", "type": "workflow", "workflow": {"tasks": [{"id": "a", "type": "print", "message": "in"}]}}]
}
ASKING = {"tasks": [{"id": "q", "type": "approval", "message": "Ship it?"}]}


@pytest.fixture
def session():
    with engine.Engine() as running:
        yield running


def test_many_runs_on_one_engine(session):
    runs = [session.submit({"tasks": [{"id": "a", "type": "print", "message": str(n)}]}) for n in range(5)]
    assert [session.wait(run).outputs() for run in runs] == [{"a": str(n)} for n in range(5)]


def test_a_run_that_calls_another_is_waited_for_to_its_own_end(session):
    result = session.run(CALLING)
    assert (result.state, result.outputs()) == (State.COMPLETED, {"c": {"a": "in"}})


def test_the_status_says_what_has_completed_and_what_is_under_way():
    registry, go = engine.Registry(), threading.Event()
    registry.load()
    registry.register("wait", lambda: go.wait(30) and "gone")
    with engine.Engine(registry=registry) as session:
        flow = engine.Workflow("w").add("a", "print", message="hi").add("b", "wait", depends_on=["a"])
        seen = threading.Event()
        registry.register("seen", seen.set)
        run = session.submit(flow.add("c", "seen", depends_on=["a"]).document)
        assert seen.wait(30)
        status = session.status(run)
        assert (status.completed[0], "b" in status.active, status.results["a"]) == ("a", True, "hi")
        go.set()
        assert session.wait(run).outputs()["b"] == "gone"
        assert session.status(run).active == []


def test_metrics_add_up_attempts(session):
    again = {"id": "b", "type": "shell", "argv": ["false"], "retry": {"max_retries": 1, "delay": 0}}
    result = session.run({"tasks": [{"id": "a", "type": "print", "message": "x"}, again]})
    metrics = session.metrics(result.id)
    assert (metrics.attempts, metrics.retries, round(metrics.failure_rate, 2)) == (3, 1, 0.67)
    assert metrics.tasks["b"].attempts == 2
    assert metrics.seconds >= metrics.tasks["b"].seconds > 0


def test_a_person_decides_through_it(session):
    run = session.submit(ASKING)
    session.decide(run, "q", engine.Decision(is_approved=True, actor="ann"))
    assert session.wait(run).outputs()["q"]["actor"] == "ann"
    with pytest.raises((NotWaitingError, RunEndedError)):
        session.decide(run, "q", engine.Decision(is_approved=True))


def test_a_run_can_be_cancelled_and_an_unknown_one_is_an_error(session):
    run = session.submit(ASKING)
    session.cancel(run, "enough")
    assert session.wait(run).state is State.CANCELLED
    for ask in (session.wait, session.cancel, session.status, session.metrics):
        with pytest.raises(RunUnknownError):
            ask("nothing")


def test_a_plain_yes_or_no_decides_too(session):
    run = session.submit(ASKING)
    session.decide(run, "q", False)
    assert session.wait(run).state is State.FAILED


def test_it_is_awaited_and_takes_nothing_after_its_end():
    session = engine.Engine()
    session.start()
    session.start()
    assert asyncio.run(session.execute(CALLING)).state is State.COMPLETED
    session.stop()
    session.stop()
    with pytest.raises(ExecutorStoppedError):
        session.submit(CALLING)


def test_the_python_of_the_readme_says_what_stands_beside_it(capsys):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    part = text.partition("## In a program")[2].partition("\n## ")[0]
    scope: dict[str, object] = {}
    for code in re.findall(r"```python\n(.*?)```", part, re.DOTALL):
        exec(code, scope)  # noqa: S102 -- our own text
    said = capsys.readouterr().out
    assert "COMPLETED {'a': 21}\nsum: 10\n" in said
    assert said.endswith("}\n\nCOMPLETED\n")
