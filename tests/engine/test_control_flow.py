"""Fan-out, loops, graphs, calls, people, hooks, caches and deadlines of one run, told fact by fact."""

import msgspec
import pytest

from engine.errors import StoreCorruptError, StoreLostError
from engine.facts import (
    AlarmReached,
    Begin,
    Call,
    Cancel,
    CancelAsked,
    ChildEnded,
    ChildStarted,
    Collapse,
    Complete,
    Decided,
    Due,
    Fail,
    Failed,
    Finish,
    Granted,
    Kill,
    Killed,
    Lost,
    Open,
    Pause,
    PauseAsked,
    Queued,
    Recall,
    Recalled,
    ResumeAsked,
    RetryAt,
    Skip,
    Spread,
    Stay,
    Submitted,
    Succeeded,
    Unpause,
    WaitUntil,
    Warn,
    WindDown,
)
from engine.model import Cache, Deadline, Edge, Foreach, Loop, Pool, Routing, Task, Workflow
from engine.plan import make_plan
from engine.run import Run, Snapshot
from engine.run.spreads import Spreads, written
from engine.states import Reason, State
from tests.engine.conversation import NOW, Talk, retry, run_of, task


def orders_of(orders, *kinds):
    return [order for order in orders if isinstance(order, kinds)]


def over(name, items, *after, **settings):
    spread = {known: settings.pop(known) for known in ("key", "max_parallel", "require") if known in settings}
    return task(name, *after, foreach=Foreach(items=items, **spread), **settings)


def graph(edges, *tasks, **settings):
    routing = Routing(entry=tasks[0].id, edges=tuple(Edge(**edge) for edge in edges), **settings)
    return Run("r", make_plan(Workflow(tasks=tasks, routing=routing)))


class TestForeach:
    def test_each_element_has_an_instance_and_outputs_keep_the_order(self):
        talk = Talk(
            run_of(
                over("a", "${{ params.names }}", fields={"x": "${{ item }} ${{ index }}"}),
                task("b", "a"),
                scope={"params": {"names": ["p", "q"]}},
            )
        )
        spread = orders_of(talk.begin(), Spread)[0]
        assert (spread.instances, spread.memo) == (("a[0]", "a[1]"), b'{"items":["p","q"]}')
        assert talk.starts["a[1]"].fields == {"x": "q 1"}
        talk.succeed("a[1]", b'"second"')
        assert talk.succeed("a[0]", b'"first"')[-1] == Complete("a", 0, b'["first","second"]')
        assert talk.starts["b"].inputs == {"a": b'["first","second"]'}

    def test_an_object_gives_its_keys_and_an_object_back(self):
        talk = Talk(run_of(over("a", {"x": 1, "b c/": 2}, fields={"v": "${{ index }}=${{ item }}"})))
        talk.begin()
        assert list(talk.starts) == ["a[x]", "a[b%20c%2F]"]
        assert talk.starts["a[b%20c%2F]"].fields == {"v": "b c/=2"}
        talk.succeed("a[b%20c%2F]", b"20")
        assert talk.succeed("a[x]", b"10")[1] == Complete("a", 0, b'{"x":10,"b c/":20}')

    def test_a_key_of_ones_own(self):
        talk = Talk(run_of(over("a", [{"id": 7}, {"id": "x"}], key="item.id")))
        talk.begin()
        assert list(talk.starts) == ["a[7]", "a[x]"]

    @pytest.mark.parametrize(
        ("items", "key", "told"),
        [
            ([{"id": 1}, {"id": 1}], "item.id", "two items have the key 1"),
            ("${{ params.n }}", None, "must be a list or an object, not a number"),
            (list(range(5)), None, "5 items; the limit foreach_items is 4"),
        ],
    )
    def test_what_cannot_be_spread_over_fails_the_task(self, items, key, told):
        plan = make_plan(Workflow(tasks=(over("a", items, key=key),)))
        talk = Talk(Run("r", plan, scope={"params": {"n": 3}}, max_instances=4))
        failed = orders_of(talk.begin(), Fail)[0]
        assert (failed.attempt, failed.reason) == (0, Reason.INVALID)
        assert told in failed.message

    def test_nothing_to_spread_over_completes_at_once(self):
        assert orders_of(Talk(run_of(over("a", []))).begin(), Spread, Complete) == [Complete("a", 0, b"[]")]

    def test_no_more_than_max_parallel_run_at_once(self):
        talk = Talk(run_of(over("a", [1, 2, 3], max_parallel=2)))
        talk.begin()
        assert list(talk.starts) == ["a[0]", "a[1]"]
        talk.succeed("a[1]")
        assert list(talk.starts) == ["a[0]", "a[1]", "a[2]"]

    @pytest.mark.parametrize(
        ("require", "state"),
        [("all", State.FAILED), ("any", State.COMPLETED), (0.5, State.COMPLETED), (0.51, State.FAILED)],
    )
    def test_how_many_have_to_complete(self, require, state):
        talk = Talk(run_of(over("a", [1, 2], require=require)))
        talk.begin()
        talk.say(Failed("a[0]", 1, message="no"))
        orders = talk.succeed("a[1]", b"5")
        assert orders[-1].state is state
        if state is State.COMPLETED:
            assert orders[1] == Complete("a", 0, b"[null,5]")
        else:
            assert orders[1] == Fail("a", 0, Reason.INSTANCE_FAILED, "1 of 2 instances failed, first a[0]: no")

    def test_instances_are_retried_each_for_itself(self):
        talk = Talk(run_of(over("a", [1, 2], retry=retry(1, delay=5.0))))
        talk.begin()
        assert orders_of(talk.say(Failed("a[0]", 1)), RetryAt)[0].task == "a[0]"
        talk.succeed("a[1]")
        talk.say(Due("a[0]", 1), now=NOW + 5)
        assert talk.started[-1] == ("a[0]", 2)

    def test_an_instance_is_not_handed_the_list_it_comes_from(self):
        talk = Talk(run_of(task("big"), task("small"), over("a", "${{ tasks.big.output }}", "big", "small")))
        talk.begin()
        talk.succeed("big", b"[1]")
        talk.succeed("small", b"2")
        assert talk.starts["a[0]"].inputs == {"small": b"2"}

    def test_a_cancel_ends_what_runs_and_what_waits(self):
        talk = Talk(run_of(over("a", [1, 2], max_parallel=1)))
        talk.begin()
        orders = talk.say(CancelAsked())
        assert orders_of(orders, Kill, Cancel) == [Kill("a[0]", 1, Reason.USER), Cancel("a[1]", 0, Reason.USER)]
        assert orders_of(talk.say(Killed("a[0]", 1)), Cancel, Finish) == [
            Cancel("a[0]", 1, Reason.USER),
            Cancel("a", 0, Reason.USER),
            Finish(State.CANCELLED, Reason.USER),
        ]

    def test_a_restart_goes_on_with_what_is_left(self):
        plan = make_plan(Workflow(tasks=(over("a", "${{ env.X }}", max_parallel=2),)))
        snapshots = {
            "a": Snapshot(state=State.RUNNING, memo=b'{"items":[5,6,7,8]}'),
            "a[0]": Snapshot(state=State.COMPLETED, attempt=1),
            "a[1]": Snapshot(state=State.RUNNING, attempt=1),
            "a[2]": Snapshot(state=State.PENDING),
            "a[3]": Snapshot(state=State.PENDING),
        }
        run = Run.restore("r", plan, snapshots, state=State.RUNNING, deadline=None, outputs={"a[0]": b"50"})
        talk = Talk(run)
        assert run.resume() == []
        talk.say(Lost("a[1]", 1))
        talk.say(Due("a[1]", 1))
        assert talk.started == [("a[2]", 1), ("a[1]", 2)]
        talk.succeed("a[1]", b"60")
        talk.succeed("a[2]", b"70")
        assert talk.succeed("a[3]", b"80")[-2:] == [Complete("a", 0, b"[50,60,70,80]"), Finish(State.COMPLETED)]

    def test_a_repeated_run_takes_over_instances_whose_element_is_the_same(self):
        plan = make_plan(Workflow(tasks=(over("a", [1, 22, 3]),)))
        outputs = {"a[0]": b'"one"', "a[1]": b'"two"'}
        talk = Talk(Run("r", plan, outputs=outputs, expansions={"a": b'{"items":[1,2,3]}'}))
        assert Complete("a[0]", 0, b'"one"', reason=Reason.REUSED) in talk.begin()
        assert talk.started == [("a[1]", 1), ("a[2]", 1)]


