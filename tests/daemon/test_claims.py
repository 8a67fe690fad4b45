"""The folders of an inbox: who may use them, names of any bytes, and moves that lose and replace nothing."""

import fcntl
import os
import socket
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.claims import Claims, Ending, RefusedError, Wanted, moves, names
from engine.errors import InputError
from tests.daemon.inboxes import entries

CLAIM = "01m7wpd5fk9egx7knhv301xa44"
ANY_NAME = st.binary(min_size=1, max_size=255).filter(lambda name: b"/" not in name and b"\0" not in name)


@pytest.fixture
def claims(tmp_path: Path):
    claims = Claims(tmp_path / "inbox")
    claims.open()
    yield claims
    claims.close()


def take(claims: Claims, name: str, claim: str = CLAIM) -> str:
    """Claim a file of the inbox and return what it is called then."""
    status = claims.look(name)
    assert status is not None
    held = names.claimed(name, claim)
    assert claims.take([Wanted(name, held, (status.st_dev, status.st_ino))]) == {}
    return held


def ending(name: str, held: str, claim: str = CLAIM, folder: str = "done", day: str = "") -> Ending:
    return Ending(claim, name, held, folder, day, names.RESULT, f'"{claim}"'.encode())


def refusal(claims: Claims, held: str, most: int = 100) -> str:
    with pytest.raises(RefusedError) as caught:
        claims.read(held, most)
    return caught.value.problem.code


def test_the_folders_are_made_for_their_owner(claims: Claims):
    modes = {path.name: path.stat().st_mode & 0o777 for path in claims.path.iterdir()}
    assert modes == {".claimed": 0o700, "done": 0o750, "failed": 0o750, "rejected": 0o750, "duplicate": 0o750}


def test_an_inbox_that_anyone_can_write_to_is_refused_unless_allowed(tmp_path: Path):
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    inbox.chmod(0o777)
    with pytest.raises(InputError, match="anyone on this machine may write to the inbox"):
        Claims(inbox).open()
    claims = Claims(inbox)
    claims.open(is_open_to_all=True)
    claims.close()


def test_an_inbox_that_anyone_can_replace_is_refused_but_not_one_below_a_sticky_folder(tmp_path: Path):
    above = tmp_path / "above"
    (above / "inbox").mkdir(parents=True)
    above.chmod(0o777)
    with pytest.raises(InputError, match="anyone on this machine may replace the inbox"):
        Claims(above / "inbox").open()
    above.chmod(0o1777)
    claims = Claims(above / "inbox")
    claims.open()
    claims.close()


@pytest.mark.needs("root")
def test_an_inbox_of_another_user_is_refused(tmp_path: Path):
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    os.chown(inbox, 12345, -1)
    with pytest.raises(InputError, match="belongs to user 12345"):
        Claims(inbox).open()


def test_a_folder_of_ours_that_is_a_link_is_refused(tmp_path: Path):
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "done").symlink_to(tmp_path)
    with pytest.raises(InputError, match="its folders must be real ones"):
        Claims(tmp_path / "inbox").open()


@pytest.mark.needs("root")
def test_a_folder_of_ours_on_another_file_system_is_refused_even_in_an_inbox_open_to_all(tmp_path: Path):
    done = tmp_path / "inbox" / "done"
    done.mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "none", str(done)], check=False, capture_output=True).returncode:
        pytest.skip("mounts are not allowed here")
    try:
        with pytest.raises(InputError, match="on another file system"):
            Claims(tmp_path / "inbox").open(is_open_to_all=True)
    finally:
        subprocess.run(["umount", str(done)], check=True)


def test_a_replaced_folder_is_noticed(claims: Claims):
    assert not claims.was_replaced()
    claims.path.rename(claims.path.with_name("former"))
    assert claims.was_replaced()
    claims.path.mkdir()
    assert claims.was_replaced()


@given(ANY_NAME)
def test_a_name_of_any_bytes_is_shown_as_printable_text_on_one_line(name: bytes):
    shown = names.shown(os.fsdecode(name))
    assert shown.isprintable()
    shown.encode()


