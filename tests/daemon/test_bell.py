"""The bell: what it says of real changes, what it does when events are lost, and where it says that it cannot work."""

import threading
from pathlib import Path

import pytest

from daemon.bell import Bell, Heard, remote_kind
from tests.waiting import wait_for

QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")


@pytest.fixture
def heard():
    return []


@pytest.fixture
def bell(heard):
    bell = Bell(heard.append)
    yield bell
    bell.stop()


def test_a_rename_into_the_folder_is_told_as_a_move(bell: Bell, heard, tmp_path: Path):
    box = tmp_path / "box"
    box.mkdir()
    (tmp_path / "part").write_text("x")
    assert bell.watch(box) is None
    (tmp_path / "part").rename(box / "a.json")
    assert wait_for(lambda: heard, "the move") == [Heard(box, "a.json", is_moved=True)]


def test_a_rename_within_the_folder_is_told_as_a_move_at_once(bell: Bell, heard, tmp_path: Path):
    (tmp_path / ".a.tmp").write_text("x")
    assert bell.watch(tmp_path) is None
    (tmp_path / ".a.tmp").rename(tmp_path / "a.json")
    assert wait_for(lambda: heard, "the move") == [Heard(tmp_path, "a.json", is_moved=True)]


def test_a_file_that_is_written_in_place_is_told_and_not_as_a_move(bell: Bell, heard, tmp_path: Path):
    assert bell.watch(tmp_path) is None
    (tmp_path / "a.json").write_text("x")
    wait_for(lambda: len(heard) >= 2, "create and close")
    assert set(heard) == {Heard(tmp_path, "a.json")}


def test_what_leaves_the_folder_is_not_told(bell: Bell, heard, tmp_path: Path):
    box = tmp_path / "box"
    box.mkdir()
    (box / "a.json").write_text("x")
    assert bell.watch(box) is None
    (box / "a.json").rename(tmp_path / "a.json")
    (tmp_path / "a.json").rename(box / "b.json")
    assert wait_for(lambda: heard, "the move back") == [Heard(box, "b.json", is_moved=True)]


def test_a_folder_that_is_moved_away_or_deleted_is_told(bell: Bell, heard, tmp_path: Path):
    for name in ("moved", "deleted"):
        (tmp_path / name).mkdir()
        assert bell.watch(tmp_path / name) is None
    (tmp_path / "moved").rename(tmp_path / "elsewhere")
    (tmp_path / "deleted").rmdir()
    wait_for(lambda: {Heard(tmp_path / "moved"), Heard(tmp_path / "deleted")} <= set(heard), "both")


@pytest.mark.alone
@pytest.mark.needs("root")
def test_events_that_the_kernel_dropped_are_told_as_anything_may_have_come(tmp_path: Path):
    limit, heard, go_on = QUEUE.read_text(), [], threading.Event()

    def hear(told: Heard) -> None:
        heard.append(told)
        go_on.wait(20)

    QUEUE.write_text("16")
    bell = Bell(hear)
    try:
        assert bell.watch(tmp_path) is None
        for number in range(100):
            (tmp_path / f"{number}.json").write_text("x")
        go_on.set()
        wait_for(lambda: Heard(tmp_path) in heard, "the overflow")
        assert len(heard) < 200
    finally:
        QUEUE.write_text(limit)
        bell.stop()


def test_a_folder_that_cannot_be_watched_is_said(bell: Bell, tmp_path: Path):
    assert "cannot watch" in (bell.watch(tmp_path / "missing") or "")
    (tmp_path / "file").write_text("x")
    assert "cannot watch" in (bell.watch(tmp_path / "file") or "")


def test_too_many_instances_are_said(bell: Bell, tmp_path: Path, monkeypatch):
    import ctypes
    import errno

    from watchdog.observers import inotify_c

    def refuse() -> int:
        ctypes.set_errno(errno.EMFILE)
        return -1

    monkeypatch.setattr(inotify_c, "inotify_init", refuse)
    assert "inotify instance limit reached" in (bell.watch(tmp_path) or "")


def test_a_folder_is_watched_again_after_the_bell_was_stopped(bell: Bell, heard, tmp_path: Path):
    assert bell.watch(tmp_path) is None
    bell.stop()
    bell.stop()
    assert not bell.is_alive
    assert bell.watch(tmp_path) is None
    (tmp_path / "a.json").write_text("x")
    wait_for(lambda: heard, "a sound")


MOUNTS = """21 1 8:1 / / rw - ext4 /dev/root rw
22 21 0:5 / /mnt/far rw - nfs4 host:/ rw
23 21 0:6 / /mnt/with\\040space rw - fuse.sshfs x rw
24 22 0:7 / /mnt/far/near rw - tmpfs tmpfs rw
25 21 0:8 / /twice rw - ext4 x rw
26 25 0:9 / /twice rw - cifs x rw"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/home/inbox", None),
        ("/mnt/far", "nfs4"),
        ("/mnt/far/inbox", "nfs4"),
        ("/mnt/farther", None),
        ("/mnt/with space/inbox", "fuse.sshfs"),
        ("/mnt/far/near/inbox", None),
        ("/twice/inbox", "cifs"),
    ],
)
def test_a_file_system_that_others_write_to_is_known_by_its_mount(folder: str, kind: str | None):
    assert remote_kind(Path(folder), MOUNTS) == kind


def test_the_mounts_of_this_machine_can_be_read(tmp_path: Path):
    assert remote_kind(tmp_path) is None
    assert remote_kind(Path("/proc/self")) is None
