import os
import socket
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from engine.clock import rfc3339, wall
from engine.task import LaterError
from plugins import wait_for
from tests.plugins.contract import Bad, PluginContract
from tests.plugins.direct import call, refusal


class TestWaitFor(PluginContract):
    task_type = "wait_for"

    @pytest.fixture
    def good(self, tmp_path):
        return {"file": str(tmp_path / "none"), "every": "1s"}

    @pytest.fixture
    def bad(self, tmp_path):
        return [
            Bad({}, "seconds"),
            Bad({"file": "a", "port": 1}, "port"),
            Bad({"url": "http://localhost/", "seconds": 1}, "seconds"),
            Bad({"port": 0}, "port"),
            Bad({"port": 80, "settled": 1}, "file"),
            Bad({"seconds": "soon"}, "seconds"),
            Bad({"seconds": 1, "every": "0.01s"}, "`every`"),
            Bad({"until": "tomorrow"}, "until"),
            Bad({"until": "25:00"}, "until"),
            Bad({"until": "2027-01-01T00:00:00"}, "offset"),
            Bad({"until": "06:30", "timezone": "Mars/Base"}, "there is no time zone 'Mars/Base'"),
            Bad({"seconds": "400d"}, "longer than a year"),
            Bad({"url": "ftp://localhost/"}, "is not an http or https URL"),
            Bad({"url": "http://localhost:99999/"}, "is not an http or https URL"),
            Bad({"file": "a\0b"}, "is no file name"),
            Bad({"file": f"{tmp_path}/none", "within": 0}, "there is no file"),
        ]

    def test_it_is_deferred_and_holds_no_worker(self, attempt, good):
        tried = attempt(good)
        assert (tried.outcome, tried.done.delay) == ("Deferred", 1.0)

    def test_when_called_again_it_succeeds_with_what_is_there(self, attempt, good, tmp_path):
        first = attempt(good)
        (tmp_path / "none").write_text("now")
        again = attempt(good, memo=first.output)
        assert (again.outcome, again.output["looks"]) == ("Succeeded", 2)
        assert again.output["files"][0]["path"] == str(tmp_path / "none")

    def test_the_log_says_once_what_is_waited_for(self, attempt, good, capfd):
        first = attempt(good)
        assert "waiting: there is no file" in capfd.readouterr().err
        attempt(good, memo=first.output)
        assert "waiting" not in capfd.readouterr().err

    def test_a_port_on_a_private_address_is_denied_where_the_operator_says_so(self, attempt):
        tried = attempt({"port": 1, "host": "127.0.0.1"}, settings={"deny_private": True})
        assert (tried.outcome, "is not a public address" in tried.message) == ("Failed", True)


def asked(memo=None, **fields):
    """Return the seconds that it asks to wait, and the memo."""
    with pytest.raises(LaterError) as caught:
        call(wait_for, fields, memo=memo)
    return caught.value.seconds, caught.value.memo


def test_it_looks_again_every_so_often():
    assert asked(file="/nowhere/x")[0] == 5.0
    assert asked(file="/nowhere/x", every="2m")[0] == 120.0


def test_a_pattern_is_waited_for_and_lists_what_matches(tmp_path):
    pattern = str(tmp_path / "in" / "*.csv")
    _, memo = asked(file=pattern)
    (tmp_path / "in").mkdir()
    _, memo = asked(file=pattern, memo=memo)
    for name in ("b.csv", "a.csv", "c.txt"):
        (tmp_path / "in" / name).write_text("x")
    output = call(wait_for, {"file": pattern}, memo=memo)
    assert [each["name"] for each in output["files"]] == ["a.csv", "b.csv"]
    assert output["looks"] == 3


def test_a_name_that_looks_like_a_pattern_is_found_as_it_is(tmp_path):
    (tmp_path / "a[1].txt").write_text("x")
    assert call(wait_for, {"file": str(tmp_path / "a[1].txt")})["files"][0]["name"] == "a[1].txt"


def test_a_file_that_changes_has_not_settled(tmp_path):
    path = tmp_path / "a"
    path.write_text("1")
    fields = {"file": str(path), "settled": 60, "every": 10}
    seconds, memo = asked(**fields)
    assert seconds == 10
    # As if the last change had been seen so long ago.
    seconds, memo = asked(**fields, memo={**memo, "seen_at": memo["seen_at"] - 55})
    assert 0 < seconds <= 5
    path.write_text("12")
    seconds, memo = asked(**fields, memo={**memo, "seen_at": memo["seen_at"] - 60})
    assert seconds == 10
    assert call(wait_for, fields, memo={**memo, "seen_at": memo["seen_at"] - 60})["files"][0]["size"] == 2


