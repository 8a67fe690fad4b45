"""Real files in a folder of the test's own; what an archive may not hold is in test_archives.py."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

from plugins import file
from plugins._parts import files
from tests.plugins.contract import Bad, PluginContract
from tests.plugins.direct import call, refusal


class TestFile(PluginContract):
    task_type = "file"

    @pytest.fixture
    def good(self, tmp_path):
        (tmp_path / "a.txt").write_text("a")
        return {"operation": "copy", "path": str(tmp_path / "a.txt"), "to": str(tmp_path / "b.txt")}

    @pytest.fixture
    def bad(self, tmp_path):
        here = str(tmp_path)
        return [
            Bad({"operation": "link", "path": here}, "operation"),
            Bad({"operation": "copy", "path": here}, "to"),
            Bad({"operation": "write", "path": here}, "data"),
            Bad({"operation": "glob", "path": here, "to": here}, "to"),
            Bad({"operation": "copy", "path": [here], "to": here}, "path"),
            Bad({"operation": "write", "path": here, "data": 1, "format": "zip"}, "format"),
            Bad({"operation": "archive", "path": here, "to": f"{here}/a.rar"}, "its ending is no archive's"),
            Bad({"operation": "read", "path": f"{here}/none"}, f"read: {here}/none: it is not there"),
            Bad({"operation": "read", "path": here}, "it is a folder, not a file"),
            Bad({"operation": "write", "path": f"{here}/no/a", "data": ""}, "`parents: true` makes it"),
            Bad({"operation": "stat", "path": "a\0b"}, "null"),
            Bad({"operation": "stat", "path": "x" * 5000}, "File name too long"),
        ]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "a.txt").write_text("a")
    (tmp_path / "tree" / "deep" / "b.csv").write_text("b")
    (tmp_path / "tree" / "link").symlink_to("a.txt")
    (tmp_path / "f.txt").write_text("f")
    return tmp_path


def did(operation, path, **fields):
    return call(file, {"operation": operation, "path": str(path), **fields})


def refused(operation, path, **fields):
    return refusal(file, {"operation": operation, "path": str(path), **fields})


def left_over(folder):
    return [path.name for path in folder.rglob(".*.tmp")]


def test_a_file_is_copied_with_its_permissions_and_time_but_without_set_user_id(here):
    (here / "f.txt").chmod(0o4750)
    os.utime(here / "f.txt", ns=(0, 1_000_000_000_123_456_789))
    output = did("copy", "f.txt", to="g.txt")
    found = (here / "g.txt").stat()
    assert (here / "g.txt").read_text() == "f"
    assert (stat.S_IMODE(found.st_mode), found.st_mtime_ns) == (0o750, 1_000_000_000_123_456_789)
    assert (output["path"], output["size"], output["modified"]) == ("g.txt", 1, "2001-09-09T01:46:40.123456Z")


@pytest.mark.parametrize("operation", ["copy", "move"])
def test_a_target_with_a_slash_at_its_end_is_a_folder_to_put_it_into(here, operation):
    assert did(operation, "f.txt", to="new/", parents=True)["path"] == "new/f.txt"
    assert (here / "new" / "f.txt").read_text() == "f"
    assert (here / "f.txt").exists() == (operation == "copy")


@pytest.mark.parametrize("operation", ["copy", "move"])
def test_a_file_at_the_target_is_replaced_unless_it_must_not_be(here, operation):
    (here / "g.txt").write_text("g")
    assert "it exists already" in refused(operation, "f.txt", to="g.txt", overwrite=False)
    assert ((here / "f.txt").read_text(), (here / "g.txt").read_text()) == ("f", "g")
    did(operation, "f.txt", to="g.txt")
    assert (here / "g.txt").read_text() == "f"
    assert left_over(here) == []


def test_a_link_at_the_target_is_replaced_and_not_written_through(here):
    (here / "victim").write_text("v")
    (here / "g.txt").symlink_to("victim")
    did("write", "g.txt", data="new")
    assert (here / "victim").read_text() == "v"
    assert not (here / "g.txt").is_symlink()


@pytest.mark.parametrize("operation", ["copy", "move"])
def test_a_folder_goes_with_all_in_it_and_links_stay_links(here, operation):
    did(operation, "tree", to="copy")
    assert (here / "copy" / "deep" / "b.csv").read_text() == "b"
    assert (here / "copy" / "link").readlink().name == "a.txt"
    assert (here / "tree").exists() == (operation == "copy")
    assert left_over(here) == []


@pytest.mark.parametrize("operation", ["copy", "move"])
def test_a_folder_with_something_in_it_is_replaced_only_when_asked_for(here, operation):
    (here / "full").mkdir()
    (here / "full" / "old").write_text("old")
    assert "not empty" in refused(operation, "tree", to="full")
    assert (here / "full" / "old").exists()
    did(operation, "tree", to="full", overwrite=True)
    assert sorted(path.name for path in (here / "full").iterdir()) == ["a.txt", "deep", "link"]
    assert left_over(here) == []


@pytest.mark.parametrize("operation", ["copy", "move"])
def test_a_folder_does_not_go_into_itself(here, operation):
    assert "into itself" in refused(operation, "tree", to="tree/deep/x")
    assert "into itself" in refused(operation, "tree", to="tree/")
    assert (here / "tree" / "a.txt").exists()


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_move_to_where_it_is_loses_nothing(here, overwrite):
    (here / "same").symlink_to(here)
    for target in ("f.txt", "./f.txt", "same/f.txt"):
        assert refused("move", "f.txt", to=target, overwrite=overwrite)
        assert (here / "f.txt").read_text() == "f"


def test_a_move_onto_another_name_of_the_same_file_leaves_that_name(here):
    (here / "twin").hardlink_to(here / "f.txt")
    did("move", "f.txt", to="twin")
    assert (here / "twin").read_text() == "f"
    assert not (here / "f.txt").exists()


def test_a_link_is_moved_and_removed_itself(here):
    (here / "ln").symlink_to("f.txt")
    did("move", "ln", to="ln2")
    assert (here / "ln2").is_symlink()
    did("remove", "ln2")
    assert (here / "f.txt").read_text() == "f"


@pytest.fixture
def elsewhere():
    """Make a folder on another file system than the test's."""
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("there is no /dev/shm to write to")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("what", ["f.txt", "tree", "tree/link"])
def test_a_move_to_another_file_system_copies_and_removes(here, elsewhere, what, overwrite):
    if here.stat().st_dev == elsewhere.stat().st_dev:
        pytest.skip("both folders are on one file system")
    did("move", what, to=f"{elsewhere}/x", overwrite=overwrite)
    assert not os.path.lexists(here / what)
    found = elsewhere / "x"
    assert found.is_symlink() if what == "tree/link" else (found / "a.txt").exists() or found.read_text() == "f"
    assert left_over(elsewhere) == left_over(here) == []


