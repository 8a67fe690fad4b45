"""The gate itself: tests stay on this machine, missing components are said, every make target is described."""

import re
import socket

import pytest

from tests import components, network
from tests.clocks import HandClock
from tests.components import Component, needs
from tests.rules.source import ROOT
from tests.waiting import wait_for


def test_a_connection_to_another_machine_is_refused_before_it_leaves():
    with socket.socket() as far, pytest.raises(network.FarConnectionError, match=r"192\.0\.2\.1"):
        far.connect(("192.0.2.1", 80))
    assert network.refused == ["('192.0.2.1', 80)"]
    network.refused.clear()  # or this test would fail like any other


def test_a_connection_to_this_machine_goes_through():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as near:
        assert near.getpeername() == server.getsockname()


@pytest.mark.parametrize(
    ("address", "is_here"),
    [
        (("127.0.0.1", 1), True),
        (("::1", 1, 0, 0), True),
        (("localhost", 1), True),
        (("0.0.0.0", 1), True),  # noqa: S104 -- connecting there ends here
        ("/run/a.sock", True),
        (b"\0abstract", True),
        ((0, 0), True),
        (("10.0.0.1", 1), False),
        (("fe80::1%eth0", 1, 0, 2), False),
        (("example.org", 1), False),
    ],
)
def test_loopback_and_nothing_else_is_this_machine(address, is_here):
    assert network.stays_here(address) is is_here


def test_a_missing_component_skips_the_test_and_says_what_to_install(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setitem(components.COMPONENTS, "unicorn", Component(lambda: False, "apt-get install unicorn"))
    with pytest.raises(pytest.skip.Exception, match="needs unicorn: apt-get install unicorn"):
        needs("unicorn")


def test_a_missing_component_fails_the_test_in_ci(monkeypatch):
    monkeypatch.setenv("CI", "true")
    monkeypatch.setitem(components.COMPONENTS, "unicorn", Component(lambda: False, "apt-get install unicorn"))
    with pytest.raises(pytest.fail.Exception, match="apt-get install unicorn"):
        needs("unicorn")


def test_a_present_component_lets_the_test_run(monkeypatch):
    monkeypatch.setitem(components.COMPONENTS, "unicorn", Component(lambda: True, "none"))
    needs("unicorn")


def test_a_component_nobody_knows_is_an_error():
    with pytest.raises(KeyError):
        needs("unicorn")


def test_waiting_returns_the_first_true_answer():
    answers = iter([None, "", "here"])
    assert wait_for(lambda: next(answers), "an answer") == "here"


def test_waiting_in_vain_names_what_did_not_come():
    with pytest.raises(AssertionError, match="in vain for the moon"):
        wait_for(lambda: None, "the moon", seconds=0.01)


def test_the_clock_of_the_tests_moves_only_by_hand():
    clock = HandClock(wall=100.5, ticks=7.25)
    clock.advance(2)
    clock.step(-50)
    assert (clock.wall(), clock.ticks()) == (52.5, 9.25)
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)


def test_every_make_target_is_in_the_contributors_guide():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = [target for line in re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE) for target in line.split()]
    assert "run" in targets
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert [target for target in targets if target != "stale" and f"`make {target}`" not in guide] == []


def test_every_folder_of_tests_is_in_their_guide():
    guide = (ROOT / "tests" / "README.md").read_text(encoding="utf-8")
    folders = [path.parent.name for path in (ROOT / "tests").glob("*/__init__.py")]
    assert folders
    assert [folder for folder in folders if f"`tests/{folder}/`" not in guide] == []


def test_every_component_is_in_their_guide():
    guide = (ROOT / "tests" / "README.md").read_text(encoding="utf-8")
    assert [name for name in components.COMPONENTS if f"`{name}`" not in guide] == []
