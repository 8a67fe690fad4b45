"""Codes, pointers, hints, and the list of problems with its limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.problems import PROBLEMS, Findings, meant, more_problems, nearest, pointer, quoted, shortened


def test_every_code_is_a_word_and_every_sentence_a_sentence():
    for code, sentence in PROBLEMS.items():
        assert code == code.lower()
        assert code.replace("_", "").isalpha()
        assert sentence.endswith(".")
        assert sentence[0].isupper()


def test_a_pointer_escapes_what_it_must():
    assert pointer(["tasks", 0, "a/b", "~", ""]) == "/tasks/0/a~1b/~0/"
    assert pointer([]) == ""


@given(st.lists(st.one_of(st.text(), st.characters(categories=["Cs"]))))
def test_a_pointer_can_always_be_written(parts):
    pointer(parts).encode()


@pytest.mark.parametrize(
    ("word", "near"),
    [("fetsh", "fetch"), ("FETCH", "fetch"), ("fetch_", "fetch"), ("dya", "day"), ("reprot", "report"), ("zzz", None)],
)
def test_the_nearest_name_is_the_one_meant(word, near):
    assert nearest(word, ["day", "fetch", "report", "clean"]) == near


def test_a_hint_is_given_only_where_something_is_near():
    assert meant("fetsh", ["fetch"]) == 'Did you mean "fetch"?'
    assert meant("zzz", ["fetch"]) is None


def test_only_so_many_names_are_compared():
    assert nearest("needle", [*(f"x{number}" for number in range(5000)), "needle2"]) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", '"a"'), ('a"b', '"a\\"b"'), ("a\nb", '"a\\nb"'), ("é", '"é"'), ("\u200b", '"\\u200b"'), (5, "5"),
        (None, "null"), (True, "true"), ([1, 2], "a list"), ({"a": 1}, "an object"),
        ("x" * 100, '"' + "x" * 57 + '..."'),
    ],
)  # fmt: skip
def test_a_value_is_shown_short_and_on_one_line(value, text):
    assert quoted(value) == text


@given(st.one_of(st.text(), st.characters(categories=["Cs"]), st.floats(), st.integers()))
def test_a_shown_value_can_always_be_written(value):
    shown = quoted(value)
    assert shown.encode()
    assert "\n" not in shown


def test_a_long_text_is_cut():
    assert shortened("x" * 100, 10) == "xxxxxxx..."
    assert shortened("x" * 10, 10) == "x" * 10


def test_findings_keep_the_first_and_count_the_rest():
    findings = Findings(2)
    for number in range(5):
        findings.add("cycle", "m", f"/{number}", at_key=not number)
    assert [problem.pointer for problem in findings.shown] == ["/0", "/1"]
    assert (findings.count, findings.is_full, findings.at_keys) == (5, True, {"/0"})


def test_a_hint_is_looked_for_only_if_it_is_shown():
    findings, asked = Findings(1), iter(["hint"])
    for _ in range(3):
        findings.add("cycle", "m", "", lambda: next(asked))
    assert findings.shown[0].hint == "hint"


def test_nothing_more_is_said_about_a_place_that_is_muted():
    findings = Findings(5)
    findings.mute(["/a"])
    findings.add("cycle", "m", "/a")
    findings.add("cycle", "m", "/a/b")
    assert [problem.pointer for problem in findings.shown] == ["/a/b"]
    assert findings.count == 1


def test_how_many_more_there_are_is_said_in_words():
    assert more_problems(0) == []
    assert [problem.message for problem in more_problems(1)] == ["there is 1 more problem"]
    assert [problem.message for problem in more_problems(7)] == ["there are 7 more problems"]
