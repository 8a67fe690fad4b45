import base64
import http.server
import json
import logging
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from engine.limits import Limits
from engine.messages import Dispatch
from engine.registry import Registry
from engine.runner import MESSAGE_CHARS, Runner
from engine.states import Reason
from engine.task import InterruptedByEngineError, fail, later
from tests.hands.attempts import RUN, Bench, doing, giving, raising, returning

DESIGNS = Path(__file__).parent / "designs"
log = logging.getLogger("tried")


@pytest.fixture
def bench():
    return Bench()


@pytest.fixture
def web():
    """Serve JSON on loopback and remember what was asked."""

    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.command, self.path, self.headers.get("X-Key")))
            body = b'{"rows": [1, 2]}' if self.path.startswith("/rows") else b"no json"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 -- http.server's name

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()
        thread.join()


@pytest.fixture
def examples(tmp_path):
    """The two plugins of the design, dropped into a folder unchanged."""
    for path in DESIGNS.glob("*.py.txt"):
        (tmp_path / path.name.removesuffix(".txt")).write_text(path.read_text())
    bench = Bench()
    bench.registry = bench.runner._registry = Registry("", [tmp_path])
    bench.registry.load()
    return bench


def test_the_print_plugin_of_the_design_works_unchanged(examples, capfd):
    done = examples.attempt("print", {"message": "good morning"})
    assert (done.outcome, done.output, done.seq) == ("Succeeded", b"null", 7)
    assert capfd.readouterr().err == "INFO [PRINT] good morning\n"


def test_the_api_call_plugin_of_the_design_works_unchanged(examples, web):
    url, asked = web
    done = examples.attempt("api_call", {"url": f"{url}/rows"})
    assert (done.outcome, json.loads(done.output)) == ("Succeeded", {"rows": [1, 2]})
    more = {"url": f"{url}/rows", "method": "post", "params": {"params": {"a": 1}, "headers": {"X-Key": "k"}}}
    assert examples.attempt("api_call", more).outcome == "Succeeded"
    assert asked == [("GET", "/rows", None), ("POST", "/rows?a=1", "k")]


def test_what_the_api_call_plugin_logs_is_the_sentence_of_its_failure(examples, web, capfd):
    done = examples.attempt("api_call", {"url": f"{web[0]}/other"})
    assert (done.outcome, done.reason) == ("Failed", "error")
    assert done.message.startswith("API call failed: Expecting value")
    assert "ERROR API call failed: " in capfd.readouterr().err


def test_a_missing_field_is_named_and_the_plugin_not_called(examples):
    done = examples.attempt("api_call", {"uri": "x"})
    assert (done.outcome, done.reason, done.message) == ("Failed", "invalid", "the field 'url' is missing")


def test_the_plugin_sees_its_fields_and_what_the_engine_hands_over(bench):
    bench = Bench({"tried": {"folder": "/srv", "deep": {"a": 1}}})
    seen = []
    bench(
        doing(lambda task: seen.append(dict(task))),
        {"message": "hi", "nested": {"a": [1]}},
        inputs={"before": {"rows": 3}},
        memo={"page": 2},
        attempt=4,
        origin="api",
    )
    assert seen == [
        {
            "id": "tried-1",
            "type": "tried",
            "message": "hi",
            "nested": {"a": [1]},
            "inputs": {"before": {"rows": 3}},
            "memo": {"page": 2},
            "run": RUN,
            "attempt": 4,
            "origin": "api",
            "timeout": None,
            "settings": {"folder": "/srv", "deep": {"a": 1}},
            "output": None,
        }
    ]


def test_what_a_plugin_does_to_its_settings_stays_with_it(bench):
    bench = Bench({"tried": {"deep": {"a": 1}}})
    seen = []

    def run(task):
        seen.append(task["settings"]["deep"].pop("a", "gone"))
        return True

    bench(run)
    bench(run)
    assert seen == [1, 1]


def test_true_is_success_with_the_output(bench):
    done = bench(giving({"rows": (1, 2), "name": "é"}))
    assert (done.outcome, done.reason, done.message) == ("Succeeded", "", "")
    assert done.output == '{"rows":[1,2],"name":"é"}'.encode()