@given(ANY_NAME)
def test_every_name_a_file_or_its_result_can_get_fits_the_file_system(name: bytes):
    text = os.fsdecode(name)
    found = names.candidates(text, CLAIM)
    three = [next(found) for _ in range(3)]
    assert three[0] == text
    assert len(set(three)) == 3
    for candidate in three:
        for suffix in (names.RESULT, names.RESULTS, names.ERROR):
            beside = os.fsencode(names.beside(candidate, CLAIM, suffix))
            assert 0 < len(os.fsencode(candidate)) <= 255
            assert len(beside) <= 255
            assert beside.endswith(suffix.encode())
    assert names.claim_of(names.claimed(text, CLAIM)) == CLAIM


def test_a_long_name_is_not_cut_inside_a_character():
    assert names.shortened("ä" * 100, 9) == "ä" * 4
    assert names.shortened("a€€", 6) == "a€"
    assert len(os.fsencode(names.shortened(os.fsdecode(b"\xff" * 20), 10))) <= 10


@pytest.mark.parametrize("name", [".hidden.json", "a.json.tmp", "a.part", "a.partial", ".a.swp", "a.swp", "a.json~"])
def test_hidden_and_unfinished_files_are_not_ours(name: str):
    assert not names.is_ours(name)


@pytest.mark.parametrize(
    "name", [b"a\nb.json", b"-rf.json", b"\xff\xfe.json", b"n" * 255, b"\xc3\xa4" * 127, b" ", b"a\x1b[31m.json"]
)
def test_a_file_of_any_name_is_taken_and_filed_with_its_result(claims: Claims, name: bytes):
    (Path(os.fsdecode(os.fsencode(claims.path) + b"/" + name))).write_bytes(b"{}")
    text = os.fsdecode(name)
    held = take(claims, text)
    assert claims.read(held, 10) == b"{}"
    assert claims.file([ending(text, held)]) == {CLAIM: f"done/{text}"}
    found = {os.fsencode(entry) for entry in entries(claims.path / "done")}
    assert name in found
    assert len(found) == 2


def test_what_is_no_plain_file_is_refused_without_being_opened(claims: Claims, tmp_path: Path):
    inbox = claims.path
    (inbox / "link.json").symlink_to("/etc/passwd")
    (inbox / "folder.json").mkdir()
    os.mkfifo(inbox / "pipe.json")
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(inbox / "socket.json"))
    (tmp_path / "elsewhere").write_text("{}")
    os.link(tmp_path / "elsewhere", inbox / "hard.json")
    (inbox / "big.json").write_bytes(b"x" * 101)
    dropped = sorted(name for name in claims.names() if name.endswith(".json"))
    codes = {name: refusal(claims, take(claims, name, f"{number:026d}")) for number, name in enumerate(dropped)}
    assert codes == {
        "big.json": "too_large",
        "folder.json": "directory",
        "hard.json": "hard_link",
        "link.json": "symlink",
        "pipe.json": "fifo",
        "socket.json": "socket",
    }


@pytest.mark.needs("root")
def test_a_device_is_refused(claims: Claims):
    os.mknod(claims.path / "null.json", 0o666 | 0o020000, os.makedev(1, 3))
    assert refusal(claims, take(claims, "null.json")) == "device"


def test_refused_objects_are_filed_like_files(claims: Claims):
    (claims.path / "folder.json").mkdir()
    (claims.path / "folder.json" / "inside").write_text("x")
    held = take(claims, "folder.json")
    assert claims.file([ending("folder.json", held, folder="rejected")]) == {CLAIM: "rejected/folder.json"}
    assert (claims.path / "rejected" / "folder.json" / "inside").read_text() == "x"


def test_a_file_that_was_swapped_after_the_look_is_put_back(claims: Claims):
    (claims.path / "a.json").write_text("new")
    stayed = claims.take([Wanted("a.json", f"{CLAIM}.json", (1, 1))])
    assert isinstance(stayed["a.json"], FileNotFoundError)
    assert (claims.path / "a.json").read_text() == "new"
    assert claims.held() == []


