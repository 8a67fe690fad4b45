"""Functions from folders of the operator: found, called, imported anew, and nothing beyond the folders."""

import asyncio
import os
import sys

import pytest

from engine.clock import wall
from plugins import python
from tests.plugins.contract import Bad, PluginContract
from tests.plugins.direct import call, refusal

REPORTS = """
import asyncio
from os import system, getcwd
import helper_of_reports

CONSTANT = 5

def total(rows, factor=1):
    print("adding", len(rows))
    return {"total": sum(rows) * factor, "by": helper_of_reports.NAME}

async def slowly(value):
    await asyncio.sleep(0)
    return value

def broken():
    raise LookupError("no such row")

def not_json():
    return {1, 2}

def nothing():
    pass

class Shaper:
    def __call__(self):
        return "shaped"

shape = Shaper()

def _private():
    return 1
"""


@pytest.fixture
def folder(tmp_path):
    """Make a folder of modules; nothing of them stays imported."""
    folder = tmp_path / "functions"
    (folder / "shop" / "inner").mkdir(parents=True)
    (folder / "reports.py").write_text(REPORTS)
    (folder / "helper_of_reports.py").write_text("NAME = 'helper'\n")
    (folder / "shop" / "__init__.py").write_text("def opened():\n    return True\n")
    (folder / "shop" / "inner" / "__init__.py").write_text("")
    (folder / "shop" / "inner" / "prices.py").write_text(
        "from shop import opened\ndef price():\n    return opened() and 9\n"
    )
    (folder / "json.py").write_text("def dumps():\n    return 'ours'\n")
    (folder / "wrong.py").write_text("def f(:\n")
    known = set(sys.modules)
    yield folder
    for name in set(sys.modules) - known:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


class TestPython(PluginContract):
    task_type = "python"

    @pytest.fixture(autouse=True)
    def _allow(self, folder, monkeypatch):
        monkeypatch.setattr(type(self), "settings", {"folders": [str(folder)]})

    @pytest.fixture
    def good(self):
        return {"function": "reports.total", "args": [[1, 2]], "kwargs": {"factor": 10}}

    @pytest.fixture
    def bad(self):
        return [
            Bad({"function": "nowhere.f"}, "there is no module 'nowhere' in "),
            Bad({"function": "reports.nowhere"}, "the module 'reports' has no function 'nowhere'"),
            Bad({"function": "reports"}, "function"),
            Bad({"function": "../etc/passwd:f"}, "function"),
            Bad({"function": "reports.total"}, "missing a required argument: 'rows'"),
        ]

    def test_what_it_returns_is_the_output_and_what_it_prints_is_logged(self, attempt, good, capfd):
        assert attempt(good).output == {"total": 30, "by": "helper"}
        assert "adding 2\n" in capfd.readouterr().out

    def test_what_it_raises_fails_the_task_with_its_traceback(self, attempt, capfd):
        tried = attempt({"function": "reports.broken"})
        assert (tried.outcome, tried.message) == ("Failed", "LookupError: no such row")
        log = capfd.readouterr().err
        assert "reports.py" in log
        assert 'raise LookupError("no such row")' in log

    def test_what_is_not_json_is_said_to_be_none(self, attempt):
        assert "is a set" in attempt({"function": "reports.not_json"}).message

    def test_a_module_that_cannot_be_imported_fails_with_the_place(self, attempt, capfd):
        assert "SyntaxError" in attempt({"function": "wrong.f"}).message

    def test_without_a_folder_it_says_which_setting_is_missing(self, attempt, good):
        assert "folders = [" in attempt(good, settings={}).message


def run(folder, function, *args, **kwargs):
    fields = {"function": function, "args": list(args), "kwargs": kwargs}
    return call(python, fields, settings={"folders": [str(folder)]})


def failure(folder, function, **fields):
    return refusal(python, {"function": function, **fields}, settings={"folders": [str(folder)]})


