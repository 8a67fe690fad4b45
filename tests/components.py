"""What a test may need from the machine beyond Python, how to see it, and how to get it.

`needs` skips where the component is missing; with CI set a missing component fails, so that no gap goes unseen.
Called by tests and fixtures, and by conftest for `@pytest.mark.needs("...")`.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, NoReturn

import pytest


class Component(NamedTuple):
    """Say whether the machine has it, and what to do where it has not."""

    is_present: Callable[[], bool]
    remedy: str


def _command(name: str) -> Callable[[], bool]:
    return lambda: shutil.which(name) is not None


def postgres_bin() -> Path | None:
    """Find the folder of PostgreSQL's server programs, the newest version first; None when there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


def _may_have_namespaces() -> bool:
    mounting = ["unshare", "--mount", "--pid", "--cgroup", "--fork", "mount", "-t", "tmpfs", "none", "/mnt"]
    return (
        shutil.which("unshare") is not None
        and not subprocess.run(mounting, check=False, capture_output=True).returncode
    )


def _may_make_disks() -> bool:
    devices = ("/dev/fuse", "/dev/loop-control")
    return os.geteuid() == 0 and all(map(os.path.exists, devices)) and shutil.which("mkfs.ext4") is not None


COMPONENTS = {
    "disks": Component(
        _may_make_disks, "run as root where /dev/fuse and loop devices are, and apt-get install e2fsprogs"
    ),
    "namespaces": Component(_may_have_namespaces, "run the tests as root of the machine, or in a privileged container"),
    "openssl": Component(_command("openssl"), "apt-get install openssl"),
    "pids": Component(lambda: os.access("/sys/fs/cgroup/pids", os.W_OK), "mount the pids controller of cgroups v1"),
    "postgresql": Component(lambda: postgres_bin() is not None, "apt-get install postgresql"),
    "procps": Component(_command("ps"), "apt-get install procps"),
    "root": Component(lambda: os.geteuid() == 0, "run the tests as root"),
    "strace": Component(_command("strace"), "apt-get install strace"),
    "systemd": Component(_command("systemd-analyze"), "apt-get install systemd"),
}


def in_ci() -> bool:
    """Tell whether the environment says that this is a build machine (`CI=true`)."""
    return os.environ.get("CI", "").lower() not in {"", "0", "false"}


def needs(name: str) -> None:
    """Go on where the component is present, else skip the test, or fail it in CI.

    A name that COMPONENTS does not hold is a KeyError: a misspelt one must not skip for ever.
    """
    component = COMPONENTS[name]
    if not component.is_present():
        _give_up(f"needs {name}: {component.remedy}")


def missing(names: Iterable[str]) -> str:
    """Say which of these components the machine lacks and how to get them; empty where it has all."""
    return "; ".join(f"{name}: {COMPONENTS[name].remedy}" for name in names if not COMPONENTS[name].is_present())


def _give_up(sentence: str) -> NoReturn:
    if in_ci():
        pytest.fail(f"{sentence} (CI must have it)", pytrace=False)
    pytest.skip(sentence)
