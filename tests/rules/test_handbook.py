import json
from pathlib import Path

import pytest

from engine import loader, natives
from engine.limits import Limits
from engine.loader.keys import HOOKS, TASK_KEYS, WORKFLOW_KEYS
from engine.plan import make_plan
from engine.registry import Registry
from engine.task import RESERVED_FIELDS
from tests.rules import handbook
from tests.rules.examples import EXAMPLES

ROOT = Path(__file__).parents[2]


def test_the_reference_is_what_the_code_prints():
    assert (ROOT / "REFERENCE.md").read_text(encoding="utf-8") == handbook.page(), (
        "print it again: .venv/bin/python -m tests.rules.handbook > REFERENCE.md"
    )


def test_every_field_of_every_built_in_task_type_has_a_sentence():
    bare = [
        f"{task_type.type}.{name}"
        for task_type in natives.beside(Registry().load()).types.values()
        for name, schema in (task_type.param_schema or {}).get("properties", {}).items()
        if len(schema.get("description", "").split()) < 3
    ]
    assert bare == []


def test_every_example_of_a_built_in_task_type_is_one_the_loader_takes():
    registry = Registry()
    examples = [
        (task_type.type, {name: value for name, value in example.items() if name not in RESERVED_FIELDS})
        for task_type in registry.load().types.values()
        for example in (task_type.param_schema or {}).get("examples", ())
    ]
    assert examples
    assert [problem for name, fields in examples for problem in registry.problems(name, fields)] == []


@pytest.fixture(scope="module")
def catalogue():
    return Registry().load()


@pytest.mark.parametrize("title", EXAMPLES)
def test_every_example_of_the_reference_can_be_planned(title, catalogue):
    workflow, problems = loader.load(EXAMPLES[title][1].encode(), catalogue, Limits())
    assert problems == ()
    make_plan(workflow)


def test_the_examples_use_every_key_there_is():
    used = set()
    todo = [json.loads(text) for _, text in EXAMPLES.values()]
    for value in todo:
        if isinstance(value, dict):
            used |= value.keys()
            todo.extend(value.values())
        elif isinstance(value, list):
            todo.extend(value)
    own = {name for kind in natives.task_types().values() for name in kind.fields}
    parts = {
        handbook.WRITTEN.get(field, field) for struct in handbook.STRUCTS.values() for field in struct.__struct_fields__
    }
    assert {*TASK_KEYS, *WORKFLOW_KEYS, *HOOKS, *own, *parts, "defaults", "params"} - used == set()


def test_every_error_has_a_code_of_its_own_and_a_sentence():
    classes = [each for each in handbook.error_classes(handbook.errors.DropmillError) if each.__name__[0] != "_"]
    own = [each for each in classes if "code" in vars(each)]
    assert len({each.code for each in own}) == len(own)
    assert all(each.__doc__ for each in classes)
