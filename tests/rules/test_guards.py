"""A broad `except` stands only at an outermost guard that is listed here with its reason; none is silent."""

import ast

import pytest

from tests.rules.source import Source, scopes, sources

# "module:function" -> why this guard may catch everything, and where what it caught is recorded.
GUARDS: dict[str, str] = {
    "daemon.api.routes:guarded.handle": "one request that goes wrong is a 500 and a line in the log; others go on",
    "daemon.cli.guard:call": "the last stop before the person: one sentence, and the traceback in a file",
    "daemon.schedules:Schedules._loop": "looks again soon: it logs, and the pulse that stands still tells the watchdog",
    "daemon.janitor:Janitor._loop": "tries again after the next interval: it logs",
    "daemon.inbox:Inbox._guarded_turn": "a turn that fails is told and followed by another after a pause",
    "daemon.inbox:Inbox._run": "the inbox's thread: what ends it is told and raised by start",
    "daemon.recovery:Recovery.take_up": "a run that cannot be taken up ends, and is listed; others are",
    "engine.run:Run._guarded": "a fault in one run ends that run alone: its message says where",
    "engine.executor:Executor._loop": "the loop that owns every run: it stops the process rather than guess",
    "engine.forkserver:ForkServer._become_worker": "the child never comes back into the server: traceback in its log",
    "engine.registry.plugin:_guarded": "a plugin file may raise anything at import: it is listed as broken",
    "engine.runner.payload:_encode_as_it_is": "asks what plugins made whether it is equal: an error is a no",
    "engine.runner:Runner.run": "calls the plugin: what it raises is the failure of the attempt, with its traceback",
}
MIN_REASON_WORDS = 3
_BROAD = {"Exception", "BaseException"}


def guards(source: Source) -> list[str]:
    """Find handlers of everything, as "module:function"; one that ends with a bare `raise` only tidies up: free."""
    return [
        f"{source.name}:{inside}"
        for inside, node in scopes(source.tree)
        if (isinstance(node, ast.ExceptHandler) and _is_broad(node.type) and not _passes_on(node))
        or (isinstance(node, ast.Call) and _called(node) == "suppress" and any(map(_is_broad, node.args)))
    ]


def silent(source: Source) -> list[str]:
    """Find broad handlers whose whole body is `pass`, `continue` or `...`."""
    return [
        source.at(node.lineno)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ExceptHandler) and _is_broad(node.type) and all(map(_does_nothing, node.body))
    ]


def _is_broad(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(map(_is_broad, caught.elts))
    if isinstance(caught, ast.Attribute):
        return caught.attr in _BROAD
    return caught is None or (isinstance(caught, ast.Name) and caught.id in _BROAD)


def _passes_on(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _does_nothing(statement: ast.stmt) -> bool:
    is_word = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return is_word or isinstance(statement, ast.Pass | ast.Continue)


def _called(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def test_every_broad_except_is_a_listed_guard_and_every_listed_guard_stands():
    assert sorted({guard for source in sources() for guard in guards(source)}) == sorted(GUARDS)


def test_every_listed_guard_has_a_reason():
    assert [guard for guard, reason in GUARDS.items() if len(reason.split()) < MIN_REASON_WORDS] == []


def test_no_guard_is_silent():
    assert [place for source in sources() for place in silent(source)] == []


@pytest.mark.parametrize(
    "handler",
    ["except:", "except Exception:", "except BaseException as error:", "except (OSError, builtins.Exception):"],
)
def test_a_broad_except_is_seen_with_the_function_it_stands_in(handler):
    text = f"class A:\n    def f(self):\n        try:\n            g()\n        {handler}\n            log()\n"
    assert guards(Source.sample(text)) == ["engine.sample:A.f"]


def test_a_broad_suppress_is_seen():
    assert guards(Source.sample("with contextlib.suppress(Exception):\n    g()")) == ["engine.sample:"]


def test_a_handler_that_tidies_up_and_raises_again_is_free():
    assert guards(Source.sample("try:\n    g()\nexcept BaseException:\n    undo()\n    raise\n")) == []


@pytest.mark.parametrize("text", ["except OSError:", "except (KeyError, ValueError):"])
def test_a_narrow_except_is_free(text):
    assert guards(Source.sample(f"try:\n    g()\n{text}\n    pass\n")) == []


def test_a_silent_guard_is_seen():
    assert silent(Source.sample("try:\n    g()\nexcept Exception:\n    pass\n")) != []
