"""`dropmill run`: a workflow run in this process, with workers of its own and no daemon."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from daemon.cli import completing, invocation
from daemon.cli.invocation import Invocation

if TYPE_CHECKING:
    from daemon.cli.documents import Document
    from daemon.config import Config
    from daemon.intake import Origin
    from engine.model import Workflow

_KILLED = 128  # and the number of the signal, as shells count


@click.command("run")
@click.argument("file", metavar="FILE", shell_complete=completing.documents)
@click.option("--param", "pairs", multiple=True, metavar="NAME=VALUE", help="A parameter; may be given several times.")
@click.option("--params-file", metavar="FILE", help="A JSON object of parameters; - for standard input.")
@click.option("--priority", type=int, default=0, metavar="N", help="Runs with a higher number start their tasks first.")
@click.option("--idempotency-key", metavar="KEY", help="Run only if no run of this workflow had this key before.")
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
    the settings, where `runs`, `show` and `logs` find it. Ctrl-C cancels it, twice kills it at once. The exit status
    is 0 only if the run COMPLETED.
    """
    from daemon.cli.documents import read
    from daemon.cli.problems import complain
    from engine.errors import DocumentInvalidError

    document = read(call, file)
    origin = _origin(call, document, wishes)
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


def _origin(call: Invocation, document: "Document", wishes: dict[str, Any]) -> "Callable[[Workflow], Origin]":
    """Return how to make the origin of the submission once the workflow, and so each parameter's type, is known."""
    import getpass

    from daemon.intake import Origin
    from engine import params

    pairs, given = _pairs(wishes.pop("pairs")), _read_params(call, document, wishes.pop("params_file"))
    priority, key = wishes.pop("priority"), wishes.pop("idempotency_key")
    trigger = {"type": "cli", "user": getpass.getuser(), "file": document.shown}

    def make(workflow: "Workflow") -> "Origin":
        complete = given | params.from_text(workflow, pairs)
        return Origin(trigger=trigger, params=complete, priority=priority, idempotency_key=key)

    return make


def _pairs(texts: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--param")
        pairs[name] = value
    return pairs


def _read_params(call: Invocation, document: "Document", file: str | None) -> dict[str, Any]:
    if file is None:
        return {}
    from daemon.cli.documents import STDIN, read, read_file
    from engine import strictjson
    from engine.errors import ParamsInvalidError, Problem

    limits = call.config.limits
    if file == STDIN and document.shown == "<stdin>":
        raise click.UsageError("the document and the parameters cannot both come from standard input")
    data = read(call, STDIN).data if file == STDIN else read_file(Path(file), limits.document_bytes + 1)
    value, problems = strictjson.parse(data, limits)
    if not problems and not isinstance(value, dict):
        problems = [Problem(code="wrong_type", message="parameters are a JSON object, of values by name")]
    if problems:
        raise ParamsInvalidError(problems, "on standard input" if file == STDIN else f"in {file}")
    return dict(value)


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
    from daemon.cli.running import Here
    from daemon.cli.stage import Stage
    from engine.states import State

    stage = Stage(call, config.paths.logs, as_json=as_json, is_quiet=quiet, is_kept=is_kept)
    ended = Here(config, document).run(origin, stage.show, stage.say)
    with contextlib.suppress(ReaderGoneError):  # the run went on without its reader, and its end counts
        stage.tell(ended)
        call.out.flush()
    if ended.signal is not None:
        return _KILLED + ended.signal
    return 0 if ended.run.state is State.COMPLETED else 1
