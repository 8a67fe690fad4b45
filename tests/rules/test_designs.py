"""The table of the designs names only what there is, and the other ways to write a document can be read and planned."""

import json
import re
from collections.abc import Iterator

import msgspec
import pytest

import engine
from daemon.api.routes import ROUTES
from daemon.cli.registry import ENTRIES
from daemon.requests import Request
from engine import loader, natives, states
from engine.expressions import words
from engine.limits import Limits
from engine.loader import keys
from engine.loader.spellings import SPELLINGS
from engine.plan import make_plan
from engine.registry import Registry
from engine.task import HANDED_FIELDS, Catalogue
from tests.rules.designs import DESIGNS, DIALECTS
from tests.rules.handbook import STRUCTS
from tests.rules.source import ROOT

_QUOTED = re.compile(r"`([^`]+)`")


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return natives.beside(Registry().load())


def keys_in(value: object) -> Iterator[str]:
    """List the keys of a document at any depth."""
    if isinstance(value, dict):
        yield from value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from keys_in(inner)


def settings() -> Iterator[str]:
    """List settings by their dotted names, and tables by their heads, as the sample has them."""
    head = ""
    for line in (ROOT / "etc" / "dropmill.toml").read_text(encoding="utf-8").splitlines():
        if found := re.fullmatch(r"#?(\[+)([a-z_.]+)\]+", line):
            head = found[2]
            yield line.removeprefix("#")
        elif found := re.match(r"#?([a-z_]+) = ", line):
            yield f"{head}.{found[1]}"


@pytest.fixture(scope="module")
def names(catalogue: Catalogue) -> set[str]:
    fields = (name for each in catalogue.types.values() for name in (each.param_schema or {}).get("properties", {}))
    written = (key for document, _ in DIALECTS.values() for key in keys_in(json.loads(document)))
    return {
        *(f"dropmill {name}" for name in ENTRIES),
        *(f"{route.method} {route.path}" for route in ROUTES),
        *settings(),
        *catalogue.types,
        *fields,
        *written,
        *keys.TASK_KEYS,
        *keys.WORKFLOW_KEYS,
        *(field.encode_name for struct in STRUCTS.values() for field in msgspec.structs.fields(struct)),
        *("tasks", "params", "defaults", *keys.HOOKS),
        *SPELLINGS,
        *Request.__struct_fields__,
        *words.NAMES,
        *map(str, states.State),
        *map(str, states.Reason),
        *(f'task["{name}"]' for name in HANDED_FIELDS),
    }


def is_there(name: str, names: set[str]) -> bool:
    """Tell whether there is something of this name: one of ours, of the library, or a file."""
    if name in names:
        return True
    if name.startswith("engine."):
        found: object = engine
        for part in name.split(".")[1:]:
            found = getattr(found, part, None)
        return found is not None
    return "/" in name and (ROOT / name).exists()


@pytest.mark.parametrize("title", DESIGNS)
def test_every_place_that_the_table_names_is_there(title: str, names: set[str]) -> None:
    places = [name for _, place in DESIGNS[title] for name in _QUOTED.findall(place)]
    assert places
    assert [name for name in places if not is_there(name, names)] == []


@pytest.mark.parametrize("title", DIALECTS)
def test_what_is_said_of_a_way_to_write_a_document_is_so(title: str, names: set[str], catalogue: Catalogue) -> None:
    document, sentence = DIALECTS[title]
    assert [name for name in _QUOTED.findall(sentence) if not is_there(name, names)] == []
    workflow, problems = loader.load(document.encode(), catalogue, Limits())
    assert problems == ()
    make_plan(workflow)


def test_the_table_speaks_of_all_five_designs() -> None:
    assert [title[0] for title in DESIGNS] == list("12345")


def test_a_name_that_is_nowhere_is_found_out(names: set[str]) -> None:
    for name in ("dropmill fly", "GET /nothing", "engine.Nothing", "executor.nothing", "etc/nothing.json", "nothing"):
        assert not is_there(name, names)
