"""Time is read in one place, and tests wait for events, not for a while."""

import ast

import pytest

from tests.rules.source import Source, sources

# Who may import `time` or ask `datetime` for now, and why.
TIME_READERS = {
    "engine.clock": "it is the clock",
}
# Who may sleep in the tests, and why.
SLEEPERS = {
    "tests.waiting": "waits for an event, with a deadline",
}
_NOW = {"now", "utcnow", "today"}
_CALENDAR_TYPES = {"datetime", "date"}


def time_reads(source: Source) -> list[str]:
    """Find imports of `time` and calls like `datetime.now()`."""
    found = [f"{source.at(line)} imports time" for name, line in source.imports if name.split(".")[0] == "time"]
    return found + [
        f"{source.at(node.lineno)} reads {_last_name(node.value)}.{node.attr}"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Attribute) and node.attr in _NOW and _last_name(node.value) in _CALENDAR_TYPES
    ]


def sleeps(source: Source) -> list[str]:
    """Find `sleep` in any spelling: called, handed on, or imported."""
    found = [f"{source.at(line)} imports {name}" for name, line in source.imports if name.endswith(".sleep")]
    return found + [
        f"{source.at(node.lineno)} sleeps"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Attribute) and node.attr == "sleep"
    ]


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def test_time_is_read_only_by_the_clock():
    assert [read for source in sources() if source.name not in TIME_READERS for read in time_reads(source)] == []


def test_every_listed_reader_of_time_still_reads_it():
    assert [source.name for source in sources() if time_reads(source) and source.name in TIME_READERS] == [
        *TIME_READERS
    ]


@pytest.mark.parametrize(
    "text",
    [
        "import time",
        "import time as t",
        "from time import monotonic",
        "def f():\n    from time import sleep",
        "datetime.now(UTC)",
        "datetime.datetime.utcnow()",
        "date.today()",
        "default_factory = datetime.now",
    ],
)
def test_a_reader_of_time_is_seen(text):
    assert time_reads(Source.sample(text)) != []


@pytest.mark.parametrize(
    "text", ["handle(fact, now=3)", "datetime.fromtimestamp(3, UTC)", "clock.now()", "timeout = 3"]
)
def test_handing_time_in_is_not_reading_it(text):
    assert time_reads(Source.sample(text)) == []


def test_tests_sleep_in_one_place():
    asleep = [nap for source in sources("tests") if source.name not in SLEEPERS for nap in sleeps(source)]

    assert asleep == []


@pytest.mark.parametrize(
    "text", ["time.sleep(1)", "from time import sleep", "await asyncio.sleep(1)", "f = time.sleep"]
)
def test_a_sleeping_test_is_seen(text):
    assert sleeps(Source.sample(text)) != []
