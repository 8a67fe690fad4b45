"""Each library of others has the rooms that may import it, and is declared in pyproject.toml."""

import ast
import importlib.metadata
import sys

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from tests.rules.source import PACKAGES, Source, is_in, pyproject, sources

# Library, as imported -> the modules or packages of ours that may import it.
OWNERS: dict[str, tuple[str, ...]] = {
    "alembic": ("engine.migrations",),
    "apprise": ("plugins.notify",),
    "apscheduler": ("daemon.schedules",),
    "cel": ("engine.expressions",),
    "click": ("daemon.cli",),
    "jmespath": ("plugins._parts.lists",),
    "jsonschema_rs": ("engine.registry", "engine.schemas", "plugins._parts.schemas"),
    "loguru": ("engine.executor", "daemon"),
    "msgspec": ("engine", "daemon", "plugins"),
    "requests": ("plugins", "daemon.notify"),
    "rich": ("daemon.cli",),
    "starlette": ("daemon.api",),
    "sqlalchemy": (
        "engine.admission",
        "engine.database",
        "engine.dues",
        "engine.history",
        "engine.lookup",
        "engine.migrations",
        "engine.pruning",
        "engine.rows",
        "engine.statements",
        "engine.store",
        "engine.tables",
        "plugins.sql",
    ),
    "tomli_w": ("daemon.cli", "daemon.config"),
    "uvicorn": ("daemon.api",),
    "watchdog": ("daemon.bell",),
}
# loguru's logger is one for the whole process: only this module decides where it writes.
LOG_OWNER = "daemon.log"
_LOG_SETTINGS = {"add", "remove", "configure"}


def trespasses(source: Source) -> list[str]:
    """Find imports of a library from a room that does not own it."""
    ours = {*PACKAGES, *sys.stdlib_module_names}
    found = []
    for name, line in source.imports:
        library = name.partition(".")[0]
        if library not in ours and not is_in(source.name, OWNERS.get(library, ())):
            owners = ", ".join(OWNERS.get(library, ())) or "nobody: list it in tests/rules/test_libraries.py"
            found.append(f"{source.at(line)} imports {library}, which belongs to {owners}")
    return found


def log_settings(source: Source) -> list[str]:
    """Find calls that change where loguru writes."""
    return [
        f"{source.at(node.lineno)} calls logger.{node.func.attr}"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in _LOG_SETTINGS
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "logger"
    ]


def declared() -> set[NormalizedName]:
    """Name the distributions that pyproject.toml asks for at run time, extras included."""
    project = pyproject()["project"]
    wanted = project["dependencies"] + [line for extra in project["optional-dependencies"].values() for line in extra]
    return {canonicalize_name(Requirement(line).name) for line in wanted}


def test_each_library_is_imported_only_by_its_owners():
    assert [trespass for source in sources() for trespass in trespasses(source)] == []


def test_every_library_with_an_owner_is_declared():
    distributions = importlib.metadata.packages_distributions()
    missing = [
        library for library in OWNERS if not {*map(canonicalize_name, distributions.get(library, []))} & declared()
    ]
    assert missing == []


def test_only_the_log_room_decides_where_loguru_writes():
    assert [call for source in sources() if source.name != LOG_OWNER for call in log_settings(source)] == []


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("daemon.intake", "import sqlalchemy"),
        ("daemon.cli", "from sqlalchemy import select"),
        ("engine.run", "def f():\n    from loguru import logger"),
        ("daemon.inbox", "from watchdog.events import FileSystemEventHandler"),
        ("engine.store", "import numpy"),
    ],
)
def test_a_library_in_the_wrong_room_is_seen(name, line):
    assert trespasses(Source.sample(line, name)) != []


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("engine.store", "import sqlalchemy"),
        ("engine.migrations.env", "from alembic import context"),
        ("daemon.cli.runs", "from rich.table import Table"),
        ("daemon.inbox", "from loguru import logger"),
    ],
)
def test_a_library_in_its_own_room_is_fine(name, line):
    assert trespasses(Source.sample(line, name)) == []


def test_a_change_of_where_loguru_writes_is_seen():
    assert log_settings(Source.sample("logger.add(sys.stderr)")) != []
