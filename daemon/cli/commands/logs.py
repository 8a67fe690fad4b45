"""`dropmill logs`: what the attempts of a run have said, and when what happened; with -f as it happens."""

from typing import TYPE_CHECKING

import click

from daemon.cli import completing, invocation
from daemon.cli.invocation import Invocation

if TYPE_CHECKING:
    from engine.history import History
    from engine.views import RunView


@click.command("logs")
@click.argument("run", metavar="RUN", shell_complete=completing.runs)
@click.argument("task", metavar="[TASK]", required=False, shell_complete=completing.tasks)
@click.option("-f", "--follow", is_flag=True, help="Go on until the run, or the task, has ended.")
@click.option("--attempt", type=click.IntRange(min=1), metavar="N", help="That attempt of TASK, not the last one.")
@invocation.options()
@click.pass_obj
def command(call: Invocation, *, run: str, task: str | None, follow: bool, attempt: int | None) -> int:
    """Show what a run, or one task of it, has said.

    Without TASK: everything that happened to the run, with the lines of each task in between. RUN is its id, a
    beginning or an end of it that fits no other, or `last` for the newest.
    """
    from daemon.cli import memory

    if attempt is not None and task is None:
        raise click.UsageError("--attempt needs a TASK")
    memory.expect(call.config_in_force, run)
    with memory.opened(call.config_in_force) as history:
        found = history.run(memory.find(history, run))
        if task is None:
            return _show_run(call, history, found, follow=follow)
        return _show_task(call, history, found, task, attempt, follow=follow)


def _show_task(
    call: Invocation, history: "History", run: "RunView", task: str, attempt: int | None, *, follow: bool
) -> int:
    from daemon.cli.recounting import TaskLog
    from engine.errors import InputError, TaskUnknownError
    from engine.problems import nearest

    known = {each.id: each for each in run.tasks or ()}
    if task not in known:
        raise TaskUnknownError(run.id, task, nearest(task, known))
    if attempt is not None and attempt > known[task].attempts and not follow:
        message = (
            f"task {task} of run {run.id} has had {known[task].attempts} attempts, so there is no attempt {attempt}"
        )
        raise InputError(message)
    instances = [each for each in known if each.startswith(f"{task}[")]
    if instances and not known[task].attempts:
        named = ", ".join(instances[:3]) + (", …" if len(instances) > len(instances[:3]) else "")
        raise InputError(f"task {task} came to {len(instances):,} instances, and each has a log of its own: {named}")
    log = TaskLog(call, history, run.id, task)
    if follow:
        return log.follow(attempt)
    log.show(attempt or known[task].attempts)
    return 0


def _show_run(call: Invocation, history: "History", run: "RunView", *, follow: bool) -> int:
    from daemon.cli.recounting import RunLog

    log = RunLog(call, history, run)
    return log.follow() if follow else log.show()
