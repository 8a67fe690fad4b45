"""The graph of a workflow on paper: as a tree of layers, and as a Mermaid flowchart. Pure.

Called by `plan`. A short drawing leaves out what no screen could hold, and says what and how much.
"""

import html
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from daemon.cli.counting import counted
from daemon.cli.moments import took
from daemon.cli.text import Piece, Styled
from engine.model import APPROVAL_TYPE, WORKFLOW_TYPE, Routing, Task
from engine.plan import Plan

_LINES_SHOWN = 90
_LAYERS_SHOWN = 30
_FEWEST_SHOWN = 2
_DEPENDENCIES_SHOWN = 4
_PATH_SHOWN = 8
_LONGEST_NAME = 40

Line = list[Piece]


def tree(plan: Plan, *, is_short: bool) -> Iterator[Line]:
    """Draw the layers one below the other, each with its tasks; tasks of the critical path are marked."""
    if plan.workflow.routing is not None:
        yield from _walk(plan, plan.workflow.routing)
    else:
        yield from _layers(plan, is_short=is_short)
    for phase, members in plan.phases.items():
        if phase != "tasks":
            yield [Styled(phase, "faint")]
            yield from _layer(plan, members, set(), _widths(plan), len(members))


def _layers(plan: Plan, *, is_short: bool) -> Iterator[Line]:
    layers, path = plan.graph.layers, plan.graph.critical_path({})
    widest = max(map(len, layers))
    yield [
        Styled(plan.workflow.name, "head"),
        f": {counted(len(plan.graph.order), 'task')} in {counted(len(layers), 'layer')}, at most {widest:,} at once",
        f", {plan.workflow.max_parallel:,} by max_parallel" if plan.workflow.max_parallel else "",
    ]
    shown = _LAYERS_SHOWN if is_short and len(layers) > _LAYERS_SHOWN + 1 else len(layers)
    on_path = set(path)
    most = max(_FEWEST_SHOWN, _LINES_SHOWN // shown) if is_short else widest
    for number, layer in enumerate(layers[:shown], start=1):
        yield [Styled(f"layer {number}", "faint")]
        yield from _layer(plan, layer, on_path, _widths(plan), most)
    if shown < len(layers):
        rest = [task for layer in layers[shown:] for task in layer]
        yield [Styled(f"and {counted(len(layers) - shown, 'more layer')} with {_summary(plan, rest)}", "faint")]
    yield [Styled("critical path", "busy"), f" of {counted(len(path), 'task')}: {_chain(path, is_short=is_short)}"]


def _walk(plan: Plan, routing: Routing) -> Iterator[Line]:
    """Draw a graph that is walked: each node with where it leads, in the order of the document."""
    most = counted(routing.max_iterations, "visit")
    yield [
        Styled(plan.workflow.name, "head"),
        f": a graph of {counted(len(plan.graph.order), 'node')}, from {routing.entry}, at most {most}",
    ]
    yield from _layer(plan, plan.graph.order, {routing.entry}, _widths(plan), len(plan.graph.order))


def _widths(plan: Plan) -> tuple[int, int]:
    names = min(max(map(len, plan.tasks)), _LONGEST_NAME)
    return names, max(len(planned.task.type) for planned in plan.tasks.values())


def mermaid(plan: Plan) -> str:
    """Draw a Mermaid flowchart; tasks of the critical path have a thick border, hooks a frame of their own."""
    numbers = {task: f"t{number}" for number, task in enumerate(plan.tasks)}
    lines = ["flowchart TD"]
    for phase, members in plan.phases.items():
        boxes = [f'    {numbers[task]}["{task}<br/>{plan.tasks[task].task.type}"]' for task in members]
        lines += boxes if phase == "tasks" else [f"    subgraph {phase}", *(f"    {box}" for box in boxes), "    end"]
    lines += [
        f"    {numbers[needed]} {_arrow((planned.task.conditions or {}).get(needed))} {numbers[task]}"
        for task, planned in plan.tasks.items()
        for needed in planned.task.depends_on
    ]
    routing = plan.workflow.routing
    for edge in routing.edges if routing is not None else ():
        lines.append(f"    {numbers[edge.source]} {_arrow(edge.condition)} {numbers[edge.target]}")
    if routing is None:
        lines += ["    classDef critical stroke-width:3px"]
        lines += [f"    class {','.join(numbers[task] for task in plan.graph.critical_path({}))} critical"]
    return "\n".join(lines) + "\n"


def _arrow(condition: str | None) -> str:
    return "-->" if condition is None else f'-->|"{html.escape(condition)}"|'


def _layer(plan: Plan, layer: Sequence[str], on_path: set[str], widths: tuple[int, int], most: int) -> Iterator[Line]:
    shown = list(layer)
    if len(layer) > most + 1:
        # Those of the critical path go before the others, which are as the document has them.
        shown = sorted(layer, key=lambda task: task not in on_path)[:most]
    for position, task in enumerate(shown, start=1):
        is_last = position == len(layer)
        yield [Styled("└─ " if is_last else "├─ ", "faint"), *_task(plan, task, task in on_path, widths)]
    if len(shown) < len(layer):
        left = set(layer) - set(shown)
        yield [Styled(f"└─ and {_summary(plan, left)}", "faint")]


def _task(plan: Plan, key: str, is_critical: bool, widths: tuple[int, int]) -> Line:  # noqa: FBT001 -- a value like the others
    task = plan.tasks[key].task
    notes = "; ".join([*_notes(task), *_leads(plan, key)])
    mark = Styled("* ", "busy") if is_critical else "  "
    name = Styled(key.ljust(widths[0]), "head" if is_critical else "")
    return [
        mark,
        name,
        "  ",
        Styled(task.type.ljust(widths[1]) if notes else task.type, "faint"),
        "  " if notes else "",
        notes,
    ]


def _notes(task: Task) -> Iterator[str]:
    if task.depends_on:
        more = len(task.depends_on) - _DEPENDENCIES_SHOWN
        conditions = task.conditions or {}
        shown = [
            f"{needed} if {conditions[needed]}" if needed in conditions else needed
            for needed in task.depends_on[:_DEPENDENCIES_SHOWN]
        ]
        yield "after " + ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")
    yield from _repeated(task)
    if task.inner is not None:
        yield f"runs {task.inner.workflow.name} with {counted(len(task.inner.workflow.tasks), 'task')}"
    elif task.type == WORKFLOW_TYPE:
        yield f"runs {task.fields.get('workflow')}"
    elif task.type == APPROVAL_TYPE:
        yield f"asks: {task.fields.get('message')}"
    if task.when is not None:
        yield f"when {task.when}"
    if task.trigger_rule != "all_success":
        yield task.trigger_rule
    if task.retry.max_retries:
        yield "up to " + (
            counted(task.retry.max_retries, "retry")
            if task.retry.max_retries == 1
            else f"{task.retry.max_retries:,} retries"
        )
    if task.timeout is not None:
        yield f"at most {took(task.timeout)}"
    if task.pool is not None:
        yield f"takes {counted(task.pool.weight, 'slot')} of {task.pool.name}"
    if task.cache is not None:
        yield "cached" + (f" for {took(task.cache.ttl)}" if task.cache.ttl is not None else "")
    if task.deadline is not None:
        yield f"due {took(task.deadline.within)} after the start, else {task.deadline.on_miss}"


def _repeated(task: Task) -> Iterator[str]:
    """Say to how many instances a task comes."""
    if task.foreach is not None:
        items = task.foreach.items
        if isinstance(items, str):
            yield f"for each of {items}"
        else:
            yield f"for each of {counted(len(items), 'item')}"
        if task.foreach.max_parallel is not None:
            yield f"{task.foreach.max_parallel:,} at a time"
    if task.loop is not None:
        ends = f"until {task.loop.until}" if task.loop.until is not None else f"while {task.loop.while_}"
        yield f"again {ends}, at most {task.loop.max_iterations:,} times"


def _leads(plan: Plan, key: str) -> Iterator[str]:
    """Say where a node of a graph leads."""
    routing = plan.workflow.routing
    for edge in routing.edges if routing is not None else ():
        if edge.source == key:
            yield f"then {edge.target}" + (f" if {edge.condition}" if edge.condition is not None else "")


def _summary(plan: Plan, tasks: Iterable[str]) -> str:
    kinds = Counter(plan.tasks[task].task.type for task in tasks)
    return f"{counted(kinds.total(), 'more task')}: " + ", ".join(
        f"{kind} x {count:,}" for kind, count in kinds.most_common()
    )


def _chain(path: Sequence[str], *, is_short: bool) -> str:
    if is_short and len(path) > _PATH_SHOWN:
        half = _PATH_SHOWN // 2
        return " → ".join([*path[:half], f"… {len(path) - 2 * half:,} more …", *path[-half:]])
    return " → ".join(path)
