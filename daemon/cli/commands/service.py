"""`dropmill service`: hand the daemon to systemd, take it back, and see how systemd has it."""

from typing import TYPE_CHECKING, Any

import click

from daemon.cli import invocation
from daemon.cli.invocation import Invocation

if TYPE_CHECKING:
    from pathlib import Path

_NOT_RUNNING = 3  # as for every command that finds no daemon
_SHOWN = ("ActiveState", "SubState", "StatusText", "MainPID", "NRestarts", "Result", "UnitFileState", "FragmentPath")
_user = click.option("--user", "is_user", is_flag=True, help="Your own service manager instead of the system's.")


@click.group("service")
@invocation.options()
def command() -> None:
    """Let systemd start, watch and restart the daemon."""


@command.command("install")
@_user
@click.option("--dry-run", is_flag=True, help="Print the unit and write nothing.")
@invocation.options()
@click.pass_obj
def install(call: Invocation, *, is_user: bool, dry_run: bool) -> None:
    """Write the unit for this installation and print the commands that are left to do.

    Writes one file and nothing else. It runs with the settings of --config, else of $DROPMILL_CONFIG, else of
    /etc/dropmill/dropmill.toml, or with --user of your own.
    """
    from daemon.cli.installing import Installation

    installation = Installation(call.environ, call.config_file, is_user=is_user)
    if dry_run:
        call.out.write(installation.text)
        call.err.line(f"Would be written to {installation.file}")
    else:
        _write(call, installation)
    # With --dry-run the unit alone goes to standard output.
    out = call.err if dry_run else call.out
    out.line("Next:")
    for line in installation.next_commands():
        out.line(f"  {line}")


def _write(call: Invocation, installation: Any) -> None:
    try:
        is_new = installation.write()
    except PermissionError:
        remedy = "" if installation.is_user else "; run it as root (sudo), or give --user for a service of your own"
        raise click.ClickException(f"no permission to write {installation.file}{remedy}") from None
    call.out.line(f"Wrote {installation.file}" if is_new else f"{installation.file} is up to date")


@command.command("uninstall")
@_user
@invocation.options()
@click.pass_obj
def uninstall(call: Invocation, *, is_user: bool) -> None:
    """Remove the unit; settings, data, logs and drop-ins stay."""
    from daemon.cli.installing import Standing, refuse_if_not_ours, standing_of, unit_file

    file = unit_file(call.environ, is_user=is_user)
    standing = standing_of(file)
    if standing is Standing.ABSENT:
        call.out.line(f"There is no {file}")
        return
    refuse_if_not_ours(file, standing)
    control = "systemctl --user" if is_user else "systemctl"
    seen = _ask(is_user=is_user)
    if seen.get("ActiveState", "inactive") not in {"inactive", "failed"} or seen.get("UnitFileState") == "enabled":
        raise click.ClickException(f"the service is still in use; first: {control} disable --now dropmill")
    try:
        file.unlink()
    except PermissionError:
        raise click.ClickException(f"no permission to remove {file}; run it as root (sudo)") from None
    call.out.line(f"Removed {file}; settings, data and logs are where they were")
    call.out.line("Next:")
    call.out.line(f"  {control} daemon-reload")


@command.command("status")
@_user
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@invocation.options()
@click.pass_obj
def status(call: Invocation, *, is_user: bool, as_json: bool) -> int:
    """Show the unit and how systemd has the daemon.

    The exit status is 0 if it is active, else 3.
    """
    from daemon.cli.installing import standing_of, unit_file

    file = unit_file(call.environ, is_user=is_user)
    seen = _ask(is_user=is_user)
    is_active = seen.get("ActiveState") == "active"
    answer = {"file": str(file), "unit": standing_of(file).value, "active": is_active, "systemd": seen or None}
    if as_json:
        call.out.json(answer)
    else:
        _tell(call, file, answer)
    return 0 if is_active else _NOT_RUNNING


def _tell(call: Invocation, file: "Path", answer: dict[str, Any]) -> None:
    from daemon.cli.text import Styled

    words = {
        "absent": "not installed; `dropmill service install` writes it",
        "ours": "as `dropmill service install` wrote it",
        "changed": "changed by hand since `dropmill service install` wrote it",
        "foreign": "not written by `dropmill service install`",
    }
    call.out.line(Styled("unit      ", "faint"), f"{file}, {words[answer['unit']]}")
    seen = answer["systemd"]
    if seen is None:
        call.out.line(Styled("systemd   ", "faint"), "does not answer here")
        return
    state = Styled(f"{seen['ActiveState']} ({seen['SubState']})", "good" if answer["active"] else "bad")
    pid = f", process id {seen['MainPID']}" if seen["MainPID"] != "0" else ""
    call.out.line(Styled("daemon    ", "faint"), state, pid)
    for label, key in (("says", "StatusText"), ("restarts", "NRestarts"), ("last end", "Result")):
        if seen[key]:
            call.out.line(Styled(f"{label:<10}", "faint"), seen[key])
    call.out.line(Styled("at boot   ", "faint"), seen["UnitFileState"] or "not known to systemd")


def _ask(*, is_user: bool) -> dict[str, str]:
    """Ask systemd about the service; empty where no systemd answers."""
    import subprocess

    control = [
        "systemctl",
        *(["--user"] if is_user else []),
        "show",
        "dropmill.service",
        f"--property={','.join(_SHOWN)}",
    ]
    try:
        done = subprocess.run(control, capture_output=True, text=True, check=False, timeout=30)  # noqa: S603 -- fixed words
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return {}
    if done.returncode:
        return {}
    return dict(line.partition("=")[::2] for line in done.stdout.splitlines())
