"""How a document in another dialect is judged: as its translation, with pointers into what was written."""

import json

from engine import positions
from engine.limits import Limits
from engine.loader.dialects import DIALECTS, Dialect, Translation, judge_any
from engine.model import Task, Workflow
from engine.problems import Findings, pointer
from engine.task import Catalogue, TaskType

CATALOGUE = Catalogue({"any": TaskType(type="any")})


def translate(document, findings):
    """A dialect of this test: tasks as an object by id, `kind` for `type`, `secs` for `retry.delay`."""
    tasks, origins, keys = [], {"/tasks": "/things"}, set()
    for number, (name, thing) in enumerate(document["things"].items()):
        at, own = f"/tasks/{number}", pointer(["things", name])
        origins |= {at: own, f"{at}/id": own, f"{at}/type": f"{own}/kind", f"{at}/retry/delay": f"{own}/secs"}
        keys.add(f"{at}/id")
        if "magic" in thing:
            findings.add("unsupported", "there is no magic", f"{own}/magic", at_key=True)
        rest = {key: value for key, value in thing.items() if key not in {"kind", "secs", "magic"}}
        tasks.append({"id": name, "type": thing["kind"], **rest, "retry": {"delay": thing.get("secs", 1)}})
    return Translation({"tasks": tasks}, origins, frozenset(keys))


THINGS = Dialect("things", lambda document: "things" in document, translate)


def judged(document):
    findings = Findings(100)
    return judge_any(document, CATALOGUE, Limits(), findings, (THINGS,)), findings


def test_a_translated_document_becomes_a_workflow():
    workflow, findings = judged({"things": {"a": {"kind": "any", "x": 1}, "b": {"kind": "any", "depends_on": ["a"]}}})
    assert findings.count == 0
    assert workflow == Workflow(
        tasks=(Task(id="a", type="any", fields={"x": 1}), Task(id="b", type="any", depends_on=("a",)))
    )


def test_problems_stand_where_they_were_written():
    document = {"things": {"a b": {"kind": "nope"}, "b/": {"kind": "any", "secs": "x", "depends_on": ["q"], "foo": 1}}}
    document["things"]["c"] = {"kind": "any", "x": "${{ nothing }}", "magic": 1}
    document["things"]["c"]["depends_on"] = ["a b"]
    text = json.dumps(document)
    workflow, findings = judged(json.loads(text))
    assert workflow is None
    found = {(problem.code, problem.pointer): problem.pointer in findings.at_keys for problem in findings.shown}
    assert found == {
        ("unsupported", "/things/c/magic"): True,
        ("bad_id", "/things/a b"): True,
        ("unknown_type", "/things/a b/kind"): False,
        ("bad_id", "/things/b~1"): True,
        ("bad_duration", "/things/b~1/secs"): False,
        ("unknown_dependency", "/things/b~1/depends_on/0"): False,
        ("expression_name", "/things/c/x"): False,
    }
    spots = positions.spots(text, {name for code, at in found for name in positions.lineage(at)})
    assert positions.place(text, spots, "/things/a b", of_key=True) == (1, text.index('"a b"') + 1)


def test_what_a_dialect_cannot_translate_is_never_a_workflow():
    assert judged({"things": {"a": {"kind": "any", "magic": 1}}})[0] is None


def test_no_two_dialects_recognise_the_same_document():
    for document in [
        {"tasks": []},
        {"steps": {}},
        {"steps": []},
        {"nodes": []},
        {"nodes": [], "edges": [], "entry": "a"},
    ]:
        assert sum(dialect.recognise(document) for dialect in DIALECTS) <= 1
    assert not any(dialect.recognise({"tasks": []}) for dialect in DIALECTS)
