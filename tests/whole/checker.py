"""Judges what daemons have left behind, from outside: the promises of the design, one function each.

`before` is a Witness of an earlier life: what was recorded then must still hold.
"""

import json
from typing import Any, NamedTuple

from engine.states import ENDED
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
        assert successes == ([attempt] if state == "COMPLETED" else []), (run, task, state, tried)
        if state == "COMPLETED":
            assert (run, task, attempt) in ended or not _keeps_ledger(mill, run, task), (run, task, attempt)


def _keeps_ledger(mill: Mill, run: str, task: str) -> bool:
    [[kind]] = mill.rows(
        "SELECT t.type FROM tasks t JOIN runs r ON r.pk = t.run_pk WHERE r.id = ? AND t.key = ?", run, task
    )
    return bool(kind == "ledger")


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
        [[run, state]] = runs[name]
        assert (state == "COMPLETED") == (folder == "done"), (name, state, folder)
        result = json.loads((mill.inbox / folder / f"{name}.result.json").read_bytes())
        assert (result["id"], result["state"]) == (run, state), name


def _ended(mill: Mill) -> dict[str, tuple[Any, ...]]:
    rows = mill.rows("SELECT id, state, reason, message, started_at, ended_at FROM runs WHERE ended_at IS NOT NULL")
    return {row[0]: row[1:] for row in rows}
