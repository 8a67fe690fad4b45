"""`dropmill prune`: what is too old goes away now, and not when the daemon gets to it."""

from typing import TYPE_CHECKING

import click

from daemon.cli import invocation
from daemon.cli.invocation import Invocation

if TYPE_CHECKING:
    from daemon.config import Config
    from daemon.janitor import Pruned


@click.command("prune")
@click.option("--dry-run", is_flag=True, help="Only count what would go.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@invocation.options()
@click.pass_obj
def command(call: Invocation, *, dry_run: bool, as_json: bool) -> int:
    """Delete runs, logs and filed documents that are older than the settings keep them.

    `history.retention` and `inbox.retention` say how old that is. The daemon does the same from time to time.
    """
    from daemon.cli.calling import Daemon
    from daemon.cli.text import Styled
    from engine.errors import DaemonAbsentError

    try:
        done = _read(Daemon(call.config).post("/api/v1/parts/janitor/prune", {"dry_run": dry_run}))
    except DaemonAbsentError:
        done = _prune(call.config, dry_run=dry_run)
    if as_json:
        call.out.json(done)
    else:
        call.out.line(f"{'Would delete' if dry_run else 'Deleted'} {done}.")
        for problem in done.problems:
            call.err.line(Styled("problem: ", "bad"), problem)
    return 1 if done.problems else 0


def _read(answer: object) -> "Pruned":
    import msgspec

    from daemon.janitor import Pruned

    return msgspec.convert(answer, Pruned)


def _prune(config: "Config", *, dry_run: bool) -> "Pruned":
    from daemon.cli import memory
    from daemon.janitor import Janitor
    from daemon.ownership import Ownership
    from daemon.whereabouts import database_url, values_folder
    from engine.clock import SystemClock
    from engine.store import Store
    from engine.values import Values

    ownership, values, clock = Ownership(config.paths.state), Values(values_folder(config)), SystemClock()
    ownership.acquire("prune")
    store = Store(database_url(config), values=values, clock=clock)
    try:
        store.open()
        with memory.opened(config) as history:
            return Janitor(config, store=store, history=history, values=values, clock=clock).prune(dry_run=dry_run)
    finally:
        store.close()
        ownership.release()
