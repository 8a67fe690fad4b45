"""The command line: what `dropmill` says and does, one file a command in `commands/`.

Owns words, exit codes and what a terminal shows; decides nothing about workflows. A command imports what it stands on
when it is called, so that `dropmill --help` imports click and nothing else.
"""

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line with these arguments (those of the process if None) and return the exit status."""
    from daemon.cli.guard import call

    return call(arguments)
