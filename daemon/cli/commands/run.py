"""`dropmill run`: a workflow run in this process, with workers of its own; by the daemon where one owns the folder."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from daemon.cli import completing, invocation, origins
from daemon.cli.invocation import Invocation

if TYPE_CHECKING:
    from daemon.cli.documents import Document
    from daemon.cli.relaying import There
    from daemon.cli.running import Here
    from daemon.config import Config
    from daemon.intake import Origin
    from engine.model import Workflow

_KILLED = 128  # and the number of the signal, as shells count


@click.command("run")
@click.argument("file", metavar="FILE", shell_complete=completing.documents)
@origins.options()
@click.option(
    "--workers", type=click.IntRange(1, 1024), metavar="N", help="Worker processes, instead of the settings'."
)
@click.option("--ephemeral", is_flag=True, help="Keep nothing: no history, no logs.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing unless it fails.")
@click.option("--json", "as_json", is_flag=True, help="Print the run as JSON at the end, and nothing else there.")
@invocation.options()
@click.pass_obj
def command(call: Invocation, /, *, file: str, ephemeral: bool, workers: int | None, **wishes: Any) -> int:
    """Run a workflow here and now, and show how it goes.

    FILE is a path, - for standard input, or the name of a known workflow. The run is recorded in the state folder of
    the settings, where `runs`, `show` and `logs` find it; where a daemon owns that folder, the daemon runs it. Ctrl-C
    cancels it, twice kills it at once. The exit status is 0 only if the run COMPLETED.
    """
    from daemon.cli.documents import read
    from daemon.cli.problems import complain
    from engine.errors import DocumentInvalidError

    document = read(call, file)
    origin = origins.of(call, document, wishes)
    with _settings(call, ephemeral=ephemeral, workers=workers) as config:
        try:
            return _run(call, config, document, origin, is_kept=not ephemeral, **wishes)
        except DocumentInvalidError as error:
            complain(call.err, error, document.data, document.shown)
            return error.exit_status


@contextlib.contextmanager
def _settings(call: Invocation, *, ephemeral: bool, workers: int | None) -> "Iterator[Config]":
    import msgspec

    from daemon.cli.running import ephemeral as borrowed

    config = call.config
    if workers is not None:
        config = msgspec.structs.replace(config, executor=msgspec.structs.replace(config.executor, workers=workers))
    with borrowed(config) if ephemeral else contextlib.nullcontext(config) as settings:
        yield settings


def _run(
    call: Invocation,
    config: "Config",
    document: "Document",
    origin: "Callable[[Workflow], Origin]",
    *,
    is_kept: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    from daemon.cli.output import ReaderGoneError
    from daemon.cli.stage import Stage
    from engine.states import State

    stage = Stage(call, config.paths.logs, as_json=as_json, is_quiet=quiet, is_kept=is_kept)
    ended = _runner(call, config, document).run(origin, stage.show, stage.say)
    with contextlib.suppress(ReaderGoneError):  # the run went on without its reader, and its end counts
        stage.tell(ended)
        call.out.flush()
    if ended.signal is not None:
        return _KILLED + ended.signal
    return 0 if ended.run.state is State.COMPLETED else 1


def _runner(call: Invocation, config: "Config", document: "Document") -> "Here | There":
    from daemon.cli.text import Styled
    from daemon.ownership import owner_of

    owner = owner_of(config.paths.state)
    if owner is not None and owner.kind == "daemon":
        from daemon.cli.relaying import There

        if config is not call.config:
            call.err.line(Styled("note: ", "odd"), "the daemon runs it, with the workers that it has")
        return There(config, document)
    from daemon.cli.running import Here

    return Here(config, document)
