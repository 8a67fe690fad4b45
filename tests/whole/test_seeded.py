"""The seeded bugs still fit the tree, and RELIABILITY.md shows them and what is expected of a machine in trouble.

That each bug is caught is `make torture`'s, since that takes a test for each.
"""

import pytest

from tests.rules.source import ROOT
from tests.torture.resources import TROUBLES, table
from tests.torture.seeded.bugs import BUGS


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_seeded_bug_changes_text_that_is_there_once(bug):
    for edit in bug.edits:
        assert (ROOT / edit.path).read_text().count(edit.old) == 1, edit.path
        compile((ROOT / edit.path).read_text().replace(edit.old, edit.new), edit.path, "exec")


def test_there_are_as_many_as_are_promised_and_each_has_a_name_of_its_own():
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 16


def test_the_promises_show_every_seeded_bug_and_every_trouble_with_its_test():
    page = (ROOT / "RELIABILITY.md").read_text()
    assert table() in page
    assert [bug.name for bug in BUGS if f"| {bug.name} | {bug.what} | `{bug.catcher}` |" not in page] == []


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.what)
def test_every_trouble_names_a_test_that_is_there(trouble):
    assert f"def {trouble.test}(" in (ROOT / trouble.file).read_text()


def test_every_catcher_is_there():
    for bug in BUGS:
        assert (ROOT / bug.catcher.split(" ")[0]).exists(), bug.name
