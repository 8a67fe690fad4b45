"""What every memory promises of control flow: instances, calls, pauses, warnings, outputs of runs and of the cache."""

from functools import partial
from typing import Any

import msgspec
import pytest
from sqlalchemy import event

from engine.facts import (
    Begin,
    Call,
    Cancel,
    Collapse,
    Complete,
    Fail,
    Finish,
    Open,
    Order,
    Pause,
    Recall,
    RetryAt,
    Skip,
    Spread,
    Stay,
    Unpause,
    WaitUntil,
    Warn,
    WindDown,
)
from engine.model import Task, Workflow
from engine.states import Reason, State
from engine.store import Store
from engine.submission import Parent, Submission
from engine.views import RunEnd
from tests.hands.memory import Memory, complete, fail, ids, start, submission

DONE = Finish(State.COMPLETED)
LARGE = b'"' + b"w" * 500 + b'"'


def spread(memory: Memory, run: str, *keys: str) -> None:
    """Begin a run with tasks a, fan and z, and spread fan into instances with these keys."""
    memory.begin(run, "a", "fan", "z")
    assert memory.write(run, Spread("fan", tuple(f"fan[{key}]" for key in keys), b'{"items":[]}'))


def end(memory: Memory, run: str, output: bytes = b"null") -> None:
    """Begin and end a run whose only task is a."""
    assert memory.write(run, Begin(), Skip("a", Reason.USER), Finish(State.COMPLETED, output=output))


def keep(memory: Memory, run: str, key: str, output: bytes = b"1", ttl: float | None = None) -> None:
    """Have a run of one task complete with an output that may be used again under this key."""
    memory.begin(run, "a")
    memory.write(run, start("a"))
    assert memory.write(run, Complete("a", 1, output, cache=(key, ttl)), DONE)


def statements(engine: Any, work: Any) -> int:
    """Count what a piece of work asks of a database."""
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    work()
    event.remove(engine, "before_cursor_execute", note)
    return len(asked)


