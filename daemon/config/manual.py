"""The settings on paper: the sample file and the reference, printed from the structs that hold the settings.

Tests compare the sample with `etc/dropmill.toml` and the reference with REFERENCE.md. Called by the command line.
"""

import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import NODEFAULT, inspect

from daemon.config.leaves import bare
from daemon.config.reader import section_fields
from daemon.config.schedule import Schedule
from daemon.config.wording import taken, written

_WIDTH = 118
_HEAD = """\
Settings of Dropmill. Every setting is here with its default: take away the # before it to change it.

Relative paths start at the folder of this file, and ~/ is the home folder. Durations are seconds, or text such as
"500ms", "30s", "1h30m", "2d"; sizes are bytes, or text such as "64KiB", "10MiB". An environment variable overrides a
setting: DROPMILL__EXECUTOR__WORKERS=8 sets `workers` in [executor]. `dropmill config check` finds every mistake.

Where a setting has no default, the line shows an example.
"""
_SCHEDULES_HEAD = (
    "More of these may be in *.toml files in the folder schedules.d beside this file; `dropmill schedule add` \
writes one there, and never changes a file that a person wrote."
)
# What an entry of a table by name is called in the sample.
_ENTRY_NAMES = {"inboxes": "partner", "pools": "db"}
# How the key of an entry is shown in the reference.
_ENTRY_PLACES = {"inboxes": ".NAME", "pools": ".NAME", "plugins": ".TYPE"}
EXAMPLES = (
    Schedule(name="heartbeat", workflow="heartbeat", hourly=":00"),
    Schedule(name="nightly-report", workflow="nightly-report", daily="02:30", params={"day": "yesterday"}),
)


class Setting(msgspec.Struct, frozen=True):
    """One setting on paper: default and example as they would stand in the file, None where there is none."""

    name: str
    description: str
    takes: str
    default: str | None
    example: str | None
    is_required: bool


def settings_of(table: inspect.StructType) -> list[Setting]:
    """List the settings of a table, without the tables within it."""
    return [_setting(field) for field in table.fields if not _is_table(field)]


def tables_of(name: str, table: inspect.StructType) -> Iterator[tuple[str, str, inspect.StructType]]:
    """Give the tables within a table: dotted name, description, type."""
    for field in table.fields:
        kind, _ = bare(field.type)
        if isinstance(kind, inspect.StructType):
            yield f"{name}.{field.name}", note(field.type, "description"), kind


def sample() -> str:
    """Print the sample file: every setting with its default, commented out, and two schedules that work."""
    lines = [*_comment(_HEAD)]
    for section in section_fields():
        kind, _ = bare(section.type)
        about = _comment(note(section.type, "description"))
        if isinstance(kind, inspect.StructType):
            lines += ["", "", f"[{section.name}]", *about, *_sample_table(section.name, kind)]
        elif section.name == "schedules":
            lines += ["", "", *about, *_comment(_SCHEDULES_HEAD), *_sample_schedules(), *_sample_entry(section)]
        else:
            lines += ["", "", *about, *_sample_entry(section)]
    return "\n".join(lines) + "\n"


def reference() -> str:
    """Print the reference in Markdown: a table of the settings of each section."""
    parts = []
    for section in section_fields():
        kind = _entry_type(section)
        title = f"[{section.name}{_ENTRY_PLACES.get(section.name, '')}]"
        title = f"[{title}]" if isinstance(bare(section.type)[0], inspect.VarTupleType) else title
        parts.append(f"### `{title}`\n\n{note(section.type, 'description')}\n")
        if isinstance(kind, inspect.StructType):
            parts += [_reference_table("", kind)]
    return "\n".join(parts)


def note(kind: inspect.Type, name: str) -> Any:
    """Return what the annotation of a setting says: its `description` or its `examples`, "" where it says nothing."""
    return (kind.extra_json_schema or {}).get(name, "") if isinstance(kind, inspect.Metadata) else ""


