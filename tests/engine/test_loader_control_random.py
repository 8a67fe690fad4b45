"""Random control flow, right and wrong: whatever passes the judge can be planned, and nothing makes it raise."""

import json

from hypothesis import given
from hypothesis import strategies as st

from engine import loader
from engine.limits import Limits
from engine.loader.keys import HOOKS, TASK_KEYS, UNROUTED_KEYS, WORKFLOW_KEYS
from engine.plan import make_plan
from engine.problems import PROBLEMS
from engine.task import Catalogue, TaskType

CATALOGUE = Catalogue({"any": TaskType(type="any")})
LIMITS = Limits(workflow_depth=3, foreach_items=4)

ids = st.sampled_from(["a", "b", "c", "d"])
safe = st.sampled_from(["true", "params.p > 1", "run.id == 'x'", "trigger.type == 'api'"])
# Names that are known here or there, and some that never are.
risky = st.sampled_from(
    ["tasks.a.output > 1", "tasks.b.state == 'FAILED'", "item == 1", "index > 1", "iteration < 3", "output.x > 1",
     "state.n > 1", "params.q > 1", "run.failed == []", "env.HOME == 'x'", "1 +", "", "nope"]
)  # fmt: skip


def mostly(usual, rare):
    """The usual, and now and then something else."""
    return st.integers(0, 7).flatmap(lambda roll: usual if roll else rare)


cel = mostly(safe, risky)
texts = st.one_of(st.just("x"), cel.map(lambda text: f"${{{{ {text} }}}}"), cel.map(lambda text: f"x ${{{{{text}}}}}"))
wrong = st.sampled_from([None, True, 0, 1.5, "x", [], {}, {"key": 1}])


def objects(needed, **more):
    return st.fixed_dictionaries(needed, optional=more)


items = st.lists(texts, max_size=4) | cel.map(lambda text: f"${{{{ {text} }}}}")
loop = st.sampled_from(["until", "while"]).flatmap(
    lambda word: objects(
        {word: mostly(st.just("output.x"), cel), "max_iterations": mostly(st.just(3), st.just(0))}, delay=st.just("1s")
    )
)
needs = st.lists(ids | objects({"task": ids}, when=cel), max_size=1)
durations = mostly(
    st.sampled_from(["1s", 5, {"within": "1h", "on_miss": "fail"}]), st.sampled_from([{"within": 0}, "soon"])
)
settings = {
    "depends_on": needs,
    "when": cel,
    "foreach": items | objects({"items": items}, key=cel, require=st.sampled_from(["any", "80%", 0.5])),
    "loop": loop,
    "pool": mostly(st.sampled_from(["db", {"name": "db", "weight": 2}]), st.just("no")),
    "cache": st.booleans() | objects({}, key=texts, ttl=st.just("1h")),
    "deadline": durations,
    "x": texts,
}


@st.composite
def tasks(draw, name, inner, unwanted):
    task = {"id": name, "type": draw(st.sampled_from(["any", "any", "approval", "workflow"]))}
    unwanted = unwanted if task["type"] == "any" else unwanted | {"pool", "cache", "x"}
    if task["type"] == "approval":
        task["message"] = draw(texts)
    if task["type"] == "workflow":
        task["workflow"] = draw(inner if inner is not None and draw(st.booleans()) else st.just("w"))
    for key in draw(st.lists(st.sampled_from(sorted(settings)), max_size=3, unique=True)):
        if key not in unwanted or not draw(st.integers(0, 7)):
            task[key] = draw(mostly(settings[key], settings[key] | wrong))
    return task


@st.composite
def sections(draw, names, inner, unwanted=frozenset()):
    return [draw(tasks(name, inner, unwanted)) for name in names]


routing = objects(
    {"entry": ids},
    edges=st.lists(objects({"from": ids, "to": ids}, condition=mostly(st.just("state.n > output.n"), cel)), max_size=3),
    state=st.fixed_dictionaries({"n": texts}),
)
top = {
    "outputs": st.fixed_dictionaries({"y": texts}),
    "deadline": durations,
    "concurrency": objects({}, key=texts, limit=st.just(2), policy=st.sampled_from(["queue", "skip"])),
    "routing": routing,
    "params": st.just({"p": {"default": 1}}),
    "defaults": objects({}, cache=settings["cache"], pool=settings["pool"]),
}


@st.composite
def documents(draw, depth=0):
    inner = documents(depth + 1) if depth < 3 else None
    document = {"params": {"p": {"default": 1}}}
    for key in draw(st.lists(st.sampled_from(sorted(top)), max_size=2, unique=True)):
        document[key] = draw(mostly(top[key], top[key] | wrong))
    unwanted = UNROUTED_KEYS if "routing" in document else frozenset()
    document["tasks"] = draw(sections(draw(st.permutations("abcd")), inner, unwanted))
    for hook in draw(st.lists(st.sampled_from(HOOKS), max_size=1)):
        document[hook] = draw(mostly(sections(["h", "i"], inner), wrong))
    return document


@given(documents())
def test_whatever_passes_can_be_planned(document):
    workflow, problems = loader.load(json.dumps(document).encode(), CATALOGUE, LIMITS, pools={"db": 3})
    assert (workflow is None) == bool(problems)
    assert {problem.code for problem in problems} <= PROBLEMS.keys()
    assert all(problem.line and problem.column for problem in problems)
    if workflow is not None:
        make_plan(workflow, LIMITS)


def test_the_random_documents_know_every_key_of_control_flow():
    plain = {"id", "type", "description", "timeout", "retry", "priority", "continue_on_failure", "isolation",
             "trigger_rule", "memory_limit", "cpu_limit"}  # fmt: skip
    assert {*settings, "x"} >= TASK_KEYS.keys() - plain
    assert {*top, *HOOKS} >= WORKFLOW_KEYS.keys() - plain - {"name", "max_parallel", "fail_fast"}
