"""What a configuration becomes: values in each way they may be written, where they come from, and which one wins."""

from pathlib import Path

import pytest

from daemon.calendar import parse_cron, parse_zone
from daemon.config import Config, Executor, Log, Schedule, calendar_of, load
from daemon.config.sizes import format_size, parse_size
from engine.limits import Limits
from tests.daemon.configs import complaints, loaded, write

S = '[[schedules]]\nname = "nightly-report"\nworkflow = "w"\n'
MIB = 2**20


@pytest.mark.parametrize(
    ("section", "line", "value"),
    [
        ("executor", "grace = 3", 3.0),
        ("executor", "grace = 0.25", 0.25),
        ("executor", 'grace = "250ms"', 0.25),
        ("executor", 'grace = "1h30m"', 5400.0),
        ("executor", 'grace = "2d"', 172_800.0),
        ("executor", "recycle_memory = 4096", 4096),
        ("executor", 'recycle_memory = "64KiB"', 65_536),
        ("executor", 'recycle_memory = "1.5 GB"', 1_500_000_000),
        ("executor", "workers = 7", 7),
        ("executor", 'workers = "AUTO"', "auto"),
        ("executor", 'environment = ["LANG"]', ("LANG",)),
        ("inbox", 'watch = "Poll"', "poll"),
        ("limits", 'task_timeout = "1h"', 3600.0),
        ("limits", 'document_bytes = "1MiB"', MIB),
        ("log", 'file = ""', ""),
        ("log", 'rotation_time = "00:00"', "00:00"),
        ("secrets", 'files = {a = "~/x"}', {"a": Path("/home/ada/x")}),
        ("plugins.shell", "allow_command = true", {"allow_command": True}),
        ("plugins.x", "when = 2027-01-01T00:00:00Z", {"when": "2027-01-01T00:00:00+00:00"}),
        ("plugins.x", "a.b = [1, {c = 02:30:00}]", {"a": {"b": [1, {"c": "02:30:00"}]}}),
    ],
)
def test_a_value_is_read_however_it_may_be_written(tmp_path, section, line, value):
    found = loaded(tmp_path, f"[{section}]\n{line}", {"HOME": "/home/ada"})
    table, _, name = section.partition(".")
    found = getattr(found, table)
    found = found[name] if name else getattr(found, line.partition(" = ")[0])
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1B", 1),
        ("1kb", 1000),
        ("1KIB", 1024),
        ("0.5KiB", 512),
        ("8EiB", None),
        ("9" * 20, None),
        ("", None),
        ("1 0", None),
        ("-1", None),
        ("1M", None),
        ("1.5B", None),
        ("1e3", None),
        ("٣", None),
    ],
)
def test_a_size_is_whole_bytes_with_a_unit_that_says_its_base(text, size):
    if size is None:
        with pytest.raises(ValueError, match=r".*"):
            parse_size(text)
    else:
        assert parse_size(text) == size


@pytest.mark.parametrize("size", [0, 1, 1000, 1024, 1536, 10 * MIB, 2**63 - 1, 10**12])
def test_a_size_is_written_so_that_it_is_read_back(size):
    assert parse_size(format_size(size)) == size


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("every = 900", {"every": "15m"}),
        ("every = 0.5", {"every": "500ms"}),
        ("at = 2027-01-01T00:00:00+01:00", {"at": "2027-01-01T00:00:00+01:00"}),
        ("daily = '02:30'\nstart = 2027-01-01", {"start": "2027-01-01"}),
        ("daily = '02:30'\nend = 2027-01-01T12:00:00", {"end": "2027-01-01T12:00:00"}),
        (
            "daily = '02:30'\nblackout = [2027-12-24, '2027-12-26', [2027-12-31, '2028-01-01']]",
            {"blackout": ("2027-12-24", "2027-12-26", "2027-12-31/2028-01-01")},
        ),
        ("daily = '02:30'\nparams = {day = 2027-01-01, n = [1.5]}", {"params": {"day": "2027-01-01", "n": [1.5]}}),
    ],
)
def test_a_schedule_takes_the_dates_and_numbers_of_toml(tmp_path, lines, expected):
    (schedule,) = loaded(tmp_path, S + lines).schedules
    assert {name: getattr(schedule, name) for name in expected} == expected


def test_a_schedule_becomes_the_calendar_that_it_describes(tmp_path):
    (schedule,) = loaded(tmp_path, S + 'cron = "30 2 * * 1-5"\ntimezone = "Europe/Berlin"\nend = 2027-01-01').schedules
    calendar = calendar_of(schedule)
    assert calendar.expression == parse_cron("30 2 * * 1-5", parse_zone("Europe/Berlin"))
    assert calendar.next_after(1_800_000_000.0) is None


