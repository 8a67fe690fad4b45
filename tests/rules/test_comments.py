"""Docstrings that say what a module owns, no banners, and no excuse without its reason."""

import ast
import re

import pytest

from tests.rules.source import ROOT, Source, sources

DOCSTRING_LINES = 8
# Modules whose docstring is longer, and why.
LONGER = {
    "engine.errors": "the exception tree is drawn in it",
}
_EXCUSE = re.compile(r"#\s*(noqa|type:\s*ignore|pragma|fmt:\s*(skip|off)|nosec|pyright)", re.IGNORECASE)
_REASONED = re.compile(r"#\s*(noqa:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*|type:\s*ignore\[[\w, -]+\])\s+(#|--|—)\s*.*\w{3,}")
_BANNER = re.compile(r"^#\s*([-=#*~─═_])\1{3,}")


def long_docstring(source: Source) -> list[str]:
    """Find a module docstring of more lines than anyone reads."""
    lines = (ast.get_docstring(source.tree) or "").count("\n") + 1
    return [f"{source.path} has a module docstring of {lines} lines"] if lines > DOCSTRING_LINES else []


def banners(source: Source) -> list[str]:
    """Find comments that draw a line across the file."""
    return [source.at(line) for line, comment in source.comments if _BANNER.match(comment)]


def bare_excuses(source: Source) -> list[str]:
    """Find switched-off checks that name no code, or give no reason after it."""
    return [
        f"{source.at(line)} {comment}"
        for line, comment in source.comments
        if _EXCUSE.search(comment) and not _REASONED.search(comment) and not comment.startswith("# fmt: skip")
    ]


def test_a_module_says_what_it_owns_in_eight_lines():
    asked = [source for source in sources() if source.name not in LONGER]
    assert [problem for source in asked for problem in long_docstring(source)] == []


def test_no_file_needs_section_banners():
    assert [
        place for source in sources("engine", "daemon", "plugins", "tests", "bench") for place in banners(source)
    ] == []


def test_every_switched_off_check_has_its_reason_on_the_line():
    everything = sources("engine", "daemon", "plugins", "tests", "bench")
    assert [excuse for source in everything for excuse in bare_excuses(source)] == []


def test_every_rule_that_is_off_has_its_reason_beside_it():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    settings = text[text.index("[tool.ruff.lint]") : text.index("[tool.mypy]")]
    off = [line for line in settings.splitlines() if re.match(r'\s+"[A-Z]+\d*",', line)]
    assert off
    assert [line for line in off if not re.search(r"# \W*\w+(\W+\w+)+", line)] == []


def test_a_long_docstring_is_seen():
    assert long_docstring(Source.sample('"""One.\n' + "\n" * 7 + 'Nine.\n"""')) != []
    assert long_docstring(Source.sample('"""One.\n' + "\n" * 6 + 'Eight.\n"""')) == []


@pytest.mark.parametrize("text", ["# -------- helpers", "#########", "# ====", "# ──────"])
def test_a_banner_is_seen(text):
    assert banners(Source.sample(text)) != []


@pytest.mark.parametrize("text", ["# ---", "# a - b", "#!/usr/bin/env python", "x = 1  # why"])
def test_a_comment_is_not_a_banner(text):
    assert banners(Source.sample(text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "x = 1  # noqa",
        "x = 1  # noqa: A001",
        "x = 1  # type: ignore[misc]",
        "x  # type: ignore # it is fine so",
        "x  # noqa -- it is fine so",
    ],
)
def test_an_excuse_without_code_or_reason_is_seen(text):
    assert bare_excuses(Source.sample(text)) != []


@pytest.mark.parametrize(
    "text",
    [
        "x = 1  # noqa: A002 -- the word of the document",
        "x = 1  # noqa: A002, B008 -- the word of the document",
        "x = 1  # type: ignore[misc]  # the stub forgets the second argument",
    ],
)
def test_an_excuse_with_code_and_reason_is_fine(text):
    assert bare_excuses(Source.sample(text)) == []
