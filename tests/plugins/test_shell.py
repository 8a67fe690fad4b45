"""Real programs: what they print, how they end, how they are ended, and what must not be left of them."""

import codecs
import io
import os
import signal
import sys
import threading
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import tree
from engine.task import FailedError, InterruptedByEngineError
from plugins import shell
from plugins._parts import child
from plugins._parts.printed import Echo, Kept, Tail
from tests.plugins.contract import Bad, PluginContract
from tests.plugins.direct import call, refusal
from tests.waiting import wait_for


class TestShell(PluginContract):
    task_type = "shell"

    @pytest.fixture
    def good(self):
        return {
            "argv": ["printf", "a\\nb\\n"],
            "stdout": "lines",
            "env": {"A": "1"},
            "stdin": "x",
            "expect_exit": [0, 1],
        }

    @pytest.fixture
    def bad(self):
        return [
            Bad({"argv": ["false"]}, "it ended with exit code 1"),
            Bad({}, "argv"),
            Bad({"argv": []}, "argv"),
            Bad({"argv": ["echo", 5]}, "argv.1: 5 is not of type"),
            Bad({"argv": ["echo"], "command": "echo"}, "command"),
            Bad({"command": "echo hi"}, "allow_command = true"),
            Bad({"argv": ["no-such-program-anywhere"]}, "there is no program 'no-such-program-anywhere' in "),
            Bad({"argv": ["echo"], "expect_exit": [256]}, "expect_exit"),
            Bad({"argv": ["echo"], "stdout": "xml"}, "stdout"),
        ]

    def test_an_exit_code_is_reported_beside_its_reason(self, attempt):
        tried = attempt({"argv": ["sh", "-c", "echo broken >&2; exit 3"]})
        assert (tried.done.reason, tried.done.exit_code) == ("exit_code", 3)
        assert tried.message == "it ended with exit code 3: broken"

    def test_what_it_prints_lands_in_the_log(self, attempt, capfd):
        attempt({"argv": ["sh", "-c", "echo out; echo err >&2"], "stdout": "none"})
        printed = capfd.readouterr()
        assert "out\n" in printed.out
        assert "err\n" in printed.err

    def test_a_command_line_needs_the_operator(self, attempt):
        tried = attempt({"command": 'echo "$A" | tr a-z A-Z', "env": {"A": "x $(y)"}}, settings={"allow_command": True})
        assert tried.output == "X $(Y)"

    def test_it_knows_its_attempt(self, attempt):
        names = ["DROPMILL_RUN_ID", "DROPMILL_TASK_ID", "DROPMILL_ATTEMPT", "DROPMILL_IDEMPOTENCY_KEY"]
        tried = attempt({"argv": ["printenv", *names], "stdout": "lines"}, attempt=3)
        run, task, number, key = tried.output
        assert (task, number, key) == ("tried", "3", f"{run}/tried")


def sh(script, **fields):
    return call(shell, {"argv": ["/bin/sh", "-c", script], **fields})


def failure(script, **fields):
    """Run a script that fails and return the error."""
    with pytest.raises(FailedError) as caught:
        sh(script, **fields)
    return caught.value


@pytest.mark.parametrize(
    ("script", "stdout", "result"),
    [
        ("echo hi", "text", "hi"),
        ("printf 'a\\n\\nb\\n\\n'", "text", "a\n\nb"),
        ("true", "text", ""),
        ("printf 'a\\n\\nb\\n'", "lines", ["a", "", "b"]),
        ("printf 'a\\vb\\r\\n'", "lines", ["a\vb\r"]),
        ("true", "lines", []),
        ("echo '{\"a\": [1, null]}'", "json", {"a": [1, None]}),
        ("echo hi", "none", None),
        ("printf 'K\\303\\244se'", "text", "Käse"),
        ("printf '\\303('", "text", "\N{REPLACEMENT CHARACTER}("),
        ("echo out; echo err >&2", "text", "out"),
    ],
)
def test_its_standard_output_is_the_output(script, stdout, result):
    assert sh(script, stdout=stdout) == result


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("true", "is not JSON: it is empty"),
        ("echo nope", "it begins with 'nope\\n'"),
        ("echo 1 2", "is not JSON"),
        ("echo NaN", "is not JSON"),
        ("printf '\\303'", "is not JSON"),
        ("printf %0200000d 0 | tr 0 [", "is not JSON"),
    ],
)
def test_what_should_be_json_and_is_not_fails(script, words):
    assert words in failure(script, stdout="json").message


