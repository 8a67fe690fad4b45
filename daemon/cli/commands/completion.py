"""`dropmill completion`: the script that a shell reads once so that Tab completes commands, options, names and ids."""

import click

from daemon.cli import invocation
from daemon.cli.invocation import Invocation

_WHERE = {
    "bash": "~/.local/share/bash-completion/completions/dropmill",
    "zsh": "a folder of $fpath, as _dropmill",
    "fish": "~/.config/fish/completions/dropmill.fish",
}


@click.command("completion")
@click.argument("shell", type=click.Choice(list(_WHERE)))
@invocation.options()
@click.pass_obj
def command(call: Invocation, shell: str) -> None:
    """Print the script that completes commands in your shell.

    Put what it prints where the shell looks: its last line says where that is.
    """
    from click.shell_completion import get_completion_class

    from daemon.cli.application import application

    completion = get_completion_class(shell)
    if completion is None:
        raise LookupError(shell)
    # The script comes first: zsh reads the first line of it.
    call.out.write(completion(application, {}, "dropmill", "_DROPMILL_COMPLETE").source().rstrip() + "\n")
    call.out.line(f"# Put this into {_WHERE[shell]}")
