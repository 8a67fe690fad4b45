"""The fork server survives plugin files that no process survives, and pools that change their files."""

import os
import subprocess
import sys

import msgspec
import pytest

from engine.facts import Succeeded
from engine.task import BrokenPlugin
from tests.hands.backend_contract import NEVER, json
from tests.hands.driver import ACTS, Driver, is_gone
from tests.hands.pools import pools
from tests.rules.source import ROOT
from tests.waiting import wait_for

PROBE = """
import sys
from pathlib import Path
import msgspec
from engine.forkserver import probe
found = probe([Path(name) for name in sys.argv[2:]], seconds=float(sys.argv[1]))
print(msgspec.json.encode(found).decode())
"""
GOOD = "TASK_TYPE = 'good'\ndef run(task): return True\n"
FATAL = {
    "exit": "import os\nos._exit(0)\n",
    "segfault": "import ctypes\nctypes.string_at(0)\n",
    "kill": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n",
    "hang": "import threading\nthreading.Event().wait()\n",
    "stop": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\n",
}
# Long enough for what does not hang, on a busy machine too.
SHORT_SECONDS = 1.5


@pytest.fixture
def make_pool(tmp_path):
    with pools(tmp_path) as make:
        yield make


@pytest.fixture
def plugins(tmp_path):
    folder = tmp_path / "plugins"
    folder.mkdir()
    return folder


