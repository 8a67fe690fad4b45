"""Judges what daemons have left behind, from outside: the promises of the design, one function each.

`before` is a Witness of an earlier life: what was recorded then must still hold.
"""

import json
from itertools import pairwise
from typing import Any, NamedTuple

from engine.states import ENDED, MOVES, State
from tests.whole import ledgers
from tests.whole.mill import LAST_FOLDERS, Mill, names_in

_SUFFIXES = (".result.json", ".result.jsonl", ".error.json")
_TASK_ROWS = "SELECT r.id, t.key, t.state, t.attempt FROM tasks t JOIN runs r ON r.pk = t.run_pk"
_ATTEMPT_ROWS = (
    "SELECT r.id, a.task, a.number, a.state FROM attempts a JOIN runs r ON r.pk = a.run_pk "
    "ORDER BY r.pk, a.task, a.number"
)


class Witness(NamedTuple):
    """Keep what was recorded at a moment when no daemon lived, and how long the ledger was."""

    completed: dict[tuple[str, str], int]
    ended: dict[str, tuple[Any, ...]]
    entries: int


def witness(mill: Mill) -> Witness:
    """Look at what is recorded while no daemon lives; checks what must hold at any moment."""
    check_database(mill)
    entries = mill.ledger()
    ledgers.check_alone(entries)
    check_recorded_before_begun(mill, entries)
    completed = {(run, task): attempt for run, task, state, attempt in mill.rows(_TASK_ROWS) if state == "COMPLETED"}
    return Witness(completed, _ended(mill), len(entries))


def check(mill: Mill, before: tuple[Witness, ...] = ()) -> None:
    """Check everything that must hold when all is quiet; the daemon may live."""
    entries = mill.ledger()
    check_database(mill)
    check_nothing_open(mill)
    ledgers.check_alone(entries)
    check_recorded_before_begun(mill, entries)
    check_attempts(mill, entries)
    check_order(mill, entries)
    check_moves(mill)
    check_calls(mill)
    check_instances(mill)
    check_hooks(mill, entries)
    for earlier in before:
        check_nothing_done_twice(earlier, entries)
        check_ends_stay(mill, earlier)
    if mill.inbox.exists():
        check_files(mill)


def check_database(mill: Mill) -> None:
    """Check that SQLite finds its file in order."""
    assert mill.rows("PRAGMA integrity_check") == [("ok",)]
    assert mill.rows("PRAGMA foreign_key_check") == []


def check_nothing_open(mill: Mill) -> None:
    """Check that no run, task or attempt is anywhere but at its end."""
    ends = ", ".join(f"'{state}'" for state in ENDED)
    for table, column in (("runs", "id"), ("tasks", "key"), ("attempts", "task")):
        if table == "attempts":
            open_rows = mill.rows("SELECT task, number, state FROM attempts WHERE ended_at IS NULL")
        else:
            open_rows = mill.rows(f"SELECT {column}, state FROM {table} WHERE state NOT IN ({ends})")  # noqa: S608 -- our words
        assert open_rows == [], table


def check_recorded_before_begun(mill: Mill, entries: list[ledgers.Entry]) -> None:
    """Check that every attempt that began had been recorded as RUNNING: its row is there."""
    recorded = {(run, task, number) for run, task, number, _ in mill.rows(_ATTEMPT_ROWS)}
    unknown = [entry for entry in entries if entry[:3] not in recorded]
    assert unknown == [], "they began without being recorded"


def check_attempts(mill: Mill, entries: list[ledgers.Entry]) -> None:
    """Check that attempts are numbered from 1 on, and that a success is the last one and really happened."""
    by_task: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for run, task, number, state in mill.rows(_ATTEMPT_ROWS):
        by_task.setdefault((run, task), []).append((number, state))
    ended = {entry[:3] for entry in entries if entry.phase == "end"}
    for run, task, state, attempt in mill.rows(_TASK_ROWS):
        tried = by_task.get((run, task), [])
        assert [number for number, _ in tried] == list(range(1, attempt + 1)), (run, task, tried, attempt)
        successes = [number for number, end in tried if end == "COMPLETED"]
        # One that was spread, taken over or remembered completes without an attempt.
        is_done = state == "COMPLETED" and attempt > 0
        assert successes == ([attempt] if is_done else []), (run, task, state, tried)
        if is_done:
            assert (run, task, attempt) in ended or not _keeps_ledger(mill, run, task), (run, task, attempt)


def _keeps_ledger(mill: Mill, run: str, task: str) -> bool:
    [[kind]] = mill.rows(
        "SELECT t.type FROM tasks t JOIN runs r ON r.pk = t.run_pk WHERE r.id = ? AND t.key = ?", run, task
    )
    return bool(kind == "ledger")


