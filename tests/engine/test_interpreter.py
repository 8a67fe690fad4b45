"""The interpreter that random workflows are held against, on documents whose end is plain to see."""

import pytest

from engine.model import TRIGGER_RULES
from engine.states import Reason, State
from tests.engine.control_documents import FOREVER, HELD, KNOWN, Play, judged
from tests.engine.interpreter import End, interpret, written_key

COMPLETED, FAILED, SKIPPED = State.COMPLETED, State.FAILED, State.SKIPPED


def does(key, *after, gives=None, **more):
    return {"id": key, "type": "scripted", "gives": gives, **({"depends_on": list(after)} if after else {}), **more}


def story_of(*tasks, **document):
    return interpret(judged({"tasks": list(tasks), **document}), Play().script)


def ends(*tasks, **document):
    return {key: end[:2] for key, end in story_of(*tasks, **document).tasks.items()}


def test_a_chain_hands_its_outputs_on():
    story = story_of(does("a", gives=[1, 2]), does("b", "a", gives="${{ size(tasks.a.output) }}"))
    assert story.end == End(COMPLETED)
    assert story.tasks == {"a": End(COMPLETED, None, [1, 2]), "b": End(COMPLETED, None, 2)}


def test_a_failure_travels_and_a_task_that_may_fail_stops_nobody():
    fail = does("a", fails=FOREVER)
    assert ends(fail, does("b", "a"), does("c", "b")) == {
        "a": (FAILED, Reason.ERROR),
        "b": (SKIPPED, Reason.UPSTREAM_FAILED),
        "c": (SKIPPED, Reason.UPSTREAM_FAILED),
    }
    story = story_of(fail | {"continue_on_failure": True}, does("b", "a"))
    assert story.end == End(COMPLETED, Reason.CONTINUED)
    assert story.tasks["b"].state is COMPLETED


def test_a_task_is_tried_as_often_as_its_retry_says():
    assert story_of(does("a", fails=2, retry={"max_retries": 2})).end.state is COMPLETED
    assert story_of(does("a", fails=3, retry={"max_retries": 2})).end == End(FAILED, Reason.TASK_FAILED)


# What README's table says for one task before that completed, failed, was skipped: does the one behind it run?
TABLE = {
    "all_success": (True, False, False),
    "all_done": (True, True, True),
    "always": (True, True, True),
    "all_failed": (False, True, False),
    "one_success": (True, False, False),
    "one_failed": (False, True, False),
    "none_failed": (True, False, True),
    "none_failed_min_one_success": (True, False, False),
}


@pytest.mark.parametrize("rule", TRIGGER_RULES)
def test_a_trigger_rule_decides_as_the_table_says(rule):
    befores = (does("a"), does("a", fails=FOREVER), does("a", when="false"))
    runs = [ends(before, does("b", "a", trigger_rule=rule))["b"][0] is COMPLETED for before in befores]
    assert tuple(runs) == TABLE[rule]


def test_a_false_edge_condition_counts_as_a_skip_and_an_error_in_it_fails_the_task():
    edge = {"task": "a", "when": "tasks.a.output > 1"}
    assert ends(does("a", gives=1), does("b", edge))["b"] == (SKIPPED, Reason.UPSTREAM_SKIPPED)
    assert ends(does("a", gives=1), does("b", edge, trigger_rule="none_failed"))["b"] == (COMPLETED, None)
    assert ends(does("a", gives=None), does("b", edge))["b"] == (FAILED, Reason.EXPRESSION)
    assert ends(does("a", when="false"), does("b", edge))["b"] == (SKIPPED, Reason.UPSTREAM_SKIPPED)


def test_a_foreach_collects_in_the_order_of_its_items():
    story = story_of(
        does("a", gives=[3, 1]), does("b", "a", foreach="${{ tasks.a.output }}", gives="${{ item + index }}")
    )
    assert story.tasks["b"] == End(COMPLETED, None, [3, 2])
    assert story.tasks["b[1]"] == End(COMPLETED, None, 2)
    assert story_of(does("a", foreach=[])).tasks == {"a": End(COMPLETED, None, [])}
    by_key = story_of(does("a", foreach={"items": {"x y": 1}}, gives="${{ index }}"))
    assert by_key.tasks == {"a[x%20y]": End(COMPLETED, None, "x y"), "a": End(COMPLETED, None, {"x y": "x y"})}


@pytest.mark.parametrize(
    ("require", "is_met"), [("all", False), ("any", True), ("60%", True), ("70%", False), (2 / 3, True), (0.7, False)]
)
def test_a_foreach_completes_when_enough_of_its_instances_do(require, is_met):
    task = does("a", foreach={"items": [1, 2, 3], "require": require}, fails="${{ item == 2 ? 9 : 0 }}", gives=0)
    end = End(COMPLETED, None, [0, None, 0]) if is_met else End(FAILED, Reason.INSTANCE_FAILED)
    assert story_of(task).tasks["a"] == end


def test_what_cannot_be_spread_fails_the_task():
    assert ends(does("a", foreach="${{ 1 }}"))["a"] == (FAILED, Reason.INVALID)
    assert ends(does("a", foreach={"items": [1, 1], "key": "item"}))["a"] == (FAILED, Reason.INVALID)
    assert ends(does("a", foreach="${{ 1 / 0 }}"))["a"] == (FAILED, Reason.EXPRESSION)


