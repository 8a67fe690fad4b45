"""The graph of a workflow on paper: as a tree of layers, and as a Mermaid flowchart. Pure.

Called by `plan`. A short drawing leaves out what no screen could hold, and says what and how much.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from daemon.cli.counting import counted
from daemon.cli.moments import took
from daemon.cli.text import Piece, Styled
from engine.model import Task
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
    layers, path = plan.graph.layers, plan.graph.critical_path({})
    widest = max(map(len, layers))
    yield [
        Styled(plan.workflow.name, "head"),
        f": {counted(len(plan.tasks), 'task')} in {counted(len(layers), 'layer')}, at most {widest:,} at once",
        f", {plan.workflow.max_parallel:,} by max_parallel" if plan.workflow.max_parallel else "",
    ]
    names = min(max(map(len, plan.tasks)), _LONGEST_NAME)
    types = max(len(task.type) for task in plan.workflow.tasks)
    shown = _LAYERS_SHOWN if is_short and len(layers) > _LAYERS_SHOWN + 1 else len(layers)
    on_path = set(path)
    most = max(_FEWEST_SHOWN, _LINES_SHOWN // shown) if is_short else widest
    for number, layer in enumerate(layers[:shown], start=1):
        yield [Styled(f"layer {number}", "faint")]
        yield from _layer(plan, layer, on_path, (names, types), most)
    if shown < len(layers):
        rest = [task for layer in layers[shown:] for task in layer]
        yield [Styled(f"and {counted(len(layers) - shown, 'more layer')} with {_summary(plan, rest)}", "faint")]
    yield [Styled("critical path", "busy"), f" of {counted(len(path), 'task')}: {_chain(path, is_short=is_short)}"]


def mermaid(plan: Plan) -> str:
    """Draw a Mermaid flowchart; tasks of the critical path have a thick border."""
    numbers = {task: f"t{number}" for number, task in enumerate(plan.tasks)}
    lines = ["flowchart TD"]
    lines += [f'    {numbers[task.id]}["{task.id}<br/>{task.type}"]' for task in plan.workflow.tasks]
    lines += [
        f"    {numbers[needed]} --> {numbers[task]}"
        for task, all_needed in plan.graph.depends_on.items()
        for needed in all_needed
    ]
    lines += ["    classDef critical stroke-width:3px"]
    lines += [f"    class {','.join(numbers[task] for task in plan.graph.critical_path({}))} critical"]
    return "\n".join(lines) + "\n"


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
    notes = "; ".join(_notes(task))
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
        yield "after " + ", ".join(task.depends_on[:_DEPENDENCIES_SHOWN]) + (f" and {more:,} more" if more > 0 else "")
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
