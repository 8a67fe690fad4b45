import asyncio
import json

import pytest

import engine
from engine.states import State


def summing():
    flow = engine.Workflow(
        "summing", params={"n": {"type": "integer", "default": 2}}, outputs={"sum": "${{ tasks.total.output }}"}
    )

    @flow.task(n="${{ params.n }}")
    def numbers(n: int) -> list[int]:
        return list(range(n))

    @flow.task
    async def total(numbers: list[int]) -> int:
        await asyncio.to_thread(len, numbers)
        return sum(numbers)

    return flow


def test_functions_under_a_decorator_are_tasks_fed_by_those_they_name():
    result = summing().run({"n": 5})
    assert (result.state, result.outputs()) == (State.COMPLETED, {"numbers": [0, 1, 2, 3, 4], "total": 10})
    assert json.loads(bytes(result.output)) == {"sum": 10}


def test_a_decorated_function_is_still_a_function():
    flow = engine.Workflow("w")

    @flow.task(retry={"max_retries": 1})
    def double(n: int) -> int:
        """Double a number."""
        return n * 2

    assert double(4) == 8
    assert flow.document["tasks"] == [{"id": "double", "type": "double", "retry": {"max_retries": 1}}]
    assert flow.registry.get("double")["description"] == "Double a number."


def test_any_task_type_can_be_added_and_hooks_too():
    flow = (
        engine.Workflow("w")
        .add("a", "print", message="hi")
        .add("b", "print", depends_on=["a"], message="${{ tasks.a.output }}!")
    )
    flow.add("c", "print", hook="finally", message="${{ run.state }}")
    assert asyncio.run(flow.execute()).outputs() == {"a": "hi", "b": "hi!", "c": "COMPLETED"}
    with pytest.raises(ValueError, match="no hook 'on_end'"):
        flow.add("d", "print", hook="on_end")


def test_what_was_built_comes_back_from_its_text_equal_and_runs():
    flow = summing()
    again = engine.Workflow.from_json(flow.to_json(), flow.registry)
    assert again == flow
    assert again.run().outputs() == {"numbers": [0, 1], "total": 1}
    assert flow != again.add("x", "print", message="")


def test_two_functions_of_one_name_are_two_task_types():
    flow = engine.Workflow("w")
    for number in (1, 2):

        def said(x: int = number) -> int:
            return x

        flow.add(f"t{number}", said)
    assert flow.run().outputs() == {"t1": 1, "t2": 2}


def counting(limit):
    def start(state):
        return {"n": state.get("n", 0)}

    async def more(state):
        return {"n": state["n"] + 1, "seen": [*state.get("seen", []), state["n"]]}

    def end(state):
        assert state["n"] == limit

    graph = engine.Graph("counting").add_node("start", start).add_node("more", more).add_node("end", end)
    graph.add_edge("start", "more").add_edge("more", "more", when=f"state.n < {limit}")
    return graph.add_edge("more", "end", when=lambda state: state["n"] >= limit).set_entry("start")


def test_a_graph_is_walked_over_its_state_with_conditions_in_cel_and_in_python():
    graph = counting(3)
    result = graph.run({"n": 1})
    assert result.state is State.COMPLETED
    final = json.loads(bytes(result.output))
    assert (final["n"], final["seen"]) == (3, [1, 2])
    assert [task.id for task in result.tasks if "[" in task.id] == ["start[1]", "more[2]", "more[3]", "end[4]"]


def test_a_graph_comes_back_from_its_text_equal():
    graph = counting(2)
    again = engine.Graph.from_json(graph.to_json(), graph.registry)
    assert again == graph
    assert asyncio.run(again.execute()).state is State.COMPLETED


def test_one_function_can_be_two_nodes_each_with_its_own_edges():
    def step(state):
        return {"n": state.get("n", 0) + 1}

    graph = engine.Graph("g").add_node("a", step).add_node("b", step).add_node("c", step)
    graph.add_edge("a", "b", when=lambda state: state["n"] == 1).add_edge("b", "c", when=lambda state: state["n"] == 1)
    result = graph.run()
    assert [task.id for task in result.tasks if task.state is State.SKIPPED] == ["c"]


def test_a_function_that_cannot_be_a_task_says_why():
    flow = engine.Workflow("w")
    with pytest.raises(ValueError, match="positional only"):
        flow.add("a", lambda x, /: x)


def test_a_handler_class_is_a_task_type():
    class Resize:
        """Make it smaller."""

        task_type = "resize"

        def execute(self, config, input, timeout):  # noqa: A002 -- as people write them
            return {"config": config, "input": input, "timeout": timeout}

    registry = engine.Registry()
    registry.load()
    registry.register(Resize())
    flow = engine.Workflow("w", registry=registry).add("a", "print", message="hi")
    flow.add("b", "resize", depends_on=["a"], width=3, timeout="5s")
    assert registry.get("resize")["description"] == "Make it smaller."
    assert flow.run().outputs()["b"] == {"config": {"width": 3}, "input": {"a": "hi"}, "timeout": 5.0}
