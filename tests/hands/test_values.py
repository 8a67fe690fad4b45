"""Large outputs in files: what was put is there, whole, and nothing else is."""

import hashlib
import os
import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import StoreCorruptError, StoreLostError
from engine.values import Values


@pytest.fixture
def values(tmp_path: Path) -> Values:
    return Values(tmp_path / "values", inline_bytes=10)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_what_was_put_is_what_one_gets(values: Values, data: bytes):
    ref = values.put(data)
    assert ref == hashlib.sha256(data).hexdigest()
    assert values.get(ref) == data


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=1, max_size=30))
def test_an_output_taken_apart_comes_together_again(values: Values, data: bytes):
    inline, ref = values.split(data)
    assert (inline is None) == (len(data) > 10 or data == b"null")
    assert (ref is None) == (len(data) <= 10)
    assert values.join(inline, ref) == data


def test_nothing_is_made_before_something_is_put(values: Values, tmp_path: Path):
    assert list(values.stored()) == []
    assert list(tmp_path.iterdir()) == []


def test_the_same_bytes_are_one_file_that_only_its_owner_can_read(values: Values, tmp_path: Path):
    assert values.put(b"abc") == values.put(b"abc")
    [path] = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert path.read_bytes() == b"abc"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_putting_again_makes_a_file_young_so_that_the_janitor_spares_it(values: Values, tmp_path: Path):
    ref = values.put(b"abc")
    [path] = [path for path in tmp_path.rglob("*") if path.is_file()]
    os.utime(path, (1.0, 1.0))
    assert list(values.stored()) == [(ref, 1.0)]
    values.put(b"abc")
    assert dict(values.stored())[ref] > 1.0


def test_a_deleted_value_is_gone_and_can_be_put_again(values: Values):
    ref = values.put(b"abc")
    values.delete(ref)
    values.delete(ref)
    with pytest.raises(StoreCorruptError, match="No such file"):
        values.get(ref)
    assert values.put(b"abc") == ref
    assert values.get(ref) == b"abc"


@pytest.mark.parametrize("damage", [b"", b"abd", b"abcd"])
def test_a_damaged_file_is_not_taken_for_the_value(values: Values, tmp_path: Path, damage):
    ref = values.put(b"abc")
    [path] = [path for path in tmp_path.rglob("*") if path.is_file()]
    path.write_bytes(damage)
    with pytest.raises(StoreCorruptError, match="not what was written"):
        values.get(ref)


def test_what_is_left_of_a_write_that_was_cut_off_is_not_a_value(values: Values, tmp_path: Path):
    ref = values.put(b"abc")
    (tmp_path / "values" / ref[:2] / f".{ref}.0123.tmp").write_bytes(b"a")
    assert [name for name, _ in values.stored()] == [ref]


def test_threads_that_put_the_same_bytes_do_not_disturb_each_other(values: Values):
    refs: list[str] = []
    go = threading.Barrier(6)

    def put() -> None:
        for number in range(20):
            go.wait()
            refs.append(values.put(b"x" * number))

    threads = [threading.Thread(target=put) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refs) == 120
    assert {values.get(ref) for ref in refs} == {b"x" * number for number in range(20)}


def test_a_folder_that_cannot_be_written_is_a_lost_store_that_names_the_file(tmp_path: Path):
    (tmp_path / "values").write_text("a file where the folder should be")
    with pytest.raises(StoreLostError, match=f"{tmp_path}/values"):
        Values(tmp_path / "values").put(b"abc")


@pytest.mark.needs("root")
def test_a_full_disk_is_a_lost_store_and_leaves_no_half_file(tmp_path: Path):
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], check=True)
    try:
        values = Values(disk / "values")
        small = values.put(b"s" * 1000)
        with pytest.raises(StoreLostError, match="No space"):
            values.put(b"x" * 1_000_000)
        assert [path.name for path in disk.rglob("*") if path.is_file()] == [small]
        assert values.get(small) == b"s" * 1000
    finally:
        subprocess.run(["umount", str(disk)], check=True)
