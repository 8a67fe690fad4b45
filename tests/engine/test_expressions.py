"""Expressions: what they name, what they compute, and what is said when they cannot."""

import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import expressions
from engine.expressions import ExpressionError, compile_text, evaluate, evaluate_condition
from engine.limits import Limits
from engine.problems import PROBLEMS
from tests.engine import documents

SCOPE = {
    "params": {"n": 3, "f": 1.5, "s": "abc", "list": [1, 2, 3], "object": {"a": 1}, "none": None, "rows": [{"id": 1}]},
    "tasks": {
        "fetch": {"output": {"row": 3, "list": [{"a": 1}]}, "state": "COMPLETED", "reason": None, "attempts": 1},
        "my-task": {"output": 1, "state": "COMPLETED", "reason": None, "attempts": 2},
    },
    "run": {"id": "01j"},
    "env": {"HOME": "/root"},
}

COMPUTED = [
    ("params.n", 3),
    (" params.n ", 3),
    ("params.none", None),
    ("tasks.fetch.output.list[0].a", 1),
    ('tasks["my-task"].output', 1),
    ("tasks['my-task'].attempts", 2),
    ("params . n", 3),
    ("params.n // three", 3),
    ("params.n + 1", 4),
    ("params.n * 2 == 6 && params.s != ''", True),
    ("params.none == null", True),
    ("params.n > 2 ? 'many' : 'few'", "many"),
    ("7 / 2", 3),
    ("-7 / 2", -3),
    ("7 % 3", 1),
    ("1 == 1.0", True),
    ("1 < 1.5", True),
    ("double(params.n) + params.f", 4.5),
    ("'n=' + string(params.n)", "n=3"),
    ("params.list + [4]", [1, 2, 3, 4]),
    ("2 in params.list", True),
    ("'a' in params.object", True),
    ("has(params.q)", False),
    ("has(params.object.q) && params.object.q > 1", False),
    ("size(params.list) + params.s.size()", 6),
    ("size('é')", 2),
    ("params.list.map(x, x * 2)", [2, 4, 6]),
    ("params.list.map(x, x > 1, x * 2)", [4, 6]),
    ("params.list.filter(x, x > 1)", [2, 3]),
    ("params.list.exists(x, x == 2)", True),
    ("params.list.exists_one(x, x > 1)", False),
    ("params.list.all(params, params > 0)", True),
    ("params.rows.map(r, r.id)", [1]),
    ("params.s.startsWith('a') && params.s.matches('^[a-c]+$')", True),
    ("{'a': [1, null, true, 1.5]}", {"a": [1, None, True, 1.5]}),
    ("type(params.n) == int", True),
    ("duration('90m')", 5400.0),
    ("timestamp('2024-01-01T00:00:00+01:00')", "2023-12-31T23:00:00.000000Z"),
    ("timestamp('2024-02-01T00:00:00Z').getMonth()", 1),
    ("uint(5)", 5),
]


@pytest.mark.parametrize(("text", "value"), COMPUTED)
def test_an_expression_is_computed_from_its_scope(text, value):
    found = evaluate(compile_text(text), SCOPE)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "roots", "tasks"),
    [
        ("1 + 1", set(), set()),
        ("params.n + size(env)", {"params", "env"}, set()),
        ("tasks.a.output", {"tasks"}, {"a"}),
        ('tasks["a-b"].output > tasks.c.output.tasks.d', {"tasks"}, {"a-b", "c"}),
        ("params.list.map(run, run + 1)", {"params"}, set()),
        ("params.list.map(x, x + run.id)", {"params", "run"}, set()),
        ("[1].map(x, tasks.a.output) + [2].map(params, params)", {"tasks"}, {"a"}),
        ("'tasks.b' + \"secrets\" // params", set(), set()),
        ("has(tasks.a.output.x) ? tasks.b.state : secrets.key", {"tasks", "secrets"}, {"a", "b"}),
        ("type(item) == list", {"item"}, set()),
    ],
)
def test_an_expression_tells_what_it_names(text, roots, tasks):
    expression = compile_text(text)
    assert expression.roots == roots
    assert expression.tasks == tasks