def test_removing_asks_for_words_where_it_could_hurt(here):
    assert "`recursive: true`" in refused("remove", "tree")
    assert "`missing_ok: true`" in refused("remove", "none")
    assert did("remove", "none", missing_ok=True) == {"path": "none", "removed": False}
    assert did("remove", "tree", recursive=True) == {"path": "tree", "removed": True}
    assert not (here / "tree").exists()
    for path in (".", here.parent, "/"):
        assert "the working folder lies in it" in refused("remove", path, recursive=True)


def test_a_checksum_is_computed_and_compared(here):
    known = "252f10c83610ebca1a059c0bae8255eba2f95be4d1d7bcfa89d7248a82d9f111"
    assert did("checksum", "f.txt") == {"path": "f.txt", "algorithm": "sha256", "checksum": known, "size": 1}
    assert did("checksum", "f.txt", expected=known.upper())["checksum"] == known
    assert did("checksum", "f.txt", algorithm="md5")["checksum"] == "8fa14cdd754f91cc6554c9e71929cce7"
    assert f"its sha256 is {known}, not 00" in refused("checksum", "f.txt", expected="00")


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*", ["a.txt", "deep", "link"]),
        ("*.txt", ["a.txt"]),
        ("**/*.csv", ["deep/b.csv"]),
        ("**", ["a.txt", "deep", "deep/b.csv", "link"]),
        ("*/*", ["deep/b.csv"]),
        ("[a-d]*", ["a.txt", "deep"]),
        (".*", [".hidden"]),
        ("none/*", []),
    ],
)
def test_a_folder_is_listed_by_pattern_without_following_links(here, pattern, found):
    (here / "tree" / ".hidden").write_text("")
    (here / "tree" / "deep" / "up").symlink_to("..")
    (here / "tree" / "deep" / "up").unlink() if pattern in {"**", "*/*"} else None
    output = did("glob", "tree", pattern=pattern)
    assert [each["path"] for each in output] == [f"tree/{path}" for path in found]


