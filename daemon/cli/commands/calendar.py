"""`dropmill calendar`: when an expression is due, to be looked at before it is trusted."""

from typing import TYPE_CHECKING

import click

from daemon.cli import invocation
from daemon.cli.invocation import Invocation

if TYPE_CHECKING:
    from daemon.calendar import Calendar

_COUNT = 10
_MOST = 10_000


@click.command("calendar")
@click.argument("expression", metavar="EXPR", nargs=-1, required=True)
@click.option("--timezone", default="UTC", show_default=True, metavar="ZONE", help="Whose wall clock counts.")
@click.option("--from", "start", metavar="TIME", help="From then on instead of now: 2027-01-31, tomorrow, 2h.")
@click.option("--count", type=click.IntRange(1, _MOST), default=_COUNT, show_default=True, metavar="N", help="So many.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of instants with their offsets.")
@invocation.options()
@click.pass_obj
def command(
    call: Invocation, /, *, expression: tuple[str, ...], timezone: str, start: str | None, count: int, as_json: bool
) -> None:
    """Show when a schedule expression is due next.

    EXPR is what a schedule says: a cron line such as '30 2 * * 1-5', @daily, 'every 15m', 'daily 02:30',
    'weekly mon 08:00', 'monthly last 18:00', 'at 2027-01-01T00:00:00Z'.
    """
    from datetime import datetime

    from daemon.calendar import parse_calendar, parse_text, parse_zone
    from daemon.cli.moments import ago
    from daemon.cli.text import Styled
    from engine.clock import wall

    zone = parse_zone(timezone)
    calendar = parse_calendar(parse_text(" ".join(expression), zone), zone)
    now = wall()
    # An instant that is asked for by name counts too.
    moments = _due(calendar, now if start is None else _moment(start, now) - 1e-6, count)
    written = [datetime.fromtimestamp(moment, zone) for moment in moments]
    if as_json:
        call.out.json([moment.isoformat() for moment in written])
        return
    if not written:
        call.out.line("It is never due again.")
    for moment in written:
        call.out.line(f"{moment.isoformat()}  {moment:%a}  ", Styled(ago(moment.timestamp(), now), "faint"))


def _due(calendar: "Calendar", after: float, count: int) -> list[float]:
    found: list[float] = []
    due = calendar.next_after(after)
    while due is not None and len(found) < count:
        found.append(due)
        due = calendar.next_after(due)
    return found


def _moment(text: str, now: float) -> float:
    from daemon.cli.moments import ahead

    try:
        return ahead(text, now)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--from") from None