def test_an_expression_tells_which_names_it_takes_from_a_root():
    expression = compile_text("params.a + params['b'].c + params.list.map(x, x + params.d)[0]")
    assert expression.named("params") == {"a", "b", "list", "d"}


# Text -> problem code, words in the message, words in the hint.
UNREADABLE = [
    ("", "expression_syntax", "empty", None),
    ("   ", "expression_syntax", "empty", None),
    ("1 +", "expression_syntax", "too early", None),
    ("a b", "expression_syntax", '"b" is not expected', None),
    ("params.n = 3", "expression_syntax", "character 10", "=="),
    ("params.n and true", "expression_syntax", '"and"', "&&"),
    ("${{ params.n }}", "expression_syntax", "character 1", "leave out"),
    ("params.n | upper", "expression_syntax", "character", "no filters"),
    ("tasks.1st.output", "expression_syntax", "character 6", "brackets"),
    ("params.n +\n* 2", "expression_syntax", "line 2, character 1", None),
    ("'abc", "expression_syntax", "character 1", None),
    ("99999999999999999999", "expression_syntax", "invalid int", None),
    ("params{a: 1}", "expression_syntax", "not supported", None),
    (".params", "expression_syntax", "not supported", None),
    ("'\ud800'", "expression_syntax", "not CEL", None),
    ("x" * 5000, "expression_limit", "5000 characters", None),
    ("(" * 33 + "1" + ")" * 33, "expression_limit", "32 deep", None),
    ("(" * 300 + "1" + ")" * 300, "expression_limit", "32 deep", None),
    ("foo", "expression_name", "nothing is called foo", "tasks, params"),
    ("param.n", "expression_name", "nothing is called param", '"params"'),
    ("tasks.my-task.output", "expression_name", "nothing is called task", "hyphen"),
    ("params.list.map(x, x) + x", "expression_name", "nothing is called x", None),
    ("__import__('os')", "expression_name", "no function __import__", None),
    ("params.s.upper()", "expression_name", "no function upper", None),
    ("params.s.startswith('a')", "expression_name", "no function startswith", '"startsWith"'),
    ("params.list.map(x)", "expression_name", "no function map", "list.map(x, value)"),
    ("optional.of(1)", "expression_name", "no function of", None),
    ("tasks", "expression_reference", "which", None),
    ("size(tasks)", "expression_reference", "which", None),
    ("tasks[params.s].output", "expression_reference", "which", None),
    ("tasks[0]", "expression_reference", "which", None),
    ("params.list.map(x, tasks[x])", "expression_reference", "which", None),
    ("(tasks).a.output", "expression_reference", "which", None),
    ("secrets", "expression_reference", "which", None),
    ("secrets[params.s]", "expression_reference", "which", None),
]


@pytest.mark.parametrize(("text", "code", "message", "hint"), UNREADABLE)
def test_what_cannot_be_used_is_refused_when_compiled(text, code, message, hint):
    with pytest.raises(ExpressionError) as caught:
        compile_text(text)
    assert caught.value.problem == code
    assert message in caught.value.message
    assert hint is None or hint in caught.value.hint
    assert caught.value.expression == text


