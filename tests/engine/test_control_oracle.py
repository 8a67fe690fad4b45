"""Random documents with every kind of control flow, played in a random order, against the interpreter of the rules."""

import random

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from engine.states import ENDED, Reason, State
from tests.engine.control_documents import Play, documents, judged
from tests.engine.interpreter import Reading, Story, interpret
from tests.engine.stage import Stage

seeds = st.integers(0, 2**32)
# Documents are large values to draw; how long one takes is not what is tested. To explain a failure, every line would
# be traced, in tests that pass too.
drawn = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=[phase for phase in Phase if phase is not Phase.explain],
)


def expected(workflow) -> Story:
    return interpret(workflow, Play().script)


@settings(drawn, max_examples=60)
@given(document=documents(), seed=seeds, room=st.integers(1, 4))
def test_every_run_ends_as_the_interpreter_says(document, seed, room):
    workflow = judged(document)
    assert Stage(workflow, Play(), seed, room).play_out() == expected(workflow)


@settings(drawn, max_examples=40)
@given(document=documents(), seed=seeds)
def test_a_run_that_is_paused_and_resumed_ends_as_the_interpreter_says(document, seed):
    workflow = judged(document)
    stage, chance = Stage(workflow, Play(), seed), random.Random(seed)
    while stage.step():
        if chance.random() < 0.2:
            stage.pause()
    assert stage.play_out() == expected(workflow)


@settings(drawn, max_examples=60)
@given(document=documents(), seed=seeds, often=st.sampled_from([0.05, 0.2, 0.5]))
def test_a_run_that_is_taken_up_again_after_crashes_ends_as_the_interpreter_says(document, seed, often):
    workflow = judged(document)
    stage, chance = Stage(workflow, Play(), seed), random.Random(seed)
    while stage.step():
        if stage.crashes < 10 and chance.random() < often:
            stage.crash()
    assert stage.play_out() == expected(workflow)


@settings(drawn, max_examples=60)
@given(document=documents(), seed=seeds, moment=st.integers(0, 25), has_crash=st.booleans())
def test_a_cancelled_run_keeps_what_completed_and_runs_its_hooks(document, seed, moment, has_crash):
    workflow = judged(document)
    stage = Stage(workflow, Play(), seed)
    for _ in range(moment):
        stage.step()
    root = stage.root.record
    before = {key: row.end() for key, row in root.rows.items() if row.state in ENDED}
    known = root.finish or root.ending
    stage.cancel()
    if has_crash:
        stage.crash()
    story = stage.play_out()
    assert before.items() <= story.tasks.items()
    assert all(role.record.finish is not None for role in stage.roles.values())
    if known is None:
        assert story.end[:2] == (State.CANCELLED, Reason.USER)
        assert story == with_hooks(workflow, story)
    else:
        assert story.end[:2] == (known.state, known.reason)


bounds = st.fixed_dictionaries(
    {},
    optional={
        "timeout": st.integers(1, 6),
        "deadline": st.fixed_dictionaries({"within": st.integers(1, 6), "on_miss": st.sampled_from(["warn", "fail"])}),
    },
)


@settings(drawn, max_examples=60)
@given(
    document=documents(), seed=seeds, of_run=bounds, of_tasks=bounds, is_hasty=st.booleans(), has_crashes=st.booleans()
)
def test_a_run_that_is_ended_early_leaves_nothing_open_and_runs_its_hooks(
    document, seed, of_run, of_tasks, is_hasty, has_crashes
):
    tasks = [task | of_tasks for task in document["tasks"]]
    workflow = judged(document | of_run | {"tasks": tasks, "fail_fast": is_hasty})
    stage, chance = Stage(workflow, Play(), seed), random.Random(seed)
    while stage.step():
        if has_crashes and stage.crashes < 5 and chance.random() < 0.2:
            stage.crash()
    story = stage.play_out()
    assert all(role.record.finish is not None for role in stage.roles.values())
    assert story.end.state in (State.COMPLETED, State.FAILED)
    assert story == with_hooks(workflow, story)


def with_hooks(workflow, story: Story) -> Story:
    """Have the interpreter run the hooks of a run whose tasks have ended in their own way."""
    ids = {task.id for task in workflow.tasks}
    play = Play()
    reading = Reading(workflow, play.script, {})
    reading.ends = {key: end for key, end in story.tasks.items() if key.partition("[")[0] in ids}
    reading.children = {key: each for key, each in story.children.items() if key.partition("[")[0] in ids}
    return reading.hooks_after(story.end)
