"""Which commands there are, in the order and under the headings that `dropmill --help` shows them.

A command's module is imported when the command is called, not before: the sentence beside its name stands here for that
reason, and a test compares it with the command's own first line.
"""

import importlib
from typing import NamedTuple

import click


class Entry(NamedTuple):
    """Say under which heading a command stands, and what it does; its module in `commands` has the command's name."""

    heading: str
    sentence: str


ENTRIES: dict[str, Entry] = {
    "serve": Entry("Run", "Run the daemon: watch the inbox, keep the schedules, until it is told to stop."),
    "run": Entry("Run", "Run a workflow here and now, and show how it goes."),
    "submit": Entry("Run", "Hand a workflow to the daemon, which runs it."),
    "cancel": Entry(
        "Run", "End a run of the daemon: what runs is asked to end and killed after its grace, the rest does not start."
    ),
    "retry": Entry("Run", "Run again what did not complete, and all behind it, as a new run."),
    "approvals": Entry("Decide", "List what waits for a person: what is asked, since when, until when."),
    "approve": Entry("Decide", "Approve a task that waits for a person."),
    "reject": Entry("Decide", "Reject a task that waits for a person."),
    "status": Entry(
        "Watch over", "Say whether a daemon is ready, what runs, what waits and why, what is due next, what is wrong."
    ),
    "pause": Entry("Watch over", "Let no further task of RUN, or of any, start until `resume`, also after a restart."),
    "resume": Entry("Watch over", "Let tasks of RUN, or of all, start again after `pause`."),
    "drain": Entry("Watch over", "Let the daemon take nothing new, finish the runs that live, and stop."),
    "doctor": Entry(
        "Watch over", "Look at everything that could be in the way of a daemon, and say what to do about it."
    ),
    "inbox": Entry("Watch over", "See what lies in the inbox folders, and drop a filed document once more."),
    "schedules": Entry("Schedule", "List the schedules: when each is due, what became of it last, and why one is not."),
    "schedule": Entry("Schedule", "Add, remove, pause and resume schedules."),
    "calendar": Entry("Schedule", "Show when a schedule expression is due next."),
    "validate": Entry("Prepare", "Check workflow documents and show every problem where it stands."),
    "plan": Entry("Prepare", "Show in which order the tasks of a workflow would run."),
    "plugins": Entry("Prepare", "List the task types there are, or describe one."),
    "workflows": Entry("Prepare", "List the workflows known by name."),
    "runs": Entry("Look back", "List runs, the newest first."),
    "show": Entry("Look back", "Show one run: its tasks, their outcome and what came of them."),
    "logs": Entry("Look back", "Show what a run, or one task of it, has said."),
    "init": Entry("Set up", "Make what is missing: the settings, the inbox, and a folder of workflows with examples."),
    "config": Entry("Set up", "Check, show and describe the configuration."),
    "service": Entry("Set up", "Let systemd start, watch and restart the daemon."),
    "prune": Entry("Set up", "Delete runs, logs and filed documents that are older than the settings keep them."),
    "backup": Entry("Set up", "Copy the history into FILE, as it is at one moment; the daemon may go on meanwhile."),
    "completion": Entry("Set up", "Print the script that completes commands in your shell."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when called; inherits because click offers no other way in."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        """Return the names in the order of the registry."""
        return list(ENTRIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of this name.

        Raises NoSuchCommand, which names the nearest ones: click would look for them among commands already imported.
        """
        if cmd_name in ENTRIES:
            return load(cmd_name)
        if ctx.resilient_parsing or cmd_name.startswith("-"):
            return None
        raise click.exceptions.NoSuchCommand(cmd_name, possibilities=ENTRIES, ctx=ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 -- click's signature
        """Write the commands under their headings without importing any."""
        width = max(map(len, ENTRIES))
        for heading in dict.fromkeys(entry.heading for entry in ENTRIES.values()):
            rows = [(name.ljust(width), entry.sentence) for name, entry in ENTRIES.items() if entry.heading == heading]
            with formatter.section(heading):
                formatter.write_dl(rows)


def load(name: str) -> click.Command:
    """Import one command by its name in the registry."""
    command = importlib.import_module(f"daemon.cli.commands.{name}").command
    if not isinstance(command, click.Command):
        raise TypeError(name)
    return command
