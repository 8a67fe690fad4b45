"""The log file of an attempt: lines, masks, escapes, limits, and reading it while it grows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.attemptlog import AttemptLogs, LogReader, log_path
from engine.limits import Limits


class Logs:
    """Write and read one attempt's log."""

    def __init__(self, folder, **limits):
        self.folder = folder
        self.logs = AttemptLogs(folder, Limits(**limits))
        self.reader = LogReader(folder)

    def write(self, *pieces, secrets=(), task="t", attempt=1):
        for piece in pieces:
            self.logs.write("r", task, attempt, piece, secrets)

    def end(self, task="t", attempt=1, dropped=0):
        self.logs.end("r", task, attempt, dropped)

    def text(self, task="t", attempt=1):
        return self.reader.read("r", task, attempt)


@pytest.fixture
def logs(tmp_path):
    logs = Logs(tmp_path)
    yield logs
    logs.logs.close()


def test_whole_lines_are_there_at_once_and_the_rest_at_the_end(logs):
    logs.write(b"one\ntw", b"o\nthr")
    assert logs.text() == "one\ntwo\n"

    logs.end()
    assert logs.text() == "one\ntwo\nthr\n"


def test_a_later_call_of_the_same_attempt_adds_to_its_log(logs):
    logs.write(b"one")
    logs.end()
    logs.write(b"two")
    logs.end()

    assert logs.text() == "one\ntwo\n"


def test_each_attempt_has_a_file_of_its_own(logs):
    logs.write(b"first\n", attempt=1)
    logs.write(b"second\n", attempt=2)

    assert (logs.text(attempt=1), logs.text(attempt=2)) == ("first\n", "second\n")


def test_a_character_cut_in_two_is_put_together(logs):
    snow = "☃".encode()
    logs.write(snow[:1], snow[1:], b"\n")

    assert logs.text() == "☃\n"


def test_bytes_that_are_no_text_are_shown(logs):
    logs.write(b"a\xff\xfeb\n")

    assert logs.text() == "a\\xff\\xfeb\n"


def test_control_characters_are_shown_and_cannot_reach_a_terminal(logs):
    logs.write("\x1b[31mred\x1b[0m \a\b\x00 tab\t \x9b \u202e\n".encode())

    assert logs.text() == "\\x1b[31mred\\x1b[0m \\x07\\x08\\x00 tab\t \\x9b \\u202e\n"


@pytest.mark.parametrize("pieces", [[b"10%\r20%\r30%\r\ndone\n"], [b"10%\r", b"20%\r", b"30%\r", b"\n", b"done\n"]])
def test_a_carriage_return_begins_a_line(logs, pieces):
    logs.write(*pieces)

    assert logs.text() == "10%\n20%\n30%\ndone\n"


def test_a_progress_line_without_a_newline_can_be_followed(logs):
    logs.write(b"10%\r20%\r3")

    assert logs.text() == "10%\n20%\n"


def test_what_is_beyond_the_limit_is_dropped_and_said(tmp_path):
    logs = Logs(tmp_path, log_bytes=10)
    logs.write(b"12345678\n", b"abc\n", b"def\n")
    logs.end(dropped=100)

    assert logs.text() == "12345678\na\n[107 bytes dropped: a log holds at most 10]\n"


def test_a_log_is_not_cut_in_the_middle_of_a_character(tmp_path):
    logs = Logs(tmp_path, log_bytes=10)
    logs.write("12345678☃\n".encode())
    logs.end()

    assert logs.text().startswith("12345678\n[4 bytes")


def test_an_end_without_words_makes_no_file(logs):
    logs.end()

    assert not logs.reader.path("r", "t", 1).exists()


def test_a_line_without_end_is_not_held_back_for_ever(logs):
    logs.write(b"x" * 200_000)

    assert len(logs.text()) > 100_000


def test_a_secret_in_a_line_without_end_is_found_wherever_the_line_is_cut(logs):
    word = "the-secret-of-secrets"
    data = "".join(f"{number:05d}{word}" for number in range(10_000)).encode()

    logs.write(*(data[start : start + 777] for start in range(0, len(data), 777)), secrets=(word,))
    logs.end()

    assert "secret" not in logs.text()
    assert logs.text().count("***") == 10_000


def test_a_secret_of_several_lines_is_masked_line_by_line(logs):
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END KEY-----\n"
    logs.write(b"key: ", *(key[i : i + 5].encode() for i in range(0, len(key), 5)), b"end\n", secrets=(key,))

    assert "MIIE" not in logs.text()
    assert logs.text().endswith("end\n")


