"""The Python files of the repository, each read and parsed once, as the rule tests and `make house` walk them."""

import ast
import io
import re
import tokenize
import tomllib
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PACKAGES = ("engine", "daemon", "plugins")


class Source:
    """Hold one file: its dotted name, where it is, what it says."""

    def __init__(self, name: str, path: Path, text: str) -> None:
        self.name, self.path, self.text = name, path, text

    @classmethod
    def sample(cls, text: str, name: str = "engine.sample") -> "Source":
        """Make one from text: what the rules are tried on."""
        return cls(name, Path(name.replace(".", "/") + ".py"), text)

    @cached_property
    def tree(self) -> ast.Module:
        """Parse the text."""
        return ast.parse(self.text, self.path)

    @cached_property
    def imports(self) -> list[tuple[str, int]]:
        """List every imported dotted name with its line, wherever in the file it stands.

        `from a import b` gives `a.b`: only a reader who knows `a` can tell a module from a value.
        """
        found = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found += [(alias.name, node.lineno) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                found += [(f"{node.module}.{alias.name}", node.lineno) for alias in node.names]
        return found

    @cached_property
    def comments(self) -> list[tuple[int, str]]:
        """List the comments with their lines, `#` included."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]

    def at(self, line: int) -> str:
        """Write a place as editors and terminals understand it."""
        return f"{self.path}:{line}"


@cache
def sources(*tops: str) -> tuple[Source, ...]:
    """Read every Python file under these top-level folders, in order of their path."""
    return tuple(_read(path) for top in tops or PACKAGES for path in sorted((ROOT / top).rglob("*.py")))


def _read(path: Path) -> Source:
    place = path.relative_to(ROOT)
    parts = place.with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return Source(name, place, path.read_text(encoding="utf-8"))


@cache
def pyproject() -> dict[str, Any]:
    """Read pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def floors(container: str) -> list[list[str]]:
    """Return the floors of a package as the import contracts draw them, highest first, dotted; plugins has none."""
    for contract in pyproject()["tool"]["importlinter"]["contracts"]:
        if contract.get("containers") == [container]:
            return [[f"{container}.{room}" for room in re.findall(r"\w+", line)] for line in contract["layers"]]
    return []


def is_in(name: str, owners: tuple[str, ...]) -> bool:
    """Tell whether a dotted name is one of these modules or lies in one of these packages."""
    return any(name == owner or name.startswith(f"{owner}.") for owner in owners)


def scopes(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Walk a module and give each node with the dotted name of the class or function it stands in ("" at the top)."""

    def walk(node: ast.AST, inside: str) -> Iterator[tuple[str, ast.AST]]:
        for child in ast.iter_child_nodes(node):
            yield inside, child
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from walk(child, f"{inside}.{child.name}".lstrip("."))
            else:
                yield from walk(child, inside)

    return walk(tree, "")
