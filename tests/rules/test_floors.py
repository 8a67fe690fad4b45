"""The floors that import-linter guards, and what it cannot say: no way round them, and nothing new without a floor."""

import re
import shutil
import subprocess
import sys

import pytest

from tests.rules.source import PACKAGES, ROOT, Source, floors, pyproject, sources


def imports_own_face(source: Source) -> list[str]:
    """Find imports of the package a module lives in instead of a module of it: lazy faces hide those from contracts."""
    top = source.name.partition(".")[0]
    rooms = {other.name for other in sources(top)} | {room for rooms in floors(top) for room in rooms}
    found = []
    for name, line in source.imports:
        is_through_face = name == top or (name.rpartition(".")[0] == top and name not in rooms)
        if is_through_face and source.name != top:
            found.append(f"{source.at(line)} imports {top} itself: import the module it needs")
    return found


def lint_imports(folder):
    """Run the real contracts over a copy of the packages and return what import-linter says."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    done = subprocess.run(
        [*command, "--no-logo", "--no-cache"],
        check=False,
        cwd=folder,
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
    )
    assert done.returncode in {0, 1}, done.stderr
    return done


@pytest.fixture
def copy(tmp_path):
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_no_module_imports_the_face_of_its_own_package():
    assert [problem for source in sources() for problem in imports_own_face(source)] == []


@pytest.mark.parametrize("line", ["import engine", "from engine import run_workflow", "def f():\n    import engine"])
def test_an_import_through_the_own_face_is_seen(line):
    assert imports_own_face(Source.sample(line)) != []


@pytest.mark.parametrize(
    "line", ["from engine import states", "from engine.states import State", "import engine.states"]
)
def test_an_import_of_a_module_is_not_taken_for_one_of_the_face(line):
    assert imports_own_face(Source.sample(line)) == []


@pytest.mark.parametrize(
    ("path", "text", "complaint"),
    [
        ("engine/attic.py", "", "engine.attic"),
        ("daemon/attic.py", "", "daemon.attic"),
        ("engine/ids.py", "from engine import model\n", "engine.ids is not allowed to import engine.model"),
        (
            "engine/ids.py",
            "def f():\n    from engine import clock\n",
            "engine.ids is not allowed to import engine.clock",
        ),
        ("engine/ids.py", "import daemon\n", "engine is not allowed to import daemon"),
        ("plugins/attic.py", "from engine import states\n", "plugins is not allowed to import engine"),
        ("plugins/attic.py", "import daemon\n", "plugins is not allowed to import daemon"),
    ],
)
def test_the_contracts_break_on_a_file_that_leaves_its_floor(copy, path, text, complaint):
    (copy / path).write_text(text)
    done = lint_imports(copy)
    assert done.returncode == 1
    assert complaint in done.stdout


def test_every_drawn_floor_is_drawn_exhaustively():
    contracts = pyproject()["tool"]["importlinter"]["contracts"]
    drawn = {
        contract["containers"][0] for contract in contracts if contract["type"] == "layers" and contract["exhaustive"]
    }
    assert drawn == {"engine", "daemon"}


def test_every_import_that_the_contracts_overlook_is_in_the_decisions():
    contracts = pyproject()["tool"]["importlinter"]["contracts"]
    overlooked = {line for contract in contracts for line in contract.get("ignore_imports", [])}
    overlooked -= {"plugins.* -> engine.task", "plugins.* -> engine.errors"}  # what a plugin is for
    decisions = (ROOT / "DECISIONS.md").read_text(encoding="utf-8")
    assert [line for line in sorted(overlooked) if line not in decisions] == []


def test_the_packages_and_what_is_checked_are_the_same_everywhere():
    config = pyproject()
    assert config["tool"]["importlinter"]["root_packages"] == list(PACKAGES)
    assert set(PACKAGES) <= set(config["tool"]["mypy"]["packages"])
    assert set(config["tool"]["setuptools"]["packages"]["find"]["include"]) == {f"{package}*" for package in PACKAGES}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.findall(r"^PACKAGES := (.*)$", makefile, re.MULTILINE) == [" ".join(PACKAGES)]
