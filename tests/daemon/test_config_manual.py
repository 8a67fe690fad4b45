"""The settings on paper: complete, current, and true."""

import re
import tomllib

import jsonschema_rs
import pytest
from msgspec import inspect, structs

from daemon.config import load, reference, sample, schema, show
from daemon.config.leaves import bare
from daemon.config.manual import EXAMPLES
from daemon.config.reader import section_fields
from engine.quotas import Quota
from tests.daemon.configs import loaded, write
from tests.daemon.test_config_problems import BAD
from tests.rules.source import ROOT
from tests.rules.test_weight import HEAVY, loaded_by

SAMPLE = ROOT / "etc" / "dropmill.toml"


def settings(fields=None, key=()):
    """Give every setting with the path of its names, tables included."""
    for field in section_fields() if fields is None else fields:
        yield (*key, field.name), field
        kind, _ = bare(field.type)
        kind = kind.item_type if isinstance(kind, inspect.VarTupleType) else kind
        kind = kind.value_type if isinstance(kind, inspect.DictType) else kind
        kind, _ = bare(kind)
        if isinstance(kind, inspect.StructType):
            yield from settings(kind.fields, (*key, field.name))


def names():
    return [".".join(key) for key, _ in settings()]


def test_every_setting_says_in_one_sentence_what_it_is():
    said = {key: inspect_description(field) for key, field in settings()}
    assert [
        key
        for key, text in said.items()
        if not text or not text.endswith(".") or not text[0].isupper() | (text[0] == '"')
    ] == []
    assert [key for key, text in said.items() if len(key) > 1 and len(text) > 110] == []


def inspect_description(field):
    return (
        (field.type.extra_json_schema or {}).get("description", "") if isinstance(field.type, inspect.Metadata) else ""
    )


def test_every_setting_without_a_default_value_has_an_example():
    missing = [
        key
        for key, field in settings()
        if (field.required or field.default is None) and not field.type.extra_json_schema.get("examples")
    ]
    assert missing == []


def test_every_setting_stands_in_the_sample_and_in_the_reference():
    text, manual = sample(), reference()
    for key, field in settings():
        if isinstance(bare(field.type)[0], inspect.StructType) or len(key) == 1:
            continue
        assert re.search(rf"^#?{key[-1]} = ", text, re.MULTILINE), key
        assert f"`{'.'.join(key[1:])}`" in manual, key


def test_the_committed_sample_is_what_the_settings_print():
    assert SAMPLE.read_text(encoding="utf-8") == sample()


def test_the_sample_loads_to_the_defaults_and_two_schedules(tmp_path):
    config, plain = loaded(tmp_path / "a", sample()), loaded(tmp_path / "a", "")
    assert config.schedules == EXAMPLES
    assert structs.replace(config, schedules=(), loaded=plain.loaded) == plain


# Of entries that are only an example.
ENTRY_ONLY = ("#priority", "#enabled = true", "#match", "#size", "#per = ")


def test_every_default_in_the_sample_is_the_default(tmp_path):
    uncommented = "\n".join(
        line[1:] if re.match(r"#\w+ = ", line) and not line.endswith("# for example") else line
        for line in sample().partition("# Everything that a schedule may have:")[0].splitlines()
        if not line.startswith(ENTRY_ONLY)
    )
    config, plain = loaded(tmp_path, uncommented), loaded(tmp_path, "")
    assert 'workers = "auto"' in uncommented.splitlines()
    assert structs.replace(config, schedules=(), loaded=plain.loaded) == plain


def test_every_example_in_the_sample_is_accepted(tmp_path):
    text = sample().partition("[[schedules]]")[0]
    text = "\n".join(re.sub(r"^#(\[|\w+ = )", r"\1", line) for line in text.splitlines())
    config = loaded(tmp_path, text)
    assert config.inboxes["partner"].task_types == ("print", "api_call")
    assert config.plugins["shell"] == {"allow_command": True}
    assert config.pools["db"] == Quota(rate=10)


FORMS = ("cron", "every", "at", "hourly", "daily", "weekly", "monthly")


@pytest.mark.parametrize("form", FORMS)
def test_every_example_of_a_schedule_is_accepted(tmp_path, form):
    block = sample().partition("# Everything that a schedule may have:")[2]
    lines = [line[1:] for line in block.splitlines() if re.match(r"#(\[|\w+ = )", line)]
    others = tuple(f"{other} = " for other in FORMS if other != form)
    (schedule,) = loaded(tmp_path, "\n".join(line for line in lines if not line.startswith(others))).schedules
    assert getattr(schedule, form)


