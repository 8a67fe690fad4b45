"""Disks that are full or cannot be written, and what the daemon makes of them."""

import contextlib
import http.client
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.waiting import wait_for, wait_for_file
from tests.whole import checker
from tests.whole.mill import Mill, names_in

pytestmark = pytest.mark.needs("root")  # mounts small disks

STATE_BYTES = 4 * 1024 * 1024


@contextlib.contextmanager
def disk(folder: Path, choices: str) -> Iterator[None]:
    """Mount a small disk in memory on a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", choices, "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder: Path, choice: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{choice}", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Take all the room there is, and return the file that holds it."""
    ballast = folder / "ballast"
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"\0" * 4096):
            pass
    return ballast


@pytest.fixture
def small(mill: Mill) -> Iterator[Mill]:
    """Yield a mill whose state is on a disk of its own."""
    with disk(mill.state, f"size={STATE_BYTES},mode=0700"):
        yield mill
        mill.close()


def submit_until_refused(mill: Mill, most: int = 5000) -> list[str]:
    """Submit until the daemon acknowledges nothing more, and return the runs that it has acknowledged."""
    runs = []
    for _ in range(most):
        try:
            status, answer = mill.ask("POST", "/api/v1/runs", mill.chain(1))
        except (OSError, http.client.HTTPException):
            return runs
        if status != 201:
            return runs
        runs.append(answer["id"])
    raise AssertionError(most)


def test_a_full_disk_ends_the_daemon_with_74_and_what_was_acknowledged_completes_when_there_is_room(small):
    gate = small.folder / "gate"
    small.start()
    small.drop("long.json", small.chain(2, until=str(gate)))
    run = small.submit(small.chain(2, until=str(gate)))
    wait_for(lambda: len(small.ledger()) == 2, "both first tasks")
    ballast = fill(small.state)
    acknowledged = [run, *submit_until_refused(small)]
    assert small.ended() == 74, small.words()
    assert small.processes() == []
    ballast.unlink()
    gate.touch()
    seen = checker.witness(small)
    small.start()
    small.wait_for_quiet()
    assert {small.run(each)["state"] for each in acknowledged} == {"COMPLETED"}
    assert names_in(small.inbox / "done") == {"long.json", "long.json.result.json"}
    checker.check(small, (seen,))


def test_files_dropped_while_the_disk_is_full_stay_and_are_done_when_there_is_room(small):
    small.start()
    ballast = fill(small.state)
    for number in range(100):
        small.drop(f"chain-{number}.json", small.chain(1))
    wait_for(lambda: small.process.poll() is not None or "disk is full" in small.words(), "the complaint")
    ballast.unlink()

    def are_all_done() -> bool:
        # What comes in here is not acknowledged to anybody, so the daemon may wait for room; if it ends, be it now that
        # there is room for what could not be recorded before, then with 74.
        if small.process.poll() is not None:
            assert small.process.returncode == 74, small.words()
            small.start()
        return len(names_in(small.inbox / "done")) == 200

    wait_for(are_all_done, "all files in done/", 50)
    small.wait_for_quiet()
    checker.check(small)


def test_a_start_on_a_full_disk_says_so_with_74(small):
    small.start()
    assert small.stop() == 0
    ballast = fill(small.state)
    assert small.launch().wait(30) == 74, small.words()
    assert "Traceback" not in small.words()
    ballast.unlink()
    small.start()
    assert small.wait_for_end(small.submit(small.chain(1)))["state"] == "COMPLETED"


def test_an_inbox_that_cannot_be_written_at_the_start_is_said_with_2(mill):
    with disk(mill.inbox, "ro,mode=0750"):
        assert mill.launch().wait(30) == 2, mill.words()
        assert str(mill.inbox) in mill.words()
        assert "Traceback" not in mill.words()
        assert mill.processes() == []


def test_an_inbox_that_becomes_read_only_keeps_its_files_until_it_can_be_written_again(mill):
    gate = mill.folder / "gate"
    with disk(mill.inbox, "mode=0750"):
        mill.start()
        part = mill.inbox / ".part"
        part.write_bytes(json.dumps(mill.chain(1, until=str(gate))).encode())
        part.rename(mill.inbox / "long.json")
        mill.wait_for_begin("t0")
        remount(mill.inbox, "ro")
        gate.touch()
        wait_for(lambda: mill.rows("SELECT 1 FROM runs WHERE state = 'COMPLETED'"), "the end of the run")
        wait_for(lambda: mill.ask("GET", "/api/v1/status")[1]["inbox"]["stuck"], "the complaint")
        assert mill.process.poll() is None
        assert names_in(mill.inbox / "done") == set()
        remount(mill.inbox, "rw")
        wait_for_file(mill.inbox / "done" / "long.json")
        mill.wait_for_quiet()
        mill.close()
