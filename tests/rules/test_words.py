"""Names: the words of the design and no synonyms, and no file named after what it is not."""

import ast
import re

import pytest

from tests.rules.source import Source, sources

SHAPELESS = {"util", "helper", "common", "manager", "base", "misc"}
SYNONYMS = {"job": "task or run", "step": "task", "action": "task or plugin", "execution": "run or attempt"}
SYNONYMS |= {"dag": "workflow", "flow": "workflow"}
# Where another word is the right one: (module, word) -> why.
EXCEPTIONS = {
    ("engine.limits", "step"): "how far an expression may compute, not a node of a workflow",
}


def words(identifier: str) -> set[str]:
    """Split a name into its words, lower case and singular: `StepRunner`, `step_runner` -> step, runner."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", identifier)
    return {part.lower().removesuffix("s") for part in parts}


def names(source: Source) -> list[tuple[str, int]]:
    """List the names that a file gives: its own, of classes, functions, arguments, variables and fields."""
    found = [(source.path.stem, 1)]
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.append((node.name, node.lineno))
        elif isinstance(node, ast.arg):
            found.append((node.arg, node.lineno))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.append((node.id, node.lineno))
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.append((node.attr, node.lineno))
    return found


def synonyms(source: Source) -> list[str]:
    """Find given names that use another word for one of ours."""
    return [
        f"{source.at(line)} {name}: say {SYNONYMS[word]}"
        for name, line in names(source)
        for word in sorted(words(name) & SYNONYMS.keys())
        if (source.name, word) not in EXCEPTIONS
    ]


def test_names_use_the_words_of_the_design():
    assert [synonym for source in sources() for synonym in synonyms(source)] == []


def test_every_excepted_word_is_still_in_use():
    used = {(source.name, word) for source in sources() for name, _ in names(source) for word in words(name)}
    assert EXCEPTIONS.keys() - used == set()


def test_no_file_has_a_shapeless_name():
    everything = sources("engine", "daemon", "plugins", "tests", "bench")
    assert [str(source.path) for source in everything for part in source.path.parts if words(part) & SHAPELESS] == []


@pytest.mark.parametrize(
    "text", ["class StepRunner: ...", "def f(job): ...", "max_jobs = 3", "self.flow = 1", "steps: int"]
)
def test_a_synonym_is_seen(text):
    assert synonyms(Source.sample(text)) != []


@pytest.mark.parametrize("text", ["workflow = 1", "def timestep(transaction): ...", "x.add_job(f)", "overflow: int"])
def test_a_word_that_only_looks_like_a_synonym_is_fine(text):
    assert synonyms(Source.sample(text)) == []


@pytest.mark.parametrize("stem", ["utils", "helpers", "common", "task_manager", "base", "BaseStore"])
def test_a_shapeless_name_is_seen(stem):
    assert words(stem) & SHAPELESS
