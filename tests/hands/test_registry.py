import inspect
import os
import resource
import select
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.registry import Registry, probe_file
from engine.task import HANDED_FIELDS, RESERVED_FIELDS, BrokenPlugin, FailedError

DESIGNS = Path(__file__).parent / "designs"
GOOD = "TASK_TYPE = 'good'\ndef run(task):\n    task['output'] = 'good'\n    return True\n"


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "plugins"
    path.mkdir()
    return path


@pytest.fixture(autouse=True)
def _interpreter_as_before():
    path, modules = sys.path[:], set(sys.modules)
    yield
    Registry(builtin_package="").load()  # takes its finder and its modules out of the interpreter
    assert sys.path == path
    assert [name for name in set(sys.modules) - modules if name.startswith("dropmill_plugin_")] == []


def write(folder, name, text):
    path = folder / name
    path.write_text(text)
    return path


def touched(path, seconds):
    """Set the time of the last change, as an archive or a copy with `-p` does."""
    os.utime(path, (seconds, seconds))
    return path


def load(*folders, **more):
    registry = Registry("", folders)
    registry.load(**more)
    return registry


def only_broken(folder):
    """Load a folder beside a good plugin, which must not be harmed, and return the one that is broken."""
    write(folder, "zz_good.py", GOOD)
    catalogue = load(folder).catalogue()
    assert list(catalogue.types) == ["good"]
    (broken,) = catalogue.broken
    return broken


def output_of(registry, task_type, **fields):
    return registry.call(task_type, **fields)


def test_the_examples_of_the_design_are_found_unchanged_with_exactly_the_five_keys(folder):
    for path in DESIGNS.glob("*.py.txt"):
        write(folder, path.name.removesuffix(".txt"), path.read_text())
    registry = load(folder)
    assert registry.catalogue().broken == ()
    run = registry.tasks["print"].pop("run")
    assert list(inspect.signature(run).parameters) == ["task"]
    assert registry.tasks["print"] == {
        "description": "Prints a message to the log",
        "version": "1.0",
        "required_fields": ["message"],
        "param_schema": None,
    }
    assert registry.list() == ("api_call", "print")


def test_a_plugin_needs_no_more_than_a_type_and_a_run(folder):
    write(folder, "a.py", "TASK_TYPE = 'a'\ndef run(task): return True\n")
    entry = load(folder).get("a")
    assert {key: value for key, value in entry.items() if key != "run"} == {
        "description": "",
        "version": "",
        "required_fields": [],
        "param_schema": None,
    }


def test_an_unknown_type_is_a_key_error(folder):
    with pytest.raises(KeyError):
        load(folder).get("nope")