def test_output_is_kept_up_to_a_bound_and_says_where_it_was_cut(caplog):
    assert sh("printf abcdef", max_output=6) == "abcdef"
    assert sh("printf abcdef", max_output=4) == "abcd\n[cut: the first 4 of 6 bytes]"
    assert sh("printf 'a\\nb\\ncdef'", max_output=5, stdout="lines") == ["a", "b", "[cut: the first 5 of 8 bytes]"]
    assert sh("printf 'a\\303\\244'", max_output=2) == "a\n[cut: the first 2 of 3 bytes]"
    assert "longer than 4 bytes (`max_output`)" in failure("echo [1,2,3]", max_output=4, stdout="json").message
    assert sh("printf abcdef", max_output=0, stdout="none") is None
    assert caplog.messages.count("[cut: the first 4 of 6 bytes]") == 1


def test_a_flood_is_passed_on_and_not_kept(monkeypatch):
    heard = io.StringIO()
    monkeypatch.setattr(sys, "stdout", heard)
    output = sh("yes 0123456789abcde | head -c 16000000", max_output=16)
    assert output == "0123456789abcde\n\n[cut: the first 16 of 16000000 bytes]"
    assert heard.tell() == 16_000_000


@pytest.mark.parametrize(
    ("stdin", "seen"), [("two\nlines", "two\nlines"), ({"a": "ä"}, '{"a":"ä"}'), (None, "null"), ("", "")]
)
def test_it_reads_what_it_is_given(stdin, seen):
    assert sh("cat", stdin=stdin) == seen


def test_without_stdin_it_reads_nothing():
    assert sh("cat") == ""


def test_more_than_a_pipe_holds_goes_through_both_ways():
    text = "x" * 3_000_000
    assert sh("cat", stdin=text, max_output=4_000_000) == text


def test_who_does_not_read_is_not_forced_to():
    assert sh("exec <&-; echo fine", stdin="x" * 1_000_000) == "fine"


def test_it_sees_a_small_environment_and_what_it_is_given(monkeypatch):
    monkeypatch.setenv("DROPMILL__API__TOKEN", "s3cret")
    monkeypatch.setenv("SOME_SECRET", "s3cret")
    monkeypatch.setenv("LC_TIME", "C")
    lines = sh("env", env={"A": "x=y", "B": {"n": 1}, "C": True, "PATH": os.environ["PATH"]}, stdout="lines")
    seen = dict(line.split("=", 1) for line in lines)
    assert (seen["A"], seen["B"], seen["C"], seen["LC_TIME"]) == ("x=y", '{"n":1}', "true", "C")
    assert "s3cret" not in seen.values()


def test_the_operator_names_what_else_it_may_see(monkeypatch):
    monkeypatch.setenv("JAVA_HOME", "/opt/java")
    fields = {"argv": ["printenv", "JAVA_HOME"]}
    assert call(shell, fields, settings={"inherit": ["JAVA_HOME"]}) == "/opt/java"
    assert "exit code 1" in refusal(shell, fields)


def test_it_runs_where_it_is_told(tmp_path):
    (tmp_path / "tool").write_text("#!/bin/sh\npwd -P\n")
    (tmp_path / "tool").chmod(0o755)
    assert call(shell, {"argv": ["./tool"], "cwd": str(tmp_path)}) == str(tmp_path.resolve())


@pytest.mark.parametrize(
    ("script", "expect_exit", "message", "code"),
    [
        ("exit 3", [0], "it ended with exit code 3", 3),
        ("exit 0", [1, 2], "it ended with exit code 0 (expected: 1, 2)", 0),
        ("kill -9 $$", [0], "it was ended by signal 9 (SIGKILL)", 137),
        ("kill -TERM $$", [0], "it was ended by signal 15 (SIGTERM)", 143),
        ("sh -c 'kill -9 $$'; exit $?", [0], "it ended with exit code 137", 137),
    ],
)
def test_an_exit_that_is_not_expected_fails_with_its_code(script, expect_exit, message, code):
    error = failure(script, expect_exit=expect_exit)
    assert error.message.partition(":")[0] == message.partition(":")[0]
    assert (error.reason, error.exit_code) == ("exit_code", code)


@pytest.mark.parametrize(("script", "code"), [("exit 3", 3), ("kill -9 $$", 137)])
def test_an_exit_that_is_expected_succeeds(script, code):
    assert sh(f"echo done; {script}", expect_exit=[0, code]) == "done"


