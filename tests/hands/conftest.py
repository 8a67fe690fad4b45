"""What the tests of the hands share: a memory on the database that a test names."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hands.memory import Memory


@pytest.fixture
def memory(url: str, tmp_path: Path) -> Iterator[Memory]:
    memory = Memory(url, tmp_path)
    yield memory
    memory.close()
