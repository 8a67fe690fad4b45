"""The results of a torture as a table, and their place in RELIABILITY.md."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.torture.part import Part
from tests.torture.record import Record

_BEGIN, _END = "<!-- results: printed by make torture -->", "<!-- end of results -->"
_SHOWN = 20


def table(parts: Sequence[Part], record: Record, goal: Callable[[Part], int], left_out: Mapping[str, str]) -> str:
    """Return counts, seconds and violations of each part, the head, and the verdict."""
    head = record.head
    lines = [
        f"Seed {head['seed']}, version {head['version']}, begun {head['began']}.",
        "",
        "| what | done | wanted | seconds | also | violations |",
        "|---|---|---|---|---|---|",
    ]
    found: list[str] = []
    is_whole = True
    for part in parts:
        done, wanted = record.sum(part.name), goal(part)
        also = ", ".join(f"{count:,} {name}" for name, count in sorted(done.counts.items()))
        if part.name in left_out:
            also = f"left out: {left_out[part.name]}"
        is_whole &= done.cases >= wanted
        figures = f"{done.cases:,} {part.unit} | {wanted:,} | {done.seconds:.0f} | {also} | {len(done.violations)}"
        lines.append(f"| {part.name} | {figures} |")
        found += [f"- {part.name}: {one}" for one in done.violations]
    verdict = f"{len(found)} violations" if found else "No violation"
    lines += ["", f"Verdict: {verdict}{'' if is_whole else '; not all that was wanted was done'}."]
    return "\n".join([*lines, *found[:_SHOWN]])


def write(file: Path, shown: str) -> None:
    """Put the results between the marks in a file."""
    text = file.read_text()
    before, _, rest = text.partition(_BEGIN)
    after = rest.partition(_END)[2]
    file.write_text(f"{before}{_BEGIN}\n{shown}\n{_END}{after}")
