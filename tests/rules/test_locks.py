"""The lock files: everything pinned and hashed, current, and no address in them."""

import re

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.rules.source import ROOT, pyproject

LOCKS = ["requirements.txt", "requirements-dev.txt"]
_ADDRESS = re.compile(
    r"://|--index-url|--extra-index-url|--find-links|--trusted-host|^\s*-[ie]\s|^\s*/|@ ", re.MULTILINE
)


def entries(text: str) -> dict[str, tuple[str, str]]:
    """Read a lock file: normal name -> (version, everything that follows up to the next entry)."""
    found: dict[str, tuple[str, str]] = {}
    for block in re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE):
        match = re.match(r"([\w.-]+)==([^\s;]+)(.*)", block, re.DOTALL)
        if match:
            found[canonicalize_name(match[1])] = (match[2], match[3])
        else:
            assert not block.strip(), f"not a pinned requirement: {block!r}"
    return found


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def wanted(name: str) -> list[Requirement]:
    config = pyproject()
    lines = config["project"]["dependencies"] + config["dependency-groups"]["build"]
    if name == "requirements-dev.txt":
        lines = lines + config["dependency-groups"]["dev"] + config["project"]["optional-dependencies"]["postgres"]
    return [Requirement(line) for line in lines]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_holds_no_address_and_no_path(name):
    assert _ADDRESS.findall(read(name)) == []


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_hashes(name):
    assert [package for package, (_, rest) in entries(read(name)).items() if "--hash=sha256:" not in rest] == []


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_holds_what_pyproject_asks_for(name):
    locked = entries(read(name))
    stale = [
        str(requirement)
        for requirement in wanted(name)
        if not requirement.specifier.contains(locked.get(canonicalize_name(requirement.name), ("0", ""))[0])
    ]
    assert stale == [], "run `make lock`"


def test_what_runs_and_what_is_tested_are_the_same_versions():
    run, dev = (entries(read(name)) for name in LOCKS)
    assert {package: version for package, (version, _) in run.items() if dev.get(package, ("", ""))[0] != version} == {}


def test_what_builds_us_is_locked():
    assert pyproject()["dependency-groups"]["build"] == pyproject()["build-system"]["requires"]


def test_no_lock_file_of_another_tool_is_here():
    assert [path.name for pattern in ("uv.lock", "pylock*.toml", "poetry.lock") for path in ROOT.glob(pattern)] == []


@pytest.mark.parametrize(
    "line",
    ["--index-url https://a", "a @ file:///b", "-i x", "    # from https://a", "--find-links d", "/srv/a.whl", "-e ."],
)
def test_an_address_is_seen(line):
    assert _ADDRESS.search(f"a==1\n{line}\n")
