"""`dropmill init`: a place to begin in."""

import os
from pathlib import Path

import click

from daemon.cli import invocation
from daemon.cli.invocation import Invocation

_HELLO = """\
{
  "name": "hello",
  "params": {"who": {"type": "string", "default": "world"}},
  "tasks": [
    {"id": "greet", "type": "print", "message": "Hello, ${{ params.who }}!"}
  ]
}
"""
_HEARTBEAT = """\
{
  "name": "heartbeat",
  "description": "Say that the daemon is alive; the settings run it once an hour.",
  "tasks": [
    {"id": "beat", "type": "log", "message": "alive"}
  ]
}
"""
_NIGHTLY = """\
{
  "name": "nightly-report",
  "description": "Stand in for a report of your own; the settings run it every night.",
  "params": {"day": {"type": "string", "default": "yesterday"}},
  "tasks": [
    {"id": "report", "type": "log", "message": "a report about ${{ params.day }}"}
  ]
}
"""
_WORKFLOWS = {"hello": _HELLO, "heartbeat": _HEARTBEAT, "nightly-report": _NIGHTLY}


@click.command("init")
@invocation.options()
@click.pass_obj
def command(call: Invocation) -> None:
    """Make what is missing: the settings, the inbox, and a folder of workflows with examples.

    The settings are etc/dropmill.toml here, or what --config names. What is there already stays as it is.
    """
    from daemon.config import sample
    from engine.values import make_folder

    file = (call.config_file or Path("etc/dropmill.toml")).absolute()
    is_new = not os.path.lexists(file)
    if is_new:
        _write(call, file, sample())
    else:
        call.out.line(f"is there  {file}")
    call.config_file = file
    paths = call.config.paths
    for folder in (paths.inbox, paths.state, *paths.workflows, *paths.plugins):
        if folder.is_dir():
            call.out.line(f"is there  {folder}/")
        else:
            make_folder(folder)
            call.out.line(f"made      {folder}/")
    if is_new:
        for name, text in _WORKFLOWS.items():
            target = paths.workflows[0] / f"{name}.json"
            if not os.path.lexists(target):
                _write(call, target, text)
    named = "" if call.environ.get("DROPMILL_CONFIG") or _is_found(file) else f" --config {file}"
    call.out.line(f"Next: dropmill{named} serve   and, in another terminal: dropmill{named} submit hello --follow")


def _write(call: Invocation, file: Path, text: str) -> None:
    from engine.errors import InputError

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror or error}") from None
    call.out.line(f"wrote     {file}")


def _is_found(file: Path) -> bool:
    """Tell whether the file is found from here without being named."""
    return file == Path("etc/dropmill.toml").absolute()
