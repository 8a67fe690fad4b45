"""Archives through the task type `file`: there and back, and those that were made to do harm."""

import gzip
import io
import stat
import tarfile
import zipfile

import pytest

from plugins import file
from tests.plugins.direct import call, refusal

FORMATS = ["tar.gz", "tar.bz2", "tar.xz", "tar", "zip", "tgz"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tree" / "empty").mkdir(parents=True)
    (tmp_path / "tree" / "a.sh").write_text("a" * 5000)
    (tmp_path / "tree" / "a.sh").chmod(0o755)
    (tmp_path / "one").write_text("1")
    return tmp_path


def archived(path, to, **fields):
    return call(file, {"operation": "archive", "path": path, "to": to, **fields})


def extracted(path, to="out", **fields):
    return call(file, {"operation": "extract", "path": path, "to": to, **fields})


def refused(path, to="out", **fields):
    return refusal(file, {"operation": "extract", "path": path, "to": to, **fields})


@pytest.mark.parametrize("form", FORMATS)
def test_what_was_packed_comes_out_again(here, form):
    output = archived(["tree", "one"], f"x.{form}")
    assert (output["entries"], output["type"]) == (4, "file")
    assert extracted(f"x.{form}") == {"path": "out", "files": 2, "bytes": 5001}
    assert (here / "out" / "tree" / "a.sh").read_text() == "a" * 5000
    assert stat.S_IMODE((here / "out" / "tree" / "a.sh").stat().st_mode) == 0o755
    assert (here / "out" / "tree" / "empty").is_dir()
    assert (here / "out" / "one").read_text() == "1"


@pytest.mark.parametrize("form", ["tar.gz", "zip"])
def test_the_same_files_give_the_same_bytes(here, form):
    for name in ("x", "y"):
        archived("tree", f"{name}.{form}")
    assert (here / f"x.{form}").read_bytes() == (here / f"y.{form}").read_bytes()


def test_a_format_may_be_named_and_is_recognised_by_its_content(here):
    archived("one", "strange.name", format="zip")
    assert zipfile.is_zipfile("strange.name")
    assert extracted("strange.name")["files"] == 1


def test_links_are_kept_by_tar_and_refused_by_zip(here):
    (here / "tree" / "link").symlink_to("/etc/passwd")
    archived("tree", "x.tar")
    with tarfile.open("x.tar") as archive:
        assert archive.getmember("tree/link").issym()
    message = refusal(file, {"operation": "archive", "path": "tree", "to": "x.zip"})
    assert "tree/link: it is a symbolic link, which a zip archive cannot hold" in message
    assert not (here / "x.zip").exists()


def test_two_paths_with_one_name_and_a_path_that_is_not_there_are_refused(here):
    (here / "other").mkdir()
    (here / "other" / "one").write_text("")
    asked = {"operation": "archive", "to": "x.tar"}
    assert "the same name" in refusal(file, {**asked, "path": ["one", "other/one"]})
    assert "none: it is not there" in refusal(file, {**asked, "path": ["one", "none"]})


def test_a_folder_that_holds_something_is_not_extracted_into(here):
    archived("one", "x.zip")
    (here / "out").mkdir()
    assert extracted("x.zip")["files"] == 1
    assert "not empty" in refused("x.zip")
    (here / "out" / "old").write_text("")
    extracted("x.zip", overwrite=True)
    assert [path.name for path in (here / "out").iterdir()] == ["one"]


def tar_of(*members):
    with tarfile.open("x.tar", "w") as archive:
        for name, options, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            for key, value in options.items():
                setattr(member, key, value)
            archive.addfile(member, io.BytesIO(content))
    return "x.tar"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("../evil", {}),
        ("a/../../evil", {}),
        ("/tmp/evil", {}),
        ("a\\..\\evil", {}),
        ("link", {"type": tarfile.SYMTYPE, "linkname": "/etc"}),
        ("link", {"type": tarfile.LNKTYPE, "linkname": "ok"}),
        ("pipe", {"type": tarfile.FIFOTYPE}),
        ("null", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}),
        ("disk", {"type": tarfile.BLKTYPE}),
        ("ok", {}),
        ("ok/inside", {}),
    ],
)
def test_a_tar_that_would_do_harm_is_refused_as_a_whole(here, name, options):
    message = refused(tar_of(("ok", {}, b"x"), (name, options, b"")))
    assert message.startswith("extract: x.tar: ")
    assert repr(name) in message
    assert sorted(path.name for path in here.iterdir()) == ["one", "tree", "x.tar"]
    assert not (here.parent / "evil").exists()


def test_set_user_id_does_not_come_out(here):
    extracted(tar_of(("su", {"mode": 0o6777}, b"x"), ("secret", {"mode": 0}, b"x")))
    assert stat.S_IMODE((here / "out" / "su").stat().st_mode) == 0o755
    assert stat.S_IMODE((here / "out" / "secret").stat().st_mode) == 0o600


def zip_of(*members):
    with zipfile.ZipFile("x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, mode, content in members:
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, content)
    return "x.zip"


@pytest.mark.parametrize(
    ("name", "mode"), [("../evil", 0), ("/evil", 0), ("link", stat.S_IFLNK | 0o777), ("pipe", stat.S_IFIFO), ("ok", 0)]
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_zip_that_would_do_harm_is_refused_as_a_whole(here, name, mode):
    assert repr(name) in refused(zip_of(("ok", 0, "x"), (name, mode, "/etc/passwd")))
    assert sorted(path.name for path in here.iterdir()) == ["one", "tree", "x.zip"]


def test_an_encrypted_zip_is_refused(here):
    data = bytearray((here / zip_of(("a", 0, "x"))).read_bytes())
    # The flag in the directory at the end, which is what is read first.
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    (here / "x.zip").write_bytes(data)
    assert "'a' is encrypted" in refused("x.zip")


@pytest.mark.parametrize("make", [zip_of, tar_of])
def test_an_archive_is_taken_out_within_bounds(here, make):
    extra = {} if make is tar_of else 0
    content = b"\0" * 100_000
    path = make(("a", extra, content), ("b", extra, content))
    assert "more than 150,000 bytes" in refused(path, max_bytes=150_000)
    assert "more than 1 files and folders" in refused(path, max_files=1)
    assert not (here / "out").exists()
    assert extracted(path, max_bytes=200_000, max_files=2)["bytes"] == 200_000


def test_a_tar_of_nothing_but_headers_has_an_end(here):
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 64 * 1024 * 1024
    with gzip.open("x.tar.gz", "wb") as packed:
        packed.write(header.tobuf())
        packed.write(bytes(header.size))
    assert "unpacks to more than" in refused("x.tar.gz", max_bytes=1000, max_files=10)


@pytest.mark.parametrize(
    "content",
    [b"", b"nonsense", b"\x1f\x8bnonsense", b"BZhnonsense", b"\xfd7zXZ\0nonsense", b"PKnonsense", b"x" * 2000],
)
def test_what_is_no_archive_is_said_to_be_none(here, content):
    (here / "x").write_bytes(content)
    assert refused("x").startswith("extract: x: ")
    assert not (here / "out").exists()


@pytest.mark.parametrize("form", ["tar.gz", "tar.xz", "zip"])
def test_an_archive_that_was_cut_off_is_refused(here, form):
    archived("tree", f"x.{form}")
    data = (here / f"x.{form}").read_bytes()
    (here / f"x.{form}").write_bytes(data[: len(data) // 2])
    assert refused(f"x.{form}").startswith(f"extract: x.{form}: ")
    assert not (here / "out").exists()