class TestLoop:
    def test_it_goes_on_until_its_condition_holds(self):
        loop = Loop(max_iterations=5, until="output.n >= 2")
        talk = Talk(run_of(task("a", loop=loop, fields={"at": "${{ iteration }}", "before": "${{ output }}"})))
        assert orders_of(talk.begin(), Spread) == [Spread("a", ("a[1]",))]
        assert talk.starts["a[1]"].fields == {"at": 1, "before": None}
        assert orders_of(talk.succeed("a[1]", b'{"n":1}'), Spread) == [Spread("a", ("a[2]",))]
        assert talk.starts["a[2]"].fields == {"at": 2, "before": {"n": 1}}
        assert Complete("a", 0, b'{"n":2}') in talk.succeed("a[2]", b'{"n":2}')

    def test_while_ends_it_when_it_is_false(self):
        talk = Talk(run_of(task("a", loop=Loop(max_iterations=5, while_="iteration < 2"))))
        talk.begin()
        talk.succeed("a[1]")
        assert talk.succeed("a[2]", b"9")[-1] == Finish(State.COMPLETED)

    @pytest.mark.parametrize("at_limit", ["fail", "complete"])
    def test_its_bound_is_a_clear_outcome(self, at_limit):
        talk = Talk(run_of(task("a", loop=Loop(max_iterations=1, until="false", at_limit=at_limit))))
        talk.begin()
        end = talk.succeed("a[1]", b"9")[1]
        if at_limit == "fail":
            assert end == Fail("a", 0, Reason.LOOP_LIMIT, "after 1 iterations until: false is false still")
        else:
            assert end == Complete("a", 0, b"9")

    def test_it_waits_between_iterations(self):
        talk = Talk(
            run_of(task("a", loop=Loop(max_iterations=9, until="false", delay=2.0, backoff=3.0, max_delay=5.0)))
        )
        talk.begin()
        assert orders_of(talk.succeed("a[1]"), Spread) == [Spread("a", ("a[2]",), None, NOW + 2)]
        talk.say(Due("a[2]", 0), now=NOW + 2)
        assert talk.started[-1] == ("a[2]", 1)
        assert orders_of(talk.succeed("a[2]"), Spread) == [Spread("a", ("a[3]",), None, NOW + 2 + 5)]

    def test_a_failed_iteration_ends_it(self):
        talk = Talk(run_of(task("a", loop=Loop(max_iterations=9, until="false"))))
        talk.begin()
        assert Fail("a", 0, Reason.INSTANCE_FAILED, "iteration 1 failed: no") in talk.say(
            Failed("a[1]", 1, message="no")
        )

    def test_a_condition_that_cannot_be_judged_fails_the_task(self):
        talk = Talk(run_of(task("a", loop=Loop(max_iterations=9, until="output.x"))))
        talk.begin()
        assert talk.succeed("a[1]", b"{}")[1].reason is Reason.EXPRESSION

    def test_a_cancel_between_iterations_ends_it(self):
        talk = Talk(run_of(task("a", loop=Loop(max_iterations=9, until="false", delay=2.0))))
        talk.begin()
        talk.succeed("a[1]")
        assert talk.say(CancelAsked())[-1] == Finish(State.CANCELLED, Reason.USER)

    def test_a_restart_goes_on_with_the_iteration_at_hand(self):
        fields = {"before": "${{ output }}"}
        plan = make_plan(
            Workflow(tasks=(task("a", loop=Loop(max_iterations=9, until="iteration == 3"), fields=fields),))
        )
        snapshots = {
            "a": Snapshot(state=State.RUNNING),
            "a[1]": Snapshot(state=State.COMPLETED, attempt=1),
            "a[2]": Snapshot(state=State.WAITING, due_at=50.0),
        }
        run = Run.restore("r", plan, snapshots, state=State.RUNNING, deadline=None, outputs={"a[1]": b"7"})
        talk = Talk(run)
        assert (run.resume(), list(run.waiting())) == ([], [("a[2]", 0, 50.0)])
        talk.say(Due("a[2]", 0))
        assert talk.starts["a[2]"].fields == {"before": 7}
        assert orders_of(talk.succeed("a[2]"), Spread) == [Spread("a", ("a[3]",))]


