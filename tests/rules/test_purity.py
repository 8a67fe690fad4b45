"""The pure floors import nothing that could touch the world; which they are is read from the import contracts."""

import sys

import pytest

from tests.rules.source import Source, floors, is_in, sources

# Standard modules that compute and do nothing else. A new one goes here only if it opens, starts and reads nothing.
COMPUTING = {
    "__future__", "abc", "ast", "base64", "bisect", "calendar", "codecs", "collections", "contextlib", "copy",
    "dataclasses", "datetime", "decimal", "difflib", "enum", "fractions", "functools", "gc", "graphlib", "hashlib",
    "heapq", "hmac", "itertools", "json", "keyword", "math", "numbers", "operator", "random", "re", "statistics",
    "string", "struct", "textwrap", "types", "typing", "unicodedata", "zlib",
}  # fmt: skip
# Libraries of others that compute and do nothing else.
COMPUTING_LIBRARIES = {"cel", "jmespath", "jsonschema_rs", "msgspec"}
# What a single room may have beyond that, and why.
EXCEPTIONS = {
    ("engine.clock", "time"): "it is the clock",
    ("engine.expressions", "sys"): "keeps the CEL package from importing its command line",
    ("daemon.calendar.zones", "zoneinfo"): "reads the time zone tables, which are constants",
}
LOWEST_HAND = "engine.run"  # this floor and all below are pure


def pure_modules() -> set[str]:
    """Name the rooms of the pure floors: the engine's from the run down, and the daemon's calendar."""
    engine = floors("engine")
    top = next(number for number, rooms in enumerate(engine) if LOWEST_HAND in rooms)
    return {room for rooms in engine[top:] for room in rooms} | {"daemon.calendar"}


def impurities(source: Source) -> list[str]:
    """Find imports of standard modules and libraries that are not known to compute only."""
    found = []
    for name, line in source.imports:
        top = name.partition(".")[0]
        is_excepted = any(top == library and is_in(source.name, (room,)) for room, library in EXCEPTIONS)
        if top not in COMPUTING | COMPUTING_LIBRARIES | {"engine", "daemon"} and not is_excepted:
            found.append(f"{source.at(line)} imports {name}: this floor is pure, hand the result in instead")
    return found


def test_the_pure_floors_import_only_what_computes():
    pure = tuple(pure_modules())
    assert [problem for source in sources() if is_in(source.name, pure) for problem in impurities(source)] == []


def test_the_heart_and_all_that_it_stands_on_are_pure():
    expected = {"engine.run", "engine.loader", "engine.resolver", "engine.facts", "engine.states", "daemon.calendar"}
    assert expected <= pure_modules()
    assert not {"engine.executor", "engine.store", "engine.pool", "engine.runner", "daemon.intake"} & pure_modules()


def test_what_is_listed_as_computing_is_in_the_standard_library():
    assert COMPUTING - sys.stdlib_module_names == set()


@pytest.mark.parametrize(
    "name", ["os", "socket", "sqlite3", "subprocess", "threading", "pathlib", "logging", "loguru", "time", "requests"]
)
def test_a_module_that_touches_the_world_is_seen(name):
    assert impurities(Source.sample(f"import {name}")) != []
    assert impurities(Source.sample(f"def f():\n    from {name} import something")) != []
