"""What holds for every test: real components or none, no other machine, and hypothesis without stopwatches."""

import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests import network
from tests.components import in_ci, needs

if TYPE_CHECKING:
    from tests.hands.postgresql import Cluster

# No deadline and no complaint about slowness: how long an example takes says how busy the machine is. The same examples
# every time in CI, new ones on a developer's machine.
settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, print_blob=True)
settings.load_profile("ci" if in_ci() else "dev")

network.keep_here()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Look for the components that `@pytest.mark.needs(...)` names before any fixture is built."""
    for mark in item.iter_markers("needs"):
        for component in mark.args:
            needs(component)


@pytest.fixture(autouse=True, scope="session")
def _no_ignored_signal() -> Iterator[None]:
    """Let signals end what tests start, also where the suite was started with `&` or nohup, which ignore them."""
    usual = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGHUP: signal.SIG_DFL,
        signal.SIGQUIT: signal.SIG_DFL,
        signal.SIGTERM: signal.SIG_DFL,
    }
    ignored = [number for number in usual if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, usual[number])
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture(scope="session")
def postgresql() -> "Iterator[Cluster]":
    """Share one PostgreSQL; who uses it says `@pytest.mark.xdist_group("postgresql")`."""
    needs("postgresql")
    from tests.hands.postgresql import cluster

    with cluster() as running:
        yield running


@pytest.fixture(autouse=True)
def _no_far_connection() -> Iterator[None]:
    network.refused.clear()
    yield
    assert not network.refused, f"connections to other machines were tried: {network.refused}"