def test_a_link_to_a_folder_is_listed_and_not_entered(here):
    (here / "tree" / "up").symlink_to("..")
    output = did("glob", "tree", pattern="**")
    assert [(each["name"], each["type"]) for each in output if each["name"] in {"up", "deep", "a.txt"}] == [
        ("a.txt", "file"),
        ("deep", "folder"),
        ("up", "link"),
    ]
    assert not any("up/" in each["path"] for each in output)


def test_a_listing_is_bounded_and_stays_in_its_folder(here):
    assert "more than 1 match '**'" in refused("glob", "tree", pattern="**", max_files=1)
    for pattern in ("../*", "/etc/*", "a/../*"):
        assert "is no pattern" in refused("glob", "tree", pattern=pattern)
    assert "it is not a folder" in refused("glob", "f.txt")


@pytest.mark.parametrize(
    ("name", "data", "content"),
    [
        ("a.json", {"a": ["ä"]}, '{\n  "a": [\n    "ä"\n  ]\n}\n'),
        ("a.jsonl", [{"a": 1}, 2], '{"a":1}\n2\n'),
        ("a.csv", [{"a": 1, "b": 'x,"'}, {"b": None, "c": [1]}], 'a,b,c\n1,"x,""",\n,,[1]\n'),
        ("a.txt", "text", "text"),
        ("a", "text", "text"),
        ("a", [1], "[\n  1\n]\n"),
    ],
)
def test_what_is_written_is_what_was_said(here, name, data, content):
    output = did("write", name, data=data)
    assert (here / name).read_text() == content
    assert output["size"] == len(content.encode())
    assert left_over(here) == []


@pytest.mark.parametrize(
    ("form", "data"),
    [("json", {"a": [1, None]}), ("jsonl", [1, {"a": 2}]), ("csv", [{"a": "1", "b": 'x\n"'}]), ("base64", "AP8=")],
)
def test_what_is_written_is_read_again(here, form, data):
    did("write", "x", data=data, format=form)
    assert did("read", "x", format=form) == data


def test_writing_has_a_mode_and_an_encoding_and_fails_in_words(here):
    did("write", "x", data="ä", mode="0600", encoding="latin-1")
    assert (here / "x").read_bytes() == b"\xe4"
    assert stat.S_IMODE((here / "x").stat().st_mode) == 0o600
    assert "cannot be written as ascii" in refused("write", "y", data="ä", encoding="ascii")
    assert "CSV is made of objects" in refused("write", "y.csv", data=[1])
    assert "is not base64" in refused("write", "y", data="?", format="base64")
    assert "no encoding" in refused("write", "y", data="x", encoding="klingon")
    assert "a folder of this name exists" in refused("write", "tree", data="x")
    assert "it exists already" in refused("write", "x", data="x", overwrite=False)
    assert not (here / "y").exists()


def test_a_write_that_is_cut_off_leaves_the_old_file_and_nothing_else(here, monkeypatch):
    def cut_off(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "fsync", cut_off)
    with pytest.raises(KeyboardInterrupt):
        did("write", "f.txt", data="new")
    assert (here / "f.txt").read_text() == "f"
    assert left_over(here) == []


def test_a_folder_is_made_and_making_it_again_is_fine(here):
    assert "`parents: true`" in refused("mkdir", "x/y")
    for _ in range(2):
        assert did("mkdir", "x/y", parents=True)["type"] == "folder"
    assert "is not a folder" in refused("mkdir", "f.txt")


def test_whether_something_is_there_and_what_it_is_can_be_asked(here):
    assert did("exists", "none") == {"path": "none", "exists": False, "type": None}
    assert did("exists", "tree/link") == {"path": "tree/link", "exists": True, "type": "file"}
    assert did("exists", "tree/link", follow_symlinks=False)["type"] == "link"
    (here / "f.txt").chmod(0o640)
    assert {name: did("stat", "f.txt")[name] for name in ("type", "size", "mode")} == {
        "type": "file",
        "size": 1,
        "mode": "0640",
    }
    assert "it is not there" in refused("stat", "none")


def test_a_link_can_be_refused(here):
    for operation in ("read", "checksum"):
        assert did(operation, "tree/link")
        assert "`follow_symlinks` is false" in refused(operation, "tree/link", follow_symlinks=False)
    (here / "dangling").symlink_to("nowhere")
    assert "leads nowhere" in refused("read", "dangling")


def test_a_folder_with_a_pipe_in_it_is_not_copied(here):
    os.mkfifo(here / "tree" / "pipe")
    assert "tree/pipe: it is a pipe" in refused("copy", "tree", to="copy")
    assert not (here / "copy").exists()
    assert left_over(here) == []
