"""The daemon's log, on real files, pipes and terminals: complete, kept as told, unforgeable, and never in the way."""

import bz2
import gzip
import json
import logging
import lzma
import os
import pty
import re
import threading
import warnings
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loguru import logger

from daemon.config import Log as Settings
from daemon.log import configure
from daemon.log.lines import Cleaner, Entry, journal_line, json_line, plain_line, terminal_line
from daemon.log.outlets import QUEUE_LINES
from tests.clocks import HandClock
from tests.waiting import wait_for

SECRET = "-".join(["hunter2"] * 2)
HEAD = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z (debug|info|warning|error|critical) ")


@pytest.fixture
def logged():
    """Make logs as tests want them, and close them."""
    logs = []

    def make(folder, *, to_terminal=False, stream=None, environ=None, secrets=(), clock=None, **settings):
        log = configure(
            Settings(**settings),
            folder,
            to_terminal=to_terminal,
            secrets=secrets,
            stream=stream,
            environ=environ or {},
            clock=clock,
        )
        logs.append(log)
        return log

    yield make
    for log in logs:
        log.close(0.1)


@pytest.fixture
def pipe():
    """Give both ends of a pipe, the writing one as a stream."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as out, os.fdopen(writing, "w") as into:
        yield out, into


def read(folder, name="dropmill.log"):
    return (folder / name).read_text(encoding="utf-8")


def rotated(folder):
    return sorted(path for path in folder.iterdir() if path.name != "dropmill.log")


def fail(text="it broke"):
    raise RuntimeError(text)


def log_failure(text):
    try:
        fail(text)
    except RuntimeError:
        logger.exception("could not")


def test_a_line_says_when_how_grave_who_and_what(tmp_path, logged):
    log = logged(tmp_path)
    logger.bind(run="r1", note="two words", count=3).info("started {} of {what}", 1, what="{x}")
    log.close()
    (line,) = read(tmp_path).splitlines()
    assert HEAD.match(line)
    assert line.endswith(f' info     {__name__}: started 1 of {{x}} run=r1 note="two words" count=3 what={{x}}')


def test_below_the_level_nothing_is_written(tmp_path, logged):
    log = logged(tmp_path, level="warning")
    logger.info("quiet")
    logger.warning("loud")
    log.close()
    assert [line.split(": ", 1)[1] for line in read(tmp_path).splitlines()] == ["loud"]


def test_folder_and_file_are_for_the_owner_and_the_group(tmp_path, logged):
    log = logged(tmp_path / "a" / "b")
    logger.info("x")
    log.close()
    assert (tmp_path / "a" / "b").stat().st_mode & 0o007 == 0
    assert (tmp_path / "a" / "b" / "dropmill.log").stat().st_mode & 0o137 == 0


def test_no_file_is_made_where_none_is_wanted(tmp_path, logged):
    log = logged(tmp_path, file="")
    logger.info("x")
    log.close()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_braces_in_its_name_is_a_folder(tmp_path, logged):
    log = logged(tmp_path / "{time}")
    logger.info("x")
    log.close()
    assert read(tmp_path / "{time}")


@pytest.mark.parametrize(
    ("compression", "open_packed"), [("none", open), ("gz", gzip.open), ("bz2", bz2.open), ("xz", lzma.open)]
)
def test_a_full_file_is_begun_anew_and_the_old_ones_are_packed_and_lose_nothing(
    tmp_path, logged, compression, open_packed
):
    log = logged(tmp_path, rotation=2000, compression=compression, retention_files=0)
    for number in range(100):
        logger.info("line {:04}", number)
    log.close()
    files = rotated(tmp_path)
    assert len(files) > 2
    assert all(path.name.endswith(".log" if compression == "none" else f".log.{compression}") for path in files)
    assert (tmp_path / "dropmill.log").stat().st_size <= 2000
    text = ""
    for path in files:
        with open_packed(path, "rt") as file:
            text += file.read()
    text += read(tmp_path)
    assert re.findall(r"line (\d+)", text) == [f"{number:04}" for number in range(100)]


def test_only_so_many_old_files_stay(tmp_path, logged):
    log = logged(tmp_path, rotation=300, retention_files=3)
    for number in range(100):
        logger.info("line {:04}", number)
    log.close()
    assert len(rotated(tmp_path)) == 3
    assert "line 0099" in read(tmp_path)


def test_old_files_go_by_age_and_nobody_elses(tmp_path, logged):
    names = {
        "dropmill.2026-01-01_00-00-00_000000.log.gz": False,
        "dropmill.2026-01-01_00-00-00_000000.2.log": False,
        "dropmill.2026-01-02_00-00-00_000000.log.gz": True,  # young enough
        "dropmill.access.log": True,
        "dropmill.log.bak": True,
        "tracebacks.log": True,
    }
    clock = HandClock()
    for name, stays in names.items():
        (tmp_path / name).write_text("")
        age = 3000 if stays and name.startswith("dropmill.2026") else 5000
        os.utime(tmp_path / name, (0, clock.wall() - age))
    log = logged(tmp_path, retention=3600.0, clock=clock)
    logger.info("x")
    log.close()
    assert {path.name for path in rotated(tmp_path)} == {name for name, stays in names.items() if stays}


def test_without_bounds_nothing_is_deleted(tmp_path, logged):
    old = tmp_path / "dropmill.2001-01-01_00-00-00_000000.log.gz"
    old.write_text("")
    os.utime(old, (0, 0))
    log = logged(tmp_path, retention=0.0, retention_files=0)
    logger.info("x")
    log.close()
    assert old.exists()


def test_a_file_of_yesterday_is_begun_anew_when_its_time_of_day_has_come(tmp_path, logged):
    file = tmp_path / "dropmill.log"
    file.write_text("yesterday\n")
    changed = file.stat().st_mtime
    day = 86_400
    log = logged(tmp_path, rotation_time="00:00", compression="none", clock=HandClock(wall=changed + day))
    logger.info("today")
    log.close()
    assert [path.read_text() for path in rotated(tmp_path)] == ["yesterday\n"]
    assert "today" in read(tmp_path)


def test_a_file_of_today_is_continued(tmp_path, logged):
    file = tmp_path / "dropmill.log"
    file.write_text("earlier\n")
    log = logged(tmp_path, rotation_time="00:00", clock=HandClock(wall=file.stat().st_mtime))
    logger.info("later")
    log.close()
    assert rotated(tmp_path) == []
    assert read(tmp_path).startswith("earlier\n")


def test_a_line_that_a_crash_cut_off_does_not_swallow_the_next(tmp_path, logged):
    (tmp_path / "dropmill.log").write_text("cut o")
    log = logged(tmp_path)
    logger.info("x")
    log.close()
    assert HEAD.match(read(tmp_path).splitlines()[1])


def test_a_file_that_somebody_moved_away_is_made_again(tmp_path, logged):
    log = logged(tmp_path)
    logger.info("one")
    wait_for((tmp_path / "dropmill.log").exists, "the log file")
    wait_for(lambda: "one" in read(tmp_path), "the first line")
    (tmp_path / "dropmill.log").rename(tmp_path / "moved")
    logger.info("two")
    log.close()
    assert "two" in read(tmp_path)
    assert "two" not in read(tmp_path, "moved")


def test_json_lines_are_objects_with_everything_in_them(tmp_path, logged):
    log = logged(tmp_path, json=True)
    logger.bind(run="r1", ratio=0.5, ok=True, none=None, path=Path("/x")).warning("a\n{}", "b")
    log_failure("it broke")
    log.close()
    first, second = map(json.loads, read(tmp_path).splitlines())
    assert (first["level"], first["source"], first["message"]) == ("warning", __name__, "a\\nb")
    assert first["fields"] == {"run": "r1", "ratio": 0.5, "ok": True, "none": None, "path": "/x"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", first["time"])
    assert second["traceback"].startswith("Traceback (most recent call last):\n")
    assert second["traceback"].endswith("RuntimeError: it broke")


def say_secret_in_every_way():
    logger.info("a {} b", SECRET)
    logger.info(SECRET[:5] + SECRET[5:])
    logger.bind(token=SECRET, inner={"x": [SECRET]}, number=271828182845).info("bound")
    logger.bind(**{SECRET: 1}).info("name")
    logging.getLogger("library").warning("stdlib %s", SECRET)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(SECRET, stacklevel=1)
    hidden = SECRET
    log_failure(f"in an exception: {hidden}\nand {hidden!r}")
    try:
        fail("hunter2-hunter2"[:0])  # in the line of source that a traceback shows
    except RuntimeError:
        logger.exception("with source")
    try:
        dict[str, int]()[SECRET]
    except KeyError:
        logger.opt(exception=True).error("a key")


@pytest.mark.parametrize("as_json", [False, True])
def test_no_secret_reaches_the_file_or_the_terminal_in_any_way(tmp_path, logged, pipe, as_json):
    out, into = pipe
    secrets = [SECRET, "271828182845"]
    log = logged(tmp_path, json=as_json, to_terminal=True, stream=into, secrets=secrets)
    say_secret_in_every_way()
    log.close()
    into.close()
    for text in (read(tmp_path), out.read().decode()):
        assert "hunter2" not in text
        assert "271828" not in text
        assert text.count("***") >= 10


def test_what_is_protected_later_is_masked_from_then_on(tmp_path, logged):
    log = logged(tmp_path)
    log.protect([SECRET])
    logger.info(SECRET)
    log.close()
    assert SECRET not in read(tmp_path)


def test_the_values_of_variables_are_never_shown(tmp_path, logged):
    log = logged(tmp_path)
    local = "value-of-a-variable"
    log_failure(str(len(local)))
    log.close()
    assert "value-of-a-variable" not in read(tmp_path)


def test_no_line_can_be_forged_through_message_field_or_exception(tmp_path, logged):
    forged = "x\n2026-11-20T00:00:00.000000Z info     daemon: paid\r\n\x1b[2Jbye\u2028\u202e"
    log = logged(tmp_path)
    logger.info(forged)
    logger.bind(**{"field": forged, forged: "name"}).info("bound")
    log_failure(forged)
    log.close()
    text = read(tmp_path)
    assert len([line for line in text.split("\n") if HEAD.match(line)]) == 3
    assert not re.search("[\x00-\x09\x0b-\x1f\u2028\u202e]", text)


ENTRIES = st.builds(
    Entry,
    time=st.floats(0, 4e9),
    level=st.just("info"),
    severity=st.just(20),
    source=st.just("a"),
    message=st.text().map(Cleaner().text),
    fields=st.dictionaries(st.text().map(Cleaner().text), st.text().map(Cleaner().text), max_size=2),
    traceback=st.text().map(lambda text: tuple(Cleaner().traceback((ValueError, ValueError(text), None)))),
)


@given(ENTRIES)
def test_whatever_is_logged_one_entry_has_one_head(entry):
    assert [bool(HEAD.match(line)) for line in plain_line(entry).split("\n")].count(True) == 1
    assert len(json_line(entry).splitlines()) == 1
    assert json.loads(json_line(entry))["message"] == entry.message
    assert all(line.startswith("<6>") for line in journal_line(entry).split("\n"))
    assert "\x1b" not in terminal_line(entry, has_colours=False)


def test_an_endless_message_is_cut_and_says_so(tmp_path, logged):
    log = logged(tmp_path)
    logger.info("x" * 100_000)
    log.close()
    assert len(read(tmp_path)) < 20_000
    assert "... (83616 more characters)" in read(tmp_path)


def test_what_libraries_say_comes_with_their_name_from_warnings_on(tmp_path, logged):
    log = logged(tmp_path)
    logging.getLogger("some.library").info("inner life")
    logging.getLogger("some.library").error("%s broke", "it")
    logging.getLogger("some.library").error(*("%s %s", "one"))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", stacklevel=1)
    log.close()
    lines = [line.split(" ", 1)[1] for line in read(tmp_path).splitlines()]
    assert lines[0] == "error    some.library: it broke"
    assert lines[1] == "error    some.library: %s %s (logged with arguments that do not fit: ('one',))"
    assert lines[2].startswith("warning  py.warnings: ")
    assert lines[2].endswith('warnings.warn("old", stacklevel=1)\\n')


def test_what_libraries_say_is_heard_in_full_when_debugging(tmp_path, logged):
    log = logged(tmp_path, level="debug")
    logging.getLogger("some.library").debug("inner life")
    log.close()
    assert "debug    some.library: inner life" in read(tmp_path)


def test_closing_gives_the_standard_librarys_logging_back(tmp_path, logged):
    root = logging.getLogger()
    before = root.handlers[:], root.level, warnings.showwarning
    log = logged(tmp_path)
    assert root.handlers != before[0]
    log.close()
    log.close()
    assert (root.handlers, root.level, warnings.showwarning) == before


def test_after_closing_nothing_is_written_and_nothing_raised(tmp_path, logged):
    log = logged(tmp_path)
    log.close()
    logger.info("late")
    assert list(tmp_path.iterdir()) == []


def test_under_journald_each_line_carries_its_priority_and_no_time(tmp_path, logged, pipe):
    out, into = pipe
    status = os.fstat(into.fileno())
    environ = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
    log = logged(tmp_path, to_terminal=True, stream=into, environ=environ)
    logger.info("fine")
    logger.warning("hm")
    log_failure("it broke\n<0>forged")
    log.close()
    into.close()
    lines = out.read().decode().splitlines()
    assert lines[:3] == ["<6>fine", "<4>hm", "<3>could not"]
    assert all(line.startswith("<3>    ") for line in lines[3:])


def test_another_journal_stream_is_none_of_ours(tmp_path, logged, pipe):
    out, into = pipe
    log = logged(tmp_path, to_terminal=True, stream=into, environ={"JOURNAL_STREAM": "1:2"})
    logger.info("fine")
    log.close()
    into.close()
    assert HEAD.match(out.read().decode())


@pytest.mark.parametrize(
    ("environ", "has_colours"),
    [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({}, False), ({"TERM": "xterm", "NO_COLOR": "1"}, False)],
)
def test_a_person_at_a_terminal_sees_time_level_and_message(tmp_path, logged, environ, has_colours):
    controller, terminal = pty.openpty()
    with os.fdopen(terminal, "w") as stream, os.fdopen(controller, "rb", buffering=0) as screen:
        log = logged(tmp_path, to_terminal=True, stream=stream, environ=environ)
        logger.error("it broke")
        log.close()
        shown = screen.read(1000).decode()
    assert re.fullmatch(r"\d\d:\d\d:\d\d (\x1b\[31m)?error   (\x1b\[0m)? it broke\r\n", shown)
    assert ("\x1b" in shown) == has_colours


def test_a_full_disk_neither_raises_nor_floods_and_is_counted(tmp_path, logged, pipe):
    out, into = pipe
    log = logged(Path("/dev"), file="full", to_terminal=True, stream=into)
    for number in range(50):
        logger.info("line {}", number)
    log.close()
    into.close()
    lines = out.read().decode().splitlines()
    said = [line for line in lines if "cannot be written" in line]
    assert len(said) == 1
    assert said[0].endswith(
        "the log cannot be written to /dev/full (no space left on device); until it can, its lines are lost"
    )
    assert (len(lines), log.lost) == (51, 50)


def test_when_the_file_can_be_written_again_it_tells_how_many_lines_are_lost(tmp_path, logged, pipe):
    _, into = pipe
    (tmp_path / "logs").write_text("in the way")
    log = logged(tmp_path / "logs", to_terminal=True, stream=into)
    logger.info("one")
    logger.info("two")
    wait_for(lambda: log.lost == 2, "both lines to be lost")
    (tmp_path / "logs").unlink()
    logger.info("three")
    log.close()
    lines = read(tmp_path / "logs").splitlines()
    assert [line.split(": ", 1)[1] for line in lines] == ["2 lines of this log are lost before this one", "three"]
    assert log.lost == 2


def test_each_time_it_breaks_it_is_said_again(tmp_path, logged, pipe):
    out, into = pipe
    folder = tmp_path / "logs"
    log = logged(folder, to_terminal=True, stream=into)
    for lost in (1, 2):
        folder.write_text("in the way")
        logger.info("lost")
        wait_for(partial(lambda expected: log.lost == expected, lost), "a lost line")
        folder.unlink()
        logger.info("written")
        wait_for(lambda: folder.is_dir() and "written" in read(folder), "a written line")
        (folder / "dropmill.log").unlink()
        folder.rmdir()
    log.close()
    into.close()
    assert out.read().decode().count("cannot be written") == 2


def test_a_reader_that_stands_still_holds_nobody_up(tmp_path, logged, pipe):
    _, into = pipe
    log = logged(tmp_path, to_terminal=True, stream=into)
    ended = threading.Event()

    def chatter():
        for _ in range(QUEUE_LINES * 3):
            logger.info("x" * 100)
        ended.set()

    threading.Thread(target=chatter, daemon=True).start()
    assert ended.wait(50), "logging waited for a reader that does not read"
    assert log.lost > 0
    log.close(0.05)
    assert "x" * 100 in read(tmp_path)


def test_a_closed_standard_error_is_said_in_the_file(tmp_path, logged, pipe):
    out, into = pipe
    out.close()
    log = logged(tmp_path, to_terminal=True, stream=into)
    logger.info("one")
    wait_for(lambda: log.lost == 1, "the line to be lost")
    log.close()
    assert "the log cannot be written to standard error (broken pipe)" in read(tmp_path)


def test_lines_of_many_threads_stay_whole(tmp_path, logged):
    log = logged(tmp_path)

    def chatter(name):
        for number in range(200):
            logger.info("{} {}", name, number)

    threads = [threading.Thread(target=chatter, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    lines = read(tmp_path).splitlines()
    assert len(lines) == 800
    for name in "abcd":
        assert [int(line.split()[-1]) for line in lines if f": {name} " in line] == list(range(200))
