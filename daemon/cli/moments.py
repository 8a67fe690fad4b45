"""Times and durations as people read them: local, short, relative where that helps.

JSON never comes through here: it holds RFC 3339 in UTC. Called by the commands with the time in hand.
"""

from datetime import UTC, datetime, time, timedelta

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def took(seconds: float | None) -> str:
    """Write a duration: `12 ms`, `3.4 s`, `1:05`, `2 h 03 min`, `3 d 4 h`; nothing for None."""
    if seconds is None:
        return ""
    seconds = max(0.0, seconds)
    if seconds < 1 - 0.0005:
        return f"{seconds * 1000:.0f} ms"
    if seconds < _MINUTE - 0.05:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE}:{whole % _MINUTE:02d} min"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def ticking(seconds: float) -> str:
    """Write a duration that still grows: like `took`, but no unit flickers by below a second."""
    return took(seconds) if seconds >= 1 else f"{max(0.0, seconds):.1f} s"


def ago(moment: float, now: float) -> str:
    """Write how long ago a moment was, or how soon it comes: `just now`, `5 min ago`, `in 2 h`."""
    distance = abs(now - moment)
    if distance < 1:
        return "just now"
    text = next(f"{distance // unit:.0f} {name}" for unit, name in _UNITS if distance >= unit)
    return f"{text} ago" if moment <= now else f"in {text}"


_UNITS = ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (1, "s"))


def local(moment: float | None, now: float) -> str:
    """Write a moment in local time: `14:03:05` today, `2027-01-31 14:03` otherwise; nothing for None."""
    if moment is None:
        return ""
    there, here = _local(moment), _local(now)
    return f"{there:%H:%M:%S}" if there.date() == here.date() else f"{there:%Y-%m-%d %H:%M}"


def stamp(moment: float, now: float | None = None) -> str:
    """Write the time of day in local time to the millisecond, with the day where `now` is on another one."""
    there = _local(moment)
    day = "" if now is None or there.date() == _local(now).date() else f"{there:%Y-%m-%d} "
    return f"{day}{there:%H:%M:%S.%f}"[:-3]


def since(text: str, now: float) -> float:
    """Read `90s`, `1h`, `2d` (that long ago), a local date or a local or RFC 3339 time as epoch seconds.

    Raises ValueError that says what can be written.
    """
    return _read(text, now, -1)


def ahead(text: str, now: float) -> float:
    """Read `90s`, `1h`, `2d` (that long from now), a local date or a local or RFC 3339 time, as `since` does."""
    return _read(text, now, 1)


def _read(text: str, now: float, sign: int) -> float:
    from daemon.calendar.moments import MICROSECONDS, parse_duration

    duration = parse_duration(text)
    if duration is not None:
        return now + sign * duration / MICROSECONDS
    named = {"today": 0, "yesterday": -1, "tomorrow": 1}.get(text.strip().lower())
    if named is not None:
        return datetime.combine(_local(now).date() + timedelta(days=named), time.min).astimezone().timestamp()
    try:
        return datetime.fromisoformat(text.strip()).astimezone().timestamp()
    except (ValueError, OverflowError):
        message = f"{text!r} is no time: write for example 1h, 2d, today, 2027-01-31 or 2027-01-31T14:00"
        raise ValueError(message) from None


def _local(moment: float) -> datetime:
    return datetime.fromtimestamp(moment, UTC).astimezone()