class ControlContract:
    """Expects fixtures `url` (of an empty database) and `memory` (a Memory on it)."""

    def test_a_collapse_ends_what_is_open_of_that_run_however_it_stands_and_of_no_other(self, memory: Memory):
        spread(memory, "r", "0", "1")
        memory.begin("other", "a")
        memory.write("other", start("a"))
        assert memory.write("r", start("a"), start("fan[0]"))
        assert memory.write("r", complete("a"))
        assert memory.write("r", WaitUntil("fan[0]", 1, 99.0))
        assert memory.write("r", Collapse("odd"), Finish(State.FAILED, Reason.INTERNAL, "odd"))
        view = memory.history.run("r")
        assert (view.state, view.reason, view.message) == (State.FAILED, "internal", "odd")
        ended = {task.id: (task.state, task.reason) for task in view.tasks or ()}
        assert ended.pop("a") == (State.COMPLETED, None)
        assert ended == dict.fromkeys(["fan", "fan[0]", "fan[1]", "z"], (State.CANCELLED, "internal"))
        assert [attempt.state for attempt in memory.history.attempts("r")] == [State.COMPLETED, State.CANCELLED]
        assert [task.state for task in memory.history.run("other").tasks or ()] == [State.RUNNING]

    def test_instances_stand_behind_their_task_in_the_order_they_were_made(self, memory: Memory):
        spread(memory, "r", "10", "9", "b")
        tasks = memory.history.run("r").tasks or []
        assert [(task.id, task.type, task.state, task.attempts) for task in tasks] == [
            ("a", "print", "PENDING", 0),
            ("fan", "print", "RUNNING", 0),
            ("fan[10]", "print", "PENDING", 0),
            ("fan[9]", "print", "PENDING", 0),
            ("fan[b]", "print", "PENDING", 0),
            ("z", "print", "PENDING", 0),
        ]
        assert tasks[1].started_at is not None
        assert list(memory.history.runs_in_full(["r"])["r"].tasks or []) == tasks
        assert list(memory.history.open_runs()[0].tasks) == [task.id for task in tasks]

    def test_instances_are_tasks_like_any_other_and_their_task_ends_without_an_attempt(self, memory: Memory):
        spread(memory, "r", "0", "1")
        assert memory.write("r", start("fan[0]"), start("fan[1]"))
        assert memory.write("r", complete("fan[0]", output=b"7"), fail("fan[1]"))
        assert memory.write("r", Fail("fan", 0, Reason.INSTANCE_FAILED, "1 of 2"))
        assert memory.states("r")["fan"] == "FAILED"
        assert [attempt.task for attempt in memory.history.attempts("r")] == ["fan[0]", "fan[1]"]
        assert memory.history.outputs("r") == {"fan[0]": b"7"}
        assert not memory.write("r", Complete("fan", 0))
        assert memory.history.run("r").outputs() == {}

    @pytest.mark.parametrize(
        "order", [Complete("fan", 0), Fail("fan", 0, Reason.ERROR), Cancel("fan", 0, Reason.USER)], ids=repr
    )
    def test_how_a_task_was_spread_is_known_after_its_end(self, memory: Memory, order: Order):
        spread(memory, "r", "0")
        assert memory.history.open_runs()[0].tasks["fan"].memo == b'{"items":[]}'
        assert memory.write("r", Cancel("fan[0]", 0, Reason.USER), order)
        assert memory.history.expansions("r") == {"fan": b'{"items":[]}'}

    def test_the_memo_of_an_attempt_goes_with_it(self, memory: Memory):
        memory.begin("r", "a")
        memory.write("r", start("a"))
        memory.write("r", WaitUntil("a", 1, 5.0, b'{"page":2}'))
        memory.write("r", Cancel("a", 1, Reason.USER))
        assert memory.history.expansions("r") == {}
        assert memory.rows("SELECT memo FROM tasks") == [(None,)]

    def test_a_task_spreads_again_and_again_and_says_once_that_it_runs(self, memory: Memory):
        memory.begin("r", "loop")
        assert memory.write("r", Spread("loop", ("loop[1]",), b'"m"'))
        began = (memory.history.run("r").tasks or [])[0].started_at
        memory.write("r", start("loop[1]"))
        assert memory.write("r", complete("loop[1]"), Spread("loop", ("loop[2]",), None, due_at=77.5))
        tasks = memory.history.open_runs()[0].tasks
        assert (tasks["loop"].memo, tasks["loop"].state) == (b'"m"', "RUNNING")
        waiting = tasks["loop[2]"]
        assert (waiting.state, waiting.due_at, waiting.reason) == ("WAITING", 77.5, Reason.DELAY)
        assert memory.write("r", start("loop[2]"))
        assert memory.write("r", Cancel("loop[2]", 1, Reason.USER), Spread("loop", ("loop[10]",), b'"n"'))
        assert list(memory.states("r")) == ["loop", "loop[1]", "loop[2]", "loop[10]"]
        assert [entry for entry in memory.trail("r") if entry[0] == "loop"] == [("loop", None, "RUNNING")]
        assert (memory.history.run("r").tasks or [])[0].started_at == began
        assert memory.history.open_runs()[0].tasks["loop"].memo == b'"n"'

    def test_what_leads_to_instances_and_what_they_do_is_one_batch_with_its_trail_in_order(self, memory: Memory):
        memory.begin("r", "a", "fan")
        memory.write("r", start("a"))
        orders = (complete("a"), Spread("fan", ("fan[0]", "fan[1]")), start("fan[0]"))
        assert memory.write("r", *orders, Complete("fan[1]", 0, b"1", reason=Reason.REUSED))
        assert memory.trail("r")[-4:] == [
            ("a", 1, "COMPLETED"),
            ("fan", None, "RUNNING"),
            ("fan[0]", 1, "RUNNING"),
            ("fan[1]", None, "COMPLETED"),
        ]

    @pytest.mark.parametrize(
        "order",
        [
            Spread("fan", ("fan[1]", "fan[0]")),  # one of them is there
            Spread("fan[0]", ("fan[0][0]",)),
            Spread("a", ("a[0]",)),  # it has an attempt
            Spread("nobody", ("nobody[0]",)),
            Skip("fan", Reason.USER),
            start("fan"),
            Complete("fan", 1),
        ],
        ids=repr,
    )
    def test_what_does_not_fit_a_task_that_was_spread_changes_nothing(self, memory: Memory, order: Order):
        spread(memory, "r", "0")
        memory.write("r", start("a"))
        before = memory.everything()
        assert not memory.write("r", order)
        assert memory.everything() == before

    def test_a_run_does_not_end_before_its_instances(self, memory: Memory):
        spread(memory, "r", "0")
        done = (Complete("fan", 0), Skip("a", Reason.USER), Skip("z", Reason.USER))
        assert not memory.write("r", *done, DONE)
        assert memory.write("r", *done, Complete("fan[0]", 0), DONE)

    def test_many_instances_are_written_and_read_in_as_many_statements_as_few(self, memory: Memory):
        writes, reads = [], []
        for run, most in (("few", 2), ("many", 2000)):
            memory.begin(run, "fan")
            memory.history.runs()
            instances = Spread("fan", tuple(f"fan[{number}]" for number in range(most)))
            writes.append(statements(memory.store._engine, partial(memory.write, run, instances)))
            reads.append(statements(memory.history._engine, partial(memory.history.run, run)))
        assert writes[0] == writes[1]
        assert reads[0] == reads[1]
        keys = [task.id for task in memory.history.run("many").tasks or ()]
        assert keys == ["fan", *(f"fan[{number}]" for number in range(2000))]

    def test_an_attempt_that_waits_for_a_person_waits_for_no_time(self, memory: Memory):
        memory.begin("r", "ok")
        asked = WaitUntil("ok", 1, None, b'{"message":"go?"}', Reason.APPROVAL, "go?")
        assert memory.write("r", Open("ok", 1), asked)
        task = memory.history.open_runs()[0].tasks["ok"]
        assert (task.state, task.reason, task.due_at, task.memo) == (
            "WAITING",
            Reason.APPROVAL,
            None,
            b'{"message":"go?"}',
        )
        assert memory.write("r", Complete("ok", 1, b'{"approved":true}'), DONE)
        assert [attempt.state for attempt in memory.history.attempts("r")] == ["COMPLETED"]

    def test_a_call_is_an_attempt(self, memory: Memory):
        memory.begin("r", "sub")
        call = Call("sub", 1, "other", {"day": 1}, at=9.0)
        assert memory.write("r", call)
        assert not memory.write("r", call)
        assert memory.states("r") == {"sub": "RUNNING"}
        assert [attempt.state for attempt in memory.history.attempts("r")] == ["RUNNING"]

    def test_a_completed_task_may_say_why(self, memory: Memory):
        memory.begin("r", "a", "b")
        memory.write("r", start("b"))
        cached = Complete("a", 0, b"1", reason=Reason.CACHED, message="from run x")
        assert memory.write("r", cached, Complete("b", 1, b"2", reason=Reason.CONTINUED, message="well"))
        shown = [(task.state, task.reason, task.message) for task in memory.history.run("r").tasks or ()]
        assert shown == [("COMPLETED", "cached", "from run x"), ("COMPLETED", "continued", "well")]
        told = [(one.task, one.reason, one.message) for one in memory.history.events("r")][-2:]
        assert told == [("a", "cached", "from run x"), ("b", "continued", "well")]
        assert memory.history.attempts("r")[0].reason == "continued"

    def test_to_look_into_the_cache_leaves_no_trace(self, memory: Memory):
        memory.begin("r", "a")
        before = memory.everything()
        assert memory.write("r", Recall("a", "m"))
        assert memory.everything() == before
        assert memory.write("r", Recall("a", "m"), start("a"))

    def test_what_a_run_gives_back_is_shown_and_told_to_who_asks(self, memory: Memory):
        for run, output in (("small", b'{"rows":3}'), ("large", LARGE), ("none", b"null")):
            memory.create(run, "a")
            assert memory.store.ended(run) is None
            end(memory, run, output)
            assert memory.store.ended(run) == RunEnd(State.COMPLETED, None, "", output)
            view = memory.history.run(run)
            assert (view.output is msgspec.UNSET) == (output == b"null")
            assert output == b"null" or bytes(view.output) == output
        assert memory.store.ended("nobody") is None
        assert memory.rows("SELECT output FROM runs WHERE id = 'large'") == [(None,)]
        [ref] = memory.history.references()
        assert memory.values.get(ref) == LARGE
        assert [view.output for view in memory.history.runs()] == [msgspec.UNSET] * 3

    def test_an_output_whose_file_is_lost_is_a_failure_for_who_asks_and_costs_no_view(self, memory: Memory):
        memory.create("r", "a")
        end(memory, "r", LARGE)
        memory.values.delete(*memory.history.references())
        lost = memory.store.ended("r")
        assert lost is not None
        assert (lost.state, lost.reason, lost.output) == (State.FAILED, Reason.INPUT_LOST, b"null")
        view = memory.history.run("r")
        assert (view.state, bytes(view.output)) == ("COMPLETED", b"null")
        assert "a large output cannot be read" in view.message

    @pytest.mark.parametrize("again", [b"null", LARGE])
    def test_an_ending_keeps_its_output_while_hooks_run_and_needs_no_reason(self, memory: Memory, again: bytes):
        memory.begin("r", "a", "hook")
        assert memory.write("r", Skip("a", Reason.USER), WindDown(State.COMPLETED, None, "", LARGE))
        [run] = memory.history.open_runs()
        assert (run.state, run.ending, run.output) == ("RUNNING", (State.COMPLETED, None, ""), LARGE)
        assert memory.write("r", Skip("hook", Reason.OUTCOME), Finish(State.COMPLETED, output=again))
        assert memory.store.ended("r") == RunEnd(State.COMPLETED, None, "", LARGE)
        assert not memory.write("r", Finish(State.COMPLETED, output=b"2"))

    def test_hooks_are_recorded_behind_the_tasks_phase_by_phase(self, memory: Memory):
        made = {key: Task(id=key, type="print") for key in ("t", "u", "ok", "bad", "stop", "last")}
        workflow = Workflow(
            name="hooked",
            tasks=(made["t"], made["u"]),
            on_success=(made["ok"],),
            on_failure=(made["bad"],),
            on_cancel=(made["stop"],),
            finally_=(made["last"],),
        )
        memory.store.create([("r", Submission(workflow=workflow, document=b"{}"), 1.0)])
        assert memory.states("r") == dict.fromkeys(made, "PENDING")
        assert list(memory.states("r")) == list(made)
        assert memory.rows("SELECT DISTINCT position FROM tasks ORDER BY position") == [(place,) for place in range(6)]

    def test_one_attempt_of_a_task_calls_one_run(self, memory: Memory, url):
        called = Parent(run="p", task="sub[ä]", attempt=2, depth=3)
        asked = [(run, submission("a", parent=called), 1.0) for run in ("c1", "c2")]
        assert ids(memory.store.create(asked)) == [("c1", True), ("c1", False)]
        end(memory, "c1")
        other = Store(url, values=memory.values, clock=memory.clock)
        other.open()
        [receipt] = other.create([("c3", submission("a", parent=called), 1.0)])
        other.close()
        assert (receipt.run, receipt.matched, receipt.state) == ("c1", "parent", "COMPLETED")
        memory.create("c4", "a", parent=msgspec.structs.replace(called, attempt=3))

    def test_a_called_run_knows_its_caller_and_its_depth_when_it_is_taken_up(self, memory: Memory):
        called = Parent(run="p", task="sub", attempt=1, depth=3)
        memory.create("c", "a", parent=called, use_cache=False)
        memory.create("r", "a")
        child, alone = memory.history.open_runs()
        assert (child.parent, child.depth, child.use_cache) == (called, 4, False)
        assert (alone.parent, alone.depth, alone.use_cache) == (None, 1, True)

    def test_parent_and_children_are_shown_and_listed_where_there_are_any(self, memory: Memory):
        memory.create("p", "a")
        for child, attempt in (("c1", 1), ("c2", 2)):
            memory.create(child, "a", parent=Parent(run="p", task="a", attempt=attempt))
        memory.create("c3", "a", parent=Parent(run="other", task="a", attempt=1))
        end(memory, "c1")
        parent, child = (msgspec.json.decode(msgspec.json.encode(memory.history.run(run))) for run in ("p", "c1"))
        assert parent["children"] == [
            {"run": "c1", "task": "a", "attempt": 1, "state": "COMPLETED"},
            {"run": "c2", "task": "a", "attempt": 2, "state": "PENDING"},
        ]
        assert not {"parent", "output"} & set(parent)
        assert child["parent"] == {"run": "p", "task": "a", "attempt": 1}
        assert not {"children", "output"} & set(child)
        assert [run.id for run in memory.history.runs(parent="p")] == ["c2", "c1"]
        assert [run.id for run in memory.history.runs(parent="p", state="PENDING")] == ["c2"]
        assert memory.history.runs(parent="c1") == []
        assert memory.history.runs_in_full(["p", "c1"])["p"] == memory.history.run("p")

    def test_a_run_that_was_called_is_not_pruned_before_its_caller_has_ended(self, memory: Memory):
        memory.create("p", "a")
        memory.create("c", "a", parent=Parent(run="p", task="a", attempt=1))
        memory.create("orphan", "a", parent=Parent(run="pruned", task="a", attempt=1))
        end(memory, "c")
        end(memory, "orphan")
        later = memory.clock.wall() + 1
        assert [run.id for run in memory.history.old_runs(later, 10)] == ["orphan"]
        assert memory.store.delete_runs(["c", "orphan"]) == 1
        end(memory, "p")
        assert [run.id for run in memory.history.old_runs(memory.clock.wall() + 1, 10)] == ["p", "c"]
        assert memory.store.delete_runs(["p", "c"]) == 2

    def test_a_run_stays_and_says_for_what_until_it_begins(self, memory: Memory):
        now = memory.clock.wall()
        memory.store.create([("r", submission("a", run_at=now + 60), now)])
        assert memory.write("r", Stay(Reason.CONCURRENCY, "behind run q"))
        run = memory.history.run("r")
        assert (run.state, run.reason, run.message, run.started_at) == ("WAITING", "concurrency", "behind run q", None)
        assert memory.history.events("r")[-1].reason == "concurrency"
        assert not memory.history.open_runs()[0].is_paused
        assert memory.write("r", Begin())
        assert memory.history.run("r").reason is None

    def test_a_paused_run_stands_still_between_two_events_with_their_actor(self, memory: Memory):
        memory.begin("r", "a")
        memory.write("r", start("a"))
        assert memory.write("r", Pause("lunch", "ann"))
        run = memory.history.run("r")
        assert (run.state, run.reason, run.message) == ("WAITING", "paused", "lunch")
        assert memory.history.open_runs()[0].is_paused
        assert memory.write("r", complete("a"))
        assert memory.write("r", Unpause("back", "bob"))
        run = memory.history.run("r")
        assert (run.state, run.reason, run.message) == ("RUNNING", None, "")
        assert not memory.history.open_runs()[0].is_paused
        told = [(one.state, one.reason, one.message, one.actor) for one in memory.history.events("r") if not one.task]
        assert told[-2:] == [("WAITING", "paused", "lunch", "ann"), ("RUNNING", None, "back", "bob")]

    @pytest.mark.parametrize(
        ("order", "legal"),
        [
            (Begin(), {"pending", "waiting"}),
            (Stay(Reason.CONCURRENCY), {"pending", "waiting"}),
            (Pause(), {"running"}),
            (Unpause(), {"paused"}),
            (Warn("", "late"), {"pending", "waiting", "running", "paused"}),
            (WindDown(State.FAILED, Reason.DEADLINE), {"pending", "waiting", "running", "paused"}),
            (Finish(State.CANCELLED, Reason.USER, output=b"1"), {"pending", "waiting", "running", "paused"}),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_an_order_of_a_run_applies_where_the_run_stands_for_it(self, memory: Memory, order: Order, legal: set[str]):
        leads: dict[str, tuple[Order, ...]] = {
            "pending": (),
            "waiting": (Stay(Reason.CONCURRENCY),),
            "running": (Begin(),),
            "paused": (Begin(), Pause()),
            "ended": (Finish(State.CANCELLED),),
        }
        for name, orders in leads.items():
            memory.create(name, "a")
            memory.write(name, Skip("a", Reason.USER))
            for one in orders:
                assert memory.write(name, one)
        assert {name for name in leads if memory.write(name, order)} == legal

    def test_a_deadline_is_warned_of_once_and_a_restart_knows(self, memory: Memory):
        memory.begin("r", "a", "b")
        memory.write("r", start("a"))
        assert memory.write("r", Warn("a", "a takes too long"), Warn("", "so does all of it"))
        before = memory.everything()
        assert not memory.write("r", Warn("a", "again"))
        assert not memory.write("r", Warn("", "again"))
        assert memory.everything() == before
        told = [(one.task, one.state, one.reason, one.message) for one in memory.history.events("r")][-2:]
        assert told == [("a", None, "deadline", "a takes too long"), (None, None, "deadline", "so does all of it")]
        assert memory.history.open_runs()[0].warned == {"a", ""}
        memory.write("r", complete("a"), Skip("b", Reason.USER))
        assert not memory.write("r", Warn("b", "too late"))

    def test_an_output_is_used_again_until_its_time_is_over(self, memory: Memory):
        keep(memory, "r1", "k1", b"[1]")
        keep(memory, "r2", "k2", LARGE, ttl=10.0)
        kept_at = memory.clock.wall()
        asked = ["k1", "k2", "k3"]
        assert memory.store.cached(asked, kept_at + 9) == {"k1": (b"[1]", "r1"), "k2": (LARGE, "r2")}
        assert memory.store.cached(asked, kept_at + 11) == {"k1": (b"[1]", "r1")}
        assert memory.store.cached([], kept_at) == {}

    def test_the_last_output_of_a_key_is_the_one_used_again(self, memory: Memory):
        keep(memory, "r1", "k", b"1", ttl=0.0)
        keep(memory, "r2", "k", b"2")
        assert memory.store.cached(["k"], memory.clock.wall()) == {"k": (b"2", "r2")}
        memory.store.delete_runs(["r1"])
        assert memory.store.cached(["k"], memory.clock.wall()) == {"k": (b"2", "r2")}

    def test_an_output_that_is_gone_is_not_used_again(self, memory: Memory):
        keep(memory, "file", "lost", LARGE)
        keep(memory, "row", "pruned")
        memory.values.delete(*memory.history.references())
        memory.store.delete_runs(["row"])
        assert memory.store.cached(["lost", "pruned"], 0.0) == {}
        assert memory.rows("SELECT key FROM cache") == [("lost",)]

    def test_an_output_that_lost_a_race_is_not_kept(self, memory: Memory):
        memory.begin("r", "a")
        assert not memory.write("r", Complete("a", 1, b"1", cache=("k", None)))
        assert memory.rows("SELECT key FROM cache") == []

    def test_more_keys_than_a_statement_takes_are_looked_up(self, memory: Memory):
        keep(memory, "r", "k")
        found = memory.store.cached([*(f"k{number}" for number in range(450)), "k"], 0.0)
        assert found == {"k": (b"1", "r")}

    def test_what_a_repeated_run_may_take_over_is_offered_until_its_task_is_spread(self, memory: Memory):
        reused = {"a": b"1", "fan[0]": LARGE, "fan[x]": b"[2]"}
        memory.begin("r", "a", "fan", reused=reused, expansions={"fan": b'{"items":[]}'})
        assert memory.states("r") == {"a": "COMPLETED", "fan": "PENDING"}
        [run] = memory.history.open_runs()
        assert (run.expansions, run.reused) == ({"fan": b'{"items":[]}'}, {"fan[0]": LARGE, "fan[x]": b"[2]"})
        assert run.tasks["fan"].memo == b"null"
        [ref] = memory.history.references()
        assert memory.values.get(ref) == LARGE
        taken = Complete("fan[x]", 0, b"[2]", reason=Reason.REUSED)
        assert memory.write("r", Spread("fan", ("fan[x]", "fan[1]"), b'{"items":[1]}'), taken)
        [run] = memory.history.open_runs()
        assert (run.expansions, run.reused) == ({}, {})
        assert memory.history.expansions("r") == {"fan": b'{"items":[1]}'}
        assert memory.write("r", Skip("fan[1]", Reason.USER), Complete("fan", 0), DONE)
        assert memory.store.delete_runs(["r"]) == 1
        assert memory.rows("SELECT * FROM offers") == []

    def test_the_runs_that_a_repeated_one_called_are_offered_until_the_end(self, memory: Memory):
        called = {"a": "01first", "fan[0]": "01second"}
        memory.begin("r", "a", "fan", called=called)
        assert memory.write("r", Spread("fan", ("fan[0]",), b'{"items":[1]}'))
        [run] = memory.history.open_runs()
        assert (run.called, run.reused, run.expansions) == (called, {}, {})

    def test_of_the_runs_that_a_task_called_the_last_before_the_attempt_that_runs_is_known(self, memory: Memory):
        memory.begin("r", "a", "b")
        for number in (1, 2):
            assert memory.write("r", Call("a", number, "child", {}), Call("b", number, "child", {}))
            for task in "ab":
                memory.create(f"{number}{task}", "x", parent=Parent(run="r", task=task, attempt=number))
            again = [RetryAt(task, number, 100.0) for task in "ab"]
            assert memory.write("r", *again[: 3 - number])
        [run] = [run for run in memory.history.open_runs() if run.id == "r"]
        assert {task: run.tasks[task].child for task in "ab"} == {"a": "2a", "b": "1b"}

    def test_an_offer_whose_file_is_lost_is_none(self, memory: Memory):
        memory.create("r", "fan", reused={"fan[0]": LARGE, "fan[1]": b"2"}, expansions={"fan": b"{}"})
        memory.values.delete(*memory.history.references())
        assert memory.history.open_runs()[0].reused == {"fan[1]": b"2"}
