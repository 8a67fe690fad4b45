"""The pool of worker processes keeps the contract of a backend."""

import pytest

from tests.hands.backend_contract import BackendContract
from tests.hands.pools import pools


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