def test_only_python_files_that_are_meant_as_plugins_are_read(folder):
    write(folder, "_shared.py", "raise SystemExit")
    write(folder, ".hidden.py", "raise SystemExit")
    write(folder, "notes.txt", "raise SystemExit")
    (folder / "directory.py").mkdir()
    os.mkfifo(folder / "pipe.py")
    catalogue = load(folder, folder / "does not exist").catalogue()
    assert (catalogue.types, catalogue.broken) == ({}, ())


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("TASK_TYPE = 'a'\ndef run(task):\n    return Tru e\n", "syntax_error", "line 3: invalid syntax"),
        ("TASK_TYPE = 'a'\n\0\n", "syntax_error", "null bytes"),
        ("# -*- coding: utf-8 -*-\nTASK_TYPE = '\udcff'\n", "syntax_error", "utf-8"),
        ("import logging\nimport no_such_library\n", "import_error", "line 2: ModuleNotFoundError: No module named"),
        ("def f():\n    return 1 / 0\nf()\n", "import_error", "line 2: ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "import_error", "line 1: SystemExit: 3"),
        ("raise KeyboardInterrupt", "import_error", "line 1: KeyboardInterrupt"),
        ("class Odd(BaseException): ...\nraise Odd('x')", "import_error", "line 2: Odd: x"),
        ("class Odd(Exception):\n    def __str__(self): raise self\nraise Odd", "import_error", "line 3: Odd"),
        ("def run(task): return True\n", "missing_task_type", "defines no TASK_TYPE"),
        ("", "missing_task_type", "begins with _"),
        ("TASK_TYPE = 'a'\n", "missing_run", "no run(task)"),
        ("TASK_TYPE = ''\ndef run(task): return True\n", "bad_task_type", "''"),
        ("TASK_TYPE = 7\ndef run(task): return True\n", "bad_task_type", "7"),
        ("TASK_TYPE = 'a b'\ndef run(task): return True\n", "bad_task_type", "letters, digits"),
        ("TASK_TYPE = 'approval'\ndef run(task): return True\n", "reserved_type", "the engine's own"),
        ("TASK_TYPE = 'a\\n'\ndef run(task): return True\n", "bad_task_type", "letters, digits"),
        ("TASK_TYPE = 'a'\nrun = 5\n", "bad_run", "run is a int"),
        ("TASK_TYPE = 'a'\ndef run(): return True\n", "bad_run", "run() cannot be called as run(task)"),
        ("TASK_TYPE = 'a'\ndef run(task, more): return True\n", "bad_run", "run(task, more)"),
        ("TASK_TYPE = 'a'\ndef run(task): return True\nREQUIRED_FIELDS = 'url'\n", "bad_required_fields", "'url'"),
        ("TASK_TYPE = 'a'\ndef run(task): return True\nREQUIRED_FIELDS = [1]\n", "bad_required_fields", "[1]"),
        ("TASK_TYPE = 'a'\ndef run(task): return True\nREQUIRED_FIELDS = {}\n", "bad_required_fields", "{}"),
        ("TASK_TYPE = 'a'\ndef run(task): return True\nDESCRIPTION = 3\n", "bad_metadata", "DESCRIPTION is 3"),
        ("TASK_TYPE = 'a'\ndef run(task): return True\nVERSION = []\n", "bad_metadata", "VERSION is []"),
        ("TASK_TYPE = 'a'\ndef run(task): return True\nPARAM_SCHEMA = []\n", "bad_param_schema", "is a list"),
        (
            "TASK_TYPE = 'a'\ndef run(task): return True\nPARAM_SCHEMA = {'properties': {'u': {'type': 'text'}}}\n",
            "bad_param_schema",
            "at properties/u/type",
        ),
        (
            "TASK_TYPE = 'a'\ndef run(task): return True\nPARAM_SCHEMA = {'pattern': '('}\n",
            "bad_param_schema",
            "not a JSON Schema",
        ),
        (
            "TASK_TYPE = 'a'\ndef run(task): return True\nPARAM_SCHEMA = {'default': object()}\n",
            "bad_param_schema",
            "not a JSON Schema",
        ),
        (
            "TASK_TYPE = 'a'\ndef run(task): return True\nPARAM_SCHEMA = {'$ref': 'https://example.org/schema'}\n",
            "bad_param_schema",
            "not a JSON Schema",
        ),
        (
            "from engine.task import task\n@task('a')\ndef f(x: object, *rest): ...\n",
            "bad_signature",
            "f cannot be a task type: the parameter *rest",
        ),
        ("from engine.task import task\n@task('a')\ndef f(x, /): ...\n", "bad_signature", "positional only"),
        ("from engine.task import task\n@task('a')\ndef f(x: 'Nope'): ...\n", "bad_signature", "Nope"),
        ("from engine.task import task\n@task('a')\ndef f(x: set[print]): ...\n", "bad_signature", "'x'"),
        ("from engine.task import task\n@task('a b')\ndef f(x): ...\n", "bad_task_type", "a b"),
    ],
)
def test_a_broken_file_is_listed_with_its_reason_and_isolates_itself(folder, text, code, words):
    path = folder / "broken.py"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    broken = only_broken(folder)
    assert (broken.source, broken.code) == (str(path), code)
    assert words in broken.message


def test_nothing_is_fetched_for_a_schema(folder):
    with socket.create_server(("127.0.0.1", 0)) as server:
        schema = {"$ref": f"http://127.0.0.1:{server.getsockname()[1]}/schema"}
        write(folder, "a.py", f"TASK_TYPE = 'a'\nPARAM_SCHEMA = {schema}\ndef run(task): return True\n")
        assert only_broken(folder).code == "bad_param_schema"
        assert select.select([server], [], [], 0)[0] == []