def default_of(field: inspect.Field) -> Any:
    """Return the default of a setting; None for one that is required or that holds for itself when left out."""
    if field.default_factory is not NODEFAULT:
        return field.default_factory()
    return None if field.required else field.default


def _setting(field: inspect.Field) -> Setting:
    _, extra = bare(field.type)
    unit = extra.get("unit")
    default, examples = default_of(field), note(field.type, "examples")
    is_empty = default is None or default in ({}, ())
    return Setting(
        name=field.name,
        description=note(field.type, "description"),
        takes=taken(field.type),
        default=None if default is None else written(default, unit),
        example=written(examples[0]) if examples and is_empty else None,
        is_required=field.required,
    )


def _sample_table(name: str, table: inspect.StructType) -> Iterator[str]:
    for setting in settings_of(table):
        yield ""
        yield from _sample_setting(setting)
    for inner_name, about, inner in tables_of(name, table):
        yield from ("", f"[{inner_name}]", *_comment(about), *_sample_table(inner_name, inner))


def _sample_setting(setting: Setting) -> Iterator[str]:
    about = setting.description
    if '"' in setting.takes and setting.takes.startswith("one of"):
        about += f" {setting.takes[0].upper()}{setting.takes[1:]}."
    yield from _comment(about)
    if setting.example is not None:
        yield f"#{setting.name} = {setting.example}  # for example"
    else:
        yield f"#{setting.name} = {setting.default}"


def _sample_entry(section: inspect.Field) -> Iterator[str]:
    kind = _entry_type(section)
    name = f"{section.name}.{_ENTRY_NAMES[section.name]}" if section.name in _ENTRY_NAMES else f"[{section.name}]"
    yield ""
    if not isinstance(kind, inspect.StructType):
        for entry, inner in note(section.type, "examples")[0].items():
            yield f"#[{section.name}.{entry}]"
            yield from (f"#{key} = {written(value)}  # for example" for key, value in inner.items())
        return
    yield f"#[{name}]"
    for setting in settings_of(kind):
        yield from _comment(setting.description)
        yield from list(_sample_setting(setting))[-1:]


def _sample_schedules() -> Iterator[str]:
    for schedule in EXAMPLES:
        yield from ("", "[[schedules]]")
        for name in schedule.__struct_fields__:
            value = getattr(schedule, name)
            if value != getattr(Schedule(name="", workflow=""), name):
                yield f"{name} = {written(value)}"
    yield from ("", "# Everything that a schedule may have:")


def _reference_table(prefix: str, table: inspect.StructType) -> str:
    rows = ["| setting | what it is | takes | default |", "|---|---|---|---|"]
    rows += _reference_rows(prefix, table)
    return "\n".join(rows) + "\n"


def _reference_rows(prefix: str, table: inspect.StructType) -> Iterator[str]:
    for setting in settings_of(table):
        default = "required" if setting.is_required else f"`{setting.default}`" if setting.default else ""
        example = f", such as `{setting.example}`" if setting.example and "such as" not in setting.takes else ""
        cells = (f"`{prefix}{setting.name}`", setting.description, setting.takes + example, default)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    for name, _, inner in tables_of("", table):
        yield from _reference_rows(f"{prefix}{name.lstrip('.')}.", inner)


def _entry_type(section: inspect.Field) -> inspect.Type:
    kind, _ = bare(section.type)
    if isinstance(kind, inspect.DictType):
        return bare(kind.value_type)[0]
    return bare(kind.item_type)[0] if isinstance(kind, inspect.VarTupleType) else kind


def _is_table(field: inspect.Field) -> bool:
    return isinstance(bare(field.type)[0], inspect.StructType)


def _comment(text: str) -> Iterable[str]:
    for paragraph in text.rstrip().split("\n"):
        yield from (f"# {line}".rstrip() for line in textwrap.wrap(paragraph, _WIDTH) or [""])
