"""From a history that fails to a small one that fails in the same way: leave out what it does not need, greedily."""

import re
from collections.abc import Callable, Iterator

import msgspec

from tests.simulation.course import Course
from tests.simulation.world import Result

_MOST_TRIES = 300


def kind(violation: str) -> str:
    """Return what a violation is about, without ids and figures."""
    return re.sub(r"\b[0-9a-z]{26}\b|[\d.]+|'[^']*'|\{.*|\[.*", "#", violation)[:60]


def shrink(course: Course, result: Result, play: Callable[[Course], Result]) -> tuple[Course, Result]:
    """Return the smallest course found that still fails as this one did, and what came of it."""
    wanted = {kind(violation) for violation in result.violations}
    tries = 0
    is_smaller = True
    while is_smaller:
        is_smaller = False
        for smaller in _smaller(course):
            tries += 1
            if tries > _MOST_TRIES:
                return course, result
            found = play(smaller)
            if wanted & {kind(violation) for violation in found.violations}:
                course, result, is_smaller = smaller, found, True
                break
    return course, result


def _smaller(course: Course) -> Iterator[Course]:
    """Yield courses with less in them, those with much less first."""
    change = msgspec.structs.replace
    last = max((event.at for event in course.events), default=0.0) / 86_400
    for days in {1, course.days // 2, int(last) + 1}:
        if 0 < days < course.days:
            yield change(course, days=days, events=tuple(each for each in course.events if each.at < days * 86_400))
    for number in range(len(course.schedules)):
        left = course.schedules[:number] + course.schedules[number + 1 :]
        names = {schedule.name for schedule in left}
        paused = ("pause", "resume")
        yield change(
            course,
            schedules=left,
            events=tuple(each for each in course.events if each.kind not in paused or each.what in names),
        )
    size = len(course.events)
    while size > 1:
        size = (size + 1) // 2
        for at in range(0, len(course.events), size):
            yield change(course, events=course.events[:at] + course.events[at + size :])
    for number, event in enumerate(course.events):
        if event.again:
            plain = change(event, again=0)
            yield change(course, events=(*course.events[:number], plain, *course.events[number + 1 :]))
