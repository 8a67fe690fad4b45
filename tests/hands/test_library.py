import asyncio
import json
import subprocess
import sys

import pytest

import engine
from engine.errors import DocumentInvalidError, ParamsInvalidError
from engine.states import State

DOUBLE = {
    "name": "double",
    "params": {"n": {"type": "integer", "default": 2}},
    "tasks": [
        {"id": "a", "type": "print", "message": "${{ params.n }}"},
        {"id": "b", "type": "print", "depends_on": ["a"], "message": "${{ tasks.a.output * 2 }}"},
    ],
}


def test_a_script_runs_a_workflow_and_gets_its_outputs():
    result = engine.run(DOUBLE, {"n": 21})
    assert result.state is State.COMPLETED
    assert result.outputs() == {"a": 21, "b": 42}


def test_an_async_caller_runs_several_side_by_side():
    async def both():
        return await asyncio.gather(engine.execute(DOUBLE, {"n": 1}), engine.execute(DOUBLE))

    assert [result.outputs()["b"] for result in asyncio.run(both())] == [2, 4]


def test_a_document_can_be_named_by_its_path(tmp_path):
    file = tmp_path / "double.json"
    file.write_text(json.dumps(DOUBLE))
    assert engine.run(file).outputs() == engine.run(str(file)).outputs() == {"a": 2, "b": 4}


def test_a_run_that_fails_is_a_result():
    result = engine.run({"tasks": [{"id": "a", "type": "shell", "argv": ["false"]}]})
    assert result.state is State.FAILED
    assert result.tasks[0].reason == "exit_code"


def test_a_bad_document_and_bad_parameters_are_errors_with_their_problems():
    with pytest.raises(DocumentInvalidError) as caught:
        engine.run({"tasks": [{"id": "a", "type": "prnt"}]})
    assert caught.value.problems[0].pointer == "/tasks/0/type"
    with pytest.raises(ParamsInvalidError):
        engine.run(DOUBLE, {"n": "many"})


def test_the_history_can_be_kept(tmp_path):
    first = engine.run(DOUBLE, keep=tmp_path)
    second = engine.run(DOUBLE, keep=tmp_path)
    assert first.id != second.id
    assert (tmp_path / "state.db").exists()


def test_functions_of_the_program_are_task_types():
    registry = engine.Registry()
    registry.load()
    registry.register("add", lambda task: task.update(output=task["x"] + task["y"]) or True)
    assert engine.run({"tasks": [{"id": "a", "type": "add", "x": 1, "y": 2}]}, registry=registry).outputs() == {"a": 3}


def test_the_face_is_light_and_its_names_are_functions_whatever_was_imported_first():
    text = (
        "import sys, engine; assert len([n for n in sys.modules if n.startswith('engine')]) == 1;"
        "import engine.executor; assert callable(engine.run) and callable(engine.task) and engine.__all__"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", text], check=True)


def test_a_name_that_is_not_there_is_an_ordinary_attribute_error():
    with pytest.raises(AttributeError, match="ghost"):
        _ = engine.ghost


def test_a_task_calls_a_workflow_that_lies_beside_the_document(tmp_path):
    documents = {"double": DOUBLE} | {
        name: {"tasks": [{"id": "call", "type": "workflow", "workflow": called, "params": {"n": 4}}]}
        for name, called in (("parent", "double"), ("path", "./double.json"), ("wrong", "duoble"))
    }
    for name, document in documents.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    for name in ("parent", "path"):
        assert engine.run(tmp_path / f"{name}.json").outputs() == {"call": {"b": 8}}
    result = engine.run(tmp_path / "wrong.json")
    assert result.tasks[0].reason == "invalid"
    assert "did you mean 'double'" in result.tasks[0].message