@given(
    st.lists(st.sampled_from(["hunter2x", "\n", "ab", "é", "\r\n", "hunter", "2x"]), max_size=40),
    st.lists(st.integers(1, 9), min_size=1, max_size=9),
)
def test_however_the_text_is_cut_no_secret_is_left_and_nothing_else_is_lost(tmp_path_factory, words, sizes):
    folder = tmp_path_factory.mktemp("cut")
    text = "".join(words)
    data, pieces, turn = text.encode(), [], 0
    while data:
        size = sizes[turn % len(sizes)]
        pieces.append(data[:size])
        data, turn = data[size:], turn + 1
    logs = Logs(folder)
    logs.write(*pieces, secrets=("hunter2x",))
    logs.end()

    expected = text.replace("\r\n", "\n").replace("hunter2x", "***")
    while "hunter2x" in expected:
        expected = expected.replace("hunter2x", "***")
    assert "hunter2x" not in logs.text()
    assert logs.text().replace("*", "").rstrip("\n") == expected.replace("*", "").rstrip("\n")


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("plain-Task_1.x", "plain-Task_1.x.1.log"),
        ("each[a/b]", "each%5Ba%2Fb%5D.1.log"),
        ("../../etc/passwd", "%2E./../etc/passwd.1.log".replace("/", "%2F")),
        ("ä", "%C3%A4.1.log"),
        ("a%5B", "a%255B.1.log"),
        ("", ".1.log"),
    ],
)
def test_a_task_key_becomes_a_safe_file_name(tmp_path, task, name):
    assert log_path(tmp_path, "r", task, 1) == tmp_path / "runs" / "r" / name


def test_a_run_cannot_lead_out_of_the_folder(tmp_path):
    assert log_path(tmp_path, "..", "t", 1).resolve().is_relative_to(tmp_path.resolve() / "runs")


@given(st.text(min_size=1, max_size=400), st.text(min_size=1, max_size=400))
def test_different_tasks_have_different_files_of_bearable_length(tmp_path_factory, one, other):
    paths = [log_path(tmp_path_factory.getbasetemp(), "r", task, 1) for task in (one, other)]

    assert (paths[0] == paths[1]) == (one == other)
    assert all(len(path.name) < 255 for path in paths)


def test_few_files_are_open_however_many_attempts_speak(tmp_path):
    logs = Logs(tmp_path)
    for number in range(300):
        logs.write(b"begin\n", task=f"t{number}")
    assert len(logs.logs._open) <= 64
    for number in range(300):
        logs.write(b"end\n", task=f"t{number}")
        logs.end(task=f"t{number}")

    assert {logs.text(f"t{number}") for number in range(300)} == {"begin\nend\n"}
    assert len(logs.logs._open) == 0


def test_a_log_that_cannot_be_written_is_a_problem_and_no_exception(tmp_path):
    (tmp_path / "runs").write_text("in the way")
    logs = Logs(tmp_path)

    logs.write(b"one\n")
    assert str(tmp_path / "runs" / "r" / "t.1.log") in str(logs.logs.problem)

    (tmp_path / "runs").unlink()
    logs.write(b"two\n")
    logs.end()
    assert logs.logs.problem is None
    assert logs.text() == "two\n[4 bytes dropped: a log holds at most 10485760]\n"


def test_a_link_in_the_place_of_a_log_is_not_followed(logs, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine\n")
    path = logs.reader.path("r", "t", 1)
    path.parent.mkdir(parents=True)
    path.symlink_to(victim)

    logs.write(b"overwritten\n")

    assert victim.read_text() == "mine\n"


def test_a_log_can_be_followed_while_it_grows(logs):
    answers = iter([True, True, True, False])
    words = iter("abcd")

    def wait():
        logs.write(f"{next(words)}\n".encode())
        return next(answers)

    assert list(logs.reader.follow("r", "t", 1, wait)) == ["a\n", "b\n", "c\n", "d\n"]


def test_what_is_written_last_is_still_followed(logs):
    def wait():
        logs.write(b"last words\n")
        return False

    assert list(logs.reader.follow("r", "t", 1, wait)) == ["last words\n"]


def test_the_log_of_an_attempt_that_said_nothing_is_empty(logs):
    assert logs.text("never") == ""
    assert list(logs.reader.follow("r", "never", 1, lambda: False)) == []
