"""How the tests of the configuration write one, load it, and see what is wrong with it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from daemon.config import Config, load
from engine.errors import ConfigInvalidError, Problem


def write(folder: Path, text: str = "", **schedule_files: str) -> Path:
    """Write etc/dropmill.toml, and the files of schedules.d by their names; return the path of the first."""
    file = folder / "etc" / "dropmill.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    for name, content in schedule_files.items():
        file.parent.joinpath("schedules.d").mkdir(exist_ok=True)
        file.parent.joinpath("schedules.d", f"{name}.toml").write_text(content, encoding="utf-8")
    return file


def loaded(folder: Path, text: str = "", environ: Mapping[str, str] | None = None, **schedule_files: str) -> Config:
    """Write a configuration and load it."""
    return load(write(folder, text, **schedule_files), environ or {})


def problems(
    folder: Path, text: str = "", environ: Mapping[str, str] | None = None, **schedule_files: str
) -> list[Problem]:
    """Write a configuration that cannot be used and return what is wrong with it."""
    with pytest.raises(ConfigInvalidError) as caught:
        loaded(folder, text, environ, **schedule_files)
    return list(caught.value.problems)


def complaints(
    folder: Path, text: str = "", environ: Mapping[str, str] | None = None, **schedule_files: str
) -> list[str]:
    """Return the same as sentences."""
    return [str(problem) for problem in problems(folder, text, environ, **schedule_files)]
