"""A crash at every arrow of a dropped file's way, and the next life: one run, one folder, one result, settled rows."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemon.claims import moves
from engine.states import State
from tests.daemon.inboxes import HELLO, Crash, House, entries
from tests.waiting import wait_for

LINES = b'{"workflow": "hello"}\n{"workflow": "greet", "params": {"who": "x"}}\n'


def crash(of: Any, name: str, call: int, when: str, monkeypatch) -> None:
    """Let the so-maniest call of a function die, before or after it did its work."""
    real: Callable[..., Any] = getattr(of, name)
    calls = 0

    def dying(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and when == "before":
            raise Crash
        result = real(*arguments, **options)
        if calls == call:
            raise Crash
        return result

    monkeypatch.setattr(of, name, dying)


# The way of a good file: name recorded, renamed, read, entered; result written, renamed, file moved, row settled.
POINTS = [
    (of, name, call, when)
    for of, name, call in (
        ("store", "record_claims", 2),
        ("moves", "rename", 1),
        ("os", "fsync", 1),
        ("os", "fsync", 2),
        ("door", "catalogue", 1),
        ("door", "prepare", 1),
        ("door", "enter", 1),
        ("history", "runs_in_full", 1),
        ("moves", "write", 1),
        ("moves", "rename", 2),
        ("os", "fsync", 4),
        ("moves", "rename", 3),
        ("os", "fsync", 5),
        ("os", "fsync", 6),
        ("store", "settle_claims", 1),
    )
    for when in ("before", "after")
]


def parts(house: House) -> dict[str, Any]:
    return {"store": house.store, "moves": moves, "os": os, "door": house.door, "history": house.history}


def live_and_die(house: House, point: tuple[str, str, int, str], name: str, content: Any) -> None:
    """Drop a file in a life that ends at a point, with its runs ended if it came that far."""
    house.begin()
    with pytest.MonkeyPatch.context() as patch:
        of, function, call, when = point
        # Reconciling, before anything is dropped, has recorded nothing: the first record is that of the file.
        crash(parts(house)[of], function, call - 1 if function == "record_claims" else call, when, patch)
        house.drop(name, content)
        wait_for(
            lambda: house.inbox.failure or any(note.kind == "accepted" for note in house.noted), "one or the other"
        )
        while house.player.runs and house.inbox.failure is None:
            house.player.finish()
        wait_for(lambda: house.inbox.failure, f"the crash at {point}")
    assert isinstance(house.inbox.failure, Crash)
    house.end()


@pytest.mark.parametrize("point", POINTS, ids=lambda point: f"{point[3]} {point[0]}.{point[1]} {point[2]}")
def test_after_a_crash_anywhere_the_next_life_leaves_one_run_and_one_file(tmp_path: Path, point):
    house = House(tmp_path)
    live_and_die(house, point, "a.json", HELLO)
    house.begin()
    wait_for(lambda: house.everywhere() != ["a.json"], "the file to be taken")
    wait_for(lambda: len(house.history.runs()) == 1, "the run")
    while house.player.runs:
        house.player.finish()
    wait_for(lambda: house.everywhere() == ["done/a.json"], "the file to be filed")
    wait_for(lambda: "CLAIMED" not in house.claims(), "settled rows")
    house.end()
    [run] = house.history.runs()
    assert house.listing("done") == ["a.json", "a.json.result.json"]
    assert house.note("done/a.json.result.json")["id"] == run.id
    assert run.trigger == {"type": "inbox", "file": "a.json"}
    assert house.claims().count("DONE") == 1
    assert entries(house.box / ".claimed") == []


@pytest.mark.parametrize(
    "point", [("door", "enter", 1, "after"), ("door", "enter", 2, "after"), ("moves", "rename", 3, "after")]
)
def test_after_a_crash_amid_a_file_of_requests_each_line_has_one_run(tmp_path: Path, point):
    house = House(tmp_path)
    live_and_die(house, point, "r.jsonl", LINES)
    house.begin()
    wait_for(lambda: len(house.history.runs()) == 2, "both runs")
    while house.player.runs:
        house.player.finish()
    wait_for(lambda: house.everywhere() == ["done/r.jsonl"], "the file to be filed")
    wait_for(lambda: "CLAIMED" not in house.claims(), "settled rows")
    house.end()
    assert house.listing("done") == ["r.jsonl", "r.jsonl.result.jsonl"]
    assert len(house.history.runs()) == 2
    assert house.claims() == ["DONE"] * 3


@pytest.mark.parametrize(
    "point",
    [("moves", "write", 1, "after"), ("moves", "rename", 2, "after"), ("moves", "rename", 3, "after")],
    ids=lambda point: f"{point[3]} {point[0]}.{point[1]} {point[2]}",
)
def test_after_a_crash_while_it_was_rejected_a_file_is_in_one_folder_with_its_error(tmp_path: Path, point):
    house = House(tmp_path)
    live_and_die(house, point, "a.json", b"{")
    house.begin()
    wait_for(lambda: house.everywhere() == ["rejected/a.json"], "the file to be filed")
    wait_for(lambda: "CLAIMED" not in house.claims(), "settled rows")
    house.end()
    assert house.listing("rejected") == ["a.json", "a.json.error.json"]
    assert house.history.runs() == []


def test_a_run_of_these_tests_can_be_ended_as_soon_as_the_memory_shows_it(tmp_path: Path, monkeypatch):
    house = House(tmp_path).begin()
    create, shown = house.store.create, []

    def slow_create(rows):
        receipts = create(rows)
        reader = threading.Thread(target=lambda: shown.append((len(house.history.runs()), len(house.player.runs))))
        reader.start()
        reader.join(0.1)  # it has read, or waits until the run is known
        return receipts

    monkeypatch.setattr(house.store, "create", slow_create)
    house.drop("a.json")
    house.heard("accepted")
    wait_for(lambda: shown == [(1, 1)], "the run to be seen")
    house.end()


def test_a_run_that_is_live_is_waited_for_in_the_next_life(tmp_path: Path):
    house = House(tmp_path).begin()
    house.drop("a.json")
    house.heard("accepted")
    house.end()
    house.begin()
    assert house.player.submissions == []
    house.player.finish()
    house.heard("filed")
    assert house.listing("done") == ["a.json", "a.json.result.json"]
    house.end()


def test_a_run_that_ended_meanwhile_is_filed_even_if_its_document_could_not_be_run_any_more(
    tmp_path: Path, monkeypatch
):
    house = House(tmp_path).begin()
    house.drop("a.json")
    house.heard("accepted")
    house.inbox.stop()
    house.player.finish(state=State.FAILED)
    house.end()
    monkeypatch.setattr("tests.daemon.inboxes.CATALOGUE", type(house.player.catalogue().result())())
    house.begin()
    house.heard("filed")
    assert house.listing("failed") == ["a.json", "a.json.result.json"]
    house.end()


def test_claimed_files_without_a_memory_of_them_are_submitted_under_their_claims(tmp_path: Path):
    house = House(tmp_path).begin()
    house.drop("a.json")
    [accepted] = house.heard("accepted")
    house.end()
    for file in house.config.paths.state.glob("state.db*"):
        file.unlink()
    house.begin()
    assert [submission.claim for submission in house.player.submissions] == [accepted.claim]
    house.player.finish()
    house.heard("filed")
    assert house.listing("done") == [f"{accepted.claim}.json", f"{accepted.claim}.json.result.json"]
    house.end()


def test_what_a_person_put_among_the_claimed_is_told_and_left(tmp_path: Path):
    house = House(tmp_path).begin()
    (house.box / ".claimed" / "letter.txt").write_text("x")
    house.end()
    house.begin()
    assert [note.file for note in house.heard("stuck")] == ["letter.txt"]
    house.end()
    assert entries(house.box / ".claimed") == ["letter.txt"]


def test_a_claimed_file_that_somebody_took_away_is_told_and_its_row_is_settled(tmp_path: Path):
    house = House(tmp_path).begin()
    house.drop("a.json")
    house.heard("accepted")
    for file in (house.box / ".claimed").iterdir():
        file.unlink()
    house.player.finish()
    [stuck] = house.heard("stuck")
    assert "is gone" in stuck.message
    wait_for(lambda: house.claims() == ["DONE"], "the row")
    assert house.listing("done") == []
    house.end()
