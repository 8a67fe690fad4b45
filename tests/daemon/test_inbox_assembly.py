"""The inbox on the real engine: worker processes, executor, memory and recovery."""

import json
from pathlib import Path

import pytest

from daemon.assembly import Assembly
from daemon.inbox import Inbox
from daemon.inbox.noted import Noted
from engine.clock import SystemClock
from tests.daemon.configs import loaded
from tests.daemon.inboxes import entries
from tests.waiting import wait_for, wait_for_file

DOCUMENT = {"name": "sum", "tasks": [{"id": "a", "type": "shell", "argv": ["echo", "-n", "${{ trigger.file }}"]}]}


@pytest.fixture
def make(tmp_path: Path):
    """Build an engine and an inbox on it; several lives may follow each other."""
    living: list[tuple[Inbox, Assembly]] = []

    def begin(text: str = "") -> Inbox:
        end()
        config = loaded(tmp_path, f"[executor]\nworkers = 1\n{text}")
        assembly = Assembly(config, kind="daemon")
        noted: list[Noted] = []
        inbox = Inbox(
            config,
            door=assembly.intake,
            owner=assembly.executor,
            store=assembly.store,
            history=assembly.history,
            clock=SystemClock(),
            observe=noted.append,
        )
        living.append((inbox, assembly))
        assembly.open()
        assembly.start()
        inbox.start()
        return inbox

    def end() -> None:
        while living:
            inbox, assembly = living.pop()
            inbox.stop()
            assembly.stop()
            assembly.history.close()

    begin.end = end
    yield begin
    end()


def drop(box: Path, name: str, content: bytes) -> None:
    (box / f".{name}.tmp").write_bytes(content)
    (box / f".{name}.tmp").rename(box / name)


def test_what_is_dropped_runs_in_a_worker_and_comes_back(make, tmp_path: Path):
    inbox = make()
    drop(tmp_path / "inbox", "a.json", json.dumps(DOCUMENT).encode())
    wait_for_file(tmp_path / "inbox" / "done" / "a.json")
    result = json.loads((tmp_path / "inbox" / "done" / "a.json.result.json").read_bytes())
    assert (result["state"], result["tasks"][0]["output"]) == ("COMPLETED", "a.json")
    wait_for(lambda: inbox.status.claimed == 0, "nothing left to file")


def test_a_route_hands_its_workflow_a_file_that_can_be_read(make, tmp_path: Path):
    task = {"id": "a", "type": "shell", "argv": ["cat", "${{ trigger.path }}"]}
    (tmp_path / "etc" / "workflows").mkdir(parents=True)
    (tmp_path / "etc" / "workflows" / "load.json").write_text(json.dumps({"tasks": [task]}))
    sales = tmp_path / "sales"
    make(f'[[routes]]\npath = "{sales}"\nmatch = "*.csv"\nworkflow = "load"\n')
    drop(sales, "sales.csv", b"1,2,3")
    wait_for_file(sales / "done" / "sales.csv")
    result = json.loads((sales / "done" / "sales.csv.result.json").read_bytes())
    assert (result["workflow"], result["tasks"][0]["output"]) == ("load", "1,2,3")


def test_three_hundred_files_at_once_are_all_filed_once(make, tmp_path: Path):
    make()
    box = tmp_path / "inbox"
    document = json.dumps({"tasks": [{"id": "a", "type": "print", "message": "hi"}]}).encode()
    for number in range(300):
        drop(box, f"{number}.json", document)
    wait_for(lambda: len(entries(box / "done")) == 600, "all files and results", 60)
    make.end()
    assert entries(box / ".claimed") == []
    runs = {json.loads(path.read_bytes())["id"] for path in (box / "done").glob("*.result.json")}
    assert len(runs) == 300
