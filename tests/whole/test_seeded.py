"""The seeded bugs still fit the tree; that each is caught is `make torture`'s, since that takes a test for each."""

import pytest

from tests.rules.source import ROOT
from tests.torture.seeded.bugs import BUGS


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_seeded_bug_changes_text_that_is_there_once(bug):
    for edit in bug.edits:
        assert (ROOT / edit.path).read_text().count(edit.old) == 1, edit.path
        compile((ROOT / edit.path).read_text().replace(edit.old, edit.new), edit.path, "exec")


def test_there_are_as_many_as_are_promised_and_each_has_a_name_of_its_own():
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 16


def test_every_catcher_is_there():
    for bug in BUGS:
        assert (ROOT / bug.catcher.split(" ")[0]).exists(), bug.name