@pytest.mark.parametrize(
    ("function", "args", "result"),
    [
        ("reports.nothing", [], None),
        ("reports:total", [[1], 2], {"total": 2, "by": "helper"}),
        ("reports.slowly", ["late"], "late"),
        ("reports.shape", [], "shaped"),
        ("shop.opened", [], True),
        ("shop.inner.prices:price", [], 9),
        ("shop.inner.prices.price", [], 9),
    ],
)
def test_a_function_is_found_in_modules_and_packages(folder, function, args, result):
    assert run(folder, function, *args) == result


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("reports._private", "is private"),
        ("reports.CONSTANT", "has no function 'CONSTANT'"),
        ("reports.system", "only functions written in the allowed folders"),
        ("reports.getcwd", "only functions written in the allowed folders"),
        ("reports.asyncio", "has no function 'asyncio'"),
        ("json.dumps", "the name 'json' is taken by"),
        ("os.getcwd", "there is no module 'os' in"),
        ("shop.inner.nowhere.f", "there is no module 'shop.inner.nowhere'"),
    ],
)
def test_nothing_beyond_the_folders_can_be_called(folder, function, words):
    assert words in failure(folder, function)


@pytest.mark.parametrize(
    "fields", [{}, {"args": [[1], 2, 3]}, {"kwargs": {"rowz": []}}, {"args": [[1]], "kwargs": {"rows": []}}]
)
def test_arguments_that_do_not_fit_are_named_before_it_is_called(folder, fields):
    assert "reports.total cannot be called with these arguments: " in failure(folder, "reports.total", **fields)


@pytest.mark.parametrize("folders", [["functions"], ["/no/such/folder"], [""]])
def test_a_folder_of_the_settings_that_is_none_is_named(folders):
    message = refusal(python, {"function": "reports.total"}, settings={"folders": folders})
    assert f"the setting `folders` holds {folders[0]!r}" in message


def settle(*paths):
    """Make files look as if nobody had touched them for a while."""
    past = wall() - 60
    for path in paths:
        os.utime(path, (past, past))


def test_an_unchanged_module_stays_as_it_is(folder):
    (folder / "counting.py").write_text("calls = 0\ndef count():\n    global calls\n    calls += 1\n    return calls\n")
    settle(folder / "counting.py")
    assert [run(folder, "counting.count") for _ in range(3)] == [1, 2, 3]


def test_a_changed_module_is_imported_anew_with_what_it_imports(folder):
    settle(folder / "reports.py", folder / "helper_of_reports.py")
    assert run(folder, "reports.total", [])["by"] == "helper"
    (folder / "helper_of_reports.py").write_text("NAME = 'changed'\n")
    assert run(folder, "reports.total", [])["by"] == "changed"


def test_a_change_within_the_tick_of_the_file_s_own_time_is_seen(folder):
    module = folder / "racing.py"
    module.write_text("def number():\n    return 1\n")
    moment = module.stat().st_mtime_ns
    assert run(folder, "racing.number") == 1
    module.write_text("def number():\n    return 2\n")
    os.utime(module, ns=(moment, moment))  # as it is where the clock of the file system ticks coarsely
    assert run(folder, "racing.number") == 2


def test_a_removed_module_is_gone(folder):
    (folder / "fleeting.py").write_text("def f():\n    return 1\n")
    settle(folder / "fleeting.py")
    assert run(folder, "fleeting.f") == 1
    (folder / "fleeting.py").unlink()
    assert "there is no module 'fleeting'" in failure(folder, "fleeting.f")


def test_a_module_that_the_function_imports_late_is_found_and_imported_anew_too(folder):
    (folder / "late.py").write_text("def f():\n    import later_still\n    return later_still.X\n")
    for number in (1, 2):
        (folder / "later_still.py").write_text(f"X = {number}\n")
        assert run(folder, "late.f") == number


def test_no_bytecode_is_written_beside_the_modules(folder):
    run(folder, "shop.inner.prices.price")
    assert list(folder.rglob("__pycache__")) == []


def test_what_python_searches_is_as_before(folder):
    before = list(sys.path), sys.dont_write_bytecode
    run(folder, "reports.nothing")
    failure(folder, "reports._private")
    assert (sys.path, sys.dont_write_bytecode) == before


def test_no_event_loop_is_left(folder):
    run(folder, "reports.slowly", 1)
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
