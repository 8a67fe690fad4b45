"""The circuit breaker: real calls to a real server, from one process and from the workers of a real pool."""

from pathlib import Path

import pytest

from engine.backend import Assignment
from engine.facts import Failed, Succeeded
from engine.model import Retry
from engine.retry import is_retried
from engine.states import Reason
from plugins import api_call, http_request
from tests.hands.driver import Driver
from tests.hands.pools import pools
from tests.plugins.contract import try_once
from tests.plugins.direct import call, refusal
from tests.plugins.servers import serving
from tests.waiting import wait_for


@pytest.fixture
def settings(tmp_path) -> dict:
    return {"failures": 2, "window": "1m", "cool_down": "1h", "circuit_folder": str(tmp_path / "circuits")}


@pytest.fixture
def short(settings) -> dict:
    return {**settings, "cool_down": "50ms"}


def fail_twice(web, settings):
    for _ in range(2):
        assert "answered 503" in refusal(http_request, {"url": web.url("/doctor")}, settings=settings)


def recover(web, settings):
    def is_answered():
        tried = try_once("http_request", {"url": web.url("/doctor")}, settings=settings)
        return tried.outcome == "Succeeded"

    wait_for(is_answered, "the end of the cool-down")


def test_after_so_many_failures_the_host_is_not_called(web, settings):
    fail_twice(web, settings)
    tried = try_once("http_request", {"url": web.url("/echo")}, settings=settings)
    assert (tried.outcome, tried.done.reason) == ("Failed", "circuit_open")
    assert f"circuit open for host 127.0.0.1:{web.port} until 20" in tried.message
    assert tried.message.endswith("Z after 2 failures")
    assert len(web.seen) == 2


def test_other_task_types_leave_it_alone_too(web, settings):
    fail_twice(web, settings)
    tried = try_once("api_call", {"url": web.url("/echo")}, settings=settings)
    assert (tried.outcome, tried.done.reason) == ("Failed", "circuit_open")


def test_other_hosts_are_called(web, settings):
    fail_twice(web, settings)
    with serving() as other:
        assert call(http_request, {"url": other.url("/echo")}, settings=settings)["path"] == "/echo"


def test_window_and_cool_down_have_defaults(web, tmp_path):
    settings = {"failures": 2, "circuit_folder": str(tmp_path)}
    fail_twice(web, settings)
    assert "circuit open" in refusal(http_request, {"url": web.url("/echo")}, settings=settings)


def test_without_the_setting_there_is_no_circuit(web, tmp_path):
    for _ in range(9):
        assert "answered 503" in refusal(http_request, {"url": web.url("/doctor")})
    assert len(web.seen) == 9


@pytest.mark.parametrize("path", ["/status/404", "/quiet/429", "/sized/99999999"])
def test_a_host_that_answers_is_well_whatever_it_says(web, settings, path):
    for _ in range(3):
        assert "circuit" not in refusal(http_request, {"url": web.url(path)}, settings=settings)


@pytest.mark.parametrize("path", ["/hangup", "/cut", "/silent", "/stalled"])
def test_an_answer_that_does_not_come_is_a_failure_of_the_host(web, settings, path):
    fields = {"url": web.url(path), "read_timeout": 0.05}
    for _ in range(2):
        assert "circuit" not in refusal(http_request, fields, settings=settings)
    assert "circuit open" in refusal(http_request, fields, settings=settings)


def test_a_certificate_file_of_ours_that_is_missing_is_no_failure_of_the_host(settings):
    fields = {"url": "https://127.0.0.1:9/", "verify": "/no/such/file"}
    for _ in range(3):
        assert "/no/such/file" in refusal(http_request, fields, settings=settings)


def test_the_host_that_a_redirect_leads_to_is_the_one_that_failed(web, settings):
    with serving() as other:
        url = web.url(f"/to?url={other.url('/quiet/500')}")
        for _ in range(2):
            refusal(http_request, {"url": url}, settings=settings)
        message = refusal(http_request, {"url": url}, settings=settings)
    assert f"circuit open for host 127.0.0.1:{other.port}" in message


def test_failures_that_lie_too_far_apart_do_not_add_up(web, settings):
    for _ in range(3):
        refusal(http_request, {"url": web.url("/doctor")}, settings={**settings, "window": 0})
    assert len(web.seen) == 3


def test_when_the_trial_call_succeeds_all_is_forgotten(web, short):
    fail_twice(web, short)
    web.is_well.set()
    recover(web, short)
    web.is_well.clear()
    fail_twice(web, short)


def test_when_the_trial_call_fails_the_next_cool_down_begins(web, short, settings):
    fail_twice(web, short)
    wait_for(
        lambda: "answered 503" in refusal(http_request, {"url": web.url("/doctor")}, settings={**short, **settings}),
        "the end of the cool-down",
    )
    assert "circuit open" in refusal(http_request, {"url": web.url("/doctor")}, settings=settings)
    assert len(web.seen) == 3