@pytest.mark.parametrize("name", sorted(RESERVED_FIELDS | HANDED_FIELDS))
@pytest.mark.parametrize("where", ["REQUIRED_FIELDS = ['{}']", "PARAM_SCHEMA = {{'properties': {{'{}': {{}}}}}}"])
def test_a_field_with_a_name_of_the_engine_is_refused(folder, name, where):
    write(folder, "a.py", f"TASK_TYPE = 'a'\n{where.format(name)}\ndef run(task): return True\n")
    broken = only_broken(folder)
    assert broken.code == "reserved_field"
    assert repr(name) in broken.message


def test_a_typed_function_may_not_take_a_field_with_a_name_of_the_engine(folder):
    write(folder, "a.py", "from engine.task import task\n@task('a')\ndef f(timeout: int): ...\n")
    assert "'timeout'" in only_broken(folder).message


def test_a_file_that_fails_half_way_leaves_no_half_module_behind(folder):
    write(folder, "a.py", "x = 1\nraise SystemExit\n")
    load(folder)
    assert [name for name in sys.modules if name.startswith("dropmill_plugin_")] == []


def test_a_link_that_leads_nowhere_is_listed(folder):
    (folder / "a.py").symlink_to(folder / "gone.py")
    assert "FileNotFoundError" in only_broken(folder).message


def test_a_broken_neighbour_is_named_with_its_line(folder):
    write(folder, "_shared.py", "x = 1\ny = = 2\n")
    write(folder, "a.py", "import _shared\n" + GOOD)
    broken = only_broken(folder)
    assert f"{folder / '_shared.py'}, line 2: " in broken.message


def test_a_broken_file_says_which_task_type_it_would_have(folder):
    write(folder, "a.py", "import no_such_library\nTASK_TYPE = 'resize'\n")
    write(folder, "b.py", "import engine.task as t\nimport no_such_library\n@t.task(\n    'crop')\ndef f(): ...\n")
    registry = load(folder)
    assert [broken.type for broken in registry.catalogue().broken] == ["resize", "crop"]
    assert registry.broken_plugin_of("resize").source == str(folder / "a.py")
    assert registry.broken_plugin_of("rotate") is None


def test_of_two_files_with_one_type_the_first_stays_and_the_other_names_it(tmp_path):
    first, second = tmp_path / "one", tmp_path / "two"
    first.mkdir()
    second.mkdir()
    write(first, "b.py", "DESCRIPTION = 'b'\n" + GOOD)
    write(first, "c.py", "DESCRIPTION = 'c'\n" + GOOD)
    write(second, "a.py", "DESCRIPTION = 'a'\n" + GOOD)
    catalogue = load(first, second).catalogue()
    assert catalogue.types["good"].description == "b"
    assert [(broken.source, broken.code) for broken in catalogue.broken] == [
        (str(first / "c.py"), "duplicate_type"),
        (str(second / "a.py"), "duplicate_type"),
    ]
    assert all(str(first / "b.py") in broken.message for broken in catalogue.broken)


def test_a_type_twice_in_one_file_is_said(folder):
    write(folder, "a.py", "from engine.task import task\n@task('a')\ndef f(): ...\n@task('a')\ndef g(): ...\n")
    (broken,) = load(folder).catalogue().broken
    assert (broken.code, broken.type) == ("duplicate_type", "a")
    assert "this file" in broken.message


@pytest.fixture
def builtin(tmp_path, monkeypatch):
    """Make a package of built-in plugins that can be imported by its name."""
    package = tmp_path / "builtin_for_test"
    package.mkdir()
    write(package, "__init__.py", "")
    write(package, "_shared.py", "raise SystemExit")
    write(package, "good.py", "DESCRIPTION = 'built in'\n" + GOOD)
    monkeypatch.syspath_prepend(tmp_path)
    yield package
    for name in [name for name in sys.modules if name.split(".")[0] == package.name]:
        del sys.modules[name]


def test_an_operators_file_takes_the_place_of_a_builtin_one_and_the_catalogue_says_so(builtin, folder):
    registry = Registry(builtin.name, [folder])
    catalogue = registry.load()
    assert catalogue.types["good"].is_builtin
    own = write(folder, "mine.py", "DESCRIPTION = 'mine'\n" + GOOD)
    good = registry.load().types["good"]
    assert (good.description, good.source, good.is_builtin) == ("mine", str(own), False)
    assert good.overrides == str(builtin / "good.py")
    assert registry.catalogue().broken == ()