# Text -> the name that is missing, words in the message, words in the hint.
FAILING = [
    ("tasks.fetch.output.rows", "tasks.fetch.output.rows", 'tasks.fetch.output has no field "rows"', '"row"'),
    ("tasks.fetch.output.rows + 1", "tasks.fetch.output.rows", 'tasks.fetch.output has no field "rows"', '"row"'),
    ("tasks['my-task'].outptu", 'tasks["my-task"].outptu', 'tasks["my-task"] has no field', None),
    ("tasks.fetch.output.list[1]", "tasks.fetch.output.list[1]", "has 1 elements", None),
    ("tasks.fetch.state.x", "tasks.fetch.state.x", "tasks.fetch.state is a text", None),
    ("params.n[0]", "params.n[0]", "params.n is an integer", None),
    ("params.none.x + 1", "params.none.x", "params.none is null", None),
    ("has(params.q.r)", "params.q", 'params has no field "q"', None),
    ("item", "item", "item has no value here", None),
    ("index + 1", "index", "index has no value here", None),
    ("params.rows.map(r, r.name)", "name", 'there is no field "name"', None),
    ("params.n + params.f", None, "params.n is an integer, params.f is a number with a fraction", "double()"),
    ("(has(params.q) || true) && params.n + params.f > 1.0", None, "params.n is an integer, params.f", "double()"),
    ("params.s + 1", None, "string + int", "string()"),
    ("size(params.n)", "size", "size(...) cannot take", None),
    ("params.n / 0", None, "divides by zero", None),
    ("params.list[params.n]", None, "no such element", None),
    ("params.list[-1]", None, "no such element", None),
    ("9223372036854775807 + params.n", None, "too large", None),
    ("int(params.s)", None, "int(...) fails", None),
    ("timestamp(params.s)", None, "timestamp(...) fails", None),
    ("params.s.matches('(')", None, "unclosed group", None),
    ("1.0 / 0.0", None, "infinite number", None),
    ("b'abc'", None, "bytes", None),
    ("{1: 2}", None, "keys that are not texts", None),
    ("18446744073709551615u", None, "beyond 64 bits", None),
    ("timestamp('9999-12-31T23:59:59-12:00')", None, "9999", None),
]


@pytest.mark.parametrize(("text", "name", "message", "hint"), FAILING)
def test_what_cannot_be_computed_is_said_in_plain_words(text, name, message, hint):
    expression = compile_text(text)
    with pytest.raises(ExpressionError) as caught:
        evaluate(expression, SCOPE)
    assert caught.value.name == name
    assert message in caught.value.message
    assert hint is None or hint in caught.value.hint
    assert text in str(caught.value)


def test_a_value_is_never_taken_for_an_expression():
    assert evaluate(compile_text("params.s"), {"params": {"s": "${{ params.n }}"}}) == "${{ params.n }}"
    assert evaluate(compile_text("params.s + ''"), {"params": {"s": "params.n"}}) == "params.n"


def test_what_is_only_selected_is_the_object_itself():
    assert evaluate(compile_text("tasks.fetch.output"), SCOPE) is SCOPE["tasks"]["fetch"]["output"]


def test_only_what_is_named_is_handed_to_the_library():
    unspeakable = {"params": {"n": 1, "other": object()}, "tasks": {"a": {"output": {"x": 2, "y": object()}}}}
    assert evaluate(compile_text("params.n + tasks.a.output.x"), unspeakable) == 3


class Untouchable(dict):
    """A part of a scope that must not be written to."""

    def __setitem__(self, key, value):
        raise AssertionError(key)


@pytest.mark.parametrize(
    "text", ["params.a == {'b': 1, 'c': 2} && params.a.b == 1", "params.a.b == 1 && size(params.a) == 2"]
)
def test_a_part_may_be_named_beside_the_whole_and_the_scope_stays_as_it_is(text):
    scope = {"params": Untouchable({"a": Untouchable({"b": 1, "c": 2})})}
    assert evaluate(compile_text(text), scope) is True


@pytest.mark.parametrize(("text", "value"), [("params.n == 3", True), ("params.n == 4", False), ("has(run.x)", False)])
def test_a_condition_is_true_or_false(text, value):
    assert evaluate_condition(compile_text(text), SCOPE) is value


@pytest.mark.parametrize(
    ("text", "kind"), [("params.n", "an integer"), ("params.s", "a text"), ("params.none", "null"), ("[]", "a list")]
)
def test_a_condition_that_is_something_else_is_an_error(text, kind):
    with pytest.raises(ExpressionError, match=f"not {kind}"):
        evaluate_condition(compile_text(text), SCOPE)


