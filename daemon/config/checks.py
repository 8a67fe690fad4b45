"""How settings fit together, and what a type cannot say: expressions, addresses, names and folders that must differ.

Called by `loading` once every single value is read; each problem goes to the draft.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from daemon.config.draft import Draft, dotted, plain
from daemon.config.places import Key
from daemon.config.schedule import Schedule
from daemon.config.settings import Api, FurtherInbox, History, Paths, Route
from daemon.config.timing import forms_of, timing_problems
from engine.problems import quoted

_DATABASE = re.compile(r"sqlite:///.|postgresql(\+psycopg)?://")

Built = Iterable[tuple[Key, msgspec.Struct]]


def check(draft: Draft, built: Built, paths: Paths) -> None:
    """Compare settings with each other; `built` are the tables that were read well, each with its key."""
    _check_schedule_names(draft)
    _check_folders(draft, built, paths)
    for key, made in built:
        match made:
            case Schedule():
                _check_timing(draft, key, made)
            case Api():
                _check_listen(draft, key, made)
            case History():
                _check_url(draft, key, made)
            case _:
                pass


def _check_schedule_names(draft: Draft) -> None:
    entries = plain(draft.tree.get("schedules"))
    seen: dict[str, Key] = {}
    for number, entry in enumerate(entries if isinstance(entries, list) else []):
        name = plain(entry.get("name")) if isinstance(entry, dict) else None
        if not isinstance(name, str):
            continue
        key: Key = ("schedules", number, "name")
        if name in seen:
            message = f"the schedule name {quoted(name)} of {draft.origin(seen[name])} is used again"
            draft.complain("duplicate_schedule", key, message, "Give one of them another name, or remove it")
        seen.setdefault(name, key)


def _check_timing(draft: Draft, key: Key, schedule: Schedule) -> None:
    said = list(forms_of(schedule))
    about = f"{dotted(key)} ({schedule.name})"
    if not said:
        hint = "Give one of cron, every, at, hourly, daily, weekly, monthly"
        draft.complain("missing_key", key, f"{about} does not say when", hint)
    elif len(said) > 1:
        hint = "Keep one; a second schedule can have the other"
        draft.complain("bad_value", (*key, said[1]), f"{about} says when more than once: {', '.join(said)}", hint)
    else:
        for setting, problem in timing_problems(schedule):
            draft.complain(problem.code, (*key, setting), f"{about}: {problem.message}", problem.hint)


def _check_listen(draft: Draft, key: Key, api: Api) -> None:
    try:
        api.address()
    except ValueError:
        message = f"`{dotted(key)}.listen` is {quoted(api.listen)}; it takes an address and a port"
        draft.complain("bad_value", (*key, "listen"), message, 'Write "127.0.0.1:8420" or "[::1]:8420"')


def _check_url(draft: Draft, key: Key, history: History) -> None:
    if history.url is not None and not _DATABASE.match(history.url):
        # The address may hold a password, so it is not shown.
        message = f"`{dotted(key)}.url` is no address of a database that is known here"
        hint = "Write sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE"
        draft.complain("bad_value", (*key, "url"), message, hint)


def _check_folders(draft: Draft, built: Built, paths: Paths) -> None:
    """See that each folder into which files are dropped is for that alone: what is dropped is taken away."""
    taken = {paths.state: "paths.state", paths.logs: "paths.logs"}
    taken |= dict.fromkeys(paths.workflows, "paths.workflows") | dict.fromkeys(paths.plugins, "paths.plugins")
    inboxes: list[tuple[Key, Path]] = [(("paths", "inbox"), paths.inbox)]
    inboxes += [((*key, "path"), made.path) for key, made in built if isinstance(made, FurtherInbox)]
    for key, folder in inboxes:
        _check_folder(draft, key, folder, taken)
        taken.setdefault(folder, dotted(key))
    patterns: dict[tuple[Path, str], str] = {}
    for key, route in [(key, made) for key, made in built if isinstance(made, Route)]:
        _check_folder(draft, (*key, "path"), route.path, taken)
        first = patterns.setdefault((route.path, route.match), dotted(key))
        if first != dotted(key):
            message = f"{dotted(key)} takes the same files as {first}: {quoted(route.match)} in {route.path}"
            draft.complain("bad_value", key, message, "Remove one of them, or give it another `match`")


def _check_folder(draft: Draft, key: Key, folder: Path, taken: dict[Path, str]) -> None:
    if folder in taken:
        message = f"`{dotted(key)}` is the same folder as `{taken[folder]}` ({folder})"
        draft.complain("bad_value", key, message, "What is dropped is taken away, so it needs a folder of its own")
