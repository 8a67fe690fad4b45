"""One call of `dropmill`: the options that hold for every command, and the settings, read when they are asked for.

click hands it to each command. Owns no sentence and no exit status.
"""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from daemon.cli.output import Output

if TYPE_CHECKING:
    from daemon.config import Config


class Invocation:
    """Hold what the person asked for beside the command itself."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        """Take the environment of the call; nothing is read yet."""
        self.environ = environ
        self.config_file: Path | None = None
        self.wants_color = True
        self.wants_traceback = False
        self.read_config: Config | None = None

    @property
    def config(self) -> "Config":
        """Return the settings; `read_config` tells whether they have been read.

        Raises ConfigInvalidError.
        """
        if self.read_config is None:
            from daemon.config import load

            self.read_config = load(self.config_file, self.environ)
        return self.read_config

    @property
    def config_in_force(self) -> "Config":
        """Return the settings, or what finds the daemon that goes on with earlier ones while the file is broken.

        Raises ConfigInvalidError where the file is broken and no daemon is there.
        """
        from engine.errors import ConfigInvalidError

        try:
            return self.config
        except ConfigInvalidError as error:
            from daemon.cli.counting import counted
            from daemon.cli.text import Styled
            from daemon.config import salvage
            from daemon.ownership import owner_of

            rest = salvage(self.config_file, self.environ)
            if owner_of(rest.paths.state) is None:
                raise
            there = f"{error.source or 'the environment'} has {counted(len(error.problems), 'problem')}"
            advice = "the daemon goes on with the settings it had; `dropmill config check` says what is wrong"
            self.err.line(Styled("warning", "odd"), f": {there}; {advice}")
            self.read_config = rest
            return rest

    @property
    def out(self) -> Output:
        """Return where answers go."""
        return self.output(sys.stdout)

    @property
    def err(self) -> Output:
        """Return where complaints go, and progress where the answer is for a program."""
        return self.output(sys.stderr)

    def output(self, stream: TextIO | None) -> Output:
        """Return a stream as an output."""
        return Output(stream, self.environ, wants_color=self.wants_color)


def options(*, hidden: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options that may stand before and after its name; help shows them unless they are hidden."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for attach in (
            click.option(
                "--debug", is_flag=True, help="Show the traceback of an internal error.", **_kept(hidden, _debug)
            ),
            click.option(
                "--no-color", is_flag=True, help="Use no colours; NO_COLOR=1 says the same.", **_kept(hidden, _color)
            ),
            click.option(
                "--config",
                metavar="FILE",
                type=click.Path(path_type=Path),
                help="Settings to use, instead of the first of $DROPMILL_CONFIG, etc/dropmill.toml here, "
                "~/.config/dropmill/dropmill.toml and /etc/dropmill/dropmill.toml.",
                **_kept(hidden, _config),
            ),
        ):
            function = attach(function)
        return function

    return decorate


def _kept(hidden: bool, keep: Callable[[Invocation, Any], None]) -> dict[str, Any]:  # noqa: FBT001 -- handed on as it came
    def callback(context: click.Context, _parameter: click.Parameter, value: Any) -> None:
        if value:
            keep(context.ensure_object(Invocation), value)

    return {"hidden": hidden, "expose_value": False, "callback": callback}


def _config(invocation: Invocation, value: Path) -> None:
    invocation.config_file = value


def _color(invocation: Invocation, _value: bool) -> None:  # noqa: FBT001 -- the signature of `keep`
    invocation.wants_color = False


def _debug(invocation: Invocation, _value: bool) -> None:  # noqa: FBT001 -- the signature of `keep`
    invocation.wants_traceback = True