def test_a_failure_ends_with_the_last_lines_of_its_errors():
    message = failure("for n in 1 2 3 4 5 6 7; do echo line $n >&2; done; exit 1").message
    assert message.endswith("exit code 1: line 3\nline 4\nline 5\nline 6\nline 7")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "plain").write_text("echo hi\n")
    (tmp_path / "headless").write_text("echo hi\n")
    (tmp_path / "headless").chmod(0o755)
    (tmp_path / "orphan").write_text("#!/no/such/interpreter\n")
    (tmp_path / "orphan").chmod(0o755)
    (tmp_path / "binary").write_bytes(b"\x7fELFnot really")
    (tmp_path / "binary").chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"argv": ["./nowhere"]}, "there is no program './nowhere'"),
        ({"argv": [""]}, "begins with an empty text"),
        ({"argv": ["./plain"]}, "'./plain' may not be run"),
        ({"argv": ["."]}, "'.' may not be run"),
        ({"argv": ["./binary"]}, "is no program"),
        ({"argv": ["./orphan"]}, "the interpreter its first line names does not exist"),
        ({"argv": ["plain/tool"]}, "there is no program 'plain/tool'"),
        ({"argv": ["echo", "x" * 200_000]}, "too long"),
        ({"argv": ["echo"], "cwd": "nowhere"}, "there is no folder 'nowhere'"),
        ({"argv": ["echo"], "cwd": "plain"}, "there is no folder 'plain'"),
        ({"argv": ["echo", "a\0b"]}, "`argv` holds a NUL character"),
        ({"argv": ["echo"], "env": {"A": "a\0b"}}, "`env.A` holds a NUL character"),
        ({"argv": ["echo"], "env": {"A=B": "c"}}, "the name 'A=B'"),
        ({"argv": ["echo"], "env": {"": "c"}}, "the name ''"),
        ({"argv": ["echo"], "cwd": "a\0b"}, "`cwd` holds a NUL character"),
        ({"argv": ["echo", 5]}, "`argv` must be a list of texts"),
        ({"argv": "echo"}, "`argv` must be a list of texts"),
        ({"argv": ["echo"], "command": "echo"}, "give either `argv` or `command`"),
        ({"argv": ["echo"], "env": {"A": "\ud800"}}, "cannot be written as UTF-8"),
    ],
)
def test_what_cannot_start_says_why(folder, monkeypatch, fields, words):
    monkeypatch.chdir(folder)
    assert words in refusal(shell, fields)


def test_a_program_that_search_finds_nowhere_says_where_it_was_looked_for():
    assert refusal(shell, {"argv": ["zzz"], "env": {"PATH": "/nowhere"}}) == "there is no program 'zzz' in /nowhere"


