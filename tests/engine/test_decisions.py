import pytest

from engine.decisions import Decision, judge
from engine.errors import DecisionInvalidError
from engine.facts import Decided
from engine.run import Question

FORM = {"type": "object", "properties": {"amount": {"type": "integer"}}, "required": ["amount"]}
NESTED: list = []
for _ in range(5000):
    NESTED = [NESTED]


def test_an_approval_without_a_form_takes_what_comes():
    decision = Decision(is_approved=True, actor="eve", note="fine", data={"x": 1})
    fact = judge("ask", Question(message="ok?"), decision)
    assert fact == Decided("ask", is_approved=True, actor="eve", note="fine", data=b'{"x":1}')


def test_a_form_that_is_not_filled_in_as_asked_is_refused_with_every_problem():
    with pytest.raises(DecisionInvalidError) as caught:
        judge("ask", Question(message="ok?", form=FORM), Decision(is_approved=True, data={"amount": "much"}))
    [problem] = caught.value.problems
    assert problem.pointer == "/amount"
    assert "integer" in problem.message


def test_a_form_that_nobody_fills_in_is_as_the_task_has_it():
    question = Question(message="ok?", form=FORM, data={"amount": 3})
    assert judge("ask", question, Decision(is_approved=True)).data == b'{"amount":3}'


def test_a_rejection_needs_no_form():
    question = Question(message="ok?", form=FORM)
    assert judge("ask", question, Decision(is_approved=False, note="no")).is_approved is False


def test_a_form_that_is_no_schema_is_said_and_not_passed_over():
    question = Question(message="ok?", form={"type": "sort of"})
    with pytest.raises(DecisionInvalidError, match="no JSON Schema"):
        judge("ask", question, Decision(is_approved=True, data={}))


@pytest.mark.parametrize("said", [{"data": object()}, {"data": "\ud800"}, {"note": "\ud800"}, {"data": NESTED}])
def test_what_cannot_be_written_down_is_refused_before_a_run_hears_of_it(said):
    with pytest.raises(DecisionInvalidError, match="not JSON"):
        judge("ask", Question(message="ok?"), Decision(is_approved=True, **said))