@pytest.mark.parametrize("value", [None, 1, 0, "True", {"output": 1}, [True], object(), iter(())])
def test_anything_but_true_and_false_is_a_failure_that_says_what_came_back(bench, value):
    done = bench(returning(value))
    assert (done.outcome, done.reason) == ("Failed", "bad_output")
    assert done.message.startswith("run(task) returned ")
    assert done.message.endswith(f"({type(value).__name__}); return True or False")


def test_a_returned_coroutine_is_said_and_closed(bench):
    async def later_on(): ...

    done = bench(lambda task: later_on())
    assert "(coroutine)" in done.message


def test_a_value_that_cannot_be_shown_is_still_a_report(bench):
    class Shy:
        def __repr__(self):
            raise ValueError(self)

    assert "Shy" in bench(returning(Shy())).message


def test_false_is_failure_and_says_so(bench):
    done = bench(returning(False))
    assert (done.outcome, done.reason, done.message) == ("Failed", "error", "the plugin returned False")


def test_false_speaks_with_the_last_error_that_was_logged(bench, capfd):
    def run(task):
        logging.getLogger("some.library").error("first %d", 1)
        try:
            Path("/proc/no/such").read_text()
        except OSError:
            log.exception("could not read %s", "a.txt")
        log.warning("and more")
        return False

    assert (
        bench(run).message
        == "could not read a.txt: FileNotFoundError: [Errno 2] No such file or directory: '/proc/no/such'"
    )
    assert "WARNING and more" in capfd.readouterr().err
    assert bench(returning(False)).message == "the plugin returned False"  # not the words of the one before