def check_order(mill: Mill, entries: list[ledgers.Entry]) -> None:
    """Check that a task of a plain chain began after the one it depends on had ended for the last time."""
    firsts: dict[tuple[str, str], int] = {}
    for number, entry in enumerate(entries):
        if entry.phase == "begin":
            firsts.setdefault((entry.run, entry.task), number)
    last = {(entry.run, entry.task): number for number, entry in enumerate(entries)}
    links = mill.rows(
        "SELECT r.id, json_extract(t.value, '$.id'), d.value FROM runs r JOIN workflows w ON w.pk = r.workflow_pk, "
        "json_each(CAST(w.document AS TEXT), '$.tasks') t, json_each(t.value, '$.depends_on') d "
        "WHERE typeof(d.value) = 'text'"
    )
    for run, task, before in links:
        if (run, task) in firsts and (run, before) in last:
            assert firsts[run, task] > last[run, before], f"{task} of run {run} began before {before} had ended"


def check_moves(mill: Mill) -> None:
    """Check that the recorded history is one that the table of moves allows, and that rows say where it ended."""
    path: dict[tuple[str, str | None], list[State]] = {}
    events = "SELECT r.id, e.task, e.state, e.packed FROM events e JOIN runs r ON r.pk = e.run_pk ORDER BY e.pk"
    for run, one, its_state, packed in mill.rows(events):
        # Moves of one turn share a row, each as [task, attempt, state].
        for task, _, state in [(one, 0, its_state)] if packed is None else json.loads(packed):
            if state is not None:
                path.setdefault((run, task), []).append(State(state))
    for (run, task), states in path.items():
        for old, new in pairwise(states):
            # An attempt that follows at once says so only by its begin; what waits may come to wait for something else.
            is_again = (old, new) in {(State.WAITING, State.WAITING), (State.FAILED, State.RUNNING)}
            assert new in MOVES[old] or is_again, f"{task or 'the run'} of run {run} went from {old} to {new}: {states}"
    rows = (
        "SELECT r.id, t.key, t.state FROM tasks t JOIN runs r ON r.pk = t.run_pk "
        "UNION ALL SELECT id, NULL, state FROM runs"
    )
    for run, task, state in mill.rows(rows):
        known = path.get((run, task))
        assert known is None or known[-1] == state, f"{task or 'the run'} of run {run} is {state} after {known}"


def check_calls(mill: Mill) -> None:
    """Check that an attempt of a task that calls a workflow has one run, and that no called run lacks its caller."""
    calls = (
        "SELECT parent, parent_task, parent_attempt, count(*) FROM runs WHERE parent IS NOT NULL "
        "GROUP BY parent, parent_task, parent_attempt"
    )
    attempts = {row[:3] for row in mill.rows(_ATTEMPT_ROWS)}
    found = mill.rows(calls)
    assert [call for call in found if call[3] != 1] == [], "called twice"
    assert [call for call in found if call[:3] not in attempts] == [], "called by no attempt"
    completed = (
        "SELECT r.id, t.key, t.attempt FROM tasks t JOIN runs r ON r.pk = t.run_pk "
        "WHERE t.type = 'workflow' AND t.state = 'COMPLETED' AND t.attempt > 0"
    )
    known = {call[:3] for call in found}
    assert [row for row in mill.rows(completed) if row not in known] == [], "completed without having called"


def check_instances(mill: Mill) -> None:
    """Check that instances of a task are numbered from 1 without a gap, and that there are as many as it counts."""
    rows = mill.rows("SELECT r.id, t.key, t.instances FROM tasks t JOIN runs r ON r.pk = t.run_pk WHERE t.instance = 0")
    numbers: dict[tuple[str, str], list[int]] = {}
    found = "SELECT r.id, t.key, t.instance FROM tasks t JOIN runs r ON r.pk = t.run_pk WHERE t.instance > 0"
    for run, key, number in mill.rows(found):
        numbers.setdefault((run, key.partition("[")[0]), []).append(number)
    for run, key, count in rows:
        assert sorted(numbers.get((run, key), [])) == list(range(1, count + 1)), (run, key, count)


def check_hooks(mill: Mill, entries: list[ledgers.Entry]) -> None:
    """Check that the hooks of a run's outcome ran and those of the others did not."""
    ends = dict(mill.rows("SELECT id, state FROM runs WHERE started_at IS NOT NULL"))
    own = {"on_success": "COMPLETED", "on_failure": "FAILED", "on_cancel": "CANCELLED"}
    for entry in entries:
        wanted = own.get(entry.task)
        assert wanted is None or ends[entry.run] == wanted, f"{entry} of a run that is {ends[entry.run]}"


