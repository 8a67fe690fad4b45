import logging
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from engine.task import InterruptedByEngineError
from tests.hands.attempts import RUN, Bench, doing, raising, returning

log = logging.getLogger("tried")


@pytest.fixture
def bench():
    return Bench()


def test_the_attempt_knows_which_one_it_is(bench):
    seen = {}
    names = ("DROPMILL_RUN_ID", "DROPMILL_TASK_ID", "DROPMILL_ATTEMPT", "DROPMILL_IDEMPOTENCY_KEY")

    def run(task):
        seen.update({name: os.environ[name] for name in names})
        printed = subprocess.run(["env"], capture_output=True, text=True, check=True).stdout
        return all(f"{name}={value}\n" in printed for name, value in seen.items())

    assert bench(run, task="first").outcome == "Succeeded"
    assert bench(run, task="second", attempt=3).outcome == "Succeeded"
    assert seen == dict(zip(names, (RUN, "second", "3", f"{RUN}/second"), strict=True))


def picture():
    mask = os.umask(0o022)
    os.umask(mask)
    root = logging.getLogger()
    return {
        "environment": {name: value for name, value in os.environ.items() if not name.startswith("DROPMILL_")},
        "home in C": subprocess.run(["printenv", "HOME"], capture_output=True, check=False).stdout,
        "folder": Path.cwd(),
        "umask": mask,
        "path": (id(sys.path), list(sys.path)),
        "argv": (id(sys.argv), list(sys.argv)),
        "logging": (root.level, list(root.handlers), list(root.filters), root.manager.disable),
        "signals": [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGALRM, signal.SIGCHLD)],
        "recursion": sys.getrecursionlimit(),
    }


def set_environment(task):
    os.environ["HOME"] = "/nowhere"
    os.environ["NEW_ONE"] = "x"
    del os.environ["PATH"]


def replace_environment(task):
    os.environ = {"HOME": "/nowhere"}  # noqa: B003 -- what some do


def change_logging(task):
    root = logging.getLogger()
    logging.basicConfig(level=logging.DEBUG, force=True)
    root.addHandler(logging.NullHandler())
    root.addFilter(lambda record: False)
    root.setLevel(logging.CRITICAL)
    logging.disable(logging.CRITICAL)


def change_paths(task):
    sys.path.insert(0, "/nowhere")
    sys.argv.append("more")
    sys.argv = ["other"]
    sys.path = ["/nowhere"]


def change_signals(task):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.alarm(60)


def change_little_things(task):
    os.umask(0)
    sys.setrecursionlimit(5000)
    os.chdir("/")


def vanish_under_the_feet(task):
    gone = Path(task["folder"]) / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()


@pytest.mark.parametrize(
    "change",
    [
        set_environment,
        lambda task: os.environ.clear(),
        replace_environment,
        change_logging,
        change_paths,
        change_signals,
        change_little_things,
        vanish_under_the_feet,
    ],
)
@pytest.mark.parametrize("end", [returning(True), raising(SystemExit(1)), raising(InterruptedByEngineError())])
def test_nothing_around_an_attempt_stays_changed(bench, tmp_path, change, end, capfd):
    bench(returning(True))
    before = picture()

    bench(doing(change, end), {"folder": str(tmp_path)})
    assert picture() == before


def test_an_alarm_that_an_attempt_leaves_behind_does_not_go_off_in_another(bench):
    bench(doing(change_signals))
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_logging_shows_from_info_on_whatever_the_plugin_before_did(bench, capfd):
    def talk(task):
        log.debug("quiet")
        log.info("heard")
        return True

    bench(doing(change_logging))
    capfd.readouterr()
    bench(talk)
    assert capfd.readouterr().err == "INFO heard\n"


@pytest.mark.parametrize("after", [lambda: None, random.random, lambda: random.gauss(0, 1)])
def test_an_attempt_that_seeds_random_does_not_make_the_next_ones_alike(bench, after):
    drawn = []

    def seed(task):
        random.seed(7)
        after()
        return True

    for _ in range(3):
        bench(seed)
        bench(doing(lambda task: drawn.append(random.getrandbits(64))))
    assert len(set(drawn)) == 3


def test_in_a_process_that_is_not_the_engines_nothing_is_touched(capfd):
    bench = Bench(owns_process=False)
    before = picture() | {"named": os.environ.get("DROPMILL_RUN_ID")}
    inside = []

    def run(task):
        inside.append(picture() | {"named": os.environ.get("DROPMILL_RUN_ID")})
        os.environ["LEFT_BEHIND"] = "x"
        log.error("went %s", "wrong")
        return False

    try:
        done = bench(run)
        assert os.environ["LEFT_BEHIND"] == "x"
    finally:
        os.environ.pop("LEFT_BEHIND", None)
    inside[0]["logging"][1].pop()  # our ear, which is gone again after the attempt
    assert inside == [before]
    assert done.message == "went wrong"
    assert capfd.readouterr().err == ""
    assert picture() | {"named": os.environ.get("DROPMILL_RUN_ID")} == before


def test_attempts_in_threads_hear_only_their_own_errors():
    bench = Bench(owns_process=False)
    both = threading.Barrier(2)
    messages = {}

    def run(task):
        both.wait(20)
        log.error("from %s", task["name"])
        both.wait(20)
        return False

    bench.registry.register("tried", run)

    def attempt(name):
        messages[name] = bench.attempt("tried", {"name": name}).message

    threads = [threading.Thread(target=attempt, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert messages == {"one": "from one", "two": "from two"}
