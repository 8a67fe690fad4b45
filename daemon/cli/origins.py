"""What comes along with a document that is to run: parameters, priority, key, time, and who asked.

Called by `run` and `submit`. Which parameters a workflow takes, and of which types, is the workflow's to say.
"""

import getpass
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from daemon.cli.invocation import Invocation

if TYPE_CHECKING:
    from daemon.cli.documents import Document
    from daemon.intake import Origin
    from engine.model import Workflow

Making = Callable[["Workflow"], "Origin"]


def options() -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options that `of` takes its wishes from."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for attach in (
            click.option(
                "--idempotency-key", metavar="KEY", help="Run only if no run of this workflow had this key before."
            ),
            click.option(
                "--priority",
                type=click.IntRange(-(2**31) + 1, 2**31 - 1),
                default=0,
                metavar="N",
                help="Runs with a higher number start their tasks first.",
            ),
            click.option(
                "--no-cache",
                "ignores_cache",
                is_flag=True,
                help="Leave the cache alone: nothing is taken from it, and nothing put into it.",
            ),
            click.option("--params-file", metavar="FILE", help="A JSON object of parameters; - for standard input."),
            click.option(
                "--param", "pairs", multiple=True, metavar="NAME=VALUE", help="A parameter; may be given several times."
            ),
        ):
            function = attach(function)
        return function

    return decorate


def of(call: Invocation, document: "Document", wishes: dict[str, Any], run_at: float | None = None) -> Making:
    """Take out of the wishes what belongs to a submission.

    Returns how to make its origin once the workflow, and so each parameter's type, is known.
    """
    from daemon.intake import Origin
    from engine import params

    pairs, given = pairs_of(wishes.pop("pairs")), _read_params(call, document, wishes.pop("params_file"))
    priority, key, use_cache = (
        wishes.pop("priority"),
        wishes.pop("idempotency_key"),
        not wishes.pop("ignores_cache"),
    )
    trigger = {"type": "cli", "user": getpass.getuser(), "file": document.shown}

    def make(workflow: "Workflow") -> "Origin":
        complete = given | params.from_text(workflow, pairs)
        return Origin(
            trigger=trigger,
            params=complete,
            priority=priority,
            idempotency_key=key,
            run_at=run_at,
            use_cache=use_cache,
        )

    return make


def pairs_of(texts: tuple[str, ...]) -> dict[str, str]:
    """Read NAME=VALUE texts; raises BadParameter for anything else."""
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
