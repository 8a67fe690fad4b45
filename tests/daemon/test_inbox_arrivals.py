"""What is ready and what is not, with the clock moved by hand."""

import os
from pathlib import Path

import pytest

from daemon.claims import Claims
from daemon.config import Route
from daemon.inbox.arrivals import Arrivals
from daemon.inbox.policy import Policy
from engine.clock import wall
from tests.clocks import HandClock


@pytest.fixture
def clock():
    return HandClock(wall=wall())


@pytest.fixture
def claims(tmp_path: Path):
    claims = Claims(tmp_path / "inbox")
    claims.open()
    yield claims
    claims.close()


@pytest.fixture
def arrivals(claims: Claims, clock: HandClock):
    return Arrivals(claims, Policy(path=claims.path, settle=5.0), clock)


def ready(arrivals: Arrivals, most: int = 100) -> list[str]:
    return [arrival.name for arrival in arrivals.take(most)]


def write(claims: Claims, name: str, text: str = "{}") -> Path:
    path = claims.path / name
    path.write_text(text)
    return path


def test_a_file_that_was_renamed_in_is_ready_at_once(arrivals, claims):
    write(claims, "a.json")
    arrivals.hear("a.json", is_moved=True)
    assert ready(arrivals) == ["a.json"]


def test_a_file_written_in_place_waits_for_the_settle_time(arrivals, claims, clock):
    write(claims, "a.json")
    arrivals.hear("a.json", is_moved=False)
    assert ready(arrivals) == []
    assert 4.0 < arrivals.due_in() <= 5.0
    clock.advance(5)
    assert ready(arrivals) == ["a.json"]


def test_a_file_that_grows_waits_until_it_stops(arrivals, claims, clock):
    for size in range(1, 4):
        write(claims, "a.json", "x" * size)
        arrivals.scan()
        clock.advance(4)
        assert ready(arrivals) == []
    write(claims, "a.json", "x" * 9)
    clock.advance(4)
    assert ready(arrivals) == []
    clock.advance(5)
    assert ready(arrivals) == ["a.json"]


def test_a_file_that_somebody_has_open_for_writing_waits_however_long(arrivals, claims, clock):
    with (claims.path / "a.json").open("w") as file:
        file.write("{}")
        file.flush()
        arrivals.hear("a.json", is_moved=True)
        for _ in range(3):
            assert ready(arrivals) == []
            clock.advance(100)
    clock.advance(5)
    assert ready(arrivals) == ["a.json"]


def test_a_file_that_has_lain_still_for_long_is_ready_at_the_first_look(arrivals, claims, clock):
    write(claims, "a.json")
    clock.advance(60)
    arrivals.scan()
    assert ready(arrivals) == ["a.json"]


def test_a_file_from_the_future_waits_no_longer_than_the_settle_time(arrivals, claims, clock):
    path = write(claims, "a.json")
    os.utime(path, (4e9, 4e9))
    clock.step(-1e6)
    arrivals.scan()
    assert ready(arrivals) == []
    clock.advance(5)
    assert ready(arrivals) == ["a.json"]


def test_the_oldest_goes_first_and_then_the_name_decides(arrivals, claims, clock):
    for name, at in (("c.json", 100), ("b.json", 200), ("a.json", 200), ("d.json", 50)):
        os.utime(write(claims, name), (at, at))
    clock.advance(60)
    arrivals.scan()
    assert ready(arrivals, 3) == ["d.json", "c.json", "a.json"]
    assert ready(arrivals, 3) == ["b.json"]


def test_large_files_are_taken_a_few_at_a_time(arrivals, claims, clock, monkeypatch):
    monkeypatch.setattr("daemon.inbox.arrivals._MOST_BYTES", 10)
    for name in ("a.json", "b.json", "c.json"):
        os.utime(write(claims, name, "x" * 6), (100, 100))
    clock.advance(60)
    arrivals.scan()
    assert ready(arrivals) == ["a.json", "b.json"]
    assert ready(arrivals) == ["c.json"]


def test_what_is_not_ours_is_never_ready(arrivals, claims, clock):
    for name in (".hidden.json", "a.tmp", "a.part", "a.partial", "a.swp", "a.json~"):
        write(claims, name)
    (claims.path / "a person's folder").mkdir()
    clock.advance(60)
    arrivals.scan()
    assert ready(arrivals) == []
    assert arrivals.waiting == 0


def test_a_folder_with_the_name_of_a_document_is_taken(arrivals, claims, clock):
    (claims.path / "a.json").mkdir()
    clock.advance(60)
    arrivals.scan()
    assert ready(arrivals) == ["a.json"]


def test_what_is_gone_or_changed_between_look_and_take_is_not_taken(arrivals, claims, clock):
    for name in ("gone.json", "changed.json"):
        write(claims, name)
        arrivals.hear(name, is_moved=True)
    (claims.path / "gone.json").unlink()
    write(claims, "changed.json", "longer than before")
    assert ready(arrivals) == []
    clock.advance(5)
    assert ready(arrivals) == ["changed.json"]


def test_what_cannot_be_taken_is_tried_three_times_and_again_only_when_it_changes(arrivals, claims, clock):
    path = write(claims, "a.json")
    arrivals.hear("a.json", is_moved=True)
    given_up = []
    for _ in range(3):
        assert ready(arrivals) == ["a.json"]
        given_up.append(arrivals.fail("a.json", "no permission"))
        assert ready(arrivals) == []
        clock.advance(10)
    assert given_up == [False, False, True]
    assert ready(arrivals) == []
    arrivals.scan()
    assert ready(arrivals) == []
    assert arrivals.stuck() == {"a.json": "no permission"}
    path.chmod(0o600)
    arrivals.scan()
    clock.advance(5)
    assert ready(arrivals) == ["a.json"]
    assert arrivals.stuck() == {}


def test_a_file_that_is_put_back_is_offered_again(arrivals, claims, clock):
    write(claims, "a.json")
    arrivals.hear("a.json", is_moved=True)
    assert ready(arrivals) == ["a.json"]
    arrivals.put_back("a.json", 3.0)
    assert ready(arrivals) == []
    clock.advance(3)
    assert ready(arrivals) == ["a.json"]


def test_only_what_a_route_matches_is_taken(claims, clock):
    route = Route(path=claims.path, match="*.csv", workflow="load")
    arrivals = Arrivals(claims, Policy(path=claims.path, settle=5.0, routes=(route,)), clock)
    for name in ("a.csv", "a.txt", "a.json"):
        write(claims, name)
    (claims.path / "folder.csv").mkdir()
    clock.advance(60)
    arrivals.scan()
    assert ready(arrivals) == ["a.csv"]