class TestGraph:
    EDGES = (
        {"source": "a", "target": "b"},
        {"source": "b", "target": "a", "condition": "state.n < 2"},
        {"source": "b", "target": "c", "condition": "state.n >= 2"},
    )

    def test_it_is_walked_over_a_shared_state_until_no_edge_leads_on(self):
        talk = Talk(graph(self.EDGES, task("a"), task("b"), task("c"), task("d"), state={"n": 0}))
        talk.begin()
        assert talk.starts["a[1]"].inputs == {"state": b'{"n":0}'}
        talk.succeed("a[1]", b'{"n":1}')
        assert talk.succeed("b[2]", b'"said"')[0] == Complete("b[2]", 1, b'{"n":1,"b":"said"}')
        talk.succeed("a[3]", b'{"n":2}')
        talk.succeed("b[4]")
        orders = talk.succeed("c[5]", b'{"end":true}')
        final = b'{"n":2,"b":"said","end":true}'
        assert Skip("d", Reason.NOT_REACHED, "no edge led to it") in orders
        assert Complete("a", 0, b'{"n":2,"b":"said"}') in orders
        assert orders[-1] == Finish(State.COMPLETED, output=final)

    def test_its_bound_is_a_clear_outcome(self):
        talk = Talk(graph([{"source": "a", "target": "a"}], task("a"), max_iterations=2))
        talk.begin()
        talk.succeed("a[1]")
        orders = talk.succeed("a[2]")
        assert orders_of(orders, Fail)[0].reason is Reason.LOOP_LIMIT
        assert orders[-1].state is State.FAILED

    def test_a_failed_visit_ends_the_walk_unless_it_may_fail(self):
        talk = Talk(graph(self.EDGES, task("a"), task("b"), task("c"), state={"n": 5}))
        talk.begin()
        orders = talk.say(Failed("a[1]", 1, message="no"))
        assert Fail("a", 0, Reason.INSTANCE_FAILED, "visit 1 failed: no") in orders
        assert orders[-1].state is State.FAILED
        lenient = Talk(graph(self.EDGES, task("a", continue_on_failure=True), task("b"), task("c"), state={"n": 5}))
        lenient.begin()
        lenient.say(Failed("a[1]", 1))
        assert lenient.started[-1] == ("b[2]", 1)

    def test_a_restart_goes_on_with_the_visit_at_hand_and_what_is_still_in_line(self):
        edges = ({"source": "a", "target": "b"}, {"source": "a", "target": "c"})
        run = graph(edges, task("a"), task("b"), task("c"), state={"n": 0})
        memo = msgspec.json.encode({"line": ["c"]})
        snapshots = {
            "a": Snapshot(state=State.RUNNING, memo=b'{"line":[]}'),
            "a[1]": Snapshot(state=State.COMPLETED, attempt=1),
            "b": Snapshot(state=State.RUNNING, memo=memo),
            "b[2]": Snapshot(state=State.PENDING),
        }
        run = Run.restore("r", run.plan, snapshots, state=State.RUNNING, deadline=None, outputs={"a[1]": b'{"n":1}'})
        talk = Talk(run)
        run.resume()
        talk.say(Due("b[2]", 9))
        assert talk.starts["b[2]"].inputs == {"state": b'{"n":1}'}
        talk.succeed("b[2]", b'{"m":2}')
        assert talk.succeed("c[3]")[-1] == Finish(State.COMPLETED, output=b'{"n":1,"m":2}')

    def test_a_visit_that_may_fail_leaves_the_state_as_it_is_also_over_a_restart(self):
        run = graph(self.EDGES[:1], task("a", continue_on_failure=True), task("b"), state={"n": 0})
        snapshots = {
            "a": Snapshot(state=State.RUNNING, memo=b'{"line":[]}'),
            "a[1]": Snapshot(state=State.FAILED, attempt=1, reason=Reason.ERROR),
            "b": Snapshot(state=State.RUNNING, memo=b'{"line":[]}'),
            "b[2]": Snapshot(state=State.PENDING),
        }
        restored = Run.restore("r", run.plan, snapshots, state=State.RUNNING, deadline=None)
        for talk in (Talk(run), Talk(restored)):
            talk.run.resume()
            talk.begin()
            talk.say(Failed("a[1]", 1))
            assert talk.starts["b[2]"].inputs == {"state": b'{"n":0}'}
            orders = talk.succeed("b[2]", b'{"m":2}')
            assert Complete("a", 0, b'{"n":0}') in orders
            assert orders[-1] == Finish(State.COMPLETED, output=b'{"n":0,"m":2}')

    def test_its_hooks_are_no_visits(self):
        hook = task("h", loop=Loop(max_iterations=3, until="output == 2"))
        routing = Routing(entry="a", edges=(), state={"n": 0})
        plan = make_plan(Workflow(tasks=(task("a"),), routing=routing, finally_=(hook,)))
        snapshots = {
            "a": Snapshot(state=State.COMPLETED, memo=b'{"line":[]}'),
            "a[1]": Snapshot(state=State.COMPLETED, attempt=1),
            "h": Snapshot(state=State.RUNNING),
            "h[1]": Snapshot(state=State.PENDING),
        }
        ending = (State.COMPLETED, None, "")
        restored = Run.restore("r", plan, snapshots, state=State.RUNNING, deadline=None, ending=ending, output=b"7")
        for talk in (Talk(Run("r", plan)), Talk(restored)):
            talk.run.resume()
            talk.begin()
            talk.say(Succeeded("a[1]", 1, b"7"))
            assert talk.starts["h[1]"].inputs == {}
            assert talk.succeed("h[1]", b"1")[0] == Complete("h[1]", 1, b"1")
            orders = talk.succeed("h[2]", b"2")
            assert orders[:2] == [Complete("h[2]", 1, b"2"), Complete("h", 0, b"2")]
            assert orders[-1].state is State.COMPLETED

    def test_a_cancel_ends_what_was_visited(self):
        talk = Talk(graph(self.EDGES, task("a"), task("b"), task("c"), state={"n": 0}))
        talk.begin()
        talk.succeed("a[1]")
        talk.say(CancelAsked())
        orders = talk.say(Killed("b[2]", 1))
        assert [order.task for order in orders_of(orders, Cancel)] == ["b[2]", "a", "b"]
        assert orders[-1].state is State.CANCELLED