def test_a_file_that_went_away_and_came_back_settles_anew(tmp_path):
    path = tmp_path / "a"
    path.write_text("1")
    os.utime(path, (1, 1))
    fields = {"file": str(path), "settled": 60}
    _, memo = asked(**fields)
    path.unlink()
    _, memo = asked(**fields, memo={**memo, "seen_at": memo["seen_at"] - 59})
    path.write_text("1")
    os.utime(path, (1, 1))
    _, memo = asked(**fields, memo=memo)
    assert wall() - memo["seen_at"] < 50


def test_a_clock_that_was_set_back_makes_a_file_settle_anew(tmp_path):
    (tmp_path / "a").write_text("1")
    fields = {"file": str(tmp_path / "a"), "settled": 60}
    _, memo = asked(**fields)
    seconds, memo = asked(**fields, memo={**memo, "seen_at": memo["seen_at"] + 3600})
    assert seconds == 5
    assert memo["seen_at"] <= wall()


def test_a_port_is_waited_for():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        _, memo = asked(host="127.0.0.1", port=port)
        assert memo["said"] == f"no connection to 127.0.0.1 port {port}: Connection refused"
        server.listen()
        output = call(wait_for, {"host": "127.0.0.1", "port": port}, memo=memo)
        assert (output["port"], output["looks"]) == (port, 2)


def test_a_url_is_waited_for(web):
    _, memo = asked(url=web.url("/status/503"))
    assert "answered 503" in memo["said"]
    output = call(wait_for, {"url": web.url("/status/503"), "expect_status": [200, "5xx"]}, memo=memo)
    assert (output["status"], output["looks"]) == (503, 2)
    assert call(wait_for, {"url": web.url("/echo")})["status"] == 200


def test_a_body_without_an_end_is_not_waited_for(web):
    assert call(wait_for, {"url": web.url("/endless")})["status"] == 200


def test_a_url_that_leads_to_a_private_address_is_not_asked(web):
    message = refusal(wait_for, {"url": web.url("/echo")}, settings={"deny_private": True})
    assert "is not a public address" in message
    assert web.seen == []


@pytest.mark.parametrize("left", [100, 8])
def test_the_wait_is_not_longer_than_it_may_be(left):
    memo = {"since": wall() - 60, "looks": 7}
    seconds, _ = asked(file="/nowhere/x", within=60 + left, every=10, memo=memo)
    assert min(10, left) - 7 < seconds <= min(10, left)


def test_when_it_has_waited_too_long_it_fails_with_what_was_last_seen():
    memo = {"since": wall() - 61, "looks": 7}
    message = refusal(wait_for, {"file": "/nowhere/x", "within": "1m"}, memo=memo)
    assert message.startswith("there is no file /nowhere/x, after 6")
    assert message.endswith(" s and 8 looks (`within`)")


def test_a_time_is_waited_for_in_one_piece():
    seconds, memo = asked(seconds="1h")
    assert 3500 < seconds <= 3600
    assert call(wait_for, {"seconds": "1h"}, memo={**memo, "since": wall() - 3600})["looks"] == 2
    assert call(wait_for, {"seconds": 0})["looks"] == 1


def test_a_moment_is_waited_for_and_one_that_has_passed_is_not():
    seconds, memo = asked(until=rfc3339(wall() + 100))
    assert 90 < seconds <= 100
    assert call(wait_for, {"until": "2001-01-01T00:00:00Z"}, memo=None)["looks"] == 1
    assert call(wait_for, {"until": rfc3339(wall() + 100)}, memo={**memo, "due": wall()})["looks"] == 2


@pytest.mark.parametrize(
    ("now", "until", "place", "due"),
    [
        ("2026-01-10T05:00:00+00:00", "06:30", "UTC", "2026-01-10T06:30:00+00:00"),
        ("2026-01-10T06:30:00+00:00", "06:30", "UTC", "2026-01-11T06:30:00+00:00"),
        ("2026-01-10T23:30:00+00:00", "00:15", "Europe/Berlin", "2026-01-11T23:15:00+00:00"),
        # Summer time begins: 02:30 does not exist that night, and is taken an hour later.
        ("2026-03-29T00:00:00+00:00", "02:30", "Europe/Berlin", "2026-03-29T01:30:00+00:00"),
        # It ends: 02:30 comes twice, the first is meant.
        ("2026-10-24T22:00:00+00:00", "02:30", "Europe/Berlin", "2026-10-25T00:30:00+00:00"),
        ("2026-03-28T12:00:00+00:00", "06:00", "Europe/Berlin", "2026-03-29T04:00:00+00:00"),
    ],
)
def test_a_time_of_day_is_the_next_one_on_the_clock_of_its_zone(now, until, place, due):
    found = wait_for._due(until, place, datetime.fromisoformat(now).timestamp())
    assert found == datetime.fromisoformat(due).timestamp()


def test_a_time_of_day_stays_the_one_that_was_meant_at_first():
    place = ZoneInfo("UTC")
    past = datetime.fromtimestamp(wall() - 60, place).strftime("%H:%M")
    _, memo = asked(until=past)
    assert call(wait_for, {"until": past}, memo={**memo, "due": wall() - 1})["looks"] == 2