def test_limits_are_settings():
    with pytest.raises(ExpressionError, match="limit is 5"):
        compile_text("params.n", Limits(expression_chars=5))
    with pytest.raises(ExpressionError, match="more than 100 steps"):
        evaluate(compile_text("params.list.map(x, x)", Limits(expression_steps=100)), {"params": {"list": [0] * 50}})


def test_an_expression_works_in_any_thread():
    expression, found = compile_text("params.n + 39"), []
    thread = threading.Thread(target=lambda: found.append(evaluate(expression, SCOPE)))
    thread.start()
    thread.join()
    assert found == [42]


def test_the_command_line_of_the_library_stays_out_of_our_processes():
    code = (
        "import sys; from engine import expressions\n"
        "assert 'cel' not in sys.modules, 'imported before it is needed'\n"
        "expressions.evaluate(expressions.compile_text('params.n'), {'params': {'n': 1}})\n"
        "assert 'cel' not in sys.modules, 'imported for what only selects'\n"
        "print(expressions.evaluate(expressions.compile_text('1 + 1'), {}))\n"
        "assert not {'typer', 'click', 'rich', 'prompt_toolkit'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("2\n", "")


def test_every_function_and_macro_of_the_reference_is_one():
    for name in expressions.FUNCTIONS:
        with pytest.raises(ExpressionError) as caught:
            evaluate(compile_text(f"{name}(params.q)" if name != "has" else "has(params.q.r)"), SCOPE)
        assert "no function" not in str(caught.value)
    for name in expressions.MACROS:
        evaluate(compile_text(f"params.list.{name}(x, x == 1)"), SCOPE)


def test_every_name_of_the_reference_is_one():
    for name in expressions.NAMES:
        assert compile_text(f"{name}.x.y").roots == {name}


keys = st.one_of(st.sampled_from(["a", "b", "in", "size", "x-y", "0", ""]), st.integers(0, 3))
selections = st.lists(keys, max_size=4)


def written(root, path):
    text = root
    for key in path:
        text += f".{key}" if isinstance(key, str) and key.isidentifier() and key != "in" else f"[{key!r}]"
    return text


@given(st.dictionaries(st.sampled_from(["a", "b", "in", "size", "x-y", "0", ""]), documents.values), selections)
def test_what_only_selects_is_what_the_library_would_select(params, path):
    scope = {"params": params}
    text = written("params", path)
    ours, librarys = compile_text(text), compile_text(f"({text})")
    assert (ours.program is None, librarys.program is None) == (True, False)
    try:
        expected = evaluate(librarys, scope)
    except ExpressionError:
        with pytest.raises(ExpressionError):
            evaluate(ours, scope)
    else:
        assert evaluate(ours, scope) == expected


@given(st.text("abps.[]()'\"+-*!?:,{}0123456789 tasksparams\n\\/=&|", max_size=30))
def test_any_text_is_an_expression_or_an_expression_error(text):
    try:
        evaluate(compile_text(text), SCOPE)
    except ExpressionError as error:
        assert error.problem in PROBLEMS  # noqa: PT017 -- either way is right, and this is what it says


@pytest.mark.parametrize(
    "text",
    [
        "duration(secrets.TOKEN)",
        "int(secrets.TOKEN)",
        "double(secrets.TOKEN)",
        "timestamp(secrets.TOKEN)",
        "params[secrets.TOKEN]",
        "params[secrets.TOKEN + 'x']",
        "{'a': 1}[secrets.TOKEN]",
        "'a'.matches(secrets.TOKEN + '[')",
        "timestamp('2020-01-01T00:00:00Z').getHours(secrets.TOKEN)",
        "secrets.TOKEN + 1",
        "secrets.TOKEN.part",
        "[secrets.TOKEN].map(x, int(x))",
    ],
)
def test_no_error_of_an_expression_shows_a_secret(text):
    scope = SCOPE | {"secrets": {"TOKEN": "s3cr3tvalue"}}
    with pytest.raises(ExpressionError) as caught:
        evaluate(compile_text(text), scope)
    assert "s3cr3t" not in str(caught.value)
    assert text in str(caught.value)