class TestEdges:
    def test_a_false_condition_on_a_dependency_counts_it_as_skipped(self):
        talk = Talk(
            run_of(
                task("a"),
                task("b", "a", conditions={"a": "tasks.a.output > 1"}),
                task("c", "a", conditions={"a": "tasks.a.output <= 1"}),
                task("d", "b", "c", trigger_rule="none_failed_min_one_success"),
            )
        )
        talk.begin()
        assert Skip("b", Reason.UPSTREAM_SKIPPED, "its condition on task a is false") in talk.succeed("a", b"1")
        talk.succeed("c")
        assert talk.succeed("d")[-1] == Finish(State.COMPLETED)

    def test_an_error_in_it_fails_the_task_behind(self):
        talk = Talk(run_of(task("a"), task("b", "a", conditions={"a": "tasks.a.output.x"})))
        talk.begin()
        assert orders_of(talk.succeed("a", b"{}"), Fail)[0].reason is Reason.EXPRESSION


class TestCalls:
    def calling(self, **settings):
        fields = {"workflow": "other", "params": {"n": 1}, **settings.pop("fields", {})}
        return Task(id="w", type="workflow", fields=fields, **settings)

    def begun(self, **settings):
        talk = Talk(run_of(self.calling(**settings), task("z", "w")))
        orders = talk.begin()
        return talk, orders_of(orders, Call)[0]

    def test_another_workflow_runs_and_its_output_is_the_tasks(self):
        talk, call = self.begun()
        assert call == Call("w", 1, "other", {"n": 1})
        assert talk.say(ChildStarted("w", 1, "child")) == []
        assert talk.say(ChildEnded("w", 1, "child", State.COMPLETED, output=b"5")) == [Complete("w", 1, b"5")]
        assert talk.starts["z"].inputs == {"w": b"5"}

    def test_without_wait_it_has_done_its_part_when_the_other_exists(self):
        talk, _ = self.begun(fields={"wait": False})
        assert talk.say(ChildStarted("w", 1, "child")) == [Complete("w", 1, b'{"run":"child"}')]

    def test_a_failure_is_retried_and_names_the_run_to_go_on_from(self):
        talk, _ = self.begun(retry=retry(1, delay=1.0))
        orders = talk.say(ChildEnded("w", 1, "child", State.FAILED, message="no"))
        assert (orders[0].reason, orders[0].message) == (Reason.CHILD_FAILED, "run child FAILED: no")
        assert orders_of(talk.say(Due("w", 1)), Call) == [Call("w", 2, "other", {"n": 1}, repeats="child")]

    def test_what_cannot_run_at_all_fails_with_its_reason(self):
        talk, _ = self.begun(retry=retry(5))
        orders = talk.say(ChildEnded("w", 1, "", State.FAILED, Reason.INVALID, "no workflow other"))
        assert orders_of(orders, Fail) == [Fail("w", 1, Reason.INVALID, "no workflow other")]

    def test_a_timeout_ends_the_other_and_is_a_failure_like_any_other(self):
        talk, call = self.begun(timeout=30.0, retry=retry(1, delay=1.0))
        assert call.at == NOW + 30
        assert talk.say(Due("w", 1), now=NOW + 30) == [Kill("w", 1, Reason.TIMEOUT)]
        orders = talk.say(ChildEnded("w", 1, "child", State.CANCELLED))
        assert (type(orders[0]), orders[0].reason) == (RetryAt, Reason.TIMEOUT)

    def test_a_cancel_reaches_through(self):
        talk, _ = self.begun()
        assert Kill("w", 1, Reason.USER) in talk.say(CancelAsked())
        orders = talk.say(ChildEnded("w", 1, "child", State.CANCELLED))
        assert orders == [Cancel("w", 1, Reason.USER), Finish(State.CANCELLED, Reason.USER)]

    def test_a_restart_makes_the_call_again_and_the_kill_that_was_on_its_way(self):
        plan = make_plan(Workflow(tasks=(self.calling(),)))
        snapshots = {"w": Snapshot(state=State.RUNNING, attempt=2)}
        ending = (State.CANCELLED, Reason.USER, "")
        run = Run.restore("r", plan, snapshots, state=State.RUNNING, deadline=None)
        assert (run.resume(), list(run.calls()), list(run.running())) == ([], [Call("w", 2, "other", {"n": 1})], [])
        ended = Run.restore("r", plan, snapshots, state=State.RUNNING, deadline=None, ending=ending)
        assert ended.resume() == [Kill("w", 2, Reason.USER)]

    def test_a_called_run_gives_back_the_outputs_of_its_last_tasks_or_those_it_declares(self):
        tasks = (task("a"), task("b", "a"), task("c", "a"))
        talk = Talk(Run("r", make_plan(Workflow(tasks=tasks)), is_called=True))
        talk.begin()
        for key in "abc":
            orders = talk.succeed(key, b"[1]")
        assert orders[-1] == Finish(State.COMPLETED, output=b'{"b":[1],"c":[1]}')
        declared = Talk(run_of(task("a"), outputs={"x": "${{ tasks.a.output.n }}", "y": 1}))
        declared.begin()
        assert declared.succeed("a", b'{"n":3}')[-1] == Finish(State.COMPLETED, output=b'{"x":3,"y":1}')

    def test_outputs_that_cannot_be_made_fail_the_run(self):
        talk = Talk(run_of(task("a"), outputs={"x": "${{ tasks.a.output.n }}"}))
        talk.begin()
        assert talk.succeed("a", b"{}")[-1].reason is Reason.EXPRESSION


