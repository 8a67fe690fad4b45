"""The pool of worker processes keeps the contract of a backend."""

import resource

import pytest

from tests.hands.backend_contract import BackendContract
from tests.hands.pools import pools
from tests.waiting import wait_for


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="module")
def backend(logs):
    with pools(logs) as make:
        yield make()


@pytest.fixture
def make_backend(tmp_path):
    with pools(tmp_path) as make:
        yield make


class TestPool(BackendContract):
    pass


def test_an_import_that_takes_long_is_waited_for_once_and_not_by_everybody(make_backend, tmp_path, monkeypatch):
    monkeypatch.setattr("engine.pool._RELOAD_SECONDS", 0.3)
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "quick.py").write_text("TASK_TYPE = 'quick'\ndef run(task):\n    return True\n")
    pool = make_backend(folders=[plugins])
    before = pool.catalogue()
    (plugins / "slow.py").write_text("import select\nselect.select([], [], [])\n")
    wait_for(lambda: pool.catalogue() and pool._crew.is_loading, "the import")
    # Were each of them to wait, the import would be given up (after ten seconds) while they ask.
    assert all(pool.catalogue() is before for _ in range(60))


def test_a_stop_does_not_wait_for_an_import(make_backend, tmp_path, monkeypatch):
    monkeypatch.setattr("engine.pool._RELOAD_SECONDS", 0.3)
    plugins, imported = tmp_path / "plugins", tmp_path / "imported"
    plugins.mkdir()
    pool = make_backend(folders=[plugins])
    code = f"import pathlib, select\nselect.select([], [], [], 6)\npathlib.Path({str(imported)!r}).touch()\n"
    (plugins / "slow.py").write_text(code)
    wait_for(lambda: pool.catalogue() and pool._crew.is_loading, "the import")
    pool.stop(0.0)
    assert pool.server_pids == []
    assert not imported.exists()


def test_without_descriptors_changed_plugins_wait_and_nobody_fails(make_backend, tmp_path):
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    pool = make_backend(folders=[plugins])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    pool._crew._fingerprint = lambda: "changed"
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        assert pool.catalogue().types == {}
        assert "cannot be started" in pool.problem
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    pool.collect(0.0)
    assert pool.reserve("any", "worker")
