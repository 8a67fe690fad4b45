"""The workflows known by name: every `*.json` in the workflow folders, looked up when asked.

A workflow's name is the name of its file without the ending. `intake` asks; nothing is parsed here.
"""

import contextlib
import difflib
from collections.abc import Sequence
from pathlib import Path

from engine.errors import WorkflowUnknownError

_LARGEST_NAME = 128


class Library:
    """Find documents by name; later folders never hide earlier ones."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Keep the folders, most important first; they need not exist."""
        self._folders = tuple(folders)

    def find(self, name: str) -> Path:
        """Return the document of a known workflow.

        Raises WorkflowUnknownError with the nearest known name.
        """
        if 0 < len(name) <= _LARGEST_NAME and "/" not in name and not name.startswith("."):
            for folder in self._folders:
                path = folder / f"{name}.json"
                # Of a name that is too long for the file system, `is_file` raises.
                with contextlib.suppress(OSError):
                    if path.is_file():
                        return path
        near = difflib.get_close_matches(name, self.names(), n=1)
        raise WorkflowUnknownError(name, near[0] if near else None)

    def names(self) -> list[str]:
        """Return the known names, sorted."""
        return sorted(
            {
                path.stem
                for folder in self._folders
                if folder.is_dir()
                for path in folder.glob("*.json")
                if not path.name.startswith(".") and path.is_file()
            }
        )