def test_a_broken_file_does_not_take_the_place_of_a_builtin_one(builtin, folder):
    write(folder, "good.py", "TASK_TYPE = 'good'\n")
    catalogue = Registry(builtin.name, [folder]).load()
    assert catalogue.types["good"].description == "built in"
    assert [broken.code for broken in catalogue.broken] == ["missing_run"]


def test_a_broken_builtin_plugin_harms_no_other(builtin):
    write(builtin, "bad.py", "raise SystemExit")
    catalogue = Registry(builtin.name).load()
    assert list(catalogue.types) == ["good"]
    assert [broken.source for broken in catalogue.broken] == [str(builtin / "bad.py")]


def test_our_own_builtin_plugins_are_all_usable():
    catalogue = Registry().load()
    assert catalogue.broken == ()
    assert catalogue.types["print"].is_builtin


def test_a_changed_file_is_never_taken_for_its_old_self(folder):
    path = write(folder, "a.py", "TASK_TYPE = 'a'\ndef run(task):\n    task['output'] = 1\n    return True\n")
    touched(path, 1_000_000_000)
    registry = load(folder)
    old = registry.tasks["a"]["run"]
    assert output_of(registry, "a") == 1
    path.write_text(path.read_text().replace("= 1", "= 2"))  # same size, same time: what bytecode is checked by
    touched(path, 1_000_000_000)
    registry.load()
    assert output_of(registry, "a") == 2
    task: dict[str, Any] = {}
    assert old(task)
    assert task["output"] == 1  # what still runs finishes on the old one
    assert sorted(entry.name for entry in folder.iterdir()) == ["a.py"]


def test_a_plugin_may_import_what_stands_beside_it_and_sees_it_change(folder):
    (folder / "parts").mkdir()
    write(folder / "parts", "__init__.py", "from parts.size import SIZE\n")
    size = write(folder / "parts", "size.py", "SIZE = 1\n")
    write(folder, "_late.py", "LATE = 'late'\n")
    write(
        folder,
        "a.py",
        "import parts\nTASK_TYPE = 'a'\n"
        "def run(task):\n    import _late\n    task['output'] = [parts.SIZE, _late.LATE]\n    return True\n",
    )
    registry = load(folder)
    assert output_of(registry, "a") == [1, "late"]
    size.write_text("SIZE = 2\n")
    registry.load()
    assert output_of(registry, "a") == [2, "late"]
    assert [path for path in folder.rglob("*") if path.name == "__pycache__"] == []


def test_a_plugin_hides_no_other_module_by_its_name(folder):
    write(folder, "fractions.py", "TASK_TYPE = 'fractions'\ndef run(task): return True\n")
    write(folder, "a.py", "import fractions\nHALF = fractions.Fraction(1, 2)\n" + GOOD)
    sys.modules.pop("fractions", None)
    assert sorted(load(folder).tasks) == ["fractions", "good"]


def test_two_folders_may_have_neighbours_of_one_name(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, "_shared.py", f"NAME = {name!r}\n")
        text = f"import _shared\nTASK_TYPE = {name!r}\ndef run(task):\n"
        write(tmp_path / name, "a.py", text + "    task['output'] = _shared.NAME\n    return True\n")
    registry = load(tmp_path / "one", tmp_path / "two")
    assert [output_of(registry, name) for name in ("one", "two")] == ["one", "two"]


def test_a_dataclass_and_string_annotations_work_in_a_plugin_file(folder):
    write(
        folder,
        "a.py",
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom engine.task import task\n"
        "@dataclass\nclass Box:\n    width: int\n    inner: Box | None = None\n"
        "@task('a')\ndef f(box: Box) -> dict:\n    return {'width': box.inner.width}\n",
    )
    registry = load(folder)
    task = {"box": {"width": 1, "inner": {"width": 5}}}
    assert registry.tasks["a"]["run"](task)
    assert task["output"] == {"width": 5}


def test_files_that_did_not_survive_a_probe_are_listed_and_not_touched(folder):
    path = write(folder, "deadly.py", "import os\nos._exit(1)\n")
    write(folder, "good.py", GOOD)
    dead = BrokenPlugin(source=str(path), code="import_died", message="the import ended the process")
    registry = Registry("", [folder])
    assert registry.files() == [path, folder / "good.py"]
    catalogue = registry.load(skip=[dead])
    assert (list(catalogue.types), catalogue.broken) == (["good"], (dead,))