def check_counts(mill: Mill, expected: dict[str, int]) -> None:
    """Check that there are exactly so many runs for each trigger named."""
    found = dict(mill.rows("SELECT trigger_type, count(*) FROM runs GROUP BY trigger_type"))
    assert {trigger: found.get(trigger, 0) for trigger in expected} == expected


def check_dues(mill: Mill, schedule: str, every: float) -> None:
    """Check that no instant of a schedule that catches up with everything was left out, and that each has its run."""
    rows = mill.rows("SELECT due_at, count, state, run FROM due_times WHERE schedule = ? ORDER BY due_at", schedule)
    dues = [due for due, *_ in rows]
    gaps = [(old, new) for old, new in pairwise(dues) if abs(new - old - every) > every / 2]
    assert gaps == [], f"instants of {schedule} that nothing is known of"
    assert [row for row in rows if row[2] != "RUN" or not row[3]] == []
    doubled = mill.rows("SELECT due_at FROM runs WHERE schedule = ? GROUP BY due_at HAVING count(*) > 1", schedule)
    assert doubled == []


def has_memory(mill: Mill) -> bool:
    """Tell whether a daemon has come so far as to make its tables; on a busy machine many are killed before."""
    return (mill.state / "state.db").exists() and bool(mill.rows("SELECT 1 FROM sqlite_master WHERE name = 'runs'"))


def check_nothing_done_twice(earlier: Witness, entries: list[ledgers.Entry]) -> None:
    """Check that no task whose success was recorded has begun again since."""
    again = [entry for entry in entries[earlier.entries :] if (entry.run, entry.task) in earlier.completed]
    assert again == [], "their success had been recorded"


def check_ends_stay(mill: Mill, earlier: Witness) -> None:
    """Check that runs that had ended have not changed, and that none is lost."""
    now = _ended(mill)
    assert {run: now.get(run) for run in earlier.ended} == earlier.ended


def check_files(mill: Mill) -> None:
    """Check that every dropped file is in exactly one last folder, unchanged, with its one run and what it led to."""
    found: dict[str, str] = {}
    for folder in LAST_FOLDERS:
        for name in names_in(mill.inbox / folder):
            if not name.endswith(_SUFFIXES):
                assert name not in found, f"{name} is in {folder}/ and in {found[name]}/"
                found[name] = folder
    assert found.keys() == mill.dropped.keys(), found.keys() ^ mill.dropped.keys()
    for name, folder in found.items():
        assert (mill.inbox / folder / name).read_bytes() == mill.dropped[name], name
    assert names_in(mill.inbox) == {*LAST_FOLDERS, ".claimed"}
    assert names_in(mill.inbox / ".claimed") == set()
    check_results(mill, found)


def check_results(mill: Mill, found: dict[str, str]) -> None:
    """Check that each file has one run, in the state its folder says, and that its result file tells of that run."""
    runs: dict[str, list[tuple[str, str]]] = {}
    query = "SELECT json_extract(trigger, '$.file'), id, state FROM runs WHERE trigger_type = 'inbox'"
    for file, run, state in mill.rows(query):
        runs.setdefault(file, []).append((run, state))
    for name, folder in found.items():
        if folder in ("rejected", "duplicate"):
            note = json.loads((mill.inbox / folder / f"{name}.error.json").read_bytes())
            assert note["code"], name
            assert name not in runs, name
            continue
        if name.endswith(".jsonl"):
            check_results_of_lines(mill, name, folder, runs[name])
            continue
        [[run, state]] = runs[name]
        assert (state == "COMPLETED") == (folder == "done"), (name, state, folder)
        result = json.loads((mill.inbox / folder / f"{name}.result.json").read_bytes())
        assert (result["id"], result["state"]) == (run, state), name


def check_results_of_lines(mill: Mill, name: str, folder: str, runs: list[tuple[str, str]]) -> None:
    """Check that a file of requests has one run a line, and a result that tells of each in their order."""
    lines = len(mill.dropped[name].splitlines())
    told = [json.loads(line) for line in (mill.inbox / folder / f"{name}.result.jsonl").read_bytes().splitlines()]
    assert [one["trigger"]["line"] for one in told] == list(range(1, lines + 1)), name
    assert {(one["id"], one["state"]) for one in told} == set(runs), name
    assert len(runs) == lines, name
    assert all(state == "COMPLETED" for _, state in runs) == (folder == "done"), name


def _ended(mill: Mill) -> dict[str, tuple[Any, ...]]:
    rows = mill.rows("SELECT id, state, reason, message, started_at, ended_at FROM runs WHERE ended_at IS NOT NULL")
    return {row[0]: row[1:] for row in rows}
