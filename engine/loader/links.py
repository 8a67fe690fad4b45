"""Judge what tasks have to do with each other: ids, dependencies, circles, and what expressions refer to.

Called by `document` when every task was read, sound or not.
"""

from collections.abc import Collection, Iterator, Sequence
from functools import partial
from operator import contains

from engine.expressions import NAMES, TASK_NAMES
from engine.loader.tasks import Reference, TaskReader
from engine.problems import Findings, meant, quoted
from engine.resolver import Graph

_SHOWN = 8  # tasks of a circle that are named
_INSIDE_ONLY = {"item": "foreach", "index": "foreach", "iteration": "loop"}


def check(reader: TaskReader, params: Collection[str], findings: Findings) -> None:
    """Note every problem between the tasks that were read."""
    graph, numbers = _graph(reader, findings)
    for circle in graph.cycles:
        number = numbers[circle[0]]
        at = f"/tasks/{number}/depends_on/{reader.needs[number].index(circle[1])}"
        findings.add("cycle", _drawn(circle), at, "Each waits for the next; remove one of these dependencies.")
    pairs: dict[tuple[str, str], list[str]] = {}
    for reference in reader.references:
        task = reader.names[reference.number]
        for other in _refer(reference, numbers, params, findings):
            if task is not None:
                pairs.setdefault((task, other), []).append(reference.at)
    for task, other in graph.not_upstream(pairs):
        message = f"the task {quoted(other)} is not upstream of {quoted(task)}, so nothing is known of it there"
        hint: str | None = f"Add {quoted(other)} to depends_on."
        if task == other:
            message, hint = f"the task {quoted(task)} refers to itself", None
        for at in pairs[task, other]:
            findings.add("expression_reference", message, at, hint)


def _graph(reader: TaskReader, findings: Findings) -> tuple[Graph, dict[str, int]]:
    """Build the graph of what is sound, and number the tasks by id; note ids and dependencies that are not."""
    numbers = {name: number for number, name in enumerate(reader.names) if name is not None}
    if len(numbers) == len(reader.names) and not any(map(contains, reader.needs, reader.names)):
        try:
            return Graph(reader.names, reader.needs), numbers  # type: ignore[arg-type] # without None, they are ids
        except KeyError:
            pass  # some are not sound: look at each
    return _sound_graph(reader, findings)


def _sound_graph(reader: TaskReader, findings: Findings) -> tuple[Graph, dict[str, int]]:
    numbers: dict[str, int] = {}
    for number, name in enumerate(reader.names):
        if name in numbers:
            message = f"the id {quoted(name)} is taken by task {numbers[name] + 1} of the list"
            findings.add("duplicate_id", message, f"/tasks/{number}/id", "Every task needs an id of its own.")
        elif name is not None:
            numbers[name] = number
    needs = [_sound(number, name, reader.needs[number], numbers, findings) for name, number in numbers.items()]
    return Graph(tuple(numbers), needs), numbers


def _sound(
    number: int, own: str, given: Sequence[str | None], numbers: Collection[str], findings: Findings
) -> Sequence[str]:
    """Return the dependencies that exist; note the others."""
    sound: dict[str, None] = {}
    for place, name in enumerate(given):
        if name is None or name in sound:
            continue
        at = f"/tasks/{number}/depends_on/{place}"
        if name == own:
            findings.add("self_dependency", f"the task {quoted(name)} depends on itself", at, "Remove it.")
        elif name not in numbers:
            hint = partial(meant, name, numbers)
            findings.add("unknown_dependency", f"no task has the id {quoted(name)}", at, hint)
        else:
            sound[name] = None
    return tuple(sound)


def _drawn(circle: tuple[str, ...]) -> str:
    shown = circle if len(circle) <= _SHOWN + 1 else (*circle[:_SHOWN], "...", circle[-1])
    return f"{len(circle) - 1} tasks depend on each other in a circle: {' -> '.join(shown)}"


def _refer(reference: Reference, tasks: Collection[str], params: Collection[str], findings: Findings) -> Iterator[str]:
    """Judge the names that one expression takes from its scope; yield the tasks it refers to."""
    at = reference.at
    for path in reference.expression.paths:
        root = path[0]
        name = str(path[1]) if len(path) > 1 else None
        if root in _INSIDE_ONLY:
            message = f"{root} is known only in a task with {_INSIDE_ONLY[str(root)]}"
            names = ", ".join(name for name in NAMES if name not in _INSIDE_ONLY)
            findings.add("expression_name", message, at, f"Here are {names}.")
        elif root == "params" and name is not None and name not in params:
            message = f"the workflow declares no parameter {quoted(name)}"
            findings.add("expression_param", message, at, partial(_declared, name, params))
        elif root == "tasks" and name is not None and name not in tasks:
            hint = partial(meant, name, tasks)
            findings.add("expression_reference", f"no task has the id {quoted(name)}", at, hint)
        elif root == "tasks" and name is not None:
            yield name
            part = path[2] if len(path) > 2 else TASK_NAMES[0]  # noqa: PLR2004 -- tasks, the id, the part
            if part not in TASK_NAMES:
                advice = meant(str(part), TASK_NAMES) or f"There are {', '.join(TASK_NAMES)}."
                findings.add("expression_name", f"a task has no {quoted(part)}", at, advice)


def _declared(name: str, params: Collection[str]) -> str:
    return meant(name, params) or "Declare it under params."
