"""What Tab offers for an argument: workflow names and files, run ids, task ids, task types.

Anything that goes wrong means that nothing is offered: a shell has no place for an error. Called by click.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from daemon.cli.invocation import Invocation

if TYPE_CHECKING:
    from daemon.config import Config

_MOST = 50


def documents(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer workflow names, and let the shell look for files."""
    return [*workflows(context, _parameter, incomplete), CompletionItem(incomplete, type="file")]


def workflows(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the names of known workflows."""

    def names(config: "Config") -> Mapping[str, str]:
        from daemon.library import Library

        return dict.fromkeys(Library(config.paths.workflows).names(), "")

    return _offered(context, incomplete, names)


def runs(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the newest run ids, each with what it is, and the word for the newest."""

    def ids(config: "Config") -> Mapping[str, str]:
        from daemon.cli import memory

        with memory.opened(config) as history:
            newest = history.runs(limit=_MOST)
        return {memory.LAST: "the newest run"} | {run.id: f"{run.workflow} {run.state}" for run in newest}

    return _offered(context, incomplete, ids)


def tasks(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the tasks of the run that the argument `run` names."""

    def ids(config: "Config") -> Mapping[str, str]:
        from daemon.cli import memory

        with memory.opened(config) as history:
            run = history.run(memory.find(history, context.params["run"]))
        # Of what may be thousands of instances, those of a task that is typed already.
        named = [task for task in run.tasks or () if "[" in incomplete or "[" not in task.id]
        return {task.id: f"{task.type} {task.state}" for task in named}

    return _offered(context, incomplete, ids)


def waiting(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer what waits for a person in the run that the argument `run` names."""

    def ids(config: "Config") -> Mapping[str, str]:
        from daemon.cli import memory

        with memory.opened(config) as history:
            asked = history.approvals(memory.find(history, context.params["run"]))
        return {each.task: each.message for each in asked}

    return _offered(context, incomplete, ids)


def schedules(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the names of schedules."""

    def names(config: "Config") -> Mapping[str, str]:
        return {schedule.name: schedule.workflow for schedule in config.schedules}

    return _offered(context, incomplete, names)


def task_types(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the task types there are."""

    def names(config: "Config") -> Mapping[str, str]:
        from daemon.cli.catalogue import StockTaking

        return {name: kind.description for name, kind in StockTaking(config).result().types.items()}

    return _offered(context, incomplete, names)


def _offered(
    context: click.Context, incomplete: str, find: "Callable[[Config], Mapping[str, str]]"
) -> list[CompletionItem]:
    from engine.errors import DropmillError

    try:
        found = find(context.ensure_object(Invocation).config)
    except (DropmillError, OSError, KeyError):
        return []
    return [CompletionItem(name, help=about or None) for name, about in found.items() if name.startswith(incomplete)]
