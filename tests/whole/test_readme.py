"""The documents of README's section on control flow, run by a daemon: each gives what is printed under it."""

import json
import re
from typing import NamedTuple

from tests.rules.source import ROOT
from tests.waiting import wait_for

_PART = re.compile(r"^\*\*(?P<title>[^*]+)\.\*\*", re.MULTILINE)
_DOCUMENT = re.compile(r"^```json\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_OUTPUT = re.compile(r"^    (?P<task>[\w-]+) -> (?P<value>.+)$", re.MULTILINE)
# What a person brings where a document asks one.
_DATA = re.compile(r"approve last ask --note (?P<note>\w+) --data '(?P<data>[^']+)'")


class Shown(NamedTuple):
    """A document of README with what is printed under it."""

    title: str
    document: str
    outputs: tuple[tuple[str, str], ...]


def section() -> str:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return text.partition("\n## Control flow\n")[2].partition("\n## ")[0]


def shown() -> list[Shown]:
    found, text = [], section()
    starts = [(part["title"], part.start()) for part in _PART.finditer(text)]
    ends = [start for _, start in starts[1:]] + [len(text)]
    for (title, start), end in zip(starts, ends, strict=True):
        part = text[start:end]
        for document in _DOCUMENT.finditer(part):
            outputs = tuple((output["task"], output["value"]) for output in _OUTPUT.finditer(part, document.end()))
            found.append(Shown(title, document["text"], outputs))
    return found


SHOWN = shown()


def written(output):
    return output if isinstance(output, str) else json.dumps(output, separators=(",", ":"))


def test_every_part_of_the_section_shows_a_document_and_what_comes_of_it():
    titles = [part["title"] for part in _PART.finditer(section())]
    assert [each.title for each in SHOWN] == titles
    assert all(each.outputs for each in SHOWN)


def test_every_document_gives_what_readme_prints_under_it(mill):
    mill.configure("[pools.db]\nsize = 2\n")
    mill.start()
    runs = {each: mill.submit(json.loads(each.document)) for each in SHOWN if "approval" not in each.document}
    [asking] = [each for each in SHOWN if "approval" in each.document]
    runs[asking] = mill.submit(json.loads(asking.document))
    wait_for(lambda: mill.ask("GET", "/api/v1/approvals")[1], "the question")
    wish = _DATA.search(section())
    assert wish is not None
    assert mill.call("approve", "last", "ask", "--data", '{"version": 4}').returncode == 2
    approved = mill.call("approve", "last", "ask", "--note", wish["note"], "--data", wish["data"])
    assert approved.stdout == f"ask of run {runs[asking]} (release) is approved\n", approved.stderr
    for each, run in runs.items():
        view = mill.wait_for_end(run)
        assert view["state"] == "COMPLETED", view
        outputs = {task["id"]: written(task["output"]) for task in view["tasks"]}
        outputs["output"] = written(view.get("output"))
        assert tuple((task, outputs[task]) for task, _ in each.outputs) == each.outputs, each.title