def test_a_probe_says_what_is_wrong_or_nothing(folder):
    broken = probe_file(write(folder, "good.py", "import _shared\n" + GOOD))
    assert broken is not None
    assert broken.code == "import_error"
    write(folder, "_shared.py", "")
    assert probe_file(folder / "good.py") is None


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: write(folder, "new.py", ""),
        lambda folder: write(folder, "_shared.py", "x"),
        lambda folder: write(folder / "parts", "__init__.py", "x"),
        lambda folder: (folder / "a.py").unlink(),
        lambda folder: (folder / "a.py").rename(folder / "b.py"),
        lambda folder: touched(folder / "a.py", 5),
        lambda folder: write(folder, ".a.tmp", GOOD.replace("good", "best")).replace(folder / "a.py"),
        lambda folder: touched(write(folder, "a.py", "x"), 1_000_000_000),
        lambda folder: touched(write(folder, ".a.tmp", GOOD), 1_000_000_000).replace(folder / "a.py"),
        lambda folder: (folder / "a.py").unlink() or (folder / "parts").rename(folder / "other"),
    ],
)
def test_the_fingerprint_changes_with_every_change_of_code(folder, change):
    touched(write(folder, "a.py", GOOD), 1_000_000_000)
    (folder / "parts").mkdir()
    write(folder / "parts", "__init__.py", "")
    registry = Registry("", [folder])
    before = registry.fingerprint()
    assert hash(before) == hash(registry.fingerprint())
    change(folder)
    assert registry.fingerprint() != before


def test_the_fingerprint_does_not_change_where_nobody_can_look(folder):
    (folder / "one.py").write_text("TASK_TYPE = 'one'\n")
    registry = Registry("", [folder])
    before = registry.fingerprint()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        assert registry.fingerprint() == before
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    (folder / "one.py").unlink()
    assert registry.fingerprint() != before


def test_the_fingerprint_does_not_change_with_what_is_no_code(folder):
    write(folder, "a.py", GOOD)
    for name in ("loop", "other_loop"):
        (folder / name).symlink_to(folder)
    registry = Registry("", [folder, folder / "missing"])
    before = registry.fingerprint()
    (folder / "__pycache__").mkdir()
    write(folder / "__pycache__", "a.py", "")
    write(folder, "notes.txt", "")
    assert registry.fingerprint() == before
    (folder / "missing").mkdir()
    write(folder / "missing", "b.py", "")
    assert registry.fingerprint() != before


def test_the_catalogue_names_every_declared_field_or_none(folder):
    write(folder, "a.py", "TASK_TYPE = 'a'\ndef run(task): return True\n")
    schema = "PARAM_SCHEMA = {'properties': {'method': {}, 'url': {}}}\n"
    write(folder, "b.py", f"TASK_TYPE = 'b'\nREQUIRED_FIELDS = ['url']\n{schema}def run(task): return True\n")
    types = load(folder).catalogue().types
    assert (types["a"].fields, types["b"].fields) == (None, ("url", "method"))


def test_a_docstring_describes_what_says_nothing_else_of_itself(folder):
    write(folder, "a.py", '"""Do a.\n\nMore.\n"""\nTASK_TYPE = "a"\ndef run(task): return True\n')
    text = "from engine.task import task\n@task('{}'{})\ndef f{}():\n    '''\n    Do {}.\n\n    More.'''\n"
    write(folder, "b.py", text.format("b", "", 1, "b") + text.format("c", ", description='See'", 2, "c"))
    types = load(folder).catalogue().types
    assert [types[name].description for name in "abc"] == ["Do a.", "Do b.", "See"]


def test_a_version_may_be_written_as_a_number(folder):
    write(folder, "a.py", "TASK_TYPE = 'a'\nVERSION = 1.0\ndef run(task): return True\n")
    assert load(folder).tasks["a"]["version"] == "1.0"