class TestPeople:
    def asking(self, **settings):
        fields = {"message": "Ship ${{ params.what }}?", **settings.pop("fields", {})}
        return Talk(run_of(Task(id="q", type="approval", fields=fields, **settings), scope={"params": {"what": "it"}}))

    def test_a_person_is_waited_for_without_a_worker(self):
        talk = self.asking(fields={"form": {"type": "object"}})
        orders = orders_of(talk.begin(), Open, WaitUntil)
        assert orders[0] == Open("q", 1)
        assert (orders[1].at, orders[1].reason, orders[1].message) == (None, Reason.APPROVAL, "Ship it?")
        assert not talk.run.is_running
        assert [(key, question.form) for key, question in talk.run.questions()] == [("q", {"type": "object"})]
        output = b'{"approved":true,"actor":"ann","note":"go","data":{"n":1}}'
        assert talk.say(Decided("q", True, "ann", "go", b'{"n":1}')) == [
            Complete("q", 1, output),
            Finish(State.COMPLETED),
        ]

    def test_a_rejection_fails_the_task_and_is_not_retried(self):
        talk = self.asking(retry=retry(3))
        talk.begin()
        assert talk.say(Decided("q", False, "ann", "no"))[0] == Fail("q", 1, Reason.REJECTED, "rejected by ann: no")

    @pytest.mark.parametrize(("on_timeout", "kind"), [("reject", Fail), ("approve", Complete)])
    def test_nobody_in_time_is_decided_as_the_document_says(self, on_timeout, kind):
        talk = self.asking(fields={"within": "1m", "on_timeout": on_timeout, "data": {"n": 0}})
        assert orders_of(talk.begin(), WaitUntil)[0].at == NOW + 60
        assert isinstance(talk.say(Due("q", 1), now=NOW + 60)[0], kind)

    def test_a_restart_still_asks(self):
        talk = self.asking(fields={"within": 60})
        memo = orders_of(talk.begin(), WaitUntil)[0].memo
        snapshots = {"q": Snapshot(state=State.WAITING, attempt=1, memo=memo, due_at=NOW + 60)}
        run = Run.restore("r", talk.run.plan, snapshots, state=State.RUNNING, deadline=None)
        assert (run.resume(), list(run.waiting())) == ([], [("q", 1, NOW + 60)])
        assert run.handle(Decided("q", True), NOW)[-1] == Finish(State.COMPLETED)

    def test_a_decision_on_what_does_not_wait_changes_nothing(self):
        talk = Talk(run_of(task("a")))
        talk.begin()
        assert talk.say(Decided("a", True)) == [] == talk.say(Decided("nobody", True))