def test_relative_paths_start_at_the_folder_of_the_file_and_are_read_by_name(tmp_path):
    text = '[paths]\ninbox = "../in"\nworkflows = ["w", "/srv/w"]\nstate = "~/s"\n'
    text += '[[routes]]\npath = "x/./y"\nworkflow = "w"'
    config = loaded(tmp_path, text, {"HOME": "/home/ada"})
    assert config.paths.inbox == tmp_path / "in"
    assert config.paths.workflows == (tmp_path / "etc" / "w", Path("/srv/w"))
    assert config.paths.state == Path("/home/ada/s")
    assert config.routes[0].path == tmp_path / "etc" / "x" / "y"


def test_what_is_not_set_has_its_default(tmp_path):
    config = loaded(tmp_path, "[executor]\nmax_runs = 3")
    assert config.executor == Executor(max_runs=3)
    assert (config.limits, config.log, config.schedules) == (Limits(), Log(), ())
    assert config.paths.plugins == (tmp_path / "var" / "plugins",)


def test_schedules_of_all_files_come_in_the_order_of_the_files(tmp_path):
    def schedule(name):
        return S.replace("nightly-report", name) + "daily = '02:30'\n"

    config = loaded(tmp_path, schedule("m"), b=schedule("b1") + schedule("b2"), a=schedule("a"))
    assert [schedule.name for schedule in config.schedules] == ["m", "a", "b1", "b2"]


def test_only_toml_files_in_sight_are_schedules(tmp_path):
    file = write(tmp_path, a=S + "daily = '02:30'")
    for name in (".b.toml", "c.toml~", "d.txt"):
        (file.parent / "schedules.d" / name).write_text("[")
    assert len(load(file, {}).schedules) == 1


def test_the_number_of_workers_is_worked_out_for_the_machine():
    assert 1 <= Executor().worker_count() <= 8
    assert Executor(workers=100).worker_count() == 100


@pytest.mark.parametrize(
    ("listen", "address"),
    [("127.0.0.1:8420", ("127.0.0.1", 8420)), ("[::1]:0", ("::1", 0)), ("localhost:65535", ("localhost", 65535))],
)
def test_an_address_is_host_and_port(tmp_path, listen, address):
    assert loaded(tmp_path, f"[api]\nlisten = '{listen}'").api.address() == address


@pytest.mark.parametrize(
    "listen",
    ["", "8420", ":8420", "a:", "a:x", "::1:80", "[a]:80", "a:65536", "a b:1", "a:٣", "[::1]", "a/b:1", "a:-1"],
)
def test_what_is_no_address_is_a_problem(tmp_path, listen):
    assert len(complaints(tmp_path, f"[api]\nlisten = '{listen}'")) == 1


@pytest.mark.parametrize("url", ["sqlite:////var/x.db", "postgresql://h/d", "postgresql+psycopg://u:p@h/d"])
def test_an_address_of_a_known_database_is_taken(tmp_path, url):
    assert loaded(tmp_path, f"[history]\nurl = '{url}'").history.url == url


def test_a_variable_wins_over_the_file_and_the_file_over_the_default(tmp_path):
    text = "[executor]\nworkers = 3\ngrace = 4"
    assert loaded(tmp_path, text, {"DROPMILL__EXECUTOR__WORKERS": "8"}).executor == Executor(workers=8, grace=4.0)


@pytest.mark.parametrize(
    ("variable", "text", "key", "value"),
    [
        ("DROPMILL__EXECUTOR__WORKERS", "8", "executor.workers", 8),
        ("dropmill__Executor__Workers", "auto", "executor.workers", "auto"),
        ("DROPMILL__EXECUTOR__GRACE", "5s", "executor.grace", 5.0),
        ("DROPMILL__EXECUTOR__GRACE", '"5s"', "executor.grace", 5.0),
        ("DROPMILL__EXECUTOR__ENVIRONMENT", '["A", "B"]', "executor.environment", ("A", "B")),
        ("DROPMILL__INBOX__RETENTION__DONE", "1d", "inbox.retention.done", 86_400.0),
        ("DROPMILL__INBOX__RETENTION", '{done = "1h"}', "inbox.retention.done", 3600.0),
        ("DROPMILL__PATHS__INBOX", "/srv/2027", "paths.inbox", Path("/srv/2027")),
        ("DROPMILL__PATHS__WORKFLOWS", '["/a"]', "paths.workflows", (Path("/a"),)),
        ("DROPMILL__API__LISTEN", "[::1]:80", "api.listen", "[::1]:80"),
        ("DROPMILL__LOG__FILE", "1", "log.file", "1"),
        ("DROPMILL__LOG__FILE", "a = 1\nb = 2", None, None),
        ("DROPMILL__HISTORY__URL", "postgresql://u:p@h/d#x", "history.url", "postgresql://u:p@h/d#x"),
    ],
)
def test_a_variable_is_toml_where_the_setting_takes_it_and_else_plain_text(tmp_path, variable, text, key, value):
    if key is None:
        assert "in the environment variable" in complaints(tmp_path, "", {variable: text})[0]
        return
    found = loaded(tmp_path, "", {variable: text})
    for part in key.split("."):
        found = getattr(found, part)
    assert (found, type(found)) == (value, type(value))


