"""Judge what tasks have to do with each other: ids, dependencies, circles, and what expressions refer to.

Called by `document` when every task was read, sound or not.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from operator import contains

from engine.expressions import NAMES, TASK_NAMES
from engine.loader.references import Reference
from engine.loader.tasks import Section
from engine.model import Routing
from engine.problems import Findings, meant, quoted
from engine.resolver import Graph

_SHOWN = 8  # tasks of a circle that are named
_FOREACH = "the fields of a task with foreach, and in its key"
# Where names are known that are not known everywhere.
_WHERE = {
    "item": _FOREACH,
    "index": _FOREACH,
    "iteration": "the fields and conditions of a task with loop, and in graphs",
    "output": "the fields and conditions of a task with loop, and on the edges of graphs",
    "state": "the nodes and edges of graphs",
    "tasks": "the fields and conditions of tasks, and in outputs",
    "env": "a run that has begun",
    "secrets": "conditions, and in the fields of tasks that a plugin runs",
}
# What `run` says of the outcome, which only hooks know.
OUTCOME = ("state", "reason", "message", "failed")


def check(
    sections: Sequence[Section],
    routing: Routing | None,
    references: Iterable[Reference],
    params: Collection[str],
    findings: Findings,
    *,
    is_inside: bool = False,
) -> None:
    """Note every problem between the tasks that were read.

    `references` are those of no task; `is_inside` where the document stands in a task of another.
    """
    phases: dict[str, str] = {}
    graphs = []
    for section in sections:
        graph, numbers = _graph(section, phases, findings)
        phases |= dict.fromkeys(numbers, section.phase)
        graphs.append(graph)
        for circle in graph.cycles:
            number = numbers[circle[0]]
            at = f"{section.at}/{number}/depends_on/{section.needs[number].index(circle[1])}"
            findings.add("cycle", _drawn(circle), at, "Each waits for the next; remove one of these dependencies.")
    if routing is not None:
        _check_routing(routing, phases, findings)
    names = _Names(phases, params, findings, is_inside=is_inside)
    for section, graph in zip(sections, graphs, strict=True):
        _check_upstream(section, graph, names, findings)
    for reference in references:
        for other in names.of(reference, is_hook=False):
            if phases[other] != "tasks":
                names.unknown_yet(other, reference.at)


def _check_routing(routing: Routing, phases: Mapping[str, str], findings: Findings) -> None:
    ends = [("/routing/entry", routing.entry)]
    for number, edge in enumerate(routing.edges):
        ends += [(f"/routing/edges/{number}/from", edge.source), (f"/routing/edges/{number}/to", edge.target)]
    nodes = [name for name, phase in phases.items() if phase == "tasks"]
    known = frozenset(nodes)
    for at, name in ends:
        if name not in known:
            message = f"no task of the graph has the id {quoted(name)}"
            findings.add("unknown_dependency", message, at, partial(meant, name, nodes))


def _check_upstream(section: Section, graph: Graph, names: "_Names", findings: Findings) -> None:
    """Note what tasks refer to that has not ended when they begin."""
    is_hook = section.phase != "tasks"
    pairs: dict[tuple[str, str], list[str]] = {}
    for reference in section.gathering.references:
        task = section.names[reference.number] if reference.number is not None else None
        for other in names.of(reference, is_hook=is_hook):
            phase = names.phases[other]
            if phase not in {section.phase, "tasks"}:
                names.unknown_yet(other, reference.at)
            elif phase == section.phase and task in graph.depends_on:
                pairs.setdefault((str(task), other), []).append(reference.at)
    for task, other in graph.not_upstream(pairs):
        message = f"the task {quoted(other)} is not upstream of {quoted(task)}, so nothing is known of it there"
        hint: str | None = f"Add {quoted(other)} to depends_on."
        if section.is_routed:
            hint = "In a graph, nodes hand on what they know in `state`."
        if task == other:
            message, hint = f"the task {quoted(task)} refers to itself", None
        for at in pairs[task, other]:
            findings.add("expression_reference", message, at, hint)


def _graph(section: Section, taken: Mapping[str, str], findings: Findings) -> tuple[Graph, dict[str, int]]:
    """Build the graph of what is sound, and number the tasks by id; note ids and dependencies that are not."""
    numbers = {name: number for number, name in enumerate(section.names) if name is not None}
    is_unique = len(numbers) == len(section.names) and taken.keys().isdisjoint(numbers)
    if is_unique and not any(map(contains, section.needs, section.names)):
        try:
            return Graph(section.names, section.needs), numbers  # type: ignore[arg-type] # without None, they are ids
        except KeyError:
            pass  # some are not sound: look at each
    return _sound_graph(section, taken, findings)


def _sound_graph(section: Section, taken: Mapping[str, str], findings: Findings) -> tuple[Graph, dict[str, int]]:
    numbers: dict[str, int] = {}
    for number, name in enumerate(section.names):
        if name in numbers or name in taken:
            by = f"task {numbers[name] + 1} of the list" if name in numbers else f"a task of {taken[str(name)]}"
            message = f"the id {quoted(name)} is taken by {by}"
            findings.add("duplicate_id", message, f"{section.at}/{number}/id", "Every task needs an id of its own.")
        elif name is not None:
            numbers[name] = number
    needs = [_sound(section, name, number, numbers, taken, findings) for name, number in numbers.items()]
    return Graph(tuple(numbers), needs), numbers


def _sound(
    section: Section,
    own: str,
    number: int,
    numbers: Collection[str],
    taken: Mapping[str, str],
    findings: Findings,
) -> Sequence[str]:
    """Return the dependencies that exist; note the others."""
    sound: dict[str, None] = {}
    for place, name in enumerate(section.needs[number]):
        if name is None or name in sound:
            continue
        at = f"{section.at}/{number}/depends_on/{place}"
        if name == own:
            findings.add("self_dependency", f"the task {quoted(name)} depends on itself", at, "Remove it.")
        elif name in taken:
            message = f"the task {quoted(name)} is one of {taken[name]}, and this one of {section.phase}"
            hint = "A hook begins when those have ended anyway: remove it."
            findings.add("unknown_dependency", message, at, hint)
        elif name not in numbers:
            near = partial(meant, name, numbers)
            findings.add("unknown_dependency", f"no task has the id {quoted(name)}", at, near)
        else:
            sound[name] = None
    return tuple(sound)


def _drawn(circle: tuple[str, ...]) -> str:
    shown = circle if len(circle) <= _SHOWN + 1 else (*circle[:_SHOWN], "...", circle[-1])
    return f"{len(circle) - 1} tasks depend on each other in a circle: {' -> '.join(shown)}"


class _Names:
    """Judge the names that expressions take from their scope."""

    def __init__(
        self, phases: Mapping[str, str], params: Collection[str], findings: Findings, *, is_inside: bool
    ) -> None:
        self.phases, self._params, self._findings, self._is_inside = phases, params, findings, is_inside

    def of(self, reference: Reference, *, is_hook: bool) -> Iterator[str]:
        """Judge one expression; yield the tasks it refers to."""
        at = reference.at
        for path in reference.expression.paths:
            root = str(path[0])
            name = str(path[1]) if len(path) > 1 else None
            if root in NAMES and root not in reference.names:
                message = f"{root} is not known here, only in {_WHERE[root]}"
                hint = f"Here are {', '.join(name for name in NAMES if name in reference.names)}."
                if root == "secrets" and "env" in reference.names:
                    hint = "What stands here is kept in the state folder and shown; a called workflow names it itself."
                elif self._is_inside and root not in {"tasks", "env", "secrets"}:
                    hint = "Hand what the task around this document knows into it as a parameter."
                self._findings.add("expression_name", message, at, hint)
            elif root == "run" and name in OUTCOME and not is_hook:
                message = f"run.{name} is known only in the hooks: on_success, on_failure, on_cancel, finally"
                self._findings.add("expression_name", message, at)
            elif root == "params" and name is not None and name not in self._params:
                message = f"the workflow declares no parameter {quoted(name)}"
                self._findings.add("expression_param", message, at, partial(_declared, name, self._params))
            elif root == "tasks" and name is not None and name not in self.phases:
                near = partial(meant, name, self.phases)
                self._findings.add("expression_reference", f"no task has the id {quoted(name)}", at, near)
            elif root == "tasks" and name is not None:
                yield name
                part = path[2] if len(path) > 2 else TASK_NAMES[0]  # noqa: PLR2004 -- tasks, the id, the part
                if part not in TASK_NAMES:
                    advice = meant(str(part), TASK_NAMES) or f"There are {', '.join(TASK_NAMES)}."
                    self._findings.add("expression_name", f"a task has no {quoted(part)}", at, advice)

    def unknown_yet(self, task: str, at: str) -> None:
        """Note a reference to a task of a hook from outside of it."""
        message = f"the task {quoted(task)} is one of {self.phases[task]}, so nothing is known of it here"
        self._findings.add("expression_reference", message, at)


def _declared(name: str, params: Collection[str]) -> str:
    return meant(name, params) or "Declare it under params."