def test_every_problem_of_fields_is_said_once(folder):
    write(
        folder,
        "a.py",
        "TASK_TYPE = 'a'\nREQUIRED_FIELDS = ['url']\ndef run(task): return True\n"
        "PARAM_SCHEMA = {'required': ['url', 'rows'], 'additionalProperties': False, 'properties': {"
        "'url': {}, 'rows': {'items': {'type': 'integer'}}, 'method': {'enum': ['GET']}}}\n",
    )
    registry = load(folder)
    assert registry.problems("a", {"url": "x", "rows": [1]}) == []
    problems = registry.problems("a", {"method": "PUT", "rows": [1, "2"], "extra": 1})
    assert len(problems) == 4
    for words in ("the field 'url' is missing", "method: ", "rows.1: ", "extra"):
        assert len([problem for problem in problems if words in problem]) == 1
    assert registry.problems("a", {"url": "x"}) == ['"rows" is a required property']
    with pytest.raises(KeyError):
        registry.problems("b", {})


TYPED = """
import enum
from pathlib import Path
from typing import Any
from typing import Annotated, Literal, TypedDict
import msgspec
from engine.task import task

class Colour(enum.Enum):
    RED = "red"

class Box(TypedDict):
    width: int

class Point(msgspec.Struct):
    x: int
    y: int = 0

@task("resize", version="2")
def resize(
    path: str,
    box: Box,
    width: Annotated[int, msgspec.Meta(ge=1, description="In pixels.")] = 800,
    scale: float = 1.0,
    colour: Colour = Colour.RED,
    mode: Literal["fast", "good"] = "fast",
    at: Point | None = None,
    tags: list[str] = [],
    target: Path = Path("here"),
    anything=None,
) -> dict:
    "Resize a picture."
    return dict(locals(), colour=colour.value, at=at and at.x, target=str(target))
"""


def test_a_typed_function_is_a_task_type_with_a_schema_of_its_annotations(folder):
    write(folder, "a.py", TYPED)
    found = load(folder).catalogue().types["resize"]
    assert (found.description, found.version, found.required_fields) == ("Resize a picture.", "2", ("path", "box"))
    properties = found.param_schema["properties"]
    assert properties["path"] == {"type": "string"}
    assert properties["width"] == {"type": "integer", "minimum": 1, "description": "In pixels.", "default": 800}
    assert properties["mode"] == {"enum": ["fast", "good"], "default": "fast"}
    assert found.param_schema["required"] == ["path", "box"]
    assert set(found.fields) == set(properties)


def test_a_typed_function_gets_its_types_and_its_own_defaults(folder):
    write(folder, "a.py", TYPED)
    registry = load(folder)
    fields = {"path": "p", "box": {"width": 3}, "at": {"x": 7}, "target": "/t", "anything": [1], "mode": "good"}
    assert registry.problems("resize", fields) == []
    task = {"id": "a", "type": "resize", **fields, "inputs": {}, "memo": None, "settings": {}, "output": None}
    assert registry.tasks["resize"]["run"](task) is True
    assert task["output"] == {
        "path": "p", "box": {"width": 3}, "width": 800, "scale": 1.0, "colour": "red", "mode": "good", "at": 7,
        "tags": [], "target": "/t", "anything": [1],
    }  # fmt: skip


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"path": 1, "box": {"width": 1}},
        {"path": "p", "box": {}},
        {"path": "p", "box": {"width": 1}, "width": "800"},
        {"path": "p", "box": {"width": 1}, "width": True},
        {"path": "p", "box": {"width": 1}, "width": 0},
        {"path": "p", "box": {"width": 1}, "colour": "blue"},
        {"path": "p", "box": {"width": 1}, "widht": 800},
        {"path": "p", "box": {"width": 1}, "tags": "x"},
    ],
)
def test_what_a_typed_function_does_not_take_is_refused_by_schema_and_by_call(folder, fields):
    write(folder, "a.py", TYPED)
    registry = load(folder)
    assert registry.problems("resize", fields) != []
    with pytest.raises(FailedError):
        registry.tasks["resize"]["run"]({"id": "a", "type": "resize", **fields})


def test_a_typed_function_may_ask_for_what_the_engine_hands_over(folder):
    write(
        folder,
        "a.py",
        "from engine.task import task\n@task('a')\n"
        "def f(x: int, inputs, memo, settings, run, attempt, task):\n"
        "    return [x, inputs, memo, settings, run, attempt, task['id']]\n",
    )
    registry = load(folder)
    assert registry.catalogue().types["a"].fields == ("x",)
    handed = {"inputs": {"b": 1}, "memo": [2], "settings": {"c": 3}, "run": "r", "attempt": 4}
    task = {"id": "i", "type": "a", "x": 5, **handed, "output": None}
    registry.tasks["a"]["run"](task)
    assert task["output"] == [5, {"b": 1}, [2], {"c": 3}, "r", 4, "i"]


