"""What belongs to the operator and not to a document: the allow-listed environment and the secrets.

Read once at start; expressions see them, and the values of secrets are redacted everywhere.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import msgspec

from daemon.config import Config
from engine.errors import ConfigInvalidError, Problem

_LARGEST_SECRET = 64 * 1024
_FOR_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Ambience(msgspec.Struct, frozen=True):
    """Hold what `engine.executor.Ambience` asks for."""

    env: Mapping[str, str] = {}
    secrets: Mapping[str, str] = {}


def gather(config: Config, environ: Mapping[str, str]) -> Ambience:
    """Read the environment and the secrets that the configuration names.

    Raises ConfigInvalidError with every secret that is missing, too large, not text or readable by others.
    """
    problems: list[Problem] = []
    secrets: dict[str, str] = {}
    for name, (path, is_ours) in _secret_files(config, environ, problems).items():
        try:
            secrets[name] = _read(path, check_mode=is_ours)
        except (OSError, ValueError) as error:
            problems.append(
                Problem(
                    code="secret",
                    message=f"secret {name}: {error}",
                    pointer=f"secrets.{name}",
                    hint=f"make {path} a small text file that only its owner can read (chmod 0400)",
                )
            )
    if problems:
        raise ConfigInvalidError(problems, str(config.loaded.file or "defaults"))
    names = config.executor.environment
    return Ambience({name: environ[name] for name in names if name in environ}, secrets)


def _secret_files(config: Config, environ: Mapping[str, str], problems: list[Problem]) -> dict[str, tuple[Path, bool]]:
    """Return the file of each secret, and whether its mode is ours to check (systemd guards its own)."""
    found: dict[str, tuple[Path, bool]] = {}
    credentials = environ.get("CREDENTIALS_DIRECTORY")
    if credentials:
        found |= {path.name: (path, False) for path in _files(Path(credentials), "credentials", problems)}
    if config.secrets.folder is not None:
        found |= {path.name: (path, True) for path in _files(config.secrets.folder, "secrets.folder", problems)}
    return found | {name: (path, True) for name, path in config.secrets.files.items()}


def _files(folder: Path, pointer: str, problems: list[Problem]) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        message = f"the folder of secrets {folder} cannot be read: {error.strerror}"
        hint = "make it, and let the user that runs dropmill read it"
        problems.append(Problem(code="secret", message=message, pointer=pointer, hint=hint))
        return []


def _read(path: Path, *, check_mode: bool) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if check_mode and mode & _FOR_OTHERS:
            message = f"{path} can be read by others (mode {stat.S_IMODE(mode):04o})"
            raise ValueError(message)
        data = file.read(_LARGEST_SECRET + 1)
    if len(data) > _LARGEST_SECRET:
        message = f"{path} is larger than {_LARGEST_SECRET} bytes"
        raise ValueError(message)
    return data.decode("utf-8").rstrip("\r\n")
