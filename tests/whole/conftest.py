"""A mill for every test that asks for one; nothing of it outlives the test."""

from collections.abc import Iterator

import pytest

from tests.whole.mill import Mill, mills


@pytest.fixture
def mill(request: pytest.FixtureRequest) -> Iterator[Mill]:
    """Yield a mill that nobody has started; `@pytest.mark.parametrize("mill", [settings], indirect=True)` sets more."""
    with mills() as folder:
        mill = Mill(folder, getattr(request, "param", ""))
        try:
            yield mill
        finally:
            mill.close()