class TestHooks:
    def hooked(self, **settings):
        settings = {
            "on_success": (task("s"),),
            "on_failure": (task("f"),),
            "finally_": (task("z1"), task("z2", "z1")),
        } | settings
        return Talk(run_of(task("a"), **settings))

    def test_the_hook_of_the_outcome_runs_and_then_the_last_ones(self):
        talk = self.hooked()
        talk.begin()
        orders = talk.succeed("a")
        assert orders[1:] == [
            Skip("f", Reason.OUTCOME, "it is for another outcome; the run COMPLETED"),
            WindDown(State.COMPLETED, None),
        ]
        talk.succeed("s")
        talk.succeed("z1")
        assert talk.succeed("z2")[-1] == Finish(State.COMPLETED)
        assert [key for key, _ in talk.started] == ["a", "s", "z1", "z2"]

    def test_their_failure_changes_nothing_of_the_outcome_and_they_know_it(self):
        fields = {"m": "${{ run.state }} ${{ run.failed[0] }} ${{ run.message }}"}
        talk = self.hooked(on_failure=(task("f", fields=fields),), finally_=())
        talk.begin()
        talk.say(Failed("a", 1, message="no"))
        assert talk.starts["f"].fields == {"m": "FAILED a task a failed: no"}
        assert talk.say(Failed("f", 1, message="worse"))[-1] == Finish(
            State.FAILED, Reason.TASK_FAILED, "task a failed: no"
        )

    def test_they_are_retried_also_after_a_cancel(self):
        talk = self.hooked(on_cancel=(task("c", retry=retry(1, delay=1.0)),), finally_=())
        talk.begin()
        talk.say(CancelAsked())
        talk.say(Killed("a", 1))
        assert orders_of(talk.say(Failed("c", 1)), RetryAt)
        talk.say(Due("c", 1))
        assert talk.succeed("c")[-1] == Finish(State.CANCELLED, Reason.USER)

    def test_a_cancel_in_the_middle_of_them_ends_them_and_not_the_outcome(self):
        talk = self.hooked()
        talk.begin()
        talk.succeed("a")
        orders = talk.say(CancelAsked())
        assert {order.task for order in orders_of(orders, Cancel)} == {"z1", "z2"}
        assert talk.say(Killed("s", 1))[-1] == Finish(State.COMPLETED)

    def test_a_run_that_never_began_has_none(self):
        talk = self.hooked()
        assert talk.say(CancelAsked())[-1] == Finish(State.CANCELLED, Reason.USER)
        assert talk.started == []

    def test_a_restart_goes_on_with_them(self):
        talk = self.hooked()
        snapshots = {
            "a": Snapshot(state=State.FAILED, attempt=1),
            "s": Snapshot(state=State.SKIPPED, reason=Reason.OUTCOME),
            "f": Snapshot(state=State.COMPLETED, attempt=1),
            "z1": Snapshot(state=State.RUNNING, attempt=1),
            "z2": Snapshot(state=State.PENDING),
        }
        ending = (State.FAILED, Reason.TASK_FAILED, "task a failed")
        run = Run.restore(
            "r", talk.run.plan, snapshots, state=State.RUNNING, deadline=None, begun_at=1.0, ending=ending
        )
        talk = Talk(run)
        assert run.resume() == []
        talk.say(Lost("z1", 1))
        talk.say(Due("z1", 1))
        talk.succeed("z1")
        assert talk.succeed("z2")[-1] == Finish(State.FAILED, Reason.TASK_FAILED, "task a failed")

    def test_a_restart_waits_for_the_instances_of_a_hook(self):
        plan = make_plan(Workflow(tasks=(task("a"),), finally_=(over("h", [1, 2]), task("i", "h"))))
        snapshots = {
            "a": Snapshot(state=State.COMPLETED, attempt=1),
            "h": Snapshot(state=State.RUNNING, memo=b'{"items":[1,2]}'),
            "h[0]": Snapshot(state=State.COMPLETED, attempt=1),
            "h[1]": Snapshot(state=State.PENDING),
            "i": Snapshot(state=State.PENDING),
        }
        ending = (State.COMPLETED, None, "")
        talk = Talk(Run.restore("r", plan, snapshots, state=State.RUNNING, deadline=None, ending=ending))
        assert talk.run.resume() == []
        talk.say(Due("h[1]", 9))
        assert talk.succeed("h[1]")[-1] == Complete("h", 0, b"[null,null]")
        assert talk.succeed("i")[-1] == Finish(State.COMPLETED)


class TestCache:
    def test_the_cache_is_asked_before_the_first_attempt_and_told_after_it(self):
        run = run_of(task("a", cache=Cache(ttl=60.0)))
        assert run.handle(Submitted(), NOW) == [Begin()]
        assert run.handle(Granted("a"), NOW) == [Recall("a", '{"message":"a"}')]
        assert run.peek() is None
        assert run.handle(Recalled("a", "k"), NOW) == []
        assert run.handle(Granted("a"), NOW)[0].task == "a"
        assert run.handle(Succeeded("a", 1, b"5"), NOW)[0] == Complete("a", 1, b"5", cache=("k", 60.0))

    def test_what_it_holds_is_taken(self):
        run = run_of(task("a", cache=Cache()))
        run.handle(Submitted(), NOW)
        run.handle(Granted("a"), NOW)
        orders = run.handle(Recalled("a", "k", b"5", "earlier"), NOW)
        assert orders[0] == Complete("a", 0, b"5", reason=Reason.CACHED, message="from run earlier")

    def test_a_key_of_ones_own_is_of_this_workflow_and_task(self):
        run = run_of(task("a", cache=Cache(key="${{ params.day }}")), scope={"params": {"day": "mon"}}, name="w")
        run.handle(Submitted(), NOW)
        assert run.handle(Granted("a"), NOW) == [Recall("a", '["w","a","mon"]')]

    def test_it_can_be_left_alone(self):
        run = Run("r", make_plan(Workflow(tasks=(task("a", cache=Cache()),))), use_cache=False)
        run.handle(Submitted(), NOW)
        assert run.handle(Granted("a"), NOW)[0].attempt == 1


class TestDeadlines:
    def test_they_are_armed_when_the_run_begins_and_warn_once(self):
        run = run_of(task("a", deadline=Deadline(within=5.0)), deadline=Deadline(within=9.0))
        assert run.handle(Submitted(), NOW) == [Begin(None, ((NOW + 9, ""), (NOW + 5, "a")))]
        told = "task a has not ended within its deadline of 5 s"
        assert run.handle(AlarmReached("a"), NOW + 5) == [Warn("a", told)]
        assert run.handle(AlarmReached("a"), NOW + 5) == []
        assert run.alarms() == ((NOW + 9, ""),)
        assert run.handle(AlarmReached(), NOW + 9) == [Warn("", "the run has not ended within its deadline of 9 s")]

    def test_one_that_fails_ends_the_attempt_and_is_not_retried(self):
        talk = Talk(run_of(task("a", deadline=Deadline(within=5.0, on_miss="fail"), retry=retry(3))))
        talk.begin()
        assert talk.say(AlarmReached("a")) == [Kill("a", 1, Reason.DEADLINE)]
        told = "task a has not ended within its deadline of 5 s"
        assert talk.say(Killed("a", 1))[0] == Fail("a", 1, Reason.DEADLINE, told)

    def test_one_of_a_fan_out_ends_its_instances(self):
        talk = Talk(run_of(over("a", [1, 2], max_parallel=1, deadline=Deadline(within=5.0, on_miss="fail"))))
        talk.begin()
        talk.say(AlarmReached("a"))
        orders = talk.say(Killed("a[0]", 1))
        assert [type(order) for order in orders[:2]] == [Cancel, Fail]
        assert orders[-1].state is State.FAILED

    @pytest.mark.parametrize("visits", [0, 1, 2])
    def test_one_of_a_node_ends_it_before_in_and_between_its_visits(self, visits):
        edges = [{"source": "a", "target": "b"}, {"source": "b", "target": "c"}, {"source": "c", "target": "b"}]
        late = task("b", deadline=Deadline(within=5.0, on_miss="fail"))
        talk = Talk(graph(edges, task("a"), late, task("c"), max_iterations=9))
        talk.begin()
        under_way = ["a[1]", "b[2]", "c[3]"][visits]
        for key in ["a[1]", "b[2]"][:visits]:
            talk.succeed(key)
        orders = talk.say(AlarmReached("b"), now=NOW + 5)
        is_visited = Kill("b[2]", 1, Reason.DEADLINE) in orders
        assert is_visited is (visits == 1)
        orders += talk.say(Killed("b[2]", 1)) if is_visited else talk.succeed(under_way)
        assert [order.reason for order in orders_of(orders, Fail)] == [Reason.DEADLINE]
        assert not orders_of(orders, Spread)
        assert orders[-1].state is State.FAILED

    def test_one_of_the_run_ends_it(self):
        talk = Talk(run_of(task("a"), deadline=Deadline(within=5.0, on_miss="fail")))
        talk.begin()
        talk.say(AlarmReached())
        assert talk.say(Killed("a", 1))[-1].reason is Reason.DEADLINE


