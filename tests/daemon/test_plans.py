"""Documents by name, judged once, and what a called workflow that is tried again takes over."""

import json
import os

import pytest

from daemon.library import Library
from daemon.plans import Plans
from engine.errors import DocumentInvalidError, InputError, WorkflowUnknownError
from engine.facts import Begin, Finish
from engine.limits import Limits
from engine.states import Reason, State
from engine.task import Catalogue, TaskType
from tests.hands.memory import Memory, complete, fail, start

CATALOGUE = Catalogue({"print": TaskType(type="print")})
DOCUMENT = {
    "name": "report",
    "tasks": [{"id": "a", "type": "print"}, {"id": "b", "type": "print", "depends_on": ["a"]}],
}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "workflows"
    folder.mkdir()
    (folder / "nightly.json").write_text(json.dumps(DOCUMENT))
    (folder / "nameless.json").write_text(json.dumps({"tasks": DOCUMENT["tasks"]}))
    (folder / "broken.json").write_text('{"tasks": [{"id": "a", "type": "prnt"}]}')
    return folder


@pytest.fixture
def plans(folder):
    return Plans(Library([folder]), Limits())


def test_a_workflow_is_found_by_name_or_path_and_planned_once(plans, folder):
    found = plans.find("nightly", CATALOGUE)
    assert (found.workflow.name, json.loads(found.document)) == ("report", DOCUMENT)
    assert plans.find("nightly", CATALOGUE).plan is found.plan
    assert plans.find(f"{folder}/nameless.json", CATALOGUE).workflow.name == "nameless"


def test_a_plan_is_made_anew_under_another_catalogue(plans):
    first = plans.find("nightly", CATALOGUE).plan
    assert plans.find("nightly", Catalogue(dict(CATALOGUE.types))).plan is not first


@pytest.mark.parametrize(
    ("reference", "error", "said"),
    [
        ("nightyl", WorkflowUnknownError, "did you mean 'nightly'"),
        ("broken", DocumentInvalidError, "prnt"),
        ("./gone.json", InputError, "cannot be read"),
        ("./no\0path.json", InputError, "can be no path"),
        ("./half\ud800.json", InputError, "can be no path"),
        ("/dev/zero", InputError, "no regular file"),
        ("\U0001f600" * 100, WorkflowUnknownError, "no workflow is called"),
    ],
)
def test_what_cannot_be_called_says_why(plans, reference, error, said):
    with pytest.raises(error, match=said):
        plans.find(reference, CATALOGUE)


def test_what_completed_in_an_earlier_run_is_taken_over(folder, tmp_path):
    memory = Memory(f"sqlite:///{tmp_path / 'state.db'}", tmp_path)
    try:
        run = memory.create("01former", "a", "b")
        ended = [Begin(), start("a"), complete("a", output=b"7"), start("b"), fail("b")]
        for order in [*ended, Finish(State.FAILED, Reason.TASK_FAILED, "b")]:
            assert memory.write(run, order)
        plans = Plans(Library([folder]), Limits(), memory.history)
        found, params = plans.find("nightly", CATALOGUE), memory.history.run(run).params
        found = found._replace(document=memory.history.document_of(run))
        assert plans.repeated(run, found, params).reused == {"a": b"7"}
        assert plans.repeated("01nobody", found, params).reused == {}
        assert plans.repeated(run, found, params | {"n": 1}).reused == {}
        assert plans.repeated(run, found._replace(document=b"changed since"), params).reused == {}
    finally:
        memory.close()


def test_a_workflow_that_is_a_pipe_is_not_waited_for(plans, folder):
    os.mkfifo(folder / "pipe")
    with pytest.raises(InputError, match="no regular file"):
        plans.find(f"{folder}/pipe", CATALOGUE)


def test_a_workflow_that_is_too_long_is_not_read_to_its_end(folder):
    (folder / "long.json").write_bytes(b" " * 5000)
    with pytest.raises(DocumentInvalidError, match="limit"):
        Plans(Library([folder]), Limits(document_bytes=1000)).find("long", CATALOGUE)
