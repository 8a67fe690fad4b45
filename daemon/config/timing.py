"""A schedule's settings as the calendar that says when it is due.

The only room of the configuration that knows how the calendar reads. Called by `checks` and by the daemon's schedules.
"""

from daemon.calendar import FORMS, Calendar, parse_calendar, parse_zone
from daemon.config.schedule import Schedule
from engine.errors import Problem, ScheduleInvalidError


def forms_of(schedule: Schedule) -> dict[str, str]:
    """Return the settings of a schedule that say when, by name; a sound schedule has exactly one."""
    return {form: value for form in FORMS if (value := getattr(schedule, form)) is not None}


def calendar_of(schedule: Schedule) -> Calendar:
    """Make the calendar of a schedule that passed the checks.

    Raises ScheduleInvalidError with the first that is wrong.
    """
    ((form, value),) = forms_of(schedule).items()
    zone = parse_zone(schedule.timezone)
    return parse_calendar(FORMS[form](value, zone), zone, schedule.start, schedule.end, schedule.blackout)


def timing_problems(schedule: Schedule) -> list[tuple[str, Problem]]:
    """List everything that is wrong with time zone, expression and bounds, each with the setting that it is about."""
    ((form, value),) = forms_of(schedule).items()
    problems: list[tuple[str, Problem]] = []
    zone, expression = parse_zone("UTC"), FORMS["every"]("1d", parse_zone("UTC"))
    try:
        zone = parse_zone(schedule.timezone)
    except ScheduleInvalidError as error:
        problems += [("timezone", problem) for problem in error.problems]
    try:
        expression = FORMS[form](value, zone)
    except ScheduleInvalidError as error:
        problems += [(form, problem) for problem in error.problems]
    try:
        parse_calendar(expression, zone, schedule.start, schedule.end, schedule.blackout)
    except ScheduleInvalidError as error:
        # With a stand-in for a broken part, that nothing is ever due says nothing.
        sound = [problem for problem in error.problems if not problems or problem.code != "schedule_never"]
        problems += [(_setting_of(problem, form), problem) for problem in sound]
    return problems


def _setting_of(problem: Problem, form: str) -> str:
    named = problem.message.partition(":")[0]
    return named if named in {"start", "end", "blackout"} else form