def test_a_thousand_files_of_one_name_all_find_a_place(claims: Claims, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)  # what is asked is names, not durability
    endings = []
    for number in range(1000):
        claim = f"{number:026d}"
        (claims.path / ".claimed" / f"{claim}.json").write_text(str(number))
        endings.append(ending("same.json", f"{claim}.json", claim))
    outcome = claims.file(endings[:500]) | claims.file(endings[500:])
    assert len(set(outcome.values())) == 1000
    for number, (claim, place) in enumerate(outcome.items()):
        assert (claims.path / str(place)).read_text() == str(number)
        assert (claims.path / f"{place}.result.json").read_text() == f'"{claim}"'


def test_a_result_that_a_former_life_wrote_is_used_and_a_foreign_one_is_left(claims: Claims):
    done = claims.path / "done"
    (claims.path / "a.json").write_text("x")
    held = take(claims, "a.json")
    (done / "a.json.result.json").write_text("something of a person's")
    assert claims.file([ending("a.json", held)]) == {CLAIM: f"done/a~{CLAIM}.json"}
    assert (done / "a.json.result.json").read_text() == "something of a person's"
    (claims.path / "b.json").write_text("y")
    held = take(claims, "b.json")
    (done / "b.json.result.json").write_bytes(ending("b.json", held).note)
    assert claims.file([ending("b.json", held)]) == {CLAIM: "done/b.json"}
    assert entries(done).count("b.json.result.json") == 1


def test_files_can_be_filed_by_day(claims: Claims):
    (claims.path / "a.json").write_text("x")
    held = take(claims, "a.json")
    assert claims.file([ending("a.json", held, day="2027-01-31")]) == {CLAIM: "done/2027-01-31/a.json"}
    assert (claims.path / "done" / "2027-01-31" / "a.json.result.json").exists()


def test_what_is_gone_leaves_no_result_behind(claims: Claims):
    outcome = claims.file([ending("a.json", f"{CLAIM}.json")])
    assert isinstance(outcome[CLAIM], FileNotFoundError)
    assert entries(claims.path / "done") == []


def test_leftovers_of_ours_are_removed_from_among_the_claimed(claims: Claims):
    (claims.path / ".claimed" / f"{CLAIM}.tmp").write_text("half")
    (claims.path / ".claimed" / "letter.txt").write_text("a person's")
    assert claims.held() == ["letter.txt"]


def test_a_rename_never_replaces_whatever_the_file_system_can_do(claims: Claims, tmp_path: Path, monkeypatch):
    folder = os.open(tmp_path, os.O_RDONLY)
    (tmp_path / "old").write_text("old")
    (tmp_path / "new").write_text("new")
    with pytest.raises(FileExistsError):
        moves.rename(folder, "old", folder, "new")
    monkeypatch.setattr(moves, "_renameat2", lambda: None)
    with pytest.raises(FileExistsError):
        moves.rename(folder, "old", folder, "new")
    moves.rename(folder, "old", folder, "newer")
    assert (tmp_path / "newer").read_text() == "old"
    os.close(folder)


def test_a_file_that_is_open_for_writing_is_seen(claims: Claims):
    path = claims.path / "a.json"
    with path.open("w"):
        assert claims.is_being_written("a.json")
    assert not claims.is_being_written("a.json")
    with path.open("r"):
        assert not claims.is_being_written("a.json")
    assert not claims.is_being_written("missing")


def test_a_file_system_without_leases_says_nothing_about_writers(claims: Claims, monkeypatch):
    def refuse(_descriptor: int, _command: int, _argument: int) -> int:
        raise OSError(22, "Invalid argument")

    with (claims.path / "a.json").open("w"):
        monkeypatch.setattr(fcntl, "fcntl", refuse)
        assert not claims.is_being_written("a.json")