def test_a_paused_run_starts_nothing_and_lets_what_runs_end():
    talk = Talk(run_of(task("a"), task("b", "a")))
    talk.begin()
    assert talk.say(PauseAsked("wait", "ann")) == [Pause("wait", "ann")]
    talk.succeed("a")
    assert (talk.run.state, talk.started) == (State.WAITING, [("a", 1)])
    assert talk.say(ResumeAsked("go", "ann")) == [Unpause("go", "ann")]
    assert talk.started[-1] == ("b", 1)


def test_a_run_behind_others_waits_before_it_begins():
    talk = Talk(run_of(task("a")))
    assert talk.say(Queued("1 run ahead")) == [Stay(Reason.CONCURRENCY, "1 run ahead")]
    assert talk.say(Queued("1 run ahead")) == [] == talk.say(ResumeAsked())
    assert talk.begin() == [Begin()]


def test_tasks_of_a_closed_pool_are_passed_over():
    run = run_of(task("a", pool=Pool(name="db"), priority=9), task("b"), task("c", pool=Pool(name="db")))
    run.handle(Submitted(), NOW)
    assert run.peek().key == "a"
    assert run.peek({"db"}).key == "b"
    run.handle(Granted("b"), NOW)
    assert run.peek({"db"}) is None


@pytest.mark.parametrize(
    ("key", "shown"),
    [("a-b_c.9", "a-b_c.9"), ("a/b", "a%2Fb"), ("é", "%C3%A9"), ("[x]\n", "%5Bx%5D%0A"), ("", "")],
)
def test_keys_of_instances_are_written_plainly(key, shown):
    assert written(key) == shown


def test_long_keys_of_instances_are_cut_and_still_differ():
    one, other = written("x" * 500 + "a"), written("x" * 500 + "b")
    assert one != other
    assert len(one) == len(other) <= 128


def test_what_needs_no_worker_does_not_stand_behind_what_waits_for_one():
    run = run_of(task("a", priority=9), Task(id="q", type="approval", fields={"message": "?"}))
    run.handle(Submitted(), NOW)
    assert run.peek().key == "q"


@pytest.mark.parametrize(
    ("type_", "fields", "said"),
    [
        ("workflow", {"workflow": "w", "params": "${{ params.x }}"}, "params must be an object, not a list"),
        ("workflow", {"workflow": "${{ params.x }}"}, "workflow must be a text, not a list"),
        ("approval", {"message": "?", "on_timeout": "${{ params.x }}"}, "on_timeout must be a text, not a list"),
        ("approval", {"message": "?", "form": "${{ params.x }}"}, "form must be an object, not a list"),
        ("approval", {"message": "?", "data": "${{ params.deep }}"}, "data must not be nested deeper"),
    ],
)
def test_fields_of_the_engines_own_types_that_turn_out_unfit_fail_the_task(type_, fields, said):
    deep = []
    for _ in range(300):
        deep = [deep]
    talk = Talk(run_of(Task(id="a", type=type_, fields=fields), scope={"params": {"x": [5], "deep": deep}}))
    [opened, fail, finish] = talk.begin()[1:]
    assert (opened, fail.attempt, fail.reason) == (Open("a", 1), 1, Reason.INVALID)
    assert said in fail.message
    assert finish.state is State.FAILED


def test_a_call_that_is_told_by_an_expression_not_to_wait_does_not_wait():
    fields = {"workflow": "w", "wait": "${{ params.wait }}"}
    talk = Talk(run_of(Task(id="a", type="workflow", fields=fields), scope={"params": {"wait": False}}))
    talk.begin()
    assert orders_of(talk.say(ChildStarted("a", 1, "c")), Complete) == [Complete("a", 1, b'{"run":"c"}')]


def test_a_state_that_turns_out_to_be_no_object_fails_the_run():
    workflow = Workflow(tasks=(task("a"),), routing=Routing(entry="a", edges=(), state="${{ params.x }}"))
    talk = Talk(Run("r", make_plan(workflow), scope={"params": {"x": [1]}}))
    [_, fail, finish] = talk.begin()
    assert (fail.task, fail.reason) == ("a", Reason.EXPRESSION)
    assert "must be an object, not a list" in fail.message
    assert finish.state is State.FAILED