@pytest.mark.parametrize("content", [b"", b"{", b"\0\0\0", b'{"until": "x"}'])
def test_a_file_that_was_cut_off_while_it_was_written_is_an_empty_one(web, settings, content):
    fail_twice(web, settings)
    (file,) = Path(settings["circuit_folder"]).iterdir()
    file.write_bytes(content)
    fail_twice(web, settings)
    assert "circuit open" in refusal(http_request, {"url": web.url("/doctor")}, settings=settings)


def test_a_folder_that_others_may_write_to_is_refused(web, settings):
    folder = Path(settings["circuit_folder"])
    folder.mkdir()
    folder.chmod(0o777)
    assert "`circuit_folder`" in refusal(http_request, {"url": web.url("/echo")}, settings=settings)


def test_without_a_folder_the_runtime_folder_of_the_user_holds_it(web, settings, tmp_path, monkeypatch):
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    del settings["circuit_folder"]
    fail_twice(web, settings)
    assert "circuit open" in refusal(api_call, {"url": web.url("/echo")}, settings=settings)
    assert [file.name for file in (tmp_path / "dropmill-circuits").iterdir()] == [f"127.0.0.1_{web.port}"]


class Workers:
    """A real pool of the built-in task types, whose workers end after each attempt."""

    def __init__(self, pool, folder):
        self._driver = Driver(pool, folder)
        self._number = 0

    def ask(self, url):
        """Dispatch a request and return its key."""
        self._number += 1
        names = self._driver.run, f"t{self._number}"
        self._driver._collect_until(lambda: self._driver.backend.reserve("http_request", "worker"), "room")
        assignment = Assignment(*names, 1, "http_request", {"url": url}, {})
        return self._driver.dispatch(assignment)[0]

    def report(self, key):
        return self._driver.report(key)

    def begin_trial(self, web, seen):
        """Ask until the cool-down is over and the request has reached the server, which holds it; return its key."""

        def key_of_trial():
            key = self.ask(web.url("/doctor"))
            self._driver._collect_until(lambda: len(web.seen) == seen or self._driver.reports.get(key), "either")
            if len(web.seen) == seen:
                return key
            assert self.report(key).reason is Reason.CIRCUIT_OPEN
            return None

        return wait_for(key_of_trial, "the end of the cool-down")


@pytest.fixture
def workers(tmp_path):
    """Return a function that starts workers with these settings."""
    with pools(tmp_path / "log") as make:

        def start(settings):
            pool = make(
                workers=3,
                folders=(),
                builtin="plugins",
                recycle_after=1,
                settings={"http_request": settings},
            )
            return Workers(pool, tmp_path)

        yield start


def test_workers_that_come_and_go_share_what_they_know(web, workers, settings):
    crew = workers({**settings, "failures": 3})
    reports = [crew.report(crew.ask(web.url("/doctor"))) for _ in range(3)]
    assert all(type(report) is Failed and report.reason is Reason.ERROR for report in reports)
    reports = [crew.report(crew.ask(web.url("/doctor"))) for _ in range(3)]
    assert [report.reason for report in reports] == [Reason.CIRCUIT_OPEN] * 3
    assert len(web.seen) == 3


def test_of_many_workers_one_makes_the_trial_call(web, workers, settings):
    crew = workers({**settings, "cool_down": "100ms"})
    for _ in range(2):
        crew.report(crew.ask(web.url("/doctor")))
    web.is_held.set()
    web.is_well.set()

    trial = crew.begin_trial(web, seen=3)
    others = [crew.report(crew.ask(web.url("/doctor"))) for _ in range(4)]
    assert [other.reason for other in others] == [Reason.CIRCUIT_OPEN] * 4
    assert "a trial call is under way" in others[0].message
    assert len(web.seen) == 3
    web.is_let_go.set()
    assert type(crew.report(trial)) is Succeeded
    assert type(crew.report(crew.ask(web.url("/doctor")))) is Succeeded


def test_a_trial_whose_process_is_killed_is_over(web, workers, settings):
    crew = workers({**settings, "cool_down": "100ms"})
    for _ in range(2):
        crew.report(crew.ask(web.url("/doctor")))
    web.is_held.set()
    web.is_well.set()
    trial = crew.begin_trial(web, seen=3)
    crew._driver.kill(trial)
    crew.report(trial)
    web.is_held.clear()
    assert type(crew.report(crew.ask(web.url("/doctor")))) is Succeeded


def test_an_open_circuit_is_retried_like_any_failure_and_can_be_named():
    assert is_retried(Retry(max_retries=1), Reason.CIRCUIT_OPEN, None)
    assert not is_retried(Retry(max_retries=1, on=(Reason.TIMEOUT,)), Reason.CIRCUIT_OPEN, None)
