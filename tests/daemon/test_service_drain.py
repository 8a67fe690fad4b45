"""A drain stops the sources; the watchdog must go on being fed as long as the runs that are left go on."""

from types import SimpleNamespace
from typing import Any

from daemon.ready import Notifier, Watchdog
from daemon.service import Service


def test_sources_that_a_drain_has_stopped_do_not_look_stuck():
    service = Service(None, {})
    executor = SimpleNamespace(turns=1)
    assembly: Any = SimpleNamespace(executor=executor)
    parts: Any = {"api": SimpleNamespace(pulse=1), "inbox": SimpleNamespace(pulse=1)}
    service._parts = parts
    watchdog = Watchdog(Notifier({}), service._pulses(assembly), {})

    def look() -> tuple[str, ...]:
        executor.turns += 1
        parts["api"].pulse += 1
        return watchdog.look()

    assert look() == ()
    assert look() == ("inbox",)
    service.drain()
    assert look() == ()
    assert look() == ()
    # What the runs that are left stand on still has to move.
    assert set(watchdog.look()) == {"executor", "api", "inbox"}
