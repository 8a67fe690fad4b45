"""The command line on a terminal: the live picture, Ctrl-C once and twice, colours and what fits."""

import re
from pathlib import Path

import pytest

from daemon.ownership import owner_of
from tests.daemon.cli_calls import Site, Terminal
from tests.waiting import wait_for, wait_for_file

SHOW_CURSOR = "\x1b[?25h"
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9][0-9;]*m")


@pytest.fixture
def site(tmp_path, capsys):
    return Site(tmp_path, capsys)


@pytest.fixture
def terminal(site):
    opened = []

    def start(*arguments, **more):
        opened.append(Terminal(site, *arguments, **more))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


def gated(site):
    """Write a workflow whose first task waits for a file, and return the paths of both."""
    gate = site.folder / "gate"
    script = f"echo waiting for you; until [ -e {gate} ]; do sleep 0.01; done"
    first = {"id": "first", "type": "shell", "argv": ["sh", "-c", script]}
    return site.write(
        "gated.json", first, {"id": "second", "type": "print", "message": "x", "depends_on": ["first"]}
    ), gate


def stubborn(site):
    """Write a workflow whose task does not end when asked to, and return the paths of it and of its pid."""
    pid = site.folder / "pid"
    script = f"trap '' TERM INT; echo $$ > {pid}.tmp; mv {pid}.tmp {pid}; while :; do sleep 0.05; done"
    site.config.write_text(site.config.read_text().replace('grace = "1s"', 'grace = "600s"'))
    return site.write("stubborn.json", {"id": "slow", "type": "shell", "argv": ["sh", "-c", script]}), pid


def is_gone(pid):
    return not Path(f"/proc/{pid.read_text().strip()}").exists()


def test_the_live_picture_shows_tasks_a_bar_and_the_last_line_of_the_log(site, terminal):
    path, gate = gated(site)
    screen = terminal("run", path)
    screen.wait_for("waiting for you")
    assert "0 of 2" in screen.text
    assert "1 running" in screen.text
    assert "second" in screen.text
    gate.touch()
    assert screen.end() == 0
    assert "gated" in screen.text
    assert "completed" in screen.text
    assert screen.text.rindex(SHOW_CURSOR) > screen.text.rindex("\x1b[?25l")


@pytest.mark.parametrize(("columns", "lines"), [(20, 4), (10, 2), (200, 50)])
def test_a_terminal_of_any_size_gets_what_fits(site, terminal, columns, lines):
    tasks = [{"id": f"task-{number}", "type": "print", "message": "x"} for number in range(300)]
    screen = terminal("run", site.write("wide.json", *tasks), columns=columns, lines=lines)
    assert screen.end() == 0
    assert "300 completed" in screen.text.replace("\r\n", " ").replace("  ", " ") or columns == 10


def test_ctrl_c_cancels_and_says_so(site, terminal):
    path, _ = gated(site)
    screen = terminal("run", path)
    screen.wait_for("waiting for you")
    screen.press("\x03")
    assert screen.end() == 1
    assert "Ctrl-C: cancelling" in screen.text
    assert "cancelled" in screen.text
    assert SHOW_CURSOR in screen.text
    assert site.call("show", "last", "--json").json["state"] == "CANCELLED"
    assert owner_of(site.folder / "var") is None


def test_ctrl_c_twice_kills_at_once_and_the_run_is_recorded_as_cancelled(site, terminal):
    path, pid = stubborn(site)
    screen = terminal("run", path)
    wait_for_file(pid)
    screen.press("\x03")
    screen.wait_for("Ctrl-C: cancelling")
    assert not is_gone(pid)
    screen.press("\x03")
    assert screen.end() == 130
    wait_for(lambda: is_gone(pid), "the end of the stubborn task")
    assert SHOW_CURSOR in screen.text
    run = site.call("show", "last", "--json").json
    assert (run["state"], run["tasks"][0]["state"]) == ("CANCELLED", "CANCELLED")


def test_ctrl_c_while_waiting_for_the_folder_ends_with_130(site, terminal):
    from daemon.ownership import Ownership

    owner = Ownership(site.folder / "var")
    owner.acquire("run")
    try:
        screen = terminal("run", gated(site)[0])
        screen.wait_for("waiting: the state folder")
        screen.press("\x03")
        assert screen.end() == 130
    finally:
        owner.release()
    assert "Traceback" not in screen.text


def test_a_terminal_that_goes_away_cancels_the_run(site, terminal):
    path, _ = gated(site)
    screen = terminal("run", path)
    screen.wait_for("waiting for you")
    screen.hang_up()
    assert screen.process.wait(timeout=30) == 1
    assert site.call("show", "last", "--json").json["state"] == "CANCELLED"


def test_colours_are_for_terminals_that_want_them(site, terminal):
    path = site.write("hello.json", {"id": "a", "type": "print", "message": "hi"})
    coloured = terminal("run", path)
    assert coloured.end() == 0
    assert COLOUR.search(coloured.text)
    for plain in (terminal("run", path, NO_COLOR="1"), terminal("run", path, "--no-color")):
        assert plain.end() == 0
        assert not COLOUR.search(plain.text)
    dumb = terminal("run", path, TERM="dumb")
    assert dumb.end() == 0
    assert "\x1b" not in dumb.text
    assert "\x1b" not in site.call("run", path).out


def test_json_on_a_terminal_shows_the_run_live_on_stderr_and_json_at_the_end(site, terminal):
    path, gate = gated(site)
    screen = terminal("run", path, "--json")
    screen.wait_for("waiting for you")
    gate.touch()
    assert screen.end() == 0
    assert '"state": "COMPLETED"' in screen.text


def test_tables_keep_to_the_width_of_the_terminal(site, terminal):
    name = "a-name-that-goes-on-and-on-until-nobody-can-read-it-any-more"
    long = site.write(f"{name}.json", {"id": name, "type": "print", "message": "y" * 300})
    assert site.call("run", "-q", long).status == 0
    for arguments in (["runs"], ["show", "last"]):
        screen = terminal(*arguments, columns=60)
        assert screen.end() == 0
        lines = re.sub(r"\x1b\[[0-9;]*m", "", screen.text).split("\r\n")
        assert max(map(len, lines)) <= 60
        assert "…" in screen.text


def test_a_document_that_is_not_valid_is_shown_with_its_line_in_a_narrow_terminal(site, terminal):
    screen = terminal("validate", site.write("bad.json", {"id": "a", "type": "x" * 200}), columns=40)
    assert screen.end() == 2
    assert "^" in screen.text
