"""Every sentence about what a configuration may not say, with its place."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.config import Config, load
from daemon.config.loading import MOST_PROBLEMS
from daemon.config.wording import PROBLEMS
from engine.errors import ConfigInvalidError
from tests.daemon.configs import complaints, problems, write

S = '[[schedules]]\nname = "n"\nworkflow = "w"\n'

# What stands in the file -> everything that is said about it.
BAD = {
    "wrokers = 2": [
        "line 1, column 1: unknown key or section `wrokers` (at /wrokers). Did you mean `workers` in [executor]?"
    ],
    "[executer]\nworkers = 2": [
        "line 1, column 1: unknown key or section `executer` (at /executer). Did you mean `executor`?"
    ],
    "[executor]\nWorkers = 2": [
        "line 2, column 1: unknown key `Workers` in [executor] (at /executor/Workers). Did you mean `workers`?"
    ],
    "[secrets]\nxyz = 2": [
        "line 2, column 1: unknown key `xyz` in [secrets] (at /secrets/xyz). Known here: files, folder"
    ],
    '[executor]\nworkers = "many"': [
        (
            'line 2, column 1: `executor.workers` is the text "many"; it takes a whole number from 1 to 1024, or "auto"'
            " (at /executor/workers)"
        )
    ],
    "[executor]\nworkers = true": [
        (
            'line 2, column 1: `executor.workers` is true; it takes a whole number from 1 to 1024, or "auto"'
            " (at /executor/workers)"
        )
    ],
    "[executor]\nworkers = 2.0": [
        (
            'line 2, column 1: `executor.workers` is the number 2.0; it takes a whole number from 1 to 1024, or "auto"'
            " (at /executor/workers)"
        )
    ],
    "[executor]\nworkers = 1025": [
        (
            'line 2, column 1: `executor.workers` is the number 1025; it takes a whole number from 1 to 1024, or "auto"'
            " (at /executor/workers)"
        )
    ],
    '[executor]\ngrace = "1 year"': [
        (
            'line 2, column 1: `executor.grace` is the text "1 year"; it takes a duration such as "30s" or "1h30m"'
            " (at /executor/grace)"
        )
    ],
    "[executor]\ngrace = -1": [
        (
            'line 2, column 1: `executor.grace` is the number -1; it takes a duration such as "30s" or "1h30m"'
            " (at /executor/grace)"
        )
    ],
    "[executor]\ngrace = nan": [
        (
            'line 2, column 1: `executor.grace` is the number nan; it takes a duration such as "30s" or "1h30m"'
            " (at /executor/grace)"
        )
    ],
    "[executor]\ngrace = 1e300": [
        (
            'line 2, column 1: `executor.grace` is the number 1e+300; it takes a duration such as "30s" or "1h30m"'
            " (at /executor/grace)"
        )
    ],
    "[inbox]\npoll_interval = 0": [
        (
            'line 2, column 1: `inbox.poll_interval` is the number 0; it takes a duration such as "30s" or "1h30m", '
            "at least 10ms (at /inbox/poll_interval)"
        )
    ],
    '[executor]\nrecycle_memory = "1.5B"': [
        (
            'line 2, column 1: `executor.recycle_memory` is the text "1.5B"; it takes a size such as "10MiB"'
            " (at /executor/recycle_memory)"
        )
    ],
    "[executor]\nrecycle_memory = 9223372036854775808": [
        (
            "line 2, column 1: `executor.recycle_memory` is a number of more than 64 bits; it takes a size such as"
            ' "10MiB" (at /executor/recycle_memory)'
        )
    ],
    f"[executor]\nrecycle_after = 0x{'f' * 5000}": [
        (
            "line 2, column 1: `executor.recycle_after` is a number of more than 64 bits; it takes a whole number"
            " (at /executor/recycle_after)"
        )
    ],
    '[executor]\nenvironment = ["A", "B-C"]': [
        (
            'line 2, column 21: `executor.environment[1]` is the text "B-C"; it takes a name of letters, digits and _'
            " (at /executor/environment/1)"
        )
    ],
    '[executor]\nenvironment = "A"': [
        (
            'line 2, column 1: `executor.environment` is the text "A"; it takes a list, each entry a name of letters, '
            "digits and _ (at /executor/environment)"
        )
    ],
    "executor = 3": ["line 1, column 1: `executor` is the number 3; it takes a table (at /executor)"],
    "[[executor]]\nworkers = 1": ["line 1, column 1: `executor` is a list; it takes a table (at /executor)"],
    '[inbox]\nwatch = "fsevents"': [
        (
            'line 2, column 1: `inbox.watch` is the text "fsevents"; it takes one of "auto", "inotify", "poll"'
            " (at /inbox/watch)"
        )
    ],
    "[inbox]\nwatch = 2027-01-01": [
        'line 2, column 1: `inbox.watch` is a date; it takes one of "auto", "inotify", "poll" (at /inbox/watch)'
    ],
    "[inbox]\nwatch = 2027-01-01T00:00:00": [
        (
            'line 2, column 1: `inbox.watch` is a date with a time; it takes one of "auto", "inotify", "poll"'
            " (at /inbox/watch)"
        )
    ],
    '[inbox]\nretention = {done = "3d", faild = "3d"}': [
        (
            "line 2, column 27: unknown key `faild` in [inbox.retention] (at /inbox/retention/faild). Did you "
            "mean `failed`?"
        )
    ],
    "[paths]\ninbox = ''": ['line 2, column 1: `paths.inbox` is the text ""; it takes a path (at /paths/inbox)'],
    '[paths]\ninbox = "a\\u0000b"': [
        'line 2, column 1: `paths.inbox` is the text "a\\u0000b"; it takes a path (at /paths/inbox)'
    ],
    '[inboxes."a b"]\npath = "x"': [
        (
            'line 1, column 1: the name "a b" in [inboxes] cannot be used; it takes 1 to 128 letters, digits, _ '
            "- and . "
            "but no . first (at /inboxes/a b)"
        )
    ],
    "[inboxes.a]\npriority = 1": ["line 1, column 1: inboxes.a lacks `path` (at /inboxes/a). It takes a path"],
    "[[routes]]\npath = 'x'": [
        "line 1, column 1: routes[0] lacks `workflow` (at /routes/0). It takes text that is not empty"
    ],
    "[[routes]]\npath = 'x'\nworkflow = 'a'\n[[routes]]\npath = 'x'\nworkflow = 'b'": [
        (
            'line 4, column 1: routes[1] takes the same files as routes[0]: "*" in {etc}/x (at /routes/1). '
            "Remove one of them, or give it another `match`"
        )
    ],
    "[inboxes.a]\npath = '../inbox'": [
        (
            "line 2, column 1: `inboxes.a.path` is the same folder as `paths.inbox` ({top}/inbox) (at "
            "/inboxes/a/path). "
            "What is dropped is taken away, so it needs a folder of its own"
        )
    ],
    "[paths]\ninbox = 'workflows'": [
        (
            "line 2, column 1: `paths.inbox` is the same folder as `paths.workflows` ({etc}/workflows) (at "
            "/paths/inbox). "
            "What is dropped is taken away, so it needs a folder of its own"
        )
    ],
    "[[routes]]\npath = '../inbox'\nworkflow = 'w'": [
        (
            "line 2, column 1: `routes[0].path` is the same folder as `paths.inbox` ({top}/inbox) (at /routes/0/path). "
            "What is dropped is taken away, so it needs a folder of its own"
        )
    ],
    "[api]\nlisten = '8420'": [
        (
            'line 2, column 1: `api.listen` is "8420"; it takes an address and a port (at /api/listen). '
            'Write "127.0.0.1:8420" or "[::1]:8420"'
        )
    ],
    "[api]\nsocket_mode = 0o660": [
        (
            'line 2, column 1: `api.socket_mode` is the number 432; it takes octal digits in quotes, such as "0660"'
            " (at /api/socket_mode)"
        )
    ],
    "[history]\nurl = 'mysql://u:geheim@h/d'": [
        (
            "line 2, column 1: `history.url` is no address of a database that is known here (at /history/url). "
            "Write sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE"
        )
    ],
    "[log]\nfile = '../x'": [
        'line 2, column 1: `log.file` is the text "../x"; it takes the name of a file, without a folder (at /log/file)'
    ],
    "[log]\nrotation_time = '24:00'": [
        (
            'line 2, column 1: `log.rotation_time` is the text "24:00"; it takes a time of day such as "02:30"'
            " (at /log/rotation_time)"
        )
    ],
    "[limits]\ntask_timeout = 0": [
        (
            'line 2, column 1: `limits.task_timeout` is the number 0; it takes a duration such as "30s" or '
            '"1h30m" above 0'
            " (at /limits/task_timeout)"
        )
    ],
    "[limits]\ndocument_tasks = 0": [
        (
            "line 2, column 1: `limits.document_tasks` is the number 0; it takes a whole number, at least 1"
            " (at /limits/document_tasks)"
        )
    ],
    "[plugins.shell]\nx = [1, {y = -inf}]": [
        "line 2, column 1: `plugins.shell.x` holds a number that is not finite (at /plugins/shell/x)"
    ],
    "[plugins.shell]\nx = [[18446744073709551616]]": [
        "line 2, column 1: `plugins.shell.x` holds a number of more than 64 bits (at /plugins/shell/x)"
    ],
    '[plugins.shell]\nx = "a\\u0000"': [
        "line 2, column 1: `plugins.shell.x` holds text that is not UTF-8, or NUL (at /plugins/shell/x)"
    ],
    f"[plugins.shell]\nx{'.a' * 100} = 1": [
        "line 2, column 1: `plugins.shell.x` is nested more than 64 levels deep (at /plugins/shell/x)"
    ],
    "[plugins]\nshell = 1": ["line 2, column 1: `plugins.shell` is the number 1; it takes a table (at /plugins/shell)"],
    "[schedules]\nname = 'a'": [
        "line 1, column 1: `schedules` is a table; it takes a list, each entry a table (at /schedules)"
    ],
    "[[schedules]]": [
        (
            "line 1, column 1: schedules[0] lacks `name` (at /schedules/0). It takes 1 to 128 letters, digits, _ "
            "- and . "
            "but no . first"
        ),
        "line 1, column 1: schedules[0] lacks `workflow` (at /schedules/0). It takes text that is not empty",
    ],
    S: [
        (
            "line 1, column 1: schedules[0] (n) does not say when (at /schedules/0). "
            "Give one of cron, every, at, hourly, daily, weekly, monthly"
        )
    ],
    S + "daily = '02:30'\nevery = 900": [
        (
            "line 4, column 1: schedules[0] (n) says when more than once: every, daily (at /schedules/0/daily). "
            "Keep one; a second schedule can have the other"
        )
    ],
    S + "daily = 02:30:00": [
        "line 4, column 1: `schedules[0].daily` is a time of day; it takes text (at /schedules/0/daily)"
    ],
    S + "daily = '02:30'\noverlap = 'ignore'": [
        (
            'line 5, column 1: `schedules[0].overlap` is the text "ignore"; it takes one of'
            ' "allow", "queue", "replace", "skip" (at /schedules/0/overlap)'
        )
    ],
    S + "daily = '02:30'\n" + S + "daily = '02:30'": [
        (
            'line 6, column 1: the schedule name "n" of {file}:2 is used again (at /schedules/1/name). '
            "Give one of them another name, or remove it"
        )
    ],
    "x = [\n1,\n2\n": ["line 4, column 1: this is not TOML: unclosed array"],
    "x = 1\nx = 2": ["line 2, column 6: this is not TOML: cannot overwrite a value. Each key stands once in its table"],
    "a = b": ['line 1, column 5: this is not TOML: invalid value. Text stands in quotes: key = "text"'],
    "a = " + "[" * 100_000: ["tables or lists are nested too deep to be read"],
}


@pytest.mark.parametrize("text", BAD, ids=[text[:60] for text in BAD])
def test_everything_wrong_is_said_with_its_place_and_what_to_do(tmp_path, text):
    places = {"etc": tmp_path / "etc", "top": tmp_path, "file": tmp_path / "etc" / "dropmill.toml"}
    expected = BAD[text]
    for name, place in places.items():
        expected = [sentence.replace(f"{{{name}}}", str(place)) for sentence in expected]
    assert complaints(tmp_path, text) == expected


def test_all_problems_of_all_files_and_variables_come_at_once_in_the_order_of_their_lines(tmp_path):
    main = "[executor]\nworkers = 0\ngrace = true\n[nonsense]\n" + S + "daily = '25:00'\ntimezone = 'Mars'"
    found = problems(tmp_path, main, {"DROPMILL__LOG__LEVEL": "loud"}, a="x = 1", b="[", c=S + "every = '1h'")
    assert [(problem.code, problem.line) for problem in found] == [
        ("bad_value", 2),
        ("bad_value", 3),
        ("unknown_key", 4),
        ("schedule_invalid", 8),
        ("zone_unknown", 9),
        ("unknown_key", 1),
        ("toml_syntax", 1),
        ("duplicate_schedule", 2),
        ("bad_value", None),
    ]


def test_a_problem_of_the_calendar_stands_at_the_setting_it_is_about(tmp_path):
    text = S + "cron = '99 * * * *'\nstart = 2027-02-01\nend = 'x'\nblackout = ['y']\ntimezone = 'Europe/Berln'"
    assert [(problem.pointer, problem.line) for problem in problems(tmp_path, text)] == [
        ("/schedules/0/cron", 4),
        ("/schedules/0/end", 6),
        ("/schedules/0/blackout", 7),
        ("/schedules/0/timezone", 8),
    ]


def test_a_schedule_that_can_never_be_due_is_a_problem(tmp_path):
    text = S + "daily = '02:30'\nstart = 2027-02-01\nend = 2027-01-01"
    assert [problem.code for problem in problems(tmp_path, text)] == ["schedule_never"]


def test_a_schedule_of_the_same_name_names_both_files(tmp_path):
    (sentence,) = complaints(tmp_path, S + "daily = '02:30'", a="\n" + S + "daily = '03:30'")
    first = tmp_path / "etc" / "dropmill.toml"
    assert sentence == (
        f'line 3, column 1: the schedule name "n" of {first}:2 is used again, in schedules.d/a.toml'
        " (at /schedules/0/name). Give one of them another name, or remove it"
    )


def test_a_file_of_schedules_holds_nothing_else(tmp_path):
    (sentence,) = complaints(tmp_path, a="[executor]\nworkers = 2")
    assert sentence.startswith(
        "line 1, column 1: `executor` cannot stand here: a file of schedules.d holds [[schedules]]"
    )


def test_schedules_of_the_wrong_shape_in_a_file_of_schedules_are_a_problem(tmp_path):
    (sentence,) = complaints(tmp_path, a="schedules = 3")
    assert sentence == (
        "line 1, column 1: `schedules` is not a list of tables, in schedules.d/a.toml. Begin each with [[schedules]]"
    )


def test_a_broken_main_file_does_not_hide_what_is_wrong_beside_it_nor_blames_the_environment(tmp_path):
    environ = {"DROPMILL__SCHEDULES__N__ENABLED": "false"}
    assert [problem.code for problem in problems(tmp_path, "[", environ, a="x = 1")] == ["toml_syntax", "unknown_key"]


def test_more_problems_than_anyone_reads_are_counted(tmp_path):
    found = problems(tmp_path, "\n".join(f"key{number} = 1" for number in range(MOST_PROBLEMS + 7)))
    assert (len(found), found[-1].message) == (MOST_PROBLEMS + 1, "and 7 more problems")


def test_the_password_of_a_database_is_not_shown_in_a_problem(tmp_path):
    assert "geheim" not in " ".join(complaints(tmp_path, "[history]\nurl = 'mysql://u:geheim@h/d'"))


def test_a_name_of_any_bytes_is_shown_so_that_it_hurts_nobody(tmp_path):
    file = write(tmp_path)
    folder = file.parent / "schedules.d"
    folder.mkdir()
    (folder / os.fsdecode(b"a\n\xff\x1b.toml")).write_text("x = 1")
    with pytest.raises(ConfigInvalidError, match=r"schedules\.d/a\\n\\udcff\\x1b\.toml"):
        load(file, {})


def refused(path):
    with pytest.raises(ConfigInvalidError) as caught:
        load(path, {})
    (problem,) = caught.value.problems
    assert problem.code in PROBLEMS
    return problem


def test_a_file_that_is_not_there_is_said_with_what_to_do(tmp_path):
    problem = refused(tmp_path / "none.toml")
    assert problem.message == f"the file {tmp_path}/none.toml does not exist"
    assert problem.hint == "Write one with `dropmill init`, or name another with --config"


def test_a_folder_or_a_fifo_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    assert refused(tmp_path / "fifo").message == f"{tmp_path}/fifo is not a regular file"
    assert refused(tmp_path).message == f"{tmp_path} is not a regular file"


def test_a_file_behind_a_file_is_said(tmp_path):
    file = write(tmp_path)
    assert refused(file / "x").message == f"the file {file}/x cannot be read: not a directory"


def test_an_overlong_file_is_not_read(tmp_path):
    file = write(tmp_path)
    os.truncate(file, 16 * 1024 * 1024 + 1)
    assert refused(file).message == f"the file {file} is larger than 16 MiB"


def test_schedules_d_that_is_a_file_is_said(tmp_path):
    file = write(tmp_path)
    (file.parent / "schedules.d").write_text("")
    assert refused(file).message == f"the folder {file.parent}/schedules.d cannot be read: not a directory"


@pytest.mark.parametrize(
    ("data", "place"),
    [(b"a = 1\nb = '\xff'", (2, 6)), (b"\xff\xfea\x00", (1, 1)), ("ä = 1\n".encode("latin-1"), (1, 1))],
)
def test_text_that_is_not_utf8_is_said_with_its_place(tmp_path, data, place):
    file = write(tmp_path)
    file.write_bytes(data)
    problem = refused(file)
    assert problem.message.endswith("is not UTF-8")
    assert (problem.line, problem.column) == place


def test_a_number_of_thousands_of_digits_is_no_traceback(tmp_path):
    (problem,) = problems(tmp_path, "a = " + "9" * 5000)
    assert problem.code == "toml_syntax"


def test_a_byte_order_mark_and_carriage_returns_are_read_over(tmp_path):
    file = write(tmp_path)
    file.write_bytes(b"\xef\xbb\xbf[executor]\r\nworkers = 3\r\n")
    assert load(file, {}).executor.workers == 3


def test_a_key_of_any_characters_is_shown_so_that_it_hurts_nobody(tmp_path):
    environ = {"DROPMILL__LOG__A\nB\x1b": "1", "DROPMILL__\x1b": "1"}
    for sentence in outcome(write(tmp_path, '"a\\n\\u001b" = 1\n[plugins."\\u009b"]\n"c\\n" = nan'), environ):
        assert sentence.isprintable()


PIECES = [
    "executor", "workers", "schedules", "name", "cron", "every", "at", "inbox", "retention", "plugins", "params",
    "[", "]", "[[", "]]", "=", ".", ",", "{", "}", '"', "'", '"""', "\n", "\n", " ", "#", "\\", "\\u0000",
    "1", "-1", "nan", "inf", "1e400", "9" * 30, "0x" + "f" * 20, "true", "2027-01-01", "02:30:00", "a", "*", "${{",
]  # fmt: skip
VARIABLES = [
    "EXECUTOR__WORKERS", "INBOX", "INBOX__RETENTION", "INBOX__RETENTION__DONE", "SCHEDULES", "SCHEDULES__N",
    "SCHEDULES__0__PARAMS__A__B", "PLUGINS__SHELL__X", "PLUGINS", "ROUTES", "", "_", "PATHS__INBOX", "NONE__X",
]  # fmt: skip
WORDS = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)


def outcome(file, environ):
    """Load it and say how that ended: the settings, or sentences."""
    try:
        return load(file, environ)
    except ConfigInvalidError as error:
        return [f"{problem.message} {problem.hint}" for problem in error.problems if problem.code in PROBLEMS]


@given(WORDS | st.text(max_size=60))
def test_no_text_leads_to_anything_but_settings_or_problems(tmp_path_factory, text):
    file = write(tmp_path_factory.mktemp("fuzz"))
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    found = outcome(file, {})
    assert isinstance(found, Config) or (found and all(sentence.isprintable() for sentence in found))


@given(
    st.dictionaries(
        st.sampled_from(VARIABLES), WORDS | st.text(st.characters(exclude_characters="\0"), max_size=20), max_size=5
    )
)
def test_no_environment_leads_to_anything_but_settings_or_problems(tmp_path_factory, variables):
    file = write(tmp_path_factory.mktemp("fuzz"), S + "daily = '02:30'")
    found = outcome(file, {f"DROPMILL__{name}": value for name, value in variables.items()})
    assert isinstance(found, Config) or found