def is_alive(pid: int) -> bool:
    """Tell whether a process still does something; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(pid: int) -> None:
    wait_for(lambda: not is_alive(pid), f"the end of process {pid}")


def test_one_that_closes_its_outputs_is_waited_for():
    assert failure("exec >&- 2>&-; read x; exit 4", stdin="x\n").exit_code == 4


def test_what_it_leaves_in_the_background_is_ended_with_it():
    pid = int(sh("sleep 600 >/dev/null 2>&1 & echo $!"))
    wait_until_gone(pid)


def test_a_background_program_that_holds_the_pipe_does_not_hang_it(monkeypatch):
    monkeypatch.setattr(child, "_DRAIN_SECONDS", 0.05)
    pid = int(sh("sleep 600 & echo $!"))
    wait_until_gone(pid)


def test_one_that_fled_into_its_own_session_and_holds_the_pipe_does_not_hang_it(monkeypatch):
    monkeypatch.setattr(child, "_DRAIN_SECONDS", 0.05)
    pid = int(sh("setsid sleep 600 & echo $!"))
    os.kill(pid, signal.SIGKILL)  # the engine walks the tree for those


def test_what_the_background_still_says_is_heard_to_the_end():
    assert sh("(read x; echo late) < /dev/null & echo early") in {"early\nlate", "late\nearly"}


def open_descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir() if path.exists()}


def test_no_descriptor_and_no_child_is_left():
    sh("true")
    before, children = open_descriptors(), tree.children(os.getpid())
    sh("cat; echo x >&2", stdin="x")
    failure("exit 1")
    refusal(shell, {"argv": ["/nowhere/at/all"]})
    # Of others, which share this process, something may be closed or reaped meanwhile.
    assert open_descriptors() - before == set()
    assert set(tree.children(os.getpid())) - set(children) == set()


class Listener(io.StringIO):
    """A log that does something when it hears a line."""

    def __init__(self, line, react):
        super().__init__()
        self.line, self.react = line, react

    def write(self, text):
        written = super().write(text)
        if self.line in text:
            self.react()
        return written


def test_lines_are_passed_on_while_it_runs(tmp_path, monkeypatch):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    # The program waits for the answer to its line, and would for ever if the line came at the end.
    monkeypatch.setattr(sys, "stdout", Listener("ready\n", lambda: fifo.write_text("go\n")))
    assert sh(f"echo ready; read word < '{fifo}'; echo $word") == "ready\ngo"


def interrupt(*_):
    raise InterruptedByEngineError


def run_until_interrupted(script, folder):
    """Run a script and, once it has said `ready`, raise what the worker raises in an attempt: here, by a signal."""
    is_ready = threading.Event()

    def wait_and_interrupt(listening):
        if is_ready.wait(20):
            signal.pthread_kill(listening, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, interrupt)
    thread = threading.Thread(target=wait_and_interrupt, args=(threading.get_ident(),))
    thread.start()
    try:
        with redirect_stdout(Listener("ready\n", is_ready.set)), pytest.raises(InterruptedByEngineError):
            sh(script, cwd=str(folder))
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, before)


def test_an_interrupted_program_is_asked_and_can_clean_up(tmp_path):
    script = "trap 'echo swept > swept; exit 0' TERM; echo $$ > pid; echo ready; while :; do sleep 0.01; done"
    run_until_interrupted(script, tmp_path)
    assert (tmp_path / "swept").read_text() == "swept\n"
    assert not is_alive(int((tmp_path / "pid").read_text()))


def test_an_interrupted_program_that_does_not_listen_is_killed_with_all_its_children(tmp_path, monkeypatch):
    monkeypatch.setattr(child, "_GRACE_SECONDS", 0.1)
    inner = "(sleep 600 & echo $! >> pid; echo ready; wait)"
    run_until_interrupted(f"trap '' TERM; echo $$ > pid; sleep 600 & echo $! >> pid; {inner}; wait", tmp_path)
    pids = [int(line) for line in (tmp_path / "pid").read_text().split()]
    assert len(pids) == 3
    for pid in pids:
        wait_until_gone(pid)


def test_a_child_of_an_interrupted_program_may_finish_after_it_within_the_grace(tmp_path):
    inner = "trap 'echo swept > swept; exit 0' TERM; echo ready; while :; do sleep 0.01; done"
    run_until_interrupted(f'sh -c "{inner}" & wait', tmp_path)
    assert (tmp_path / "swept").read_text() == "swept\n"


def test_what_it_said_before_an_interruption_is_in_the_log_once(monkeypatch):
    log = Listener("now\n", interrupt)
    monkeypatch.setattr(sys, "stdout", log)
    with pytest.raises(InterruptedByEngineError):
        sh("printf 'now\\nno line end'; sleep 600")
    assert log.getvalue() == "now\nno line end\n"


class Recorder(io.StringIO):
    def __init__(self):
        super().__init__()
        self.pieces = []

    def write(self, text):
        self.pieces.append(text)
        return len(text)


@given(st.lists(st.binary(max_size=6) | st.sampled_from([b"\n", "ä€😀".encode()[:5], "€😀".encode()[2:]])))
def test_however_the_bytes_come_the_log_gets_whole_lines_and_nothing_is_lost(chunks):
    recorder = Recorder()
    echo = Echo(recorder)
    for chunk in chunks:
        echo.add(chunk)
    echo.end()
    whole = b"".join(chunks).decode(errors="replace")
    assert "".join(recorder.pieces) == whole + "\n" * (bool(whole) and not whole.endswith("\n"))
    assert all(piece.endswith("\n") for piece in recorder.pieces)


def test_a_line_without_end_is_passed_on_in_parts():
    recorder = Recorder()
    echo = Echo(recorder)
    for _ in range(5):
        echo.add(b"x" * 50_000)
    assert len(recorder.pieces) == 2
    echo.end()
    assert "".join(recorder.pieces) == "x" * 250_000 + "\n"


@given(st.lists(st.binary(max_size=6)), st.integers(0, 30))
def test_however_the_bytes_come_the_first_ones_are_kept(chunks, limit):
    kept = Kept(limit)
    for chunk in chunks:
        kept.add(chunk)
    whole = b"".join(chunks)
    assert (kept.notice is None) == (len(whole) <= limit)
    if kept.notice is None:
        assert kept.text() == whole.decode(errors="replace").rstrip("\n")
    else:
        whole_characters = codecs.getincrementaldecoder("utf-8")("replace").decode(whole[:limit])
        assert kept.text() == f"{whole_characters}\n{kept.notice}"
        assert kept.lines() == [*whole_characters.split("\n")[:-1], kept.notice]


def test_a_tail_is_the_last_lines_and_not_more_bytes_than_it_may_have():
    tail = Tail()
    for number in range(1000):
        tail.add(f"line {number}\n".encode())
    assert str(tail) == "\n".join(f"line {number}" for number in range(995, 1000))
    tail.add(b"x" * 10_000)
    assert len(str(tail)) == 2000
