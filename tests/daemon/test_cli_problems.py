"""Problems are shown where they stand, whatever the line looks like."""

import io

import pytest

from daemon.cli.output import Output
from daemon.cli.problems import complain, show
from engine.errors import ConfigInvalidError, DocumentInvalidError, Problem, RunUnknownError


def shown(document, *problems):
    stream = io.StringIO()
    show(Output(stream, {}), problems, "a.json", document)
    return stream.getvalue()


def problem(line, column, message="is wrong", hint=None):
    return Problem(code="x", message=message, pointer="/tasks/0", line=line, column=column, hint=hint)


def test_a_problem_names_its_place_shows_the_line_and_points_at_the_column():
    text = shown(b'{\n  "tasks": 3\n}', problem(2, 12, "must be a list", "Write [ ]"))
    assert text == (
        'a.json:2:12: error: must be a list\n   2 |   "tasks": 3\n     |            ^\n     = hint: Write [ ]\n'
    )


def test_a_problem_without_a_place_names_its_pointer():
    assert shown(b"", Problem(code="x", message="is wrong", pointer="/a")) == "a.json: error: is wrong (at /a)\n"


@pytest.mark.parametrize("column", [1, 40, 5_000, 9_999, 10_000])
def test_of_a_line_too_long_for_a_screen_the_part_around_the_column_is_shown(column):
    line = "".join(str(number % 10) for number in range(10_000))
    _, source, caret, *_ = shown(line.encode(), problem(1, column)).splitlines()
    assert len(source) <= 100
    assert source[caret.index("^")] == line[column - 1]


@pytest.mark.parametrize(
    ("line", "column", "under"),
    [("\t\tx", 3, "x"), ("漢字x", 3, "x"), ("e\u0301x", 3, "x"), ("\x1b[2Jx", 5, "x")],
)
def test_the_caret_stands_under_the_column_whatever_comes_before(line, column, under):
    from rich.cells import cell_len

    _, source, caret, *_ = shown(line.encode(), problem(1, column)).splitlines()
    before = source[: source.rindex(under)]
    assert cell_len(before) == caret.index("^")
    assert "\x1b" not in source


def test_a_place_behind_the_end_of_the_text_is_no_trouble():
    assert "a.json:9:9: error" in shown(b"{", problem(9, 9))
    assert "^" in shown(b"{", problem(1, 80))


def test_a_document_that_is_not_utf8_can_be_shown():
    assert "\\xff" in shown(b'{"a": \xff}', problem(1, 7))


def complained(error, *document):
    stream = io.StringIO()
    complain(Output(stream, {}), error, *document)
    return stream.getvalue()


def test_an_error_with_problems_lists_them_and_any_other_is_one_sentence():
    error = ConfigInvalidError([problem(3, 1, "unknown key")], "x.toml")
    assert complained(error) == (
        "error: the configuration x.toml cannot be used:\n  line 3, column 1: unknown key (at /tasks/0)\n"
    )
    assert complained(RunUnknownError("\x1b7")) == "error: no run has the id '\\x1b7'; `dropmill runs` lists them\n"
    assert complained(DocumentInvalidError([problem(1, 1)]), b"{}", "d.json").startswith("d.json:1:1: error: is wrong")
