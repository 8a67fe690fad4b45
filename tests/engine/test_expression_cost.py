"""The estimate of an expression's work: what would stall the engine is refused before it begins."""

import pytest

from engine.expressions import ExpressionError, compile_text, evaluate
from engine.expressions.cost import Estimate, TooMuchError, measure
from engine.expressions.syntax import read

ROWS = [{"id": number, "name": f"n{number}"} for number in range(1000)]
SCOPE = {
    "params": {"hundred": list(range(100)), "thousand": list(range(1000)), "rows": ROWS, "text": "x" * 1_000_000},
    "tasks": {"big": {"output": list(range(200_000))}},
}
# A text that doubles with each of twenty macros in each other.
DOUBLING = "".join(f"[v{number} + v{number}].map(v{number + 1}, " for number in range(20))
DOUBLING = f"[params.text].map(v0, {DOUBLING}1{')' * 21}"


@pytest.mark.parametrize(
    "text",
    [
        "params.hundred.map(x, params.hundred.map(y, params.hundred.map(z, x * y * z)))",
        "params.thousand.map(x, params.thousand)",
        "params.rows.map(x, params.rows.map(y, x.id == y.id))",
        "params.thousand.all(x, params.thousand.all(y, params.thousand.all(z, x + y + z >= 0)))",
        "tasks.big.output.map(x, x)",
        "tasks.big.output.filter(x, x > 5)",
        "dyn(tasks.big.output).map(x, x)",
        "(tasks.big.output + params.hundred).map(x, x)",
        "[tasks.big.output].map(l, l.map(x, x))",
        "params.thousand.all(x, params.text.matches('\\\\w{1,50}'))",
        "params.hundred.all(x, params.text.matches(params.text))",
        " + ".join(["params.text"] * 200),
        "[" + ", ".join(["tasks.big.output"] * 200) + "]",
        DOUBLING,
    ],
)
def test_work_that_would_stall_the_engine_is_refused(text):
    with pytest.raises(ExpressionError, match="steps") as caught:
        evaluate(compile_text(text), SCOPE)
    assert caught.value.problem == "expression_limit"


@pytest.mark.parametrize(
    "text",
    [
        "params.rows.filter(r, r.id > 997).map(r, r.name)",
        "params.thousand.map(x, x * 2)",
        "params.hundred.map(x, params.hundred.map(y, x * y))[3][4]",
        "params.hundred.all(x, params.hundred.exists(y, x == y))",
        "tasks.big.output.exists(x, x == 5)",
        "size(tasks.big.output) > 5 && tasks.big.output[7] == 7",
        "params.text + params.text == ''",
        "params.hundred.filter(x, string(x).matches('^1[0-9]*$')).size()",
    ],
)
def test_ordinary_work_is_not(text):
    evaluate(compile_text(text), SCOPE)


def work(text, scope):
    return Estimate(read(text), scope, 10**12).work


def test_the_estimate_grows_with_what_the_library_copies():
    small, large = ({"l": list(range(size))} for size in (100, 200))
    assert 3.5 < work("l.map(x, x)", large) / work("l.map(x, x)", small) < 4.5
    assert 1.8 < work("l.all(x, x > 0)", large) / work("l.all(x, x > 0)", small) < 2.2
    assert 7 < work("l.map(x, l)", large) / work("l.map(x, l)", small) < 9


def test_a_value_is_bounded_level_by_level():
    size = measure({"a": [1, 2, 3], "bb": ["x" * 160]}, 1000)
    assert [(level.length, level.has_objects) for level in size.levels] == [(2, True), (3, False)]
    assert size.text == 11
    assert size.inside().length == 3
    assert size.inside().inside().length == 0


def test_measuring_gives_up_where_the_limit_is_reached():
    with pytest.raises(TooMuchError):
        measure(list(range(100)), 50)
