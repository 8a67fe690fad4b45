"""The command line as a whole: what there is, what it costs to ask, and how whatever goes wrong is told."""

import json
import os
import select
import subprocess
import sys

import click
import pytest

from daemon.cli import guard
from daemon.cli.registry import ENTRIES, load
from tests.daemon.cli_calls import PROGRAM, ROOT, Site

HELLO = {"id": "a", "type": "print", "message": "hi"}


@pytest.fixture
def site(tmp_path, capsys):
    return Site(tmp_path, capsys)


def test_help_lists_every_command_with_its_sentence(site):
    answer = site.call("--help")
    assert answer.status == 0
    unwrapped = " ".join(answer.out.split())
    for name, entry in ENTRIES.items():
        assert f" {name} {entry.sentence}" in unwrapped
        assert f"{entry.heading}:" in answer.out


@pytest.mark.parametrize("name", ENTRIES)
def test_a_command_says_of_itself_what_the_list_says_of_it(name):
    command = load(name)
    assert command.name == name
    assert (command.help or "").partition("\n")[0] == ENTRIES[name].sentence


@pytest.mark.parametrize("name", ENTRIES)
def test_every_command_takes_the_common_options_behind_its_name_too(name):
    names = {option for parameter in load(name).params for option in parameter.opts}
    assert {"--config", "--no-color", "--debug"} <= names


def imported_by(*arguments):
    program = "import sys; from daemon.cli import main; main(); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in done.stderr.split()} | set(done.stderr.split())


HEAVY = {"alembic", "cel", "jsonschema_rs", "loguru", "msgspec", "requests", "rich", "sqlalchemy"}


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["runs", "--help"], ["--version"]])
def test_help_imports_no_heavy_library(arguments):
    assert imported_by(*arguments) & HEAVY == set()


def test_reading_where_nothing_is_imports_no_database(site):
    assert "sqlalchemy" not in imported_by("--config", str(site.config), "runs")


def test_the_version_is_that_of_the_distribution(site):
    from importlib.metadata import version

    assert site.call("--version").out == f"dropmill {version('dropmill')}\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["rums"], "'runs'"),
        (["--nope"], "No such option '--nope'"),
        (["run"], "Missing argument 'FILE'"),
        (["config", "shwo"], "No such command 'shwo'"),
    ],
)
def test_a_command_that_cannot_be_understood_ends_with_2(site, arguments, sentence):
    answer = site.call(*arguments)
    assert (answer.status, answer.out) == (2, "")
    assert sentence in answer.err


