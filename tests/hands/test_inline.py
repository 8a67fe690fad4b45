"""The backend of this process keeps the contract of a backend, and leaves the process as it was."""

import contextlib

import pytest

from engine.attemptlog import AttemptLogs
from engine.inline import Inline
from engine.registry import Registry
from tests.hands.backend_contract import BackendContract
from tests.hands.driver import ACTS
from tests.hands.pools import LIMITS


@contextlib.contextmanager
def inlines(folder):
    made = []

    def make(*, workers=2, folders=(ACTS,), **more):
        backend = Inline(
            Registry("", folders),
            workers=workers,
            logs=AttemptLogs(folder, LIMITS),
            limits=LIMITS,
            grace_seconds=0.3,
            **more,
        )
        made.append(backend)
        backend.start()
        return backend

    try:
        yield make
    finally:
        for backend in made:
            backend.stop(0.0)


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="module")
def backend(logs):
    with inlines(logs) as make:
        yield make()


@pytest.fixture
def make_backend(tmp_path):
    with inlines(tmp_path) as make:
        yield make


class TestInline(BackendContract):
    pass
