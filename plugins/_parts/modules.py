"""Python modules in folders of the operator: imported once, imported anew when one of their files changed.

They are found after everything installed, so none of them hides a library. All of them are forgotten together, or a
changed module would meet the old form of its neighbour. Called by python.
"""

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from engine.task import wall

# Where a module carries what its file looked like when it was imported.
_MARK = "__dropmill_stamp__"
# A file that is younger may change again within one tick of its own time stamp, so it is not trusted to stay as it is.
_SETTLED_SECONDS = 2.0


class ModuleUnusableError(Exception):
    """A module that is not there, or not the one its name says."""


@contextmanager
def searchable(folders: Sequence[str]) -> Iterator[None]:
    """Let `import` find the modules in these folders, as their files are now, while the block runs."""
    _forget_changed()
    known = set(sys.modules)
    added = [folder for folder in folders if folder not in sys.path]
    sys.path += added
    writes_bytecode, sys.dont_write_bytecode = not sys.dont_write_bytecode, True
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.dont_write_bytecode = not writes_bytecode
        for folder in added:
            if folder in sys.path:
                sys.path.remove(folder)
        for name in set(sys.modules) - known:
            _mark(sys.modules.get(name), folders)


def imported(name: str, folders: Sequence[str]) -> ModuleType:
    """Import a module by its dotted name, inside a `searchable` block.

    Raises ModuleUnusableError where none of the folders holds it, or where something installed has its name.
    """
    if not any(_holds(folder, name) for folder in folders):
        raise ModuleUnusableError(f"there is no module {name!r} in {', '.join(folders)}")
    module = importlib.import_module(name)
    if not is_inside(module, folders):
        raise ModuleUnusableError(
            f"the name {name!r} is taken by {module.__file__ or 'Python itself'}; rename the file"
        )
    return module


def is_inside(module: ModuleType | None, folders: Sequence[str]) -> bool:
    """Tell whether a module's file lies in one of the folders."""
    file = getattr(module, "__file__", None)
    if not isinstance(file, str):
        return False
    place = Path(file).resolve()
    return any(place.is_relative_to(Path(folder).resolve()) for folder in folders)


def _holds(folder: str, name: str) -> bool:
    path = Path(folder, *name.split("."))
    return path.with_name(f"{path.name}.py").is_file() or (path / "__init__.py").is_file()


def _mark(module: ModuleType | None, folders: Sequence[str]) -> None:
    if module is not None and is_inside(module, folders):
        setattr(module, _MARK, _stamp(module))


def _forget_changed() -> None:
    ours = {name: module for name, module in list(sys.modules.items()) if hasattr(module, _MARK)}
    if any(getattr(module, _MARK) != _stamp(module) or _stamp(module) is None for module in ours.values()):
        for name in ours:
            del sys.modules[name]


def _stamp(module: ModuleType) -> tuple[int, int, int] | None:
    try:
        status = Path(module.__file__ or "").stat()
    except OSError:
        return None
    is_settled = status.st_mtime + _SETTLED_SECONDS < wall()
    return (status.st_mtime_ns, status.st_size, status.st_ino) if is_settled else None