def test_common_options_may_stand_behind_the_command(site, capsys):
    capsys.readouterr()
    assert guard.call(["workflows", "--json", "--config", str(site.config)]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_a_configuration_that_cannot_be_used_is_told_with_every_problem_and_ends_with_2(site):
    site.config.write_text("[executor]\nworkerz = 3\ngrace = 'x'\n")
    answer = site.call("runs")
    assert (answer.status, answer.out) == (2, "")
    assert answer.err.startswith(f"error: the configuration {site.config} cannot be used:\n")
    assert "line 2, column 1" in answer.err
    assert "line 3, column 1" in answer.err


def broken_command(error):
    @click.command("broken")
    def command():
        raise error

    return command


@pytest.fixture
def breaking(monkeypatch, site):
    """Make `workflows` raise something."""

    def break_it(error):
        monkeypatch.setattr("daemon.cli.registry.load", lambda name: broken_command(error))
        return site.call("workflows")

    return break_it


def test_an_error_nobody_foresaw_is_one_line_and_its_traceback_is_in_a_file(breaking, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    answer = breaking(ZeroDivisionError("by\x1bzero"))
    assert (answer.status, answer.out) == (1, "")
    assert answer.err.startswith("internal error: ZeroDivisionError: by\\x1bzero; the traceback is in ")
    assert answer.err.count("\n") == 1
    (record,) = tmp_path.glob("dropmill-*.log")
    assert str(record) in answer.err
    assert "raise error" in record.read_text()


def test_the_traceback_goes_to_the_logs_where_the_settings_are_known(site, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr("daemon.library.Library.names", fail)
    answer = site.call("workflows")
    record = site.folder / "var" / "log" / guard.TRACEBACKS
    assert str(record) in answer.err
    assert "ZeroDivisionError" in record.read_text()
    assert record.stat().st_mode & 0o777 == 0o600


def test_debug_shows_the_traceback_at_once(site, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr("daemon.library.Library.names", fail)
    answer = site.call("workflows", "--debug")
    assert "Traceback" in answer.err
    assert "the traceback is in" not in answer.err


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (KeyboardInterrupt(), 130, "\n"),
        (OSError(28, "No space left on device", "/x"), 1, "error: No space left on device: /x\n"),
        (click.ClickException("no"), 2, "Error: no\n"),
    ],
)
def test_each_kind_of_failure_has_its_exit_status(breaking, error, status, said):
    answer = breaking(error)
    assert (answer.status, answer.err) == (status, said)


def test_every_error_of_ours_ends_with_its_own_status(breaking):
    from engine.errors import DaemonAbsentError, DaemonRefusedError, RunUnknownError, StoreLostError

    for error, status in (
        (DaemonAbsentError("x"), 3),
        (DaemonRefusedError("no"), 4),
        (RunUnknownError("x"), 2),
        (StoreLostError("x"), 1),
    ):
        answer = breaking(error)
        assert (answer.status, answer.err) == (status, f"error: {error}\n")


@pytest.mark.parametrize("full", [True, False])
def test_output_that_nobody_takes_is_no_traceback(site, full):
    if full:
        with open("/dev/full", "w") as nowhere:  # noqa: PTH123 -- a device
            done = site.start("config", "show", stdout=nowhere, stderr=subprocess.PIPE)
        _, err = done.communicate(timeout=30)
        assert (done.returncode, err) == (1, b"error: No space left on device\n")
        return
    reading, writing = os.pipe()
    os.close(reading)
    done = site.start("config", "show", stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    _, err = done.communicate(timeout=30)
    assert (done.returncode, err) == (141, b"")


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("dropmill va", {"validate"}),
        ("dropmill run he", {"hello"}),
        ("dropmill runs --state fai", {"failed"}),
        ("dropmill show la", {"last"}),
        ("dropmill show x", set()),
        ("dropmill plugins api", {"api_call"}),
        ("dropmill completion z", {"zsh"}),
    ],
)
def test_the_shell_is_offered_what_fits(site, line, offered):
    (site.folder / "workflows").mkdir()
    site.write("workflows/hello.json", HELLO)
    environment = {
        **os.environ,
        "_DROPMILL_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - 1),
        "DROPMILL_CONFIG": str(site.config),
    }
    done = subprocess.run(PROGRAM, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert {each.partition(",")[2] for each in done.stdout.splitlines() if each.startswith("plain,")} == offered
    assert done.stderr == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_completion_script_for_each_shell(site, shell):
    answer = site.call("completion", shell)
    assert answer.status == 0
    assert "_DROPMILL_COMPLETE" in answer.out
    assert shell != "zsh" or answer.out.startswith("#compdef dropmill\n")


def test_validate_says_valid_or_every_problem_of_every_document(site):
    good, bad = site.write("good.json", HELLO), site.write("bad.json", {"id": "a", "type": "prnt"})
    assert site.call("validate", good).out == f"{good}: valid, good with 1 task\n"
    assert site.call("validate", good, "--json").json == {"valid": True, "problems": []}
    answer = site.call("validate", good, bad)
    assert answer.status == 2
    assert f"{bad}:6:12: error: no plugin has" in answer.out
    listed = site.call("validate", good, bad, "--json").json
    assert [each["valid"] for each in listed] == [True, False]
    alone = site.call("validate", bad, "--json").json
    assert alone["valid"] is False
    assert list(alone["problems"][0]) == ["code", "message", "pointer", "line", "column", "hint"]


def write_plugin(site, name, text):
    folder = site.folder / "plugins"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    site.config.write_text('[paths]\nstate = "var"\nplugins = ["plugins"]\n')


@pytest.mark.parametrize(
    "text",
    ["import os; os._exit(3)", "raise SystemExit", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "1/0"],
)
def test_a_plugin_that_breaks_is_listed_and_breaks_nothing(site, text):
    write_plugin(site, "bad.py", text)
    answer = site.call("plugins")
    assert answer.status == 0
    assert f"broken: {site.folder}/plugins/bad.py: " in answer.err
    assert "api_call" in answer.out
    assert site.call("plugins", "--json").json["broken"][0]["source"].endswith("bad.py")


def test_what_a_plugin_prints_at_import_is_not_our_output(site):
    write_plugin(site, "loud.py", "print('noise')\nTASK_TYPE = 'loud'\ndef run(task):\n    return True\n")
    answer = site.call("plugins", "--json")
    assert "loud" in {kind["type"] for kind in answer.json["types"]}


def test_a_task_type_is_described_with_its_fields_and_a_task_to_begin_with(site):
    text = """
TASK_TYPE = "resize"
DESCRIPTION = "Make it smaller."
VERSION = "2.1"
REQUIRED_FIELDS = ["path"]
PARAM_SCHEMA = {"properties": {"path": {"type": "string"}, "width": {"type": "integer", "default": 800}}}

def run(task):
    return True
"""
    write_plugin(site, "resize.py", text)
    answer = site.call("plugins", "resize")
    assert answer.out.startswith("resize 2.1: Make it smaller.\n")
    assert "(required)" in answer.out
    assert "800" in answer.out
    assert json.loads(answer.out[answer.out.index("{") :]) == {"id": "resize", "type": "resize", "path": "..."}
    wrong = site.call("plugins", "resiez")
    assert (wrong.status, wrong.out) == (2, "")
    assert 'Did you mean "resize"?' in wrong.err


DIAMOND = [
    {"id": "fetch", "type": "print", "message": "x"},
    {"id": "left", "type": "print", "message": "x", "depends_on": ["fetch"]},
    {"id": "long", "type": "print", "message": "x", "depends_on": ["left"], "retry": {"max_retries": 1}},
    {"id": "right", "type": "print", "message": "x", "depends_on": ["fetch"], "when": "true"},
    {"id": "join", "type": "print", "message": "x", "depends_on": ["long", "right"]},
]


def test_a_plan_shows_layers_dependencies_and_the_critical_path(site):
    assert site.call("plan", site.write("diamond.json", *DIAMOND)).out.splitlines() == [
        "diamond: 5 tasks in 4 layers, at most 2 at once",
        "layer 1",
        "└─ * fetch  print",
        "layer 2",
        "├─ * left   print  after fetch",
        "└─   right  print  after fetch; when true",
        "layer 3",
        "└─ * long   print  after left; up to 1 retry",
        "layer 4",
        "└─ * join   print  after long, right",
        "critical path of 4 tasks: fetch → left → long → join",
    ]


def test_a_plan_as_json_has_order_layers_and_path(site):
    plan = site.call("plan", "--json", site.write("diamond.json", *DIAMOND)).json
    assert plan["layers"] == [["fetch"], ["left", "right"], ["long"], ["join"]]
    assert plan["critical_path"] == ["fetch", "left", "long", "join"]
    assert plan["order"] == ["fetch", "left", "long", "right", "join"]
    assert plan["tasks"][3] == {
        "id": "right", "type": "print", "depends_on": ["fetch"], "layer": 2, "is_critical": False
    }  # fmt: skip


def test_a_plan_as_mermaid_has_every_task_and_dependency(site):
    text = site.call("plan", "--mermaid", site.write("diamond.json", *DIAMOND)).out
    assert text.startswith("flowchart TD\n")
    assert text.count("-->") == 5
    assert '    t0["fetch<br/>print"]\n' in text


def test_a_plan_of_a_document_that_is_not_valid_shows_its_problems(site):
    answer = site.call("plan", site.write("bad.json", {"id": "a", "type": "prnt"}))
    assert (answer.status, answer.out) == (2, "")
    assert "no plugin has the task type" in answer.err


def test_workflows_lists_what_is_known_by_name_and_what_cannot_be_read(site):
    (site.folder / "workflows").mkdir()
    site.write("workflows/hello.json", HELLO, description="Say hi.", params={"day": {"type": "string", "default": "x"}})
    (site.folder / "workflows" / "odd.json").write_text("{")
    hello, odd = site.call("workflows", "--json").json
    assert (hello["name"], hello["tasks"], hello["params"], hello["description"]) == ("hello", 1, ["day"], "Say hi.")
    assert odd["problem"].startswith("is not JSON")
    assert "Say hi." in site.call("workflows").out


def test_config_check_finds_what_is_wrong_in_files_and_secrets(site):
    assert site.call("config", "check").out == f"{site.config}: valid, 0 schedules\n"
    site.config.write_text('[secrets.files]\ntoken = "/nonexistent"\n')
    answer = site.call("config", "check", "--json")
    assert answer.status == 2
    assert answer.json["valid"] is False
    assert "secret token" in answer.json["problems"][0]["message"]


def test_config_show_says_where_each_setting_comes_from(site, monkeypatch):
    monkeypatch.setenv("DROPMILL__EXECUTOR__WORKERS", "3")
    shown = {row["setting"]: row for row in site.call("config", "show", "--json").json}
    assert shown["executor.workers"]["origin"]["kind"] == "environment"
    assert shown["executor.grace"]["origin"]["line"] == 6
    assert shown["executor.max_runs"]["origin"]["kind"] == "default"
    changed = site.call("config", "show", "--changed").out
    assert "executor.workers" in changed
    assert "executor.max_runs" not in changed


def test_config_prints_the_schema_and_the_sample_that_it_is_checked_against(site):
    assert site.call("config", "schema").json["properties"]["executor"]
    site.config.write_text(site.call("config", "sample").out)
    assert site.call("config", "check").status == 0


@pytest.mark.parametrize("command", ["validate", "plan", "submit"])
def test_a_name_too_long_for_any_file_is_bad_input(site, command):
    answer = site.call(command, "a" * 300)
    assert (answer.status, answer.out) == (2, "")
    assert "no workflow is called" in answer.err


def test_a_command_that_gives_up_early_leaves_no_process_behind(site):
    plugins = site.folder / "plugins"
    plugins.mkdir()
    more_than_a_pipe_holds = "x" * 300_000
    (plugins / "big.py").write_text(
        f"TASK_TYPE = 'big'\nDESCRIPTION = '{more_than_a_pipe_holds}'\ndef run(task): ...\n"
    )
    site.config.write_text(site.config.read_text().replace("[paths]", '[paths]\nplugins = ["plugins"]'))
    reading, writing = os.pipe()
    command = [*PROGRAM, "--config", str(site.config), "validate", "absent.json"]
    done = subprocess.run(command, cwd=ROOT, pass_fds=[writing], stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert done.returncode == 2
    # Whoever still lives holds the other end.
    assert select.select([reading], [], [], 20)[0]
    os.close(reading)


def test_an_argument_that_is_no_text_is_bad_input(site):
    answer = site.call("retry", "0123", "--from", "\udcff\udcfe")
    assert (answer.status, answer.out) == (2, "")
    assert answer.err == "error: an argument is not text in UTF-8, which is all that the daemon takes; write it anew\n"