@pytest.mark.parametrize("type_", ["workflow", "approval"])
def test_what_people_and_called_workflows_give_goes_into_the_state_of_a_graph(type_):
    fields = {"workflow": "w"} if type_ == "workflow" else {"message": "?"}
    asking = Task(id="a", type=type_, fields=fields)
    talk = Talk(graph([{"source": "a", "target": "b"}], asking, task("b"), state={"n": 1}))
    talk.begin()
    if type_ == "workflow":
        talk.say(ChildEnded("a[1]", 1, "c", State.COMPLETED, output=b'{"m":2}'))
        assert msgspec.json.decode(talk.starts["b[2]"].inputs["state"]) == {"n": 1, "m": 2}
    else:
        talk.say(Decided("a[1]", is_approved=True))
        assert msgspec.json.decode(talk.starts["b[2]"].inputs["state"]).keys() == {
            "n",
            "approved",
            "actor",
            "note",
            "data",
        }


def test_a_walk_keeps_one_state_however_long_it_is():
    outputs = {}
    routing = Routing(entry="a", edges=(Edge(source="a", target="a", condition="iteration < 50"),), max_iterations=99)
    run = Run("r", make_plan(Workflow(tasks=(task("a"),), routing=routing)), outputs=outputs)
    talk = Talk(run)
    talk.begin()
    for visit in range(1, 50):
        talk.succeed(f"a[{visit}]", b'{"n": 1}')
        assert outputs == {}
    assert talk.succeed("a[50]", b'{"n": 2}')[-1] == Finish(State.COMPLETED, None, "", b'{"n":2}')


def test_a_visit_of_a_graph_asks_no_cache():
    talk = Talk(graph([], task("a", cache=Cache())))
    assert orders_of(talk.begin(), Recall) == []
    assert talk.started == [("a[1]", 1)]


class _Torn(dict):
    """Outputs of which those in `lost` can no longer be read."""

    lost = ()

    def get(self, key, default=None):
        if key in self.lost:
            raise StoreCorruptError(f"values/{key}", "it is gone")
        return super().get(key, default)


def test_an_output_of_an_instance_that_is_lost_fails_the_task_and_no_more():
    outputs = _Torn()
    talk = Talk(Run("r", make_plan(Workflow(tasks=(over("a", [1, 2]),))), outputs=outputs))
    talk.begin()
    talk.succeed("a[0]")
    outputs.lost = ("a[0]",)
    [fail] = orders_of(talk.succeed("a[1]"), Fail)
    assert (fail.task, fail.reason) == ("a", Reason.INPUT_LOST)


def test_instances_that_give_more_than_an_output_may_be_fail_the_task():
    talk = Talk(Run("r", make_plan(Workflow(tasks=(over("a", [1, 2, 3]),))), max_output=25))
    talk.begin()
    for key in ("a[0]", "a[1]"):
        talk.succeed(key, b'"0123456"')
    [fail] = orders_of(talk.succeed("a[2]", b'"0123456"'), Fail)
    assert fail.reason is Reason.OUTPUT_TOO_LARGE
    assert "25 bytes" in fail.message


def test_a_run_that_gives_back_more_than_an_output_may_be_fails():
    talk = Talk(Run("r", make_plan(Workflow(tasks=(task("a"), task("b")))), max_output=25, is_called=True))
    talk.begin()
    talk.succeed("a", b'"0123456789"')
    [finish] = orders_of(talk.succeed("b", b'"0123456789"'), Finish)
    assert (finish.state, finish.reason) == (State.FAILED, Reason.OUTPUT_TOO_LARGE)


def test_a_loop_keeps_two_outputs_however_long_it_is():
    outputs = {}
    workflow = Workflow(tasks=(task("a", loop=Loop(max_iterations=50, until="iteration == 50")),))
    run = Run("r", make_plan(workflow), outputs=outputs)
    talk = Talk(run)
    talk.begin()
    for iteration in range(1, 51):
        talk.succeed(f"a[{iteration}]", b'"x"')
        assert len(outputs) <= 2
    assert outputs == {"a": b'"x"'}
    assert run.state is State.COMPLETED


def test_a_deadline_of_a_hook_that_passes_before_its_turn_ends_it_when_its_turn_comes():
    late = Deadline(within=5, on_miss="fail")
    hooks = (task("h", deadline=late), task("i", "h", trigger_rule="all_done"))
    talk = Talk(Run("r", make_plan(Workflow(tasks=(task("a"), task("b")), finally_=hooks))))
    talk.begin()
    assert talk.say(AlarmReached("h"), NOW + 5) == []
    talk.succeed("a")
    assert talk.run.state is State.RUNNING
    [fail] = orders_of(talk.succeed("b"), Fail)
    assert (fail.task, fail.reason) == ("h", Reason.DEADLINE)
    assert talk.succeed("i")[-1] == Finish(State.COMPLETED)


def test_a_repeated_run_decides_as_the_first_did():
    plan = make_plan(Workflow(tasks=(task("a"), task("b", "a", when="tasks.a.reason == null"))))
    run = Run("r", plan, outputs={"a": b"1"})
    run.reuse(["a"])
    run.handle(Submitted(), NOW)
    assert run.peek().key == "b"


def test_a_fault_of_ours_ends_the_run_it_is_met_in_and_says_where(monkeypatch):
    talk = Talk(run_of(over("a", [1, 2]), task("b", "a"), task("c")))
    monkeypatch.setattr(Spreads, "begin", lambda *_: 1 // 0)
    orders = talk.begin()
    message = "ZeroDivisionError: integer division or modulo by zero"
    assert [type(order) for order in orders] == [Collapse, Finish]
    assert (orders[1].state, orders[1].reason) == (State.FAILED, Reason.INTERNAL)
    assert orders[1].message.startswith(message)
    assert talk.run.peek() is None
    assert talk.say(CancelAsked()) == [] == talk.say(Succeeded("c", 1))


def test_what_cannot_be_written_is_no_fault_of_a_run(monkeypatch):
    def lose(*_):
        raise StoreLostError("no space")

    run = run_of(over("a", [1]))
    monkeypatch.setattr(Spreads, "begin", lose)
    with pytest.raises(StoreLostError):
        run.handle(Submitted(), NOW)
