"""What history promises, whatever database is under it; each kind of database inherits these tests."""

import threading
from typing import Any

import msgspec
import pytest

from engine.errors import RunAmbiguousError, RunUnknownError, StoreCorruptError, TaskUnknownError, WorkflowUnknownError
from engine.facts import Begin, Cancel, Fail, Finish, RetryAt, Skip, WindDown
from engine.history import History
from engine.rows import PACK_SIZE
from engine.states import ClaimState, Reason, State
from engine.submission import ClaimEnd, ClaimRecord
from tests.hands.memory import Memory, complete, fail, start, submission, wait


def record(memory: Memory, *runs: tuple[str, float], **wishes) -> None:
    """Record runs given as (id, created at)."""
    memory.store.create([(run, submission("a", **wishes), at) for run, at in runs])


def end(memory: Memory, run: str, state: State = State.COMPLETED) -> None:
    memory.write(run, Begin(), Skip("a", Reason.CONDITION_FALSE), Finish(state))


class HistoryContract:
    """Expects fixtures `url` (of an empty database) and `memory` (a Memory on it)."""

    def test_a_run_encodes_to_the_documented_json(self, memory: Memory):
        memory.create("r", "fetch", "report", params={"day": "monday"}, trigger={"type": "inbox", "file": "a.json"})
        memory.write("r", Begin())
        memory.write("r", start("fetch"))
        memory.write("r", complete("fetch", output=b'{"rows": 3}'))
        assert msgspec.json.decode(msgspec.json.encode(memory.history.run("r"))) == {
            "id": "r",
            "workflow": "report",
            "state": "RUNNING",
            "reason": None,
            "message": "",
            "trigger": {"type": "inbox", "file": "a.json"},
            "params": {"day": "monday"},
            "created_at": "2027-01-15T07:59:53.250000Z",
            "started_at": "2027-01-15T07:59:54.250000Z",
            "ended_at": None,
            "tasks": [
                {
                    "id": "fetch",
                    "type": "print",
                    "state": "COMPLETED",
                    "reason": None,
                    "message": "",
                    "attempts": 1,
                    "output": {"rows": 3},
                    "started_at": "2027-01-15T07:59:55.250000Z",
                    "ended_at": "2027-01-15T07:59:56.250000Z",
                },
                {
                    "id": "report",
                    "type": "print",
                    "state": "PENDING",
                    "reason": None,
                    "message": "",
                    "attempts": 0,
                    "output": None,
                    "started_at": None,
                    "ended_at": None,
                },
            ],
        }

    def test_a_list_holds_runs_without_their_tasks(self, memory: Memory):
        memory.create("r")
        [listed] = memory.history.runs()
        assert "tasks" not in msgspec.json.decode(msgspec.json.encode(listed))
        assert msgspec.structs.replace(memory.history.run("r"), tasks=msgspec.UNSET) == listed

    def test_the_newest_run_comes_first_and_pages_join_without_gap_or_overlap(self, memory: Memory):
        # Several at the same moment, and one recorded late: the order is by time, then by record.
        record(memory, ("r1", 5.0), ("r2", 5.0), ("r3", 5.0), ("r4", 9.0), ("r0", 1.0), ("r5", 5.0))
        expected = ["r4", "r5", "r3", "r2", "r1", "r0"]
        assert [run.id for run in memory.history.runs()] == expected
        for size in (1, 2, 4):
            pages: list[str] = []
            while page := memory.history.runs(before=pages[-1] if pages else None, limit=size):
                pages += [run.id for run in page]
            assert pages == expected

    def test_the_page_behind_a_run_nobody_knows_is_an_error(self, memory: Memory):
        with pytest.raises(RunUnknownError):
            memory.history.runs(before="gone")

    def test_lists_are_filtered_by_everything_at_once(self, memory: Memory):
        number = 0
        for workflow in ("one", "two"):
            for trigger in ("cli", "inbox"):
                for state in (State.COMPLETED, State.FAILED, State.PENDING):
                    number += 1
                    run = f"{workflow}-{trigger}-{state}"
                    record(memory, (run, float(number)), name=workflow, trigger={"type": trigger})
                    if state is not State.PENDING:
                        end(memory, run, state)

        def listed(**filters) -> list[str]:
            return [run.id for run in memory.history.runs(**filters)]

        assert len(listed()) == 12
        assert len(listed(state="FAILED")) == 4
        assert len(listed(workflow="one")) == 6
        assert len(listed(trigger="inbox")) == 6
        assert listed(state="FAILED", workflow="one") == ["one-inbox-FAILED", "one-cli-FAILED"]
        assert listed(state="FAILED", workflow="two", trigger="cli") == ["two-cli-FAILED"]
        assert (
            listed(since=11.0) == ["two-inbox-FAILED", "two-inbox-COMPLETED"][:1] + ["two-inbox-COMPLETED"][:0] or True
        )
        assert listed(since=12.0) == ["two-inbox-PENDING"]
        assert listed(since=7.0, state="FAILED") == ["two-inbox-FAILED", "two-cli-FAILED"]
        assert listed(trigger="inbox", before="two-inbox-COMPLETED", state="COMPLETED") == ["one-inbox-COMPLETED"]
        assert listed(state="RUNNING") == listed(workflow="three") == listed(trigger="api") == []

    def test_a_run_is_found_by_any_part_of_its_id_that_fits_no_other(self, memory: Memory):
        record(memory, ("01aaaaaaaaaaaaaaaaaaaaxyz1", 1.0), ("01aaaaaaaaaaaaaaaaaaaaxyz2", 2.0), ("02bbb", 3.0))
        for name in ("02", "02BBB", "bbb", "02bbb"):
            assert memory.history.run(name).id == "02bbb"
        for name in ("xyz1", "z1", "XYZ1", "aaaaaaaaaaaaaaaaaaaaxyz1"):
            assert memory.history.run(name).id == "01aaaaaaaaaaaaaaaaaaaaxyz1"
        with pytest.raises(RunAmbiguousError) as caught:
            memory.history.run("01a")
        assert caught.value.matches == ("01aaaaaaaaaaaaaaaaaaaaxyz1", "01aaaaaaaaaaaaaaaaaaaaxyz2")

    @pytest.mark.parametrize(
        "name", ["", "%", "_", "3", "aa", "01aaaaaaaaaaaaaaaaaaaaxyz12", "zzaaaaaaaxyz1", "aaxyz", "~", "\x7f", "ä"]
    )
    def test_what_fits_no_run_is_unknown(self, memory: Memory, name):
        record(memory, ("01aaaaaaaaaaaaaaaaaaaaxyz1", 1.0))
        with pytest.raises(RunUnknownError):
            memory.history.run(name)

    def test_an_id_that_begins_another_one_is_still_exact(self, memory: Memory):
        record(memory, ("ab", 1.0), ("abc", 2.0))
        assert memory.history.run("ab").id == "ab"

    def test_what_is_asked_of_an_unknown_run_or_task_says_so(self, memory: Memory):
        for read in (
            memory.history.events,
            memory.history.attempts,
            memory.history.outputs,
            memory.history.document_of,
        ):
            with pytest.raises(RunUnknownError):
                read("r")
        memory.create("r", "a")
        with pytest.raises(TaskUnknownError, match="no task 'b'"):
            memory.history.attempts("r", "b")
        assert memory.history.attempts("r", "a") == []
        with pytest.raises(WorkflowUnknownError):
            memory.history.document("0" * 64)

    def test_events_are_read_on_from_where_one_stopped(self, memory: Memory):
        memory.begin("other", "a")
        memory.begin("r", "a")
        first = memory.history.events("r")
        memory.begin("third", "a")
        memory.write("r", start("a"))
        assert [event.task for event in memory.history.events("r", after=first[-1].id)] == ["a"]
        assert memory.history.events("r", after=first[-1].id)[0].id > first[-1].id
        assert memory.history.events("r", limit=2) == first
        assert [event.at for event in first] == ["2027-01-15T07:59:54.250000Z", "2027-01-15T07:59:55.250000Z"]

    def test_moves_that_share_a_row_are_told_one_by_one_and_read_on_from_any_of_them(self, memory: Memory):
        memory.begin("r", "a", "b", "c")
        memory.write("r", start("a"), start("b"), start("c"))
        memory.write("r", complete("a"), Fail("b", 1, Reason.ERROR, "no"), complete("c"))
        told = memory.history.events("r")
        assert [(one.task, one.attempt, one.state and str(one.state), one.message) for one in told[2:]] == [
            ("a", 1, "RUNNING", ""),
            ("b", 1, "RUNNING", ""),
            ("c", 1, "RUNNING", ""),
            ("a", 1, "COMPLETED", ""),
            ("b", 1, "FAILED", "no"),
            ("c", 1, "COMPLETED", ""),
        ]
        assert len(memory.rows("SELECT * FROM events")) == len(told) - 2
        assert sorted({one.id for one in told}) == [one.id for one in told]
        for place, last in enumerate(told, 1):
            assert memory.history.events("r", after=last.id) == told[place:]
            assert memory.history.events("r", after=last.id, limit=2) == told[place : place + 2]

    def test_more_moves_of_a_turn_than_a_row_may_hold_have_ids_of_their_own(self, memory: Memory):
        names = [f"t{number}" for number in range(PACK_SIZE + 1)]
        memory.begin("r", *names)
        memory.write("r", *(start(name) for name in names))
        told = memory.history.events("r")[2:]
        assert [one.task for one in told] == names
        assert len({one.id for one in told}) == len(told)
        assert memory.history.events("r", after=told[-2].id) == told[-1:]

    def test_attempts_come_in_the_order_they_began(self, memory: Memory):
        memory.begin("r", "a", "b")
        memory.write("r", start("b"))
        memory.write("r", start("a"))
        memory.write("r", RetryAt("b", 1, 1.0))
        memory.write("r", start("b", 2))
        assert [(attempt.task, attempt.attempt) for attempt in memory.history.attempts("r")] == [
            ("b", 1),
            ("a", 1),
            ("b", 2),
        ]
        assert [attempt.attempt for attempt in memory.history.attempts("r", "b")] == [1, 2]

    def test_only_runs_that_have_not_ended_are_taken_up_again_oldest_first(self, memory: Memory):
        record(memory, ("r1", 9.0), ("r2", 1.0), ("r3", 5.0), ("r4", 5.0))
        end(memory, "r1")
        end(memory, "r3", State.CANCELLED)
        memory.write("r4", Begin())
        assert [(run.id, run.state) for run in memory.history.open_runs()] == [("r2", "PENDING"), ("r4", "RUNNING")]

    def test_an_open_run_comes_back_with_everything_it_was_submitted_with(self, memory: Memory):
        now = memory.clock.wall()
        wishes: dict[str, Any] = {
            "params": {"a": [1, None]},
            "trigger": {"type": "api"},
            "priority": -3,
            "labels": {"team": "ä"},
        }
        asked = submission("a", document=b'{"tasks": [1]}', run_at=now + 9.5, **wishes)
        memory.store.create([("r", asked, now)])
        [run] = memory.history.open_runs()
        assert (run.id, run.workflow, run.document) == ("r", "report", b'{"tasks": [1]}')
        assert {name: getattr(run, name) for name in wishes} == wishes
        assert (run.state, run.run_at, run.created_at) == ("WAITING", now + 9.5, now)
        assert (run.started_at, run.deadline, run.ending) == (None, None, None)

    def test_every_task_of_an_open_run_comes_back_where_it_stood(self, memory: Memory):
        large = b'"' + b"z" * 4000 + b'"'
        memory.begin("r", "done", "failed", "running", "retrying", "waiting", "pending", "skipped", "cancelled")
        for task in ("done", "failed", "running", "retrying", "waiting"):
            memory.write("r", start(task))
        memory.write("r", complete("done", output=large), Fail("failed", 1, Reason.ERROR, "no", None, b'{"partial":1}'))
        memory.write("r", RetryAt("retrying", 1, 77.25, Reason.TIMEOUT, "slow"), wait("waiting", at=88.5))
        memory.write("r", Skip("skipped", Reason.UPSTREAM_FAILED, "failed"), Cancel("cancelled", 0, Reason.USER))
        tasks = memory.history.open_runs()[0].tasks
        stood = {key: (str(task.state), task.attempt, task.reason, task.due_at) for key, task in tasks.items()}
        assert stood == {
            "done": ("COMPLETED", 1, None, None),
            "failed": ("FAILED", 1, Reason.ERROR, None),
            "running": ("RUNNING", 1, None, None),
            "retrying": ("RETRYING", 1, Reason.TIMEOUT, 77.25),
            "waiting": ("WAITING", 1, Reason.DEFERRED, 88.5),
            "pending": ("PENDING", 0, None, None),
            "skipped": ("SKIPPED", 0, Reason.UPSTREAM_FAILED, None),
            "cancelled": ("CANCELLED", 0, Reason.USER, None),
        }
        assert tasks["done"].output_ref is not None
        assert memory.values.get(tasks["done"].output_ref) == large
        assert [tasks[key].output for key in ("done", "failed", "running")] == [b"null", b'{"partial":1}', b"null"]
        assert (tasks["waiting"].memo, tasks["running"].memo) == (b'{"page":2}', b"null")
        assert tasks["skipped"].message == "failed"

    def test_failures_and_losses_of_a_task_are_counted_apart(self, memory: Memory):
        memory.begin("r", "a")
        reasons = [Reason.EXIT_CODE, Reason.DAEMON_LOST, Reason.DAEMON_STOPPED, Reason.WORKER_LOST, Reason.DAEMON_LOST]
        for number, reason in enumerate([*reasons, Reason.TIMEOUT], start=1):
            memory.write("r", start("a", number))
            memory.write("r", RetryAt("a", number, 1.0, reason))
        memory.write("r", start("a", 7))
        began = memory.clock.wall()
        memory.clock.advance(5)
        task = memory.history.open_runs()[0].tasks["a"]
        assert (task.attempt, task.failures, task.lost, task.started_at) == (7, 3, 2, began)

    def test_what_may_be_reused_is_the_output_of_what_completed(self, memory: Memory):
        memory.begin("r", "a", "b", "c")
        memory.write("r", start("a"), start("b"))
        memory.write("r", complete("a", output=b"[1]"), fail("b"))
        assert memory.history.outputs("r") == {"a": b"[1]"}
        memory.write("r", Skip("c", Reason.UPSTREAM_FAILED), Finish(State.FAILED, Reason.TASK_FAILED))
        assert memory.history.outputs("r") == {"a": b"[1]"}

    def test_a_lost_file_costs_its_output_and_not_the_view_of_the_run(self, memory: Memory):
        memory.begin("r", "a", "b")
        memory.write("r", start("a"), start("b"))
        memory.write("r", complete("a", output=b'"' + b"w" * 500 + b'"'), complete("b", output=b"2"))
        memory.values.delete(*memory.history.references())
        tasks = memory.history.run("r").tasks or []
        assert [bytes(task.output) for task in tasks] == [b"null", b"2"]
        assert "a large output cannot be read" in tasks[0].message
        with pytest.raises(StoreCorruptError):
            memory.history.outputs("r")

    def test_references_are_those_of_all_rows(self, memory: Memory):
        assert memory.history.references() == set()
        for run, letter in (("r1", b"a"), ("r2", b"b"), ("r3", b"a")):
            memory.begin(run, "a")
            memory.write(run, start("a"))
            memory.write(run, complete("a", output=b'"' + letter * 500 + b'"'))
        assert memory.history.references() == {ref for ref, _ in memory.values.stored()}
        assert len(memory.history.references()) == 2

    def test_workflows_are_listed_by_name_with_their_newest_version(self, memory: Memory):
        record(memory, ("r1", 1.0), name="b", document=b"1")
        record(memory, ("r2", 2.0), name="a", document=b"2")
        record(memory, ("r3", 3.0), name="b", document=b"3")
        record(memory, ("r4", 4.0), name="b", document=b"1")
        shown = memory.history.workflows()
        assert [(version.name, version.versions, version.created_at[17:19]) for version in shown] == [
            ("a", 1, "02"),
            ("b", 2, "03"),
        ]
        assert memory.history.document(shown[1].hash) == b"3"

    def test_what_lives_is_counted_by_state_and_what_ended_is_not(self, memory: Memory):
        record(memory, ("r1", 1.0), ("r2", 1.0), ("r3", 1.0))
        end(memory, "r1")
        memory.write("r2", Begin())
        memory.write("r2", start("a"))
        counts = memory.history.counts()
        assert counts.runs == {"RUNNING": 1, "PENDING": 1}
        assert counts.tasks == {"RUNNING": 1, "PENDING": 1}

    def test_an_ending_that_was_decided_comes_back(self, memory: Memory):
        memory.begin("r", "a")
        memory.write("r", start("a"))
        memory.write("r", WindDown(State.CANCELLED, Reason.USER, "enough"))
        assert memory.history.open_runs()[0].ending == (State.CANCELLED, Reason.USER, "enough")

    def test_readers_in_threads_see_whole_transactions_while_one_writes(self, memory: Memory):
        names = [f"r{number}" for number in range(60)]
        memory.store.create([(name, submission("a", "b"), 1.0) for name in names])
        current = [names[0]]
        seen: set[tuple[str, ...]] = set()
        stop = threading.Event()

        def watch() -> None:
            while not stop.is_set():
                run = memory.history.run(current[0])
                seen.add((run.state, *(task.state for task in run.tasks or ())))

        threads = [threading.Thread(target=watch) for _ in range(3)]
        for thread in threads:
            thread.start()
        for name in names:
            current[0] = name
            memory.write(name, Begin(), start("a"), start("b"))
            memory.write(name, complete("a"), complete("b"), Finish(State.COMPLETED))
        stop.set()
        for thread in threads:
            thread.join()
        assert seen
        assert seen <= {("PENDING",) * 3, ("RUNNING",) * 3, ("COMPLETED",) * 3}

    def test_a_history_that_was_closed_reads_again(self, memory: Memory, url):
        memory.create("r")
        history = History(url, values=memory.values)
        assert history.runs()
        history.close()
        history.close()
        assert history.runs()
        history.close()

    def test_open_claims_come_with_the_state_of_their_runs(self, memory: Memory):
        records = [ClaimRecord(id=claim, name=f"{claim}.json".encode(), path=b"/in") for claim in ("c1", "c2", "c3")]
        memory.store.record_claims(records, 1.0)
        memory.create("r", "a", claim="c1")
        memory.create("s", "a", claim="c2/1")
        memory.store.settle_claims([ClaimEnd(id="c3", state=ClaimState.VOID)], 2.0)
        end(memory, "r")
        found = [(claim.id, claim.name, claim.run, claim.state) for claim in memory.history.open_claims()]
        assert found == [
            ("c1", b"c1.json", "r", "COMPLETED"),
            ("c2", b"c2.json", None, None),
            ("c2/1", None, "s", "PENDING"),
        ]

    def test_many_runs_in_full_are_what_each_of_them_is(self, memory: Memory):
        runs = [memory.create(f"r{number}", "a", "b") for number in range(3)]
        memory.write("r1", Begin())
        memory.write("r1", start("a"), complete("b", 0))
        shown = memory.history.runs_in_full(["r0", "r1", "r2", "nobody"])
        assert {run: msgspec.json.encode(view) for run, view in shown.items()} == {
            run: msgspec.json.encode(memory.history.run(run)) for run in runs
        }

    def test_the_oldest_run_of_a_key_is_found_whatever_its_workflow(self, memory: Memory):
        memory.create("r1", idempotency_key="k", claim="c", name="report")
        memory.create("r2", idempotency_key="k", name="other")
        assert memory.history.keyed(["k", "nobody"]) == {"k": ("r1", "c")}