def test_fields_are_checked_against_the_schema_in_force(folder):
    registry = Registry("")
    registry.register("a", lambda x=1: x)
    assert registry.problems("a", {"x": "text"}) == []

    def strict(x: int, y: object = None):
        return x, y

    registry.register("a", strict)
    assert registry.problems("a", {"x": "text", "y": "anything"}) == ['x: "text" is not of type "integer"']


def test_a_typed_function_with_open_keywords_takes_any_field(folder):
    text = "from engine.task import task\n@task('a')\ndef f(x: int, **more):\n    return [x, more]\n"
    write(folder, "a.py", text)
    registry = load(folder)
    assert registry.problems("a", {"x": 1, "y": 2}) == []
    task = {"id": "i", "type": "a", "x": 1, "y": 2, "inputs": {}, "output": None}
    registry.tasks["a"]["run"](task)
    assert task["output"] == [1, {"y": 2}]


def test_coroutine_functions_are_run_to_their_end(folder):
    write(
        folder,
        "a.py",
        "import asyncio\nfrom engine.task import task\nTASK_TYPE = 'a'\n"
        "async def run(task):\n    await asyncio.wait_for(asyncio.Event().wait(), 0) if task.get('late') else None\n"
        "    task['output'] = 1\n    return True\n"
        "@task('b')\nasync def b(x: int) -> int:\n    return x + 1\n",
    )
    registry = load(folder)
    assert output_of(registry, "a") == 1
    task = {"x": 2}
    assert registry.tasks["b"]["run"](task) is True
    assert task["output"] == 3
    with pytest.raises(TimeoutError):
        registry.tasks["a"]["run"]({"late": True})


def test_one_file_may_hold_several_types_and_imported_ones_are_not_its_own(folder):
    write(folder, "_shared.py", "from engine.task import task\n@task('shared')\ndef f(): ...\n")
    write(
        folder,
        "a.py",
        "import functools\nfrom engine.task import task\nfrom _shared import f\n"
        "def twice(function):\n"
        "    @functools.wraps(function)\n    def both(*a, **k):\n        return [function(*a, **k)] * 2\n"
        "    return both\n"
        "@twice\n@task('one')\ndef one(x: int):\n    return x\n"
        "@task('two')\ndef two():\n    return 2\n"
        "alias = two\n@task('bad')\ndef bad(*x): ...\n" + GOOD,
    )
    registry = load(folder)
    assert registry.list() == ("good", "one", "two")
    assert [broken.code for broken in registry.catalogue().broken] == ["bad_signature"]
    task: dict[str, Any] = {"x": 4}
    registry.tasks["one"]["run"](task)
    assert task["output"] == [4, 4]


def test_a_program_may_register_functions_and_call_them_by_name(folder):
    write(folder, "good.py", GOOD)
    registry = load(folder)

    def area(width: int, height: int = 2) -> int:
        """Multiply."""
        return width * height

    def plain(task):
        task["output"] = task["message"]
        return task["message"] == "hi"

    registry.register("area", area)
    registry.register("good", plain, "Says it")
    assert registry.get("area")["description"] == "Multiply."
    assert registry.get("good")["description"] == "Says it"
    assert registry.call("area", 3, height=5) == 15
    assert registry.call("good", message="hi") == "hi"
    with pytest.raises(FailedError, match="did not return True"):
        registry.call("good", message="ho")
    assert registry.problems("area", {"width": "x"}) != []
    registry.load()  # what a program registered stays
    assert registry.list() == ("area", "good")
    assert registry.catalogue().types["good"].description == "Says it"


@pytest.mark.parametrize(("name", "function"), [("a b", lambda x: x), ("a", lambda *x: x), ("a", lambda timeout: 1)])
def test_what_cannot_be_a_task_type_cannot_be_registered(name, function):
    with pytest.raises(ValueError, match="cannot be the task type"):
        Registry("").register(name, function)
