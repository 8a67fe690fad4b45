"""`dropmill status`: whether a daemon is ready on these settings, what it does, and what is in its way."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from daemon.cli import invocation
from daemon.cli.invocation import Invocation
from daemon.cli.text import Piece, Styled

_ABSENT = 3
_READY = ("ready", "paused")
_SHOWN = 10
_NEXT_SHOWN = 3


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@invocation.options()
@click.pass_obj
def command(call: Invocation, *, as_json: bool) -> int:
    """Say whether a daemon is ready, what runs, what waits and why, what is due next, what is wrong.

    The exit status is 0 when a daemon is ready on these settings, paused or not, else 3: also while it starts, drains
    or stops.
    """
    from daemon.cli.calling import Daemon
    from daemon.ownership import owner_of
    from engine.errors import DaemonAbsentError

    try:
        status = Daemon(call.config_in_force).get("/api/v1/status")
    except DaemonAbsentError as error:
        owner = owner_of(call.config_in_force.paths.state)
        if as_json:
            call.out.json({"state": "absent", "owner": owner})
        elif owner is None:
            call.out.line(Styled("no daemon", "bad"), f": {error}")
        else:
            call.out.line(Styled("not ready", "odd"), f": {owner} owns the state folder and does not answer (yet)")
        return _ABSENT
    if as_json:
        call.out.json(status)
    else:
        _tell(call, status)
    return 0 if status["state"] in _READY else _ABSENT


def _tell(call: Invocation, status: Mapping[str, Any]) -> None:
    from daemon.cli.counting import counted

    state = Styled(status["state"], "good" if status["state"] == "ready" else "odd")
    why = f": {status['reason']}" if status["reason"] else ""
    call.out.line("the daemon (pid ", str(status["pid"]), ") is ", state, why)
    live = sum(status["runs"].values())
    counts = ", ".join(f"{count:,} {name.lower()}" for name, count in status["runs"].items())
    call.out.line(Styled("runs      ", "faint"), f"{counted(live, 'live run')}: {counts}" if live else "nothing runs")
    for line in _runs(call, status):
        call.out.line(*line)
    for line in _waits(call, status.get("waits", {})):
        call.out.line(*line)
    for line in (*_due(status.get("schedules", [])), *_dropped(status.get("inbox", {}))):
        call.out.line(*line)
    for sentence in status["troubles"]:
        call.out.line(Styled("trouble   ", "bad"), sentence)


def _runs(call: Invocation, status: Mapping[str, Any]) -> Iterator[Sequence[Piece]]:
    from daemon.cli.memory import shown_id
    from daemon.cli.moments import ago
    from daemon.cli.text import state, why
    from engine.clock import epoch, wall

    now = wall()
    for run in [*status["running"], *status["waiting"]][:_SHOWN]:
        since = ago(epoch(run["started_at"] or run["created_at"]), now)
        sentence = _behind(run, status) or why(run["reason"], run["message"]) or _patience(run, status)
        if run["reason"] == "paused":
            sentence = f"paused by {sentence}"
        yield (
            "  ",
            Styled(shown_id(call.out, run["id"]), "head"),
            f" {run['workflow']} ",
            state(run["state"]),
            f" {since}",
            Styled(f"  {sentence}" if sentence else "", "faint"),
        )
    # What waits for a person is told with what is asked.
    for task in [task for task in status["held_up"] if task["reason"] != "approval"][:_SHOWN]:
        which = f"  {shown_id(call.out, task['run'])} {task['task']} "
        yield which, state(task["state"]), Styled(f"  {why(task['reason'], task['message'])}", "faint")


def _waits(call: Invocation, waits: Mapping[str, Any]) -> Iterator[Sequence[Piece]]:
    """Say who waits for a slot of a pool and who for a person; who waits for earlier runs stands with the runs."""
    from daemon.cli.memory import shown_id
    from daemon.cli.moments import ago, local
    from engine.clock import epoch, wall

    now = wall()
    for pool in waits.get("pools", ()):
        if pool["held"] or pool["opens_in"] is not None:
            rate = f", its rate lets the next start in {pool['opens_in']:.1f} s" if pool["opens_in"] is not None else ""
            yield (
                Styled("pool      ", "faint"),
                f"{pool['name']}: {pool['held']:,} of {pool['size']:,} slots taken{rate}",
            )
    for each in waits.get("tasks", ())[:_SHOWN]:
        which = f"  {shown_id(call.out, each['run'])} {each['task']} "
        place = f"{each['ahead']:,} ahead" if each["ahead"] else "next in line"
        yield which, Styled("waiting", "odd"), Styled(f" for pool {each['pool']}, {place}", "faint")
    for each in waits.get("approvals", ())[:_SHOWN]:
        until = (
            "" if each["until"] is None else f", until {local(epoch(each['until']), now)}, then {each['on_timeout']}"
        )
        since = "" if each["since"] is None else f", asked {ago(epoch(each['since']), now)}"
        yield (
            Styled("decide    ", "odd"),
            f"{shown_id(call.out, each['run'])} {each['task']}: {each['message']}",
            Styled(f"{since}{until}", "faint"),
        )


def _behind(run: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    """Say behind how many runs that wait too one waits; empty for one that waits for none."""
    from daemon.cli.counting import counted

    for each in status.get("waits", {}).get("runs", ()):
        if each["run"] == run["id"]:
            key = f" {each['key']}" if each["key"] else ""
            place = f"behind {counted(each['ahead'], 'run')}" if each["ahead"] else "next in line"
            return f"{place} (concurrency{key})"
    return ""


def _patience(run: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    """Say why a run that nothing is wrong with has not begun, or does not go on."""
    if status["state"] == "paused":
        return f"no task starts: {status['reason']}"
    return "it begins at its time" if run["state"] == "PENDING" else ""


def _due(schedules: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[Piece]]:
    from daemon.cli.moments import ago, local
    from engine.clock import epoch, wall

    now = wall()
    coming = sorted((epoch(each["next"]), each["name"]) for each in schedules if each["next"] and not each["is_paused"])
    for moment, name in coming[:_NEXT_SHOWN]:
        yield Styled("next      ", "faint"), f"{name} {local(moment, now)} ({ago(moment, now)})"
    for each in schedules:
        if each["is_paused"]:
            yield Styled("paused    ", "odd"), f"{each['name']}: {each['message']}"
        if each["broken"]:
            yield Styled("broken    ", "bad"), f"{each['name']}: {each['broken']}"


def _dropped(inbox: Mapping[str, Any]) -> Iterator[Sequence[Piece]]:
    if inbox.get("waiting") or inbox.get("claimed"):
        yield Styled("inbox     ", "faint"), f"{inbox['waiting']:,} waiting, {inbox['claimed']:,} being worked on"
    for stuck in inbox.get("stuck", [])[:_SHOWN]:
        where = f"{stuck['folder']}/{stuck['file']}" if stuck["file"] else stuck["folder"]
        yield Styled("stuck     ", "bad"), f"{where}: {stuck['message']}"
