"""`make house`: the largest files, functions and classes. A mirror, not a fence: is the biggest of them two nouns?"""

import ast
from collections.abc import Iterable

from tests.rules.source import PACKAGES, Source, sources

FILE_LINES, FUNCTION_LINES = 400, 40
SHOWN = 10

Row = tuple[int, str]


def files(read: Iterable[Source]) -> list[Row]:
    """Measure each file in lines, largest first."""
    return sorted(((len(source.text.splitlines()), str(source.path)) for source in read), reverse=True)


def definitions(read: Iterable[Source], *kinds: type[ast.stmt]) -> list[Row]:
    """Measure each definition of these kinds in lines, decorators not counted, largest first."""
    return sorted(
        (
            (node.end_lineno - node.lineno + 1, f"{source.at(node.lineno)} {node.name}")
            for source in read
            for node in ast.walk(source.tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            if isinstance(node, kinds) and node.end_lineno
        ),
        reverse=True,
    )


def show(title: str, rows: list[Row], ask_past: int) -> None:
    """Print the largest rows, each past the size we ask about with a question mark."""
    print(f"\n{title}")
    for lines, where in rows[:SHOWN]:
        print(f"{lines:6d} {'?' if lines > ask_past else ' '} {where}")


def main() -> None:
    """Print the three tables for the code, and one for the tests."""
    code = sources(*PACKAGES)
    total = sum(lines for lines, _ in files(code))
    show(f"Largest files, in lines ({len(code)} files, {total} lines in all)", files(code), FILE_LINES)
    show("Longest functions", definitions(code, ast.FunctionDef, ast.AsyncFunctionDef), FUNCTION_LINES)
    show("Largest classes", definitions(code, ast.ClassDef), FILE_LINES)
    show("Largest test files", files(sources("tests")), FILE_LINES)


if __name__ == "__main__":
    main()