def test_an_exception_is_failure_with_its_last_line_and_a_traceback_in_the_log(bench, capfd):
    def divide(number):
        hidden = "a local value"
        return number / len(hidden[:0])

    done = bench(lambda task: divide(5))
    assert (done.outcome, done.reason, done.message) == ("Failed", "error", "ZeroDivisionError: division by zero")
    trace = capfd.readouterr().err
    assert trace.startswith("Traceback (most recent call last):\n")
    assert trace.endswith("ZeroDivisionError: division by zero\n")
    assert "in divide" in trace
    assert "a local value" not in trace.replace('hidden = "a local value"', "")
    assert "engine/runner" not in trace  # the plugin's own frames only


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KeyError("url"), "KeyError: 'url'"),
        (AssertionError(), "AssertionError"),
        (ExceptionGroup("many", [ValueError("a")]), "ExceptionGroup: many (1 sub-exception)"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (GeneratorExit("x"), "GeneratorExit: x"),
        (SystemExit(), "the plugin called sys.exit(None); return True or False instead"),
        (SystemExit(0), "the plugin called sys.exit(0); return True or False instead"),
        (SystemExit("bye"), "the plugin called sys.exit('bye'); return True or False instead"),
        (RecursionError("too deep"), "RecursionError: too deep"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_whatever_is_raised_is_a_failure_in_a_sentence(bench, error, message):
    done = bench(raising(error))
    assert (done.outcome, done.reason, done.message) == ("Failed", "error", message)


def test_an_exit_code_given_to_sys_exit_is_kept(bench):
    assert bench(raising(SystemExit(3))).exit_code == 3
    assert bench(raising(SystemExit("3"))).exit_code is None


@pytest.mark.parametrize("code", [2**31, 2**63, 2**64, -(2**31), 10**30, True])
def test_what_is_no_exit_code_is_not_recorded_as_one(bench, code):
    assert bench(raising(SystemExit(code))).exit_code is None
    assert bench(lambda task: fail("no", exit_code=code)).exit_code is None


def test_an_exception_whose_text_fails_is_still_a_report(bench, capfd):
    class ShyError(Exception):
        def __str__(self):
            raise self

    assert bench(raising(ShyError())).message == "ShyError: <exception str() failed>"


def test_running_out_of_a_memory_limit_is_its_own_reason(bench, capfd):
    done = bench(raising(MemoryError()), memory_limit=5_000_000)
    assert (done.reason, done.message) == ("memory_limit", "MemoryError (its memory limit is 5,000,000 bytes)")


def test_a_real_memory_limit_is_survived_and_reported_wherever_in_a_page_of_memory_it_is_met():
    program = """
        import resource
        from pathlib import Path
        from tests.hands.attempts import Bench
        def run(task):
            kept = task["output"] = []
            for size in (1 << 20, 1 << 12, 512, 256, 64):  # to the last byte: nothing is left to make a report with
                try:
                    while True:
                        kept = task["output"] = [kept, bytes(size)]
                except MemoryError:
                    continue
            bytes(1 << 20)
        bench = Bench()
        bench(lambda task: True)
        used = int(Path("/proc/self/statm").read_text().split()[0]) << 12
        for pages in range(0, 420, 35):  # what is left at the end differs
            limit = used + (64 << 20) + (pages << 12)
            resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
            done = bench(run, memory_limit=limit)
            print(done.outcome, done.reason, bench(lambda task: True).outcome)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["Failed memory_limit Succeeded"] * 12, done.stderr


def test_endless_recursion_is_an_ordinary_failure(bench, capfd):
    def run(task):
        return run(task)

    assert bench(run).message.startswith("RecursionError: maximum recursion depth exceeded")
    assert bench(returning(True)).outcome == "Succeeded"


def test_a_traceback_of_any_length_and_content_is_bounded_and_harmless(bench, capfd):
    done = bench(raising(ValueError("\x1b[2J" + "x" * 3_000_000)))
    assert len(done.message) < MESSAGE_CHARS + 60
    assert "characters left out" in done.message
    written = capfd.readouterr().err
    assert len(written) < 101_000
    assert "\x1b" not in done.message + written
    assert r"\x1b[2J" in done.message


def test_a_plugin_that_closed_standard_error_still_gets_its_report(bench, monkeypatch, tmp_path):
    with (tmp_path / "err").open("w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)

        def run(task):
            sys.stderr.close()
            raise ValueError("x")

        assert bench(run).message == "ValueError: x"


def test_fail_says_why_without_a_traceback(bench, capfd):
    done = bench(lambda task: fail("no such table", reason="exit_code", exit_code=4))
    assert (done.outcome, done.reason, done.message, done.exit_code) == ("Failed", "exit_code", "no such table", 4)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("reason", "exit_code", "reported"),
    [(None, None, "error"), (None, 4, "exit_code"), ("timeout", None, "timeout"), ("nonsense", None, "error")],
)
def test_fail_has_a_reason_that_the_engine_knows(bench, reason, exit_code, reported):
    done = bench(lambda task: fail("x", reason=reason, exit_code=exit_code))
    assert done.reason == reported
    assert Reason(done.reason)


def test_fail_without_words_still_says_something(bench):
    assert bench(lambda task: fail("")).message == "the plugin failed and gave no reason"


def test_later_defers_with_seconds_and_memo(bench):
    done = bench(lambda task: later(2, {"page": 3}))
    assert (done.outcome, done.delay, json.loads(done.output)) == ("Deferred", 2.0, {"page": 3})


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), "5", None, True])
def test_later_takes_a_number_of_seconds(bench, seconds):
    done = bench(lambda task: later(seconds))
    assert (done.outcome, done.reason) == ("Failed", "bad_output")
    assert "it takes a number of seconds" in done.message


def test_a_memo_that_is_not_json_is_said(bench):
    done = bench(lambda task: later(1, {"at": {1}}))
    assert (done.outcome, done.reason) == ("Broke", "bad_output")
    assert done.message == "memo.at is a set; convert it to a list"


def test_an_interruption_by_the_engine_is_told_apart(bench, capfd):
    assert bench(raising(InterruptedByEngineError())).outcome == "Interrupted"
    assert capfd.readouterr().err == ""


def test_a_plugin_that_swallows_the_interruption_is_reported_by_what_it_returned(bench):
    interrupt = raising(InterruptedByEngineError())

    def run(task):
        try:
            return interrupt(task)
        except BaseException:
            return True

    assert bench(run).outcome == "Succeeded"


def test_an_output_that_is_not_json_is_our_failure_and_says_where(bench):
    done = bench(giving({"rows": [{"when": {1, 2}}]}))
    assert (done.outcome, done.reason, done.output) == ("Broke", "bad_output", b"null")
    assert done.message == "output.rows[0].when is a set; convert it to a list"


def test_an_output_over_the_limit_is_refused_with_both_sizes():
    bench = Bench(output_bytes=1000)
    assert bench(giving("x" * 998)).outcome == "Succeeded"
    done = bench(giving("x" * 999))
    assert (done.outcome, done.reason, done.output) == ("Broke", "output_too_large", b"null")
    assert "1,001 bytes" in done.message
    assert "1,000 (limits.output_bytes)" in done.message


@pytest.mark.parametrize("end", [returning(False), raising(ValueError()), returning(None), lambda task: fail("x")])
def test_the_output_of_a_failed_attempt_is_kept(bench, end):
    def run(task):
        task["output"] = {"so far": 3}
        return end(task)

    assert bench(run).output == b'{"so far":3}'


def test_an_output_that_cannot_be_kept_does_not_hide_why_the_attempt_failed(bench):
    def run(task):
        task["output"] = {1, 2}
        raise ValueError("the cause")

    done = bench(run)
    assert (done.message, done.output) == ("ValueError: the cause", b"null")


def test_an_output_whose_class_raises_is_refused_like_any_other(bench):
    class Evil:
        def __eq__(self, other):
            raise SystemError

        def __hash__(self):
            raise SystemError

    assert bench(giving([Evil()])).reason == "bad_output"


def test_a_type_nobody_has_is_our_failure(bench):
    done = bench.attempt("resize")
    assert (done.outcome, done.reason, done.message) == (
        "Broke",
        "plugin_missing",
        "no plugin has the task type 'resize'",
    )


def test_a_type_whose_file_is_broken_is_told_from_one_that_nobody_has(tmp_path):
    (tmp_path / "a.py").write_text("TASK_TYPE = 'resize'\nimport no_such_library\n")
    registry = Registry("", [tmp_path])
    registry.load()
    done = Runner(registry, {}, Limits()).run(Dispatch(1, RUN, "a", 1, "resize", b"{}", {}))
    assert (done.outcome, done.reason) == ("Broke", "plugin_broken")
    assert str(tmp_path / "a.py") in done.message
    assert "no_such_library" in done.message


@pytest.mark.parametrize(
    "shown",
    [
        lambda secret: secret,
        lambda secret: f"https://u:{secret}@host",
        lambda secret: json.dumps({"key": secret}),
        lambda secret: base64.b64encode(f"user:{secret}".encode()).decode(),
    ],
)
def test_no_secret_leaves_in_output_message_or_traceback(bench, shown, capfd):
    secret = 'hunter2 "quoted"'  # noqa: S105 -- made up

    def run(task):
        task["output"] = {task["key"]: [task["key"]]}
        raise ValueError(task["key"])

    done = bench(run, {"key": shown(secret)}, secrets=(secret,))
    written = capfd.readouterr().err
    for text in (done.message, written, done.output.decode()):
        assert "***" in text
        assert "hunter2" not in text
        assert base64.b64encode(secret.encode()).decode()[4:12] not in text
    assert isinstance(json.loads(done.output), dict)


def test_a_secret_in_a_problem_of_the_fields_does_not_leave(bench):
    def area(width: int) -> int:
        return width

    bench.registry.register("area", area)
    done = bench.attempt("area", {"width": "hunter2!"}, secrets=("hunter2!",))
    assert (done.reason, done.message) == ("invalid", 'width: "***" is not of type "integer"')


def test_each_attempt_says_what_it_took(bench):
    def run(task):
        sum(number * number for number in range(200_000))
        subprocess.run([sys.executable, "-c", "sum(n * n for n in range(1_000_000))"], check=True)
        return True

    done = bench(run)
    idle = bench(returning(True))
    assert done.seconds >= done.cpu_seconds / (os.cpu_count() or 1) > 0
    assert done.cpu_seconds > idle.cpu_seconds
    assert done.memory_bytes > 1_000_000


def test_a_fresh_process_with_a_runner_carries_neither_asyncio_nor_an_http_library():
    program = (
        "import sys, engine.runner; print(*sorted({'asyncio', 'http', 'urllib.request', 'ctypes'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
