"""`dropmill submit`: a workflow handed to the daemon, or left in the inbox for the next one."""

import contextlib
from typing import TYPE_CHECKING, Any

import click

from daemon.cli import completing, invocation, origins
from daemon.cli.invocation import Invocation

if TYPE_CHECKING:
    from daemon.cli.documents import Document
    from daemon.intake import Origin
    from engine.submission import Receipt


@click.command("submit")
@click.argument("file", metavar="FILE", shell_complete=completing.documents)
@origins.options()
@click.option("--run-at", metavar="TIME", help="Not before: 1h, tomorrow, 2027-01-31T14:00, or with an offset.")
@click.option("--wait", is_flag=True, help="Wait for the end of the run, and say how it ended.")
@click.option("--follow", is_flag=True, help="Show how it goes until its end.")
@click.option("--json", "as_json", is_flag=True, help="Print the run as JSON; with --wait as it has ended.")
@invocation.options()
@click.pass_obj
def command(
    call: Invocation, /, *, file: str, run_at: str | None, wait: bool, follow: bool, as_json: bool, **wishes: Any
) -> int:
    """Hand a workflow to the daemon, which runs it.

    FILE is a path, - for standard input, or the name of a known workflow. Without a daemon the file goes into the
    inbox, where the next one finds it. The exit status is 0 when the daemon has it; with --wait or --follow only if
    the run COMPLETED.
    """
    from daemon.cli.documents import read
    from daemon.cli.problems import complain
    from engine.errors import DaemonAbsentError, DocumentInvalidError

    document = read(call, file)
    origin = origins.of(call, document, wishes, _moment(run_at))
    try:
        try:
            return _hand_in(call, document, origin, is_waiting=wait or follow, is_watching=follow, as_json=as_json)
        except DaemonAbsentError:
            if wait or follow or _is_daemon_near(call):
                raise
        return _drop(call, document, origin, as_json=as_json)
    except DocumentInvalidError as error:
        complain(call.err, error, document.data, document.shown)
        return error.exit_status


def _moment(text: str | None) -> float | None:
    if text is None:
        return None
    from daemon.cli.moments import ahead
    from engine.clock import wall

    try:
        return ahead(text, wall())
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--run-at") from None


def _hand_in(
    call: Invocation,
    document: "Document",
    origin: origins.Making,
    *,
    is_waiting: bool,
    is_watching: bool,
    as_json: bool,
) -> int:
    from daemon.cli.output import ReaderGoneError
    from daemon.cli.relaying import There
    from daemon.cli.stage import Stage
    from engine.states import State

    there = There(call.config, document)
    if not is_waiting:
        receipt, workflow = there.hand_in(origin)
        if as_json:
            from daemon.cli.calling import Daemon

            call.out.json(Daemon(call.config).run(receipt.run))
        else:
            _confirm(call, workflow, receipt)
        return 0
    stage = Stage(call, call.config.paths.logs, as_json=as_json, is_quiet=not is_watching, is_kept=True)
    ended = there.run(origin, stage.show, stage.say)
    with contextlib.suppress(ReaderGoneError):  # the run went on without its reader, and its end counts
        stage.tell(ended)
        if not (is_watching or as_json) and ended.run.state is State.COMPLETED:
            from daemon.cli.outcome import Outcome

            Outcome(call.out, ended.run, call.config.paths.logs).headline(is_kept=True)
        call.out.flush()
    return 0 if ended.run.state is State.COMPLETED else 1


def _confirm(call: Invocation, workflow: str, receipt: "Receipt") -> None:
    from daemon.cli.text import Styled

    if receipt.is_new:
        call.out.line("run ", Styled(receipt.run, "head"), f" of {workflow}")
    else:
        call.out.line("an earlier run had this idempotency key: ", Styled(receipt.run, "head"), f" {receipt.state}")


def _is_daemon_near(call: Invocation) -> bool:
    """Tell whether there is a daemon that does not answer at the moment: starting, stopping, or in trouble."""
    from daemon.ownership import owner_of

    owner = owner_of(call.config.paths.state)
    return owner is not None and owner.kind == "daemon"


def _drop(call: Invocation, document: "Document", making: origins.Making, *, as_json: bool) -> int:
    """Check the document as the daemon will, and leave it in the inbox."""
    from daemon.cli.catalogue import StockTaking
    from daemon.cli.dropping import drop
    from daemon.intake import judge
    from engine import params

    config = call.config
    plan = judge(document.data, StockTaking(config).result(), config.limits, name=document.name)
    origin = making(plan.workflow)
    params.resolve(plan.workflow, origin.params)
    data = _request(document.name, origin) if document.is_known else _alone(call, document, origin)
    path = drop(config.paths.inbox, document.name or "stdin", data)
    if as_json:
        call.out.json({"file": str(path)})
    else:
        call.out.line(f"No daemon answers; it is in the inbox, and the next `dropmill serve` runs it: {path}")
    return 0


def _request(name: str, origin: "Origin") -> bytes:
    import msgspec

    from engine.clock import rfc3339

    more: dict[str, Any] = {"params": origin.params} if origin.params else {}
    if origin.priority:
        more["priority"] = origin.priority
    if origin.idempotency_key is not None:
        more["idempotency_key"] = origin.idempotency_key
    if origin.run_at is not None:
        more["run_at"] = rfc3339(origin.run_at)
    if not origin.use_cache:
        more["use_cache"] = False
    return msgspec.json.encode({"workflow": name} | more) + b"\n"


def _alone(call: Invocation, document: "Document", origin: "Origin") -> bytes:
    has_time_or_key = origin.idempotency_key is not None or origin.run_at is not None
    if origin.params or origin.priority or has_time_or_key or not origin.use_cache:
        from engine.errors import InputError

        folder = ", ".join(map(str, call.config.paths.workflows))
        raise InputError(
            "no daemon answers, and a file in the inbox can bring parameters, priority, key, time or --no-cache only "
            f"for a known workflow: put it into {folder}, or start the daemon with `dropmill serve`"
        )
    return document.data