def probe(*paths, seconds=25.0):
    """Probe in a process of its own: `probe` ends all children it finds. Only what hangs waits for `seconds`."""
    command = [sys.executable, "-c", PROBE, str(seconds), *map(str, paths)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    return msgspec.json.decode(done.stdout, type=list[BrokenPlugin])


def test_files_that_can_be_imported_or_fail_in_ordinary_ways_pass_the_probe(plugins):
    texts = {"good": GOOD, "wrong": "nonsense(", "raises": "1/0", "leaves": "import sys\nsys.exit(3)"}
    for name, text in texts.items():
        (plugins / f"{name}.py").write_text(text)

    assert probe(*sorted(plugins.glob("*.py"))) == []


@pytest.mark.parametrize("name", FATAL)
def test_a_file_that_ends_or_holds_up_the_process_is_found_among_others(plugins, name):
    paths = [plugins / "a.py", plugins / "b.py", plugins / "c.py"]
    for path in paths:
        path.write_text(GOOD)
    paths[1].write_text(FATAL[name])

    (broken,) = probe(*paths, seconds=SHORT_SECONDS if name in ("hang", "stop") else 25.0)

    assert (broken.source, broken.code) == (str(paths[1]), "import_died")


def test_several_such_files_are_all_found(plugins):
    paths = [plugins / "a.py", plugins / "b.py", plugins / "c.py"]
    for path, name in zip(paths, ("exit", "hang", "kill"), strict=True):
        path.write_text(FATAL[name])

    assert [broken.source for broken in probe(*paths, seconds=SHORT_SECONDS)] == list(map(str, paths))


def test_a_pool_starts_and_works_beside_a_file_that_ends_the_process(make_pool, plugins, tmp_path):
    (plugins / "bad.py").write_text(FATAL["exit"])
    (plugins / "good.py").write_text(GOOD)

    drive = Driver(make_pool(folders=[plugins]), tmp_path)

    assert isinstance(drive("", type="good"), Succeeded)
    (broken,) = drive.backend.catalogue().broken
    assert (broken.source, broken.code) == (str(plugins / "bad.py"), "import_died")


def test_what_an_import_starts_does_not_survive_it(make_pool, plugins, tmp_path):
    started = tmp_path / "started"
    (plugins / "good.py").write_text(
        "import subprocess\n"
        f"child = subprocess.Popen(['sleep', '1000'])\nopen({str(started)!r}, 'a').write(f'{{child.pid}}\\n')\n{GOOD}"
    )

    make_pool(folders=[plugins])

    pids = started.read_text().split()
    assert len(pids) == 2
    assert all(map(is_gone, pids))


def test_an_old_generation_ends_when_its_last_attempt_has(make_pool, plugins, tmp_path):
    (plugins / "good.py").write_text(GOOD)
    until = tmp_path / "go"
    drive = Driver(make_pool(folders=[ACTS, plugins], workers=2), tmp_path)
    (old_server,) = drive.backend.server_pids
    old = drive.start("hold", until=str(until))
    drive.wait_for_ledger("began")

    (plugins / "more.py").write_text(GOOD.replace("good", "more"))
    wait_for(lambda: "more" in drive.backend.catalogue().types, "the new plugin")

    assert isinstance(drive("", type="more"), Succeeded)
    assert len(drive.backend.server_pids) == 2
    until.touch()
    assert isinstance(drive.report(old), Succeeded)
    wait_for(lambda: drive._collect(0.01) or drive.backend.server_pids != [old_server], "the new server")
    wait_for(lambda: drive._collect(0.01) or is_gone(old_server), "the end of the old server")


def test_a_change_of_plugins_lets_no_more_run_than_there_are_workers(make_pool, plugins, tmp_path):
    until = tmp_path / "go"
    drive = Driver(make_pool(folders=[ACTS, plugins], workers=2), tmp_path)
    keys = [drive.start("hold", until=str(until)) for _ in range(2)]
    drive.wait_for_ledger("began", count=2)

    (plugins / "more.py").write_text(GOOD.replace("good", "more"))
    wait_for(lambda: "more" in drive.backend.catalogue().types, "the new plugin")
    for _ in range(3):
        drive._collect(0.02)

    assert not drive.backend.reserve("more", "worker")
    until.touch()
    assert {type(report) for report in drive.all_reports(keys)} == {Succeeded}
    assert isinstance(drive("", type="more"), Succeeded)


def test_several_changes_in_a_row_end_at_the_last_one(make_pool, plugins, tmp_path):
    drive = Driver(make_pool(folders=[plugins]), tmp_path)
    for version in range(5):
        text = "TASK_TYPE = 'good'\nVERSION = '%s'\ndef run(task):\n    task['output'] = VERSION\n    return True\n"
        (plugins / "good.py").write_text(text % version)
        drive.backend.catalogue()

    wait_for(lambda: _version(drive.backend.catalogue()) == "4", "the last version")

    assert json(drive("", type="good").output) == "4"
    wait_for(lambda: drive._collect(0.01) or len(drive.backend.server_pids) == 1, "the end of the others")


def test_a_change_that_no_server_survives_leaves_the_old_plugins_in_force(make_pool, plugins, tmp_path):
    (plugins / "good.py").write_text(GOOD)
    drive = Driver(make_pool(folders=[plugins]), tmp_path)
    second = tmp_path / "second"
    # Well in the probe, fatal when it is imported again: nobody can see that coming.
    (plugins / "trap.py").write_text(
        f"import os\nif os.path.exists({str(second)!r}): os._exit(1)\nopen({str(second)!r}, 'w').close()\n{GOOD}"
    )

    wait_for(lambda: drive.backend.catalogue() and drive.backend.problem, "the problem")

    assert "fork server" in drive.backend.problem
    assert isinstance(drive("", type="good"), Succeeded)


def test_a_server_that_is_killed_while_it_probes_is_gone_at_once(make_pool, plugins, tmp_path):
    (plugins / "good.py").write_text(GOOD)
    drive = Driver(make_pool(folders=[plugins]), tmp_path)
    probing = tmp_path / "probing"
    (plugins / "hang.py").write_text(f"open({str(probing)!r}, 'w').close()\n" + FATAL["hang"])
    wait_for(lambda: drive.backend.catalogue() and probing.exists(), "the probe")
    coming = drive.backend.server_pids[-1]

    os.kill(coming, 9)

    wait_for(lambda: drive._collect(0.01) or coming not in drive.backend.server_pids, "the pool to notice")
    assert isinstance(drive("", type="good"), Succeeded)


def test_an_attempt_that_runs_at_a_change_can_still_be_killed(make_pool, plugins, tmp_path):
    drive = Driver(make_pool(folders=[ACTS, plugins]), tmp_path)
    key = drive.start("hold_on", until=NEVER)
    (line,) = drive.wait_for_ledger("began")
    (plugins / "more.py").write_text(GOOD.replace("good", "more"))
    wait_for(lambda: "more" in drive.backend.catalogue().types, "the new plugin")

    drive.kill(key)
    drive.report(key)

    assert is_gone(line[3])


def test_the_server_ignores_what_a_terminal_or_a_service_manager_sends_to_all(make_pool, tmp_path):
    drive = Driver(make_pool(), tmp_path)
    (server,) = drive.backend.server_pids
    for number in (2, 15):
        os.kill(server, number)

    assert isinstance(drive("nothing", isolation="process"), Succeeded)
    assert drive.backend.server_pids == [server]


def _version(catalogue):
    found = catalogue.types.get("good")
    return found.version if found else None
