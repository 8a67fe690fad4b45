"""Importing Python files of a plugin folder: from their source, never from bytecode, and never before anybody else's.

A file may import modules and packages that stand beside it. They are found after everything installed, so a plugin
called `email.py` hides nothing; `sys.path` is not touched, no `__pycache__` is written, and a file that changed within
the same second is not taken for its old self. Called by the registry.
"""

import re
import sys
import zlib
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

PLUGIN_PREFIX = "dropmill_plugin_"


class SourceOnly:
    """Run one file as a module (what importlib calls a loader)."""

    def __init__(self, path: Path) -> None:
        """Remember the file."""
        self.path = path

    def create_module(self, spec: ModuleSpec) -> None:  # noqa: ARG002 -- importlib's protocol; None: an ordinary module
        """Leave it to importlib."""
        return

    def exec_module(self, module: ModuleType) -> None:
        """Compile the file as it is now and run it."""
        code = compile(self.path.read_bytes(), str(self.path), "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102 -- running the operator's plugins is what this is for


class Neighbours:
    """Find the modules that stand in plugin folders (what importlib calls a finder)."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Look in these folders, in this order."""
        self._folders = list(folders)

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,  # noqa: ARG002 -- importlib's protocol
    ) -> ModuleSpec | None:
        """Return where the module is, or None; `path` is that of the package it belongs to."""
        is_top = path is None
        for folder in self._folders if is_top else self._own(path or ()):
            found = _look(folder, name)
            if found:
                # A file of the folder hides no other module: everybody else is asked first.
                return (self._elsewhere(name) if is_top else None) or found
        return None

    def prefer(self, folder: Path) -> None:
        """Look in this folder first: its files are imported now, and it may have names in common with another one."""
        self._folders.sort(key=lambda other: other != folder)
        forget(but=PLUGIN_PREFIX)

    def _own(self, path: Sequence[str]) -> list[Path]:
        inside = [Path(entry) for entry in path]
        return [entry for entry in inside if any(entry.is_relative_to(folder) for folder in self._folders)]

    def _elsewhere(self, name: str) -> ModuleSpec | None:
        others = (finder for finder in sys.meta_path if not isinstance(finder, Neighbours))
        return next((spec for finder in others if (spec := finder.find_spec(name, None))), None)


def install(folders: Sequence[Path]) -> Neighbours:
    """Put a finder for these folders in the place of an earlier one."""
    remove()
    finder = Neighbours(folders)
    sys.meta_path.insert(0, finder)
    forget()
    return finder


def remove() -> None:
    """Take the finder away."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, Neighbours)]


def forget(but: str | None = None) -> None:
    """Let modules of plugin folders be imported anew, all `but` those whose name begins so."""
    ours = [name for name, module in sys.modules.items() if isinstance(_loader(module), SourceOnly)]
    for name in ours:
        if but is None or not name.startswith(but):
            del sys.modules[name]


def import_file(path: Path) -> ModuleType:
    """Import one file under a name that nobody else has.

    Raises whatever the file raises.
    """
    digest = zlib.crc32(str(path).encode("utf-8", "surrogateescape"))
    name = f"{PLUGIN_PREFIX}{digest:08x}_{re.sub(r'[^A-Za-z0-9_]', '_', path.stem)}"
    module = module_from_spec(_spec(name, path))
    sys.modules[name] = module
    try:
        SourceOnly(path).exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _look(folder: Path, name: str) -> ModuleSpec | None:
    last = name.rpartition(".")[2]
    package = folder / last / "__init__.py"
    if package.is_file():
        return _spec(name, package, [str(package.parent)])
    module = folder / f"{last}.py"
    return _spec(name, module) if module.is_file() else None


def _spec(name: str, path: Path, locations: list[str] | None = None) -> ModuleSpec:
    spec = spec_from_file_location(
        name,
        path,
        loader=SourceOnly(path),  # type: ignore[arg-type]  # typeshed asks for load_module, which importlib dropped
        submodule_search_locations=locations,
    )
    if spec is None:  # only for a path without a suffix that importlib knows
        raise ImportError(name=name, path=str(path))
    return spec


def _loader(module: ModuleType) -> object:
    return getattr(getattr(module, "__spec__", None), "loader", None)