def test_the_sample_names_workflows_that_are_there():
    for schedule in EXAMPLES:
        assert (SAMPLE.parent / "workflows" / f"{schedule.workflow}.json").is_file()


def test_the_schema_is_one_and_accepts_the_sample():
    jsonschema_rs.meta.validate(schema())
    jsonschema_rs.validate(schema(), tomllib.loads(sample()))


# What only the whole can tell, or only TOML: no schema says it.
BEYOND_A_SCHEMA = (
    "takes the same files",
    "is the same folder",
    "is used again",
    "is not TOML",
    "nested too deep",
    "levels deep",
    "not finite",
    "it takes an address",
    "address of a database",
    "is not UTF-8",
    "is the number 2.0",
    "it takes a duration",
    "it takes a size",
    "it takes a path",
)


@pytest.mark.parametrize("text", BAD, ids=[text[:60] for text in BAD])
def test_the_schema_refuses_what_its_types_can_tell(text):
    if any(phrase in " ".join(BAD[text]) for phrase in BEYOND_A_SCHEMA) or "more than 64 bits" in BAD[text][0]:
        return
    document = tomllib.loads(text)
    assert not jsonschema_rs.is_valid(schema(), as_json(document))


def as_json(value):
    """Write dates as an editor's TOML reader hands them to the schema: as something that is no text."""
    if isinstance(value, dict):
        return {key: as_json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_json(inner) for inner in value]
    return value if isinstance(value, str | int | float) else {"date": str(value)}


def test_show_lists_every_setting_with_value_and_origin(tmp_path):
    rows = {row.key: row for row in show(loaded(tmp_path, "[executor]\ngrace = 3"))}
    assert (rows["executor.grace"].value, str(rows["executor.grace"].origin)) == (
        '"3s"',
        f"{tmp_path}/etc/dropmill.toml:2",
    )
    assert (rows["executor.workers"].value, str(rows["executor.workers"].origin)) == ('"auto"', "default")
    assert rows["executor.recycle_memory"].value == '"512MiB"'
    assert rows["paths.inbox"].value == f'"{tmp_path}/inbox"'
    assert rows["secrets.folder"].value == ""
    entries = {"inboxes", "pools", "routes", "plugins", "schedules"}
    sections = {key for key in names() if key.partition(".")[0] not in entries}
    assert {key for key in sections if "." in key and key != "inbox.retention"} <= rows.keys()


def test_show_names_entries_and_lists_what_is_set_of_them(tmp_path):
    text = (
        "[[schedules]]\nname = 'n'\nworkflow = 'w'\ndaily = '02:30'\n[inboxes.p]\npath = 'x'\n[plugins.shell]\nx = [1]"
    )
    rows = [(row.key, row.value) for row in show(loaded(tmp_path, text))]
    assert [row for row in rows if row[0].startswith(("schedules", "inboxes", "plugins"))] == [
        ("inboxes.p.path", f'"{tmp_path}/etc/x"'),
        ("plugins.shell.x", "[1]"),
        ("schedules.n.name", '"n"'),
        ("schedules.n.workflow", '"w"'),
        ("schedules.n.daily", '"02:30"'),
    ]


def test_show_writes_values_that_can_be_read_back(tmp_path):
    rows = show(load(write(tmp_path, sample()), {}))
    for row in rows:
        assert row.value == "" or tomllib.loads(f"x = {row.value}")


def test_show_hides_passwords(tmp_path):
    text = (
        "[history]\nurl = 'postgresql://u:geheim1@h/d'\n"
        "[plugins.api_call]\ntoken = 'geheim2'\nauth = {password = 'geheim3', all = [{api_key = 'geheim4'}]}"
    )
    shown = " ".join(f"{row.key} {row.value}" for row in show(loaded(tmp_path, text)))
    assert "geheim" not in shown
    assert "postgresql://u:***@h/d" in shown


def test_reading_the_configuration_carries_no_heavy_library():
    assert loaded_by("daemon.config") & (HEAVY | {"tomli_w", "jsonschema_rs", "asyncio", "http"}) == set()


def test_the_reference_has_a_row_that_markdown_can_show_for_every_setting():
    rows = [line for line in reference().splitlines() if line.startswith("| `")]
    assert all(len(re.split(r"(?<!\\)\|", row)) == 6 for row in rows)
    assert len(rows) == len([key for key in names() if "." in key and key != "inbox.retention"])
