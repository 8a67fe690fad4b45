from pathlib import Path

from engine.registry import Registry
from engine.task import RESERVED_FIELDS
from tests.rules import handbook

ROOT = Path(__file__).parents[2]


def test_the_reference_is_what_the_code_prints():
    assert (ROOT / "REFERENCE.md").read_text(encoding="utf-8") == handbook.page(), (
        "print it again: .venv/bin/python -m tests.rules.handbook > REFERENCE.md"
    )


def test_every_field_of_every_built_in_task_type_has_a_sentence():
    bare = [
        f"{task_type.type}.{name}"
        for task_type in Registry().load().types.values()
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


def test_every_error_has_a_code_of_its_own_and_a_sentence():
    classes = [each for each in handbook.error_classes(handbook.errors.DropmillError) if each.__name__[0] != "_"]
    own = [each for each in classes if "code" in vars(each)]
    assert len({each.code for each in own}) == len(own)
    assert all(each.__doc__ for each in classes)