def test_the_key_of_an_instance_is_short_and_plain():
    assert written_key("a-b_c.d") == "a-b_c.d"
    assert written_key("ä/%[") == "%C3%A4%2F%25%5B"
    assert len(written_key("n" * 129)) == 117
    assert written_key("n" * 128) == "n" * 128


def test_a_loop_ends_by_its_condition_its_limit_or_a_failure():
    task = does("a", gives="${{ iteration * 10 }}")
    story = story_of(task | {"loop": {"until": "output >= 20", "max_iterations": 5}})
    assert story.tasks == {
        "a[1]": End(COMPLETED, None, 10),
        "a[2]": End(COMPLETED, None, 20),
        "a": End(COMPLETED, None, 20),
    }
    endless = {"while": "iteration > 0", "max_iterations": 2}
    assert ends(task | {"loop": endless})["a"] == (FAILED, Reason.LOOP_LIMIT)
    assert story_of(task | {"loop": endless | {"at_limit": "complete"}}).tasks["a"] == End(COMPLETED, None, 20)
    assert ends(task | {"loop": endless, "fails": FOREVER})["a"] == (FAILED, Reason.INSTANCE_FAILED)


def test_a_graph_is_walked_in_the_order_its_edges_put_nodes_into_the_line():
    routing = {
        "entry": "a",
        "edges": [
            {"from": "a", "to": "b", "condition": "iteration < 4"},
            {"from": "a", "to": "c"},
            {"from": "b", "to": "a"},
        ],
    }
    story = story_of(
        does("a", gives={"at": "${{ iteration }}"}), does("b", gives=7), does("c"), does("d"), routing=routing
    )
    assert [key for key in story.tasks if "[" in key] == ["a[1]", "b[2]", "c[3]", "a[4]", "c[5]"]
    assert story.tasks["b[2]"].output == {"at": 1, "b": 7}
    assert story.end == End(COMPLETED, None, {"at": 4, "b": 7})
    assert story.tasks["d"] == End(SKIPPED, Reason.NOT_REACHED)
    bounded = ends(does("a"), does("b"), does("c"), routing=routing | {"max_iterations": 2})
    assert bounded["c"] == (FAILED, Reason.LOOP_LIMIT)
    assert bounded["a"] == bounded["b"] == (COMPLETED, None)


def test_a_workflow_within_gives_back_its_outputs_or_those_of_its_last_tasks():
    inner = {
        "params": {"n": {"type": "integer"}},
        "tasks": [does("x", gives="${{ params.n }}"), does("y", "x", gives=2)],
    }
    task = {"id": "w", "type": "workflow", "workflow": inner, "params": {"n": 5}}
    assert story_of(task).tasks["w"].output == {"y": 2}
    named = task | {"workflow": inner | {"outputs": {"n": "${{ tasks.x.output }}"}}}
    story = story_of(named)
    assert story.tasks["w"] == End(COMPLETED, None, {"n": 5})
    assert story.children["w"][0].tasks["y"] == End(COMPLETED, None, 2)
    assert ends(task | {"params": {"n": "${{ 'five' }}"}})["w"] == (FAILED, Reason.INVALID)
    failing = task | {"workflow": {"tasks": [does("x", fails=1)]}, "params": {}}
    assert ends(failing)["w"] == (FAILED, Reason.CHILD_FAILED)
    assert ends(failing | {"retry": {"max_retries": 1}})["w"] == (COMPLETED, None)


def test_an_approval_is_a_person_s_or_the_time_s():
    def asked(message, **more):
        return story_of({"id": "a", "type": "approval", "message": message, **more}).tasks["a"]

    assert asked("yes").output == {"approved": True, "actor": "ann", "note": "ok", "data": {"a": 1}}
    assert asked("no", retry={"max_retries": 3}) == End(FAILED, Reason.REJECTED)
    assert asked("late", within=1) == End(FAILED, Reason.REJECTED)
    assert asked("late", within=1, on_timeout="approve", data=3).output["data"] == 3


def test_hooks_are_chosen_by_the_outcome_and_change_nothing_of_it():
    hooks = {
        "on_success": [does("good")],
        "on_failure": [does("bad", gives="${{ run.failed }}"), does("worse", "bad", fails=FOREVER)],
        "finally": [does("last", gives="${{ run.state }}")],
    }
    story = story_of(does("a", fails=FOREVER), **hooks)
    assert story.end == End(FAILED, Reason.TASK_FAILED)
    assert story.tasks["good"] == End(SKIPPED, Reason.OUTCOME)
    assert story.tasks["bad"].output == ["a"]
    assert story.tasks["worse"].state is FAILED
    assert story.tasks["last"].output == "FAILED"
    spoiled = story_of(does("a"), outputs={"x": "${{ 1 / 0 }}"}, **hooks)
    assert spoiled.end == End(FAILED, Reason.EXPRESSION)
    assert spoiled.tasks["bad"].output == []


def test_a_cache_that_holds_the_key_of_a_task_answers_for_it():
    task = does("a", fails=FOREVER, cache={"key": f"{KNOWN} to the ${{{{ 1 + 1 }}}}nd"})
    assert story_of(task).tasks["a"] == End(COMPLETED, Reason.CACHED, HELD)
    assert ends(task | {"cache": {"key": "new"}})["a"] == (FAILED, Reason.ERROR)
