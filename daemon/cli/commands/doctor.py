"""`dropmill doctor`: everything that could be in the way, looked at once."""

import click

from daemon.cli import invocation
from daemon.cli.invocation import Invocation

_STYLES = {"ok": "good", "warn": "odd", "fail": "bad"}
_MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@invocation.options()
@click.pass_obj
def command(call: Invocation, *, as_json: bool) -> int:
    """Look at everything that could be in the way of a daemon, and say what to do about it.

    The exit status is 1 if something fails, else 0.
    """
    from daemon.cli.checking import findings
    from daemon.cli.text import Styled

    found = []
    for finding in findings(call.config, call.environ):
        found.append(finding)
        if not as_json:
            call.out.line(
                Styled(_MARKS[finding.verdict], _STYLES[finding.verdict]),
                Styled(f"  {finding.check:<13} ", "head"),
                finding.message,
            )
            if finding.remedy and finding.verdict != "ok":
                call.out.line(Styled(f"{'':21}{finding.remedy}", "faint"))
    if as_json:
        call.out.json([finding._asdict() for finding in found])
    return 1 if any(finding.verdict == "fail" for finding in found) else 0
