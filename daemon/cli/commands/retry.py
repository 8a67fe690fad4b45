"""`dropmill retry`: a run repeated, without what has completed in it."""

import click

from daemon.cli import completing, invocation
from daemon.cli.invocation import Invocation


@click.command("retry")
@click.argument("run", metavar="RUN", shell_complete=completing.runs)
@click.option(
    "--from", "start", metavar="TASK", help="Run TASK and all behind it anew.", shell_complete=completing.tasks
)
@click.option(
    "--no-cache", is_flag=True, help="Leave the cache alone: nothing is taken from it, and nothing put into it."
)
@click.option("--wait", is_flag=True, help="Show how it goes until its end; the exit status is 0 only if it COMPLETED.")
@click.option("--json", "as_json", is_flag=True, help="Print the new run as JSON; with --wait as it has ended.")
@invocation.options()
@click.pass_obj
def command(call: Invocation, /, *, run: str, start: str | None, no_cache: bool, wait: bool, as_json: bool) -> int:
    """Run again what did not complete, and all behind it, as a new run.

    What completed before keeps its output. RUN is an id, a beginning or an end of it that fits no other, or `last`.
    """
    from daemon.cli.calling import Daemon, of_run
    from daemon.cli.text import Styled

    daemon = Daemon(call.config)
    wish = ({} if start is None else {"from": start}) | ({"use_cache": False} if no_cache else {})
    made = daemon.post(of_run(run, "retry"), wish)
    if wait:
        return _wait(call, made["id"], as_json=as_json)
    if as_json:
        call.out.json(made)
    else:
        call.out.line("run ", Styled(made["id"], "head"), f" of {made['workflow']}")
    return 0


def _wait(call: Invocation, run: str, *, as_json: bool) -> int:
    from daemon.cli.relaying import wait_for
    from daemon.cli.stage import Stage
    from engine.states import State

    stage = Stage(call, call.config.paths.logs, as_json=as_json, is_quiet=False, is_kept=True)
    ended = wait_for(call.config, run, stage.show)
    stage.tell(ended)
    if ended.signal is not None:
        return 128 + ended.signal
    return 0 if ended.run.state is State.COMPLETED else 1