def test_variables_reach_into_tables_by_name_and_lists_by_number_or_name(tmp_path):
    text = S + "daily = '02:30'\n[inboxes.my-partner]\npath = 'x'\n[[routes]]\npath = 'y'\nworkflow = 'w'"
    config = loaded(
        tmp_path,
        text,
        {
            "DROPMILL__SCHEDULES__NIGHTLY_REPORT__ENABLED": "false",
            "DROPMILL__SCHEDULES__0__PARAMS__DAY": "today",
            "DROPMILL__INBOXES__MY_PARTNER__PRIORITY": "5",
            "DROPMILL__INBOXES__OTHER__PATH": "/srv/other",
            "DROPMILL__ROUTES__0__MATCH": "*.csv",
            "DROPMILL__PLUGINS__SHELL__ALLOW_COMMAND": "true",
            "DROPMILL__PLUGINS__SHELL__TITLE": "a b",
        },
    )
    assert config.schedules[0] == Schedule(
        name="nightly-report", workflow="w", daily="02:30", enabled=False, params={"day": "today"}
    )
    assert config.inboxes["my-partner"].priority == 5
    assert config.inboxes["other"].path == Path("/srv/other")
    assert config.routes[0].match == "*.csv"
    assert config.plugins == {"shell": {"allow_command": True, "title": "a b"}}


def test_a_variable_for_a_table_gives_way_to_those_for_what_is_in_it(tmp_path):
    environ = {"DROPMILL__INBOX__RETENTION": '{done = "1h", failed = "2h"}', "DROPMILL__INBOX__RETENTION__DONE": "3h"}
    retention = loaded(tmp_path, "", environ).inbox.retention
    assert (retention.done, retention.failed) == (10_800.0, 7200.0)


def test_a_variable_replaces_even_what_is_wrong_in_the_file(tmp_path):
    assert loaded(tmp_path, "[executor]\nworkers = 'x'", {"DROPMILL__EXECUTOR__WORKERS": "2"}).executor.workers == 2


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        (
            {"DROPMILL__EXECUTOR__WROKERS": "2"},
            (
                "unknown key `executor.wrokers`, in the environment variable DROPMILL__EXECUTOR__WROKERS. "
                "Did you mean `workers`?"
            ),
        ),
        (
            {"DROPMILL__EXECUTOR__WORKERS": "0"},
            (
                '`executor.workers` is the text "0"; it takes a whole number from 1 to 1024, or "auto", '
                "in the environment variable DROPMILL__EXECUTOR__WORKERS"
            ),
        ),
        (
            {"DROPMILL__EXECUTOR__WORKERS__X": "2"},
            (
                "`executor.workers` has nothing inside it, in the environment variable DROPMILL__EXECUTOR__WORKERS__X. "
                "Set it as a whole"
            ),
        ),
        (
            {"DROPMILL__SCHEDULES__WEEKLY__ENABLED": "false"},
            (
                "no entry of `schedules` is called weekly, in the environment variable "
                "DROPMILL__SCHEDULES__WEEKLY__ENABLED. "
                "There are: nightly-report"
            ),
        ),
        (
            {"DROPMILL__EXECUTOR__WORKERS": "2", "dropmill__executor__workers": "3"},
            (
                "the same setting as DROPMILL__EXECUTOR__WORKERS, in the environment variable "
                "dropmill__executor__workers. "
                "Keep one of the two"
            ),
        ),
        (
            {"DROPMILL__LOG__FILE": "a\udcff"},
            (
                '`log.file` is the text "a\\udcff"; it takes the name of a file, without a folder, '
                "in the environment variable DROPMILL__LOG__FILE"
            ),
        ),
    ],
)
def test_a_variable_that_sets_nothing_or_nonsense_is_a_problem(tmp_path, environ, sentence):
    assert complaints(tmp_path, S + "daily = '02:30'", environ) == [sentence]


def test_other_variables_are_nobodys_business(tmp_path):
    assert isinstance(loaded(tmp_path, "", {"DROPMILL_X": "1", "DROPMILLS__Y": "2", "PATH": "/bin"}), Config)


def test_a_value_knows_where_it_was_set(tmp_path):
    config = loaded(
        tmp_path,
        "[executor]\nworkers = 3\n[inbox]\nretention = {done = 3}",
        {"DROPMILL__EXECUTOR__GRACE": "3"},
        a=S + "daily = '02:30'",
    )
    origins = {key: str(origin) for key, origin in config.loaded.origins.items()}
    file = tmp_path / "etc" / "dropmill.toml"
    assert origins["executor.workers"] == f"{file}:2"
    assert origins["inbox.retention.done"] == f"{file}:4"
    assert origins["executor.grace"] == "DROPMILL__EXECUTOR__GRACE"
    assert origins["schedules[0].daily"] == "schedules.d/a.toml:4"
    assert "executor.max_runs" not in origins


def test_what_must_be_watched_for_changes_is_the_file_and_the_folder_beside_it(tmp_path):
    config = loaded(tmp_path)
    assert config.loaded.watched == (tmp_path / "etc" / "dropmill.toml", tmp_path / "etc" / "schedules.d")
    assert config.loaded.folder == tmp_path / "etc"
