"""The command `dropmill` itself: what stands before the name of a command."""

import click

from daemon.cli import invocation
from daemon.cli.registry import LazyGroup

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def _print_version(context: click.Context, _parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001 -- click's signature
    if value and not context.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"dropmill {version('dropmill')}")
        context.exit()


@click.group(cls=LazyGroup, context_settings=_CONTEXT)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version."
)
@invocation.options(hidden=False)
def application() -> None:
    """Run workflows: once, to the end, whatever breaks."""
