"""What the tests of the hands share: a PostgreSQL for all of them, and a memory on the database that a test names."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.components import needs
from tests.hands.memory import Memory
from tests.hands.postgresql import Cluster, cluster


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    needs("postgresql")
    with cluster() as running:
        yield running


@pytest.fixture
def memory(url: str, tmp_path: Path) -> Iterator[Memory]:
    memory = Memory(url, tmp_path)
    yield memory
    memory.close()
