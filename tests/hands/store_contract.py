"""What every store promises, whatever database is under it; each kind of database inherits these tests."""

import threading
from typing import Any

import msgspec
import pytest
from sqlalchemy.exc import DBAPIError

from engine.errors import RunUnknownError, StoreCorruptError, StoreTooNewError
from engine.facts import Begin, Cancel, Complete, Fail, Finish, Kill, RetryAt, Skip, WindDown
from engine.history import History
from engine.states import ClaimState, DueState, Reason, State
from engine.store import Store
from engine.submission import ClaimEnd, ClaimRecord, DueRecord, Receipt, ScheduleRecord
from tests.hands.memory import Memory, complete, fail, ids, start, submission, wait

DONE = Finish(State.COMPLETED)


class StoreContract:
    """Expects fixtures `url` (of an empty database) and `memory` (a Memory on it)."""

    def test_a_new_run_is_pending_with_all_its_tasks_in_the_order_they_were_written(self, memory: Memory):
        memory.create("r", "z", "a", "m", params={"day": "monday"}, trigger={"type": "inbox", "file": "x.json"})
        run = memory.history.run("r")
        assert (run.state, run.workflow, run.params) == ("PENDING", "report", {"day": "monday"})
        assert run.trigger == {"type": "inbox", "file": "x.json"}
        assert memory.states("r") == {"z": "PENDING", "a": "PENDING", "m": "PENDING"}
        assert list(memory.states("r")) == ["z", "a", "m"]
        assert [(event.state, event.actor) for event in memory.history.events("r")] == [("PENDING", "inbox")]

    def test_a_run_for_later_waits_and_says_for_what(self, memory: Memory):
        now = memory.clock.wall()
        assert memory.store.create([("r", submission(run_at=now + 60), now)])[0].state == "WAITING"
        run = memory.history.run("r")
        assert (run.state, run.reason) == ("WAITING", "run_at")
        assert memory.write("r", Begin())
        assert (memory.state("r"), memory.history.run("r").reason) == ("RUNNING", None)

    def test_a_run_for_a_time_that_has_come_does_not_wait(self, memory: Memory):
        now = memory.clock.wall()
        assert memory.store.create([("r", submission(run_at=now), now)])[0].state == "PENDING"

    @pytest.mark.parametrize("key", [{"idempotency_key": "k"}, {"claim": "c"}, {"due": ("hourly", 3600.0)}])
    def test_a_key_leads_to_one_run_however_often_it_is_handed_in(self, memory: Memory, key):
        memory.create("first", **key)
        before = memory.everything()
        assert ids(memory.store.create([("second", submission(**key), 1.0)])) == [("first", False)]
        assert memory.everything() == before

    @pytest.mark.parametrize("key", [{"idempotency_key": "k"}, {"claim": "c"}, {"due": ("hourly", 3600.0)}])
    def test_a_key_is_remembered_by_another_store_and_after_the_run_ended(self, memory: Memory, url, key):
        memory.begin("first", "a", **key)
        memory.write("first", start("a"))
        memory.write("first", complete("a"), DONE)
        other = Store(url, values=memory.values, clock=memory.clock)
        other.open()
        [receipt] = other.create([("second", submission(**key), 1.0)])
        other.close()
        assert (receipt.run, receipt.is_new, receipt.state) == ("first", False, "COMPLETED")

    def test_two_submissions_with_one_key_in_one_call_are_one_run(self, memory: Memory):
        asked = [(run, submission(idempotency_key="k"), 1.0) for run in ("r1", "r2")]
        assert ids(memory.store.create(asked)) == [("r1", True), ("r1", False)]

    def test_a_repeated_submission_does_not_disturb_the_others_of_its_call(self, memory: Memory):
        memory.create("old", claim="c")
        asked = [("r1", submission(), 1.0), ("r2", submission(claim="c"), 1.0), ("r3", submission(), 1.0)]
        assert ids(memory.store.create(asked)) == [("r1", True), ("old", False), ("r3", True)]
        assert {run.id for run in memory.history.runs()} == {"old", "r1", "r3"}

    def test_an_id_that_is_handed_in_again_is_the_same_run(self, memory: Memory):
        memory.create("r", "a")
        assert ids(memory.store.create([("r", submission("a"), 1.0)])) == [("r", False)]

    def test_an_idempotency_key_speaks_for_one_workflow(self, memory: Memory):
        memory.create("r1", name="one", idempotency_key="monday")
        memory.create("r2", name="two", idempotency_key="monday")

    def test_different_due_times_of_a_schedule_are_different_runs(self, memory: Memory):
        memory.create("r1", due=("hourly", 3600.0))
        memory.create("r2", due=("hourly", 7200.0))
        memory.create("r3", due=("daily", 3600.0))

    def test_a_due_time_does_not_fire_again_when_its_run_was_pruned(self, memory: Memory):
        memory.create("first", due=("hourly", 3600.0))
        memory.rows("DELETE FROM tasks")
        memory.rows("DELETE FROM events")
        memory.rows("DELETE FROM runs")
        assert ids(memory.store.create([("second", submission(due=("hourly", 3600.0)), 1.0)])) == [("first", False)]

    def test_a_due_time_is_recorded_once(self, memory: Memory):
        def record(state: DueState) -> int:
            record = DueRecord(schedule="hourly", due_at=3600.0, state=state, reason="missed", message="asleep")
            return memory.store.record_dues([record], 1.0)

        assert record(DueState.MISSED) == 1
        assert record(DueState.SKIPPED) == 0
        assert memory.rows("SELECT state, reason, message, run FROM due_times") == [
            ("MISSED", "missed", "asleep", None)
        ]

    def test_a_due_time_that_was_queued_is_settled_once(self, memory: Memory):
        def record(due_at: float, state: DueState) -> int:
            record = DueRecord(schedule="hourly", due_at=due_at, state=state, reason="overlap", message="busy")
            return memory.store.record_dues([record], 1.0)

        assert record(3600.0, DueState.QUEUED) == record(7200.0, DueState.QUEUED) == 1
        memory.create("r", due=("hourly", 3600.0))
        assert record(7200.0, DueState.SKIPPED) == 1
        assert record(7200.0, DueState.QUEUED) == record(3600.0, DueState.MISSED) == 0
        shown = memory.rows("SELECT due_at, state, reason, message, run FROM due_times ORDER BY due_at")
        assert shown == [(3600.0, "RUN", None, "", "r"), (7200.0, "SKIPPED", "overlap", "busy", None)]

    def test_what_is_known_of_schedules_is_renewed_and_forgotten(self, memory: Memory):
        s = ScheduleRecord(name="s", definition_hash="1", since=1.0)
        t = ScheduleRecord(name="t", definition_hash="2", since=2.5, is_paused=True, reason="user", message="ä\n")
        memory.store.record_schedules([s, t], 1.0)
        assert memory.history.timetable().records == {"s": s, "t": t}
        renewed = msgspec.structs.replace(s, failures=3, since=9.0)
        memory.store.record_schedules([renewed], 2.0, forgotten=["t", "unknown"])
        assert memory.history.timetable().records == {"s": renewed}

    def test_the_timetable_holds_what_is_newest_waits_and_lives(self, memory: Memory):
        names = ("s", "t", "empty")
        memory.store.record_schedules([ScheduleRecord(name=name, definition_hash="", since=0.0) for name in names], 1.0)
        memory.create("lives", due=("s", 60.0))
        memory.begin("ended", "a", due=("s", 120.0))
        memory.write("ended", Skip("a", Reason.USER), DONE)
        memory.begin("other", "a")
        for schedule, due_at, state in (("t", 60.0, "QUEUED"), ("t", 180.0, "MISSED"), ("gone", 5.0, "QUEUED")):
            memory.store.record_dues([DueRecord(schedule=schedule, due_at=due_at, state=DueState(state))], 1.0)
        timetable = memory.history.timetable()
        newest = {name: (due_at, view.state, view.run) for name, (due_at, view) in timetable.newest.items()}
        assert newest == {"s": (120.0, "RUN", "ended"), "t": (180.0, "MISSED", None)}
        assert timetable.queued == (("gone", 5.0), ("t", 60.0))
        assert timetable.open == (("lives", "s", 60.0),)

    def test_due_times_are_listed_newest_first_page_by_page_and_may_speak_of_many(self, memory: Memory):
        many = DueRecord(schedule="s", due_at=9.0, state=DueState.MISSED, reason="missed", count=9, first_at=1.0)
        ones = [DueRecord(schedule="s", due_at=due_at, state=DueState.SKIPPED) for due_at in (10.0, 11.0)]
        assert (
            memory.store.record_dues([many, *ones, DueRecord(schedule="t", due_at=9.0, state=DueState.MISSED)], 1.0)
            == 4
        )
        assert [(view.due[17:19], view.count) for view in memory.history.due_times("s")] == [
            ("11", 1),
            ("10", 1),
            ("09", 9),
        ]
        [last] = memory.history.due_times("s", before=10.0, limit=5)
        assert (last.count, last.first, last.reason) == (9, "1970-01-01T00:00:01.000000Z", "missed")
        assert memory.history.settled("s", [9.0, 9.5, 11.0]) == {9.0, 11.0}

    def test_ended_runs_can_be_deleted_with_all_that_is_of_them_and_live_ones_cannot(self, memory: Memory):
        for run in ("old", "older"):
            memory.begin(run, "a", document=run.encode(), due=("s", float(len(run))))
            memory.write(run, start("a"))
            memory.write(run, complete("a"))
            memory.write(run, DONE)
        memory.begin("lives", "a", document=b"lives")
        now = memory.clock.wall()
        found = memory.history.old_runs(now + 1, 10)
        assert [(run.id, run.tasks) for run in found] == [("old", 1), ("older", 1)]
        assert memory.history.old_runs(now + 1, 10, found[0].place) == found[1:]
        assert memory.history.surplus_runs(1, 10) == found[:1]
        assert memory.history.surplus_runs(2, 10) == memory.history.old_runs(0.0, 10) == []
        assert memory.store.delete_runs(["old", "lives", "older", "unknown"]) == 2
        assert [run.id for run in memory.history.runs()] == ["lives"]
        assert memory.rows("SELECT document FROM workflows") == [(b"lives",)]
        assert memory.rows("SELECT count(*) FROM attempts") == [(0,)]
        assert memory.history.settled("s", [3.0, 5.0]) == {3.0, 5.0}
        assert memory.write("lives", start("a"))

    def test_old_due_times_and_claims_can_be_deleted(self, memory: Memory):
        dues = [DueRecord(schedule="s", due_at=due_at, state=DueState.MISSED) for due_at in (1.0, 2.0, 3.0)]
        memory.store.record_dues([*dues, DueRecord(schedule="t", due_at=1.0, state=DueState.QUEUED)], 1.0)
        assert memory.history.old_dues(9.0, 10) == [("s", 1.0), ("s", 2.0)]
        assert memory.history.old_dues(2.0, 10) == memory.history.old_dues(9.0, 1) == [("s", 1.0)]
        assert memory.store.delete_dues([("s", 1.0), ("s", 7.0)]) == 1
        memory.store.record_claims([ClaimRecord(id=name, name=b"", path=b"") for name in ("c1", "c2")], 1.0)
        memory.store.settle_claims([ClaimEnd(id="c1", state=ClaimState.DONE)], 2.0)
        assert memory.history.old_claims(2.0, 10) == []
        assert memory.history.old_claims(3.0, 10) == ["c1"]
        assert memory.store.delete_claims(["c1", "c2"]) == 1
        assert memory.store.shrink(10) == 0

    def test_a_due_time_that_was_settled_without_a_run_gets_none(self, memory: Memory):
        missed = DueRecord(schedule="hourly", due_at=3600.0, state=DueState.MISSED, reason="missed")
        memory.store.record_dues([missed], 1.0)
        [receipt] = memory.store.create([("r", submission(due=("hourly", 3600.0)), 1.0)])
        assert receipt == Receipt(run="", is_new=False, state="MISSED", matched="due")
        assert memory.history.runs() == []

    def test_a_claim_is_recorded_once_and_knows_its_run(self, memory: Memory):
        memory.store.record_claims([ClaimRecord(id="c", name=b"\xff\n.json", path=b"/in")], 1.0)
        memory.store.record_claims([ClaimRecord(id="c", name=b"other", path=b"/")], 2.0)
        memory.create("r", claim="c")
        [(name, run)] = memory.rows("SELECT name, run FROM claims")
        assert (bytes(name), run) == (b"\xff\n.json", "r")

    def test_a_claim_nobody_recorded_is_recorded_with_its_run(self, memory: Memory):
        memory.create("r", claim="c")
        assert memory.rows("SELECT id, run FROM claims") == [("c", "r")]

    def test_a_claim_is_settled_once_and_keeps_its_run(self, memory: Memory):
        memory.store.record_claims([ClaimRecord(id=claim, name=b"x", path=b"/in") for claim in "abc"], 1.0)
        memory.create("r", claim="a")
        ends = [ClaimEnd(id="a", state=ClaimState.DONE, run="other"), ClaimEnd(id="nobody", state=ClaimState.VOID)]
        ends += [ClaimEnd(id="b", state=ClaimState.DUPLICATE, reason="k", message="seen \0 before", run="r")]
        assert memory.store.settle_claims(ends, 2.0) == 2
        assert memory.store.settle_claims([ClaimEnd(id="a", state=ClaimState.FAILED)], 3.0) == 0
        assert memory.rows("SELECT id, state, run, reason, message, settled_at FROM claims ORDER BY id") == [
            ("a", "DONE", "r", None, "", 2.0),
            ("b", "DUPLICATE", "r", "k", "seen \\x00 before", 2.0),
            ("c", "CLAIMED", None, None, "", None),
        ]

    def test_a_receipt_says_which_key_matched(self, memory: Memory):
        keys: dict[str, Any] = {"claim": "c", "due": ("hourly", 3600.0), "idempotency_key": "k"}
        for name, value in keys.items():
            memory.create(name, **{name: value})
            [receipt] = memory.store.create([("again", submission(**{name: value}), 5.0)])
            assert (receipt.run, receipt.matched) == (name, name)
        [receipt] = memory.store.create([("claim", submission(), 5.0)])
        assert (receipt.run, receipt.matched) == ("claim", "id")
        [receipt] = memory.store.create([("again", submission(claim="c", idempotency_key="k"), 5.0)])
        assert (receipt.run, receipt.matched) == ("claim", "claim")

    def test_a_document_is_kept_once_for_all_its_runs(self, memory: Memory):
        for run in ("r1", "r2"):
            memory.create(run, document=b'{"tasks":[]}')
        memory.create("r3", document=b'{"tasks":[ ]}')
        memory.create("r4", name="other", document=b'{"tasks":[]}')
        assert memory.rows("SELECT count(*) FROM workflows") == [(3,)]
        assert memory.history.document_of("r2") == b'{"tasks":[]}'
        assert memory.history.document_of("r3") == b'{"tasks":[ ]}'

    def test_reused_tasks_are_completed_with_their_outputs_from_the_start(self, memory: Memory):
        large = b'"' + b"x" * 5000 + b'"'
        memory.begin("r", "a", "b", "c", reused={"a": b"[1]", "b": large})
        tasks = {task.id: task for task in memory.history.run("r").tasks or ()}
        assert (tasks["a"].state, tasks["a"].reason, bytes(tasks["a"].output)) == ("COMPLETED", "reused", b"[1]")
        assert bytes(tasks["b"].output) == large
        assert tasks["c"].state == "PENDING"
        assert not memory.write("r", start("a"))
        assert ("a", None, "COMPLETED") in memory.trail("r")

    def test_a_run_lives_its_whole_life_and_leaves_its_trail(self, memory: Memory):
        memory.begin("r", "a", "b", "c")
        assert memory.write("r", start("a"))
        assert memory.write("r", complete("a", output=b'{"rows":3}'), start("b"))
        assert memory.write("r", fail("b", message="broken"), Skip("c", Reason.UPSTREAM_FAILED, "b failed"))
        assert memory.write("r", Finish(State.FAILED, Reason.TASK_FAILED, "task b failed"))
        run = memory.history.run("r")
        assert (run.state, run.reason, run.message) == ("FAILED", "task_failed", "task b failed")
        assert [(task.state, task.reason, task.message) for task in run.tasks or ()] == [
            ("COMPLETED", None, ""),
            ("FAILED", "exit_code", "broken"),
            ("SKIPPED", "upstream_failed", "b failed"),
        ]
        assert memory.trail("r") == [
            (None, None, "PENDING"),
            (None, None, "RUNNING"),
            ("a", 1, "RUNNING"),
            ("a", 1, "COMPLETED"),
            ("b", 1, "RUNNING"),
            ("b", 1, "FAILED"),
            ("c", None, "SKIPPED"),
            (None, None, "FAILED"),
        ]

    def test_an_attempt_keeps_what_it_took_and_how_it_ended(self, memory: Memory):
        memory.begin("r", "a")
        memory.write("r", start("a"))
        memory.write("r", fail("a"))
        [attempt] = memory.history.attempts("r", "a")
        assert (attempt.state, attempt.exit_code, attempt.reason, attempt.message) == ("FAILED", 3, "exit_code", "no")
        assert (attempt.seconds, attempt.cpu_seconds, attempt.memory_bytes) == (1.5, 0.25, 4096)

    def test_a_retry_closes_the_attempt_and_the_next_one_has_the_next_number(self, memory: Memory):
        memory.begin("r", "a")
        memory.write("r", start("a"))
        memory.clock.advance(1)
        assert memory.write("r", RetryAt("a", 1, memory.clock.wall() + 5, Reason.TIMEOUT, "slow", usage=None))
        assert memory.states("r") == {"a": "RETRYING"}
        assert [(event.state, event.reason) for event in memory.history.events("r")][-2:] == [
            ("FAILED", "timeout"),
            ("RETRYING", "timeout"),
        ]
        assert memory.write("r", start("a", 2))
        assert memory.write("r", complete("a", 2), DONE)
        assert [(attempt.attempt, attempt.state) for attempt in memory.history.attempts("r")] == [
            (1, "FAILED"),
            (2, "COMPLETED"),
        ]
        task = (memory.history.run("r").tasks or [])[0]
        assert (task.attempts, task.reason) == (2, None)

    def test_a_task_that_waits_goes_on_with_the_same_attempt(self, memory: Memory):
        memory.begin("r", "a")
        memory.write("r", start("a"))
        assert memory.write("r", wait("a", at=99.5))
        [run] = memory.history.open_runs()
        assert (run.tasks["a"].state, run.tasks["a"].due_at, run.tasks["a"].memo) == ("WAITING", 99.5, b'{"page":2}')
        assert [attempt.state for attempt in memory.history.attempts("r")] == ["WAITING"]
        assert not memory.write("r", start("a", 2))
        assert memory.write("r", start("a", 1))
        assert [attempt.state for attempt in memory.history.attempts("r")] == ["RUNNING"]
        assert memory.write("r", wait("a"))
        assert memory.write("r", Fail("a", 1, Reason.TIMEOUT, "waited too long"))
        assert [attempt.state for attempt in memory.history.attempts("r")] == ["FAILED"]

    @pytest.mark.parametrize("attempt", [0, 2, 7])
    def test_a_report_with_another_attempt_number_changes_nothing(self, memory: Memory, attempt):
        memory.begin("r", "a")
        memory.write("r", start("a"))
        before = memory.everything()
        ends = (complete("a", attempt), fail("a", attempt), Cancel("a", attempt, Reason.USER))
        for order in (*ends, RetryAt("a", attempt, 1.0), wait("a", attempt), Kill("a", attempt, Reason.USER)):
            assert not memory.write("r", order)
        assert memory.everything() == before

    def test_a_task_is_completed_once(self, memory: Memory):
        memory.begin("r", "a", "b")
        memory.write("r", start("a"))
        assert memory.write("r", complete("a", output=b"1"))
        before = memory.everything()
        assert not memory.write("r", complete("a", output=b"2"))
        assert not memory.write("r", fail("a"))
        assert memory.everything() == before

    def test_a_task_is_started_once(self, memory: Memory):
        memory.begin("r", "a")
        assert memory.write("r", start("a"))
        before = memory.everything()
        assert not memory.write("r", start("a"))
        assert not memory.write("r", start("a", 2))
        assert memory.everything() == before

    def test_an_attempt_number_is_not_skipped(self, memory: Memory):
        memory.begin("r", "a")
        assert not memory.write("r", start("a", 2))
        assert memory.states("r") == {"a": "PENDING"}

    def test_a_task_without_an_open_attempt_ends_without_one(self, memory: Memory):
        memory.begin("r", "a", "b", "c")
        memory.write("r", start("a"))
        memory.write("r", RetryAt("a", 1, 1.0))
        assert memory.write("r", Cancel("a", 0, Reason.USER), Fail("b", 0, Reason.EXPRESSION), Complete("c", 0, b"1"))
        assert memory.states("r") == {"a": "CANCELLED", "b": "FAILED", "c": "COMPLETED"}
        assert [attempt.state for attempt in memory.history.attempts("r")] == ["FAILED"]

    def test_a_run_that_lost_a_race_leaves_nothing_behind_and_the_others_are_written(self, memory: Memory):
        for run in ("r1", "r2", "r3"):
            memory.begin(run, "a", "b")
        memory.write("r2", start("a"))
        memory.write("r2", complete("a"))
        orders = (start("a"), Skip("b", Reason.CONDITION_FALSE))
        lost = memory.store.write([(run, orders) for run in ("r1", "r2", "nobody", "r3")], 5.0)
        assert lost == {"r2", "nobody"}
        assert memory.states("r1") == memory.states("r3") == {"a": "RUNNING", "b": "SKIPPED"}
        assert memory.states("r2") == {"a": "COMPLETED", "b": "PENDING"}
        assert len(memory.trail("r1")) == len(memory.trail("r3"))
        assert [attempt.state for attempt in memory.history.attempts("r2")] == ["COMPLETED"]

    def test_one_batch_may_end_an_attempt_and_begin_the_next(self, memory: Memory):
        memory.begin("r", "a", "b", "c")
        memory.write("r", start("a"), start("b"), start("c"))
        assert memory.write(
            "r",
            RetryAt("a", 1, 1.0),
            start("a", 2),
            wait("b"),
            start("b"),
            RetryAt("c", 1, 1.0),
            Cancel("c", 0, Reason.USER),
        )
        assert memory.states("r") == {"a": "RUNNING", "b": "RUNNING", "c": "CANCELLED"}

    def test_a_chain_that_no_grouping_foresees_goes_through_in_its_own_order(self, memory: Memory):
        memory.create("r", "a")
        assert memory.write("r", Begin(), start("a"), wait("a"), start("a"), RetryAt("a", 1, 1.0), start("a", 2))
        assert memory.write("r", complete("a", 2), DONE)
        assert memory.state("r") == "COMPLETED"
        assert memory.trail("r")[1:] == [
            (None, None, "RUNNING"),
            ("a", 1, "RUNNING"),
            ("a", 1, "WAITING"),
            ("a", 1, "RUNNING"),
            ("a", 1, "FAILED"),
            ("a", 1, "RETRYING"),
            ("a", 2, "RUNNING"),
            ("a", 2, "COMPLETED"),
            (None, None, "COMPLETED"),
        ]

    def test_orders_of_one_task_are_not_carried_out_in_another_sequence(self, memory: Memory):
        memory.begin("r", "a", "b")
        memory.write("r", start("a"))
        before = memory.everything()
        assert not memory.write("r", start("a", 2), RetryAt("a", 1, 1.0))
        assert not memory.write("r", Cancel("a", 0, Reason.USER), RetryAt("a", 1, 1.0))
        assert not memory.write("r", start("a"), wait("a"))
        assert memory.everything() == before

    def test_a_run_named_twice_in_a_batch_is_written_whole_or_not_at_all(self, memory: Memory):
        memory.begin("r", "a", "b")
        assert memory.store.write([("r", [start("a")]), ("r", [complete("b")])], 5.0) == {"r"}
        assert memory.states("r") == {"a": "PENDING", "b": "PENDING"}
        assert memory.store.write([("r", [start("a")]), ("r", [start("b")])], 5.0) == frozenset()

    def test_nothing_to_write_is_no_transaction(self, memory: Memory):
        memory.begin("r")
        assert memory.store.write([], 1.0) == memory.store.write([("r", [])], 1.0) == frozenset()

    def test_a_run_does_not_end_before_its_tasks(self, memory: Memory):
        memory.begin("r", "a", "b")
        memory.write("r", start("a"))
        assert not memory.write("r", DONE)
        assert not memory.write("r", complete("a"), DONE)
        assert memory.write("r", complete("a"), Skip("b", Reason.CONDITION_FALSE), DONE)

    def test_a_run_that_has_ended_never_changes(self, memory: Memory):
        memory.begin("r", "a", "b")
        memory.write("r", start("a"))
        memory.write("r", complete("a"), Cancel("b", 0, Reason.USER), Finish(State.CANCELLED, Reason.USER))
        before = memory.everything()
        for order in (
            Begin(),
            start("b"),
            start("a", 2),
            complete("a"),
            complete("b", 0),
            fail("a"),
            fail("b", 0),
            RetryAt("a", 1, 1.0),
            wait("a"),
            Skip("b", Reason.USER),
            Cancel("a", 1, Reason.USER),
            Cancel("b", 0, Reason.USER),
            Kill("a", 1, Reason.USER),
            WindDown(State.FAILED, Reason.DEADLINE),
            DONE,
            Finish(State.FAILED),
        ):
            assert memory.store.write([("r", [order])], 99.0) == {"r"}
        assert memory.everything() == before

    @pytest.mark.parametrize(
        "sql", ["UPDATE runs SET state = 'RUNNING'", "UPDATE runs SET message = 'x'", "UPDATE events SET at = 0"]
    )
    def test_the_database_itself_refuses_to_change_history(self, memory: Memory, sql):
        memory.begin("r", "a")
        memory.write("r", Cancel("a", 0, Reason.USER), Finish(State.CANCELLED, Reason.USER))
        before = memory.everything()
        with pytest.raises(DBAPIError, match="never change"):
            memory.rows(sql)
        assert memory.everything() == before

    def test_a_kill_is_an_event_and_only_of_the_attempt_that_runs(self, memory: Memory):
        memory.begin("r", "a", "b")
        memory.write("r", start("a"))
        assert memory.write("r", Kill("a", 1, Reason.USER))
        assert memory.states("r")["a"] == "RUNNING"
        last = memory.history.events("r")[-1]
        assert (last.task, last.attempt, last.state, last.reason, last.message) == ("a", 1, None, "user", "kill asked")
        assert not memory.write("r", Kill("b", 0, Reason.USER))
        memory.write("r", complete("a"))
        assert not memory.write("r", Kill("a", 1, Reason.USER))

    def test_how_a_run_is_going_to_end_is_remembered_and_decided_once(self, memory: Memory):
        memory.begin("r", "a")
        memory.write("r", start("a"))
        assert memory.write(
            "r", WindDown(State.FAILED, Reason.DEADLINE, "took too long"), Kill("a", 1, Reason.DEADLINE)
        )
        assert not memory.write("r", WindDown(State.CANCELLED, Reason.USER))
        [run] = memory.history.open_runs()
        assert (run.state, run.ending) == ("RUNNING", (State.FAILED, Reason.DEADLINE, "took too long"))
        assert memory.write("r", Cancel("a", 1, Reason.DEADLINE), Finish(State.FAILED, Reason.DEADLINE))

    def test_a_large_output_lies_in_a_file_and_reads_like_any_other(self, memory: Memory):
        large = b'"' + b"y" * 200_000 + b'"'
        memory.begin("r", "a", "b")
        memory.write("r", start("a"), start("b"))
        memory.write("r", complete("a", output=large), complete("b", output=b'"small"'))
        outputs = [bytes(task.output) for task in memory.history.run("r").tasks or ()]
        assert outputs == [large, b'"small"']
        assert memory.rows("SELECT output FROM tasks WHERE key = 'a'") == [(None,)]
        [ref] = memory.history.references()
        assert memory.values.get(ref) == large

    @pytest.mark.parametrize(
        "text", ["", "ä€😀", "a\0b", "\ud800", "line\nline\r\t\x1b[31m", "'; DROP TABLE runs; --", "x" * 70_000]
    )
    def test_any_text_can_be_recorded(self, memory: Memory, text):
        memory.begin("r", "a")
        memory.write("r", start("a"))
        assert memory.write("r", fail("a", message=text))
        shown = (memory.history.run("r").tasks or [])[0].message
        assert shown == text.replace("\0", "\\x00").replace("\ud800", "\\ud800")
        msgspec.json.encode(memory.history.run("r"))

    def test_odd_names_and_keys_are_the_same_names_and_keys_again(self, memory: Memory):
        memory.create("r", name="a\0b", idempotency_key="k\0", labels={"why": "\0"}, params={"x": "\0"})
        again = submission(name="a\0b", idempotency_key="k\0")
        assert ids(memory.store.create([("r2", again, 1.0)])) == [("r", False)]
        assert [run.id for run in memory.history.runs(workflow="a\0b")] == ["r"]
        assert memory.history.run("r").params == {"x": "\0"}

    def test_a_store_that_did_not_make_the_run_carries_on_with_it(self, memory: Memory, url):
        memory.begin("r", "a")
        other = Store(url, values=memory.values, clock=memory.clock)
        other.open()
        assert other.write([("r", [start("a")])], 5.0) == frozenset()
        assert other.write([("r", [complete("a"), DONE])], 5.0) == frozenset()
        other.close()
        assert not memory.write("r", start("a"))
        assert memory.state("r") == "COMPLETED"

    def test_a_run_that_has_ended_takes_no_memory(self, memory: Memory):
        memory.begin("r", "a", "b")
        memory.write("r", complete("a", 0), complete("b", 0), DONE)
        memory.begin("s", "a")
        memory.write("s", complete("a", 7))
        assert memory.store._keys == {}

    def test_of_two_stores_that_make_the_same_moves_one_makes_each(self, memory: Memory, url):
        tasks = [f"t{number}" for number in range(25)]
        memory.begin("r", *tasks)
        stores = [memory.store, Store(url, values=memory.values, clock=memory.clock)]
        stores[1].open()
        won: list[list[str]] = [[], []]
        go = threading.Barrier(2)

        def race(number: int) -> None:
            go.wait()
            for task in tasks:
                if not stores[number].write([("r", [start(task)])], 5.0):
                    won[number].append(task)

        threads = [threading.Thread(target=race, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stores[1].close()
        assert sorted(won[0] + won[1]) == sorted(tasks)
        assert len(memory.trail("r")) == 2 + len(tasks)

    def test_of_two_stores_with_the_same_key_one_makes_the_run(self, memory: Memory, url):
        stores = [memory.store, Store(url, values=memory.values, clock=memory.clock)]
        stores[1].open()
        receipts = []
        go = threading.Barrier(2)

        def race(number: int) -> None:
            for key in range(20):
                go.wait()
                asked = submission(idempotency_key=str(key), due=("hourly", float(key)), claim=f"c{key}")
                receipts.extend(stores[number].create([(f"r{number}-{key}", asked, 1.0)]))

        threads = [threading.Thread(target=race, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stores[1].close()
        assert len(receipts) == 40
        assert len({receipt.run for receipt in receipts}) == len([one for one in receipts if one.is_new]) == 20
        assert len(memory.history.runs()) == 20

    def test_opening_twice_and_closing_twice_does_no_harm(self, memory: Memory):
        memory.store.open()
        memory.create("r")
        memory.store.close()
        memory.store.close()
        memory.store.open()
        assert memory.write("r", Begin())

    def test_a_database_of_a_newer_version_is_left_alone(self, memory: Memory, url):
        memory.store.close()
        memory.rows("UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(StoreTooNewError, match="9999"):
            memory.store.open()
        history = History(url, values=memory.values)
        with pytest.raises(StoreTooNewError, match="9999"):
            history.runs()
        history.close()

    def test_tables_without_a_revision_are_not_taken_for_ours(self, memory: Memory):
        memory.store.close()
        memory.rows("DROP TABLE alembic_version")
        with pytest.raises(StoreCorruptError, match="does not say which revision"):
            memory.store.open()

    def test_what_was_never_recorded_is_unknown(self, memory: Memory):
        with pytest.raises(RunUnknownError):
            memory.history.run("r")

    def test_a_deadline_and_the_start_are_remembered(self, memory: Memory):
        memory.create("r", "a")
        memory.store.write([("r", [Begin(deadline=7.5)])], 5.0)
        [run] = memory.history.open_runs()
        assert (run.started_at, run.deadline) == (5.0, 7.5)
