"""Run every benchmark, print a table and write `bench/results.json`."""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import control, daemon, documents
from bench.baseline import Bare
from bench.graphs import Graph, chain, fan, layers, loose
from bench.ours import Engine

WORKLOADS: dict[str, tuple[str, Callable[[], list[Graph]], str, int]] = {
    "W1": ("chain of 500", lambda: [chain(500)], "noop", 2),
    "W2": ("1 -> 2,000 -> 1", lambda: [fan(2000)], "noop", 2),
    "W3": ("50 layers of 100", lambda: [layers(50, 100)], "noop", 2),
    "W4": ("500 x 20 ms, 16 workers", lambda: [loose(500)], "nap", 16),
    "W5": ("200 runs of 3", lambda: [chain(3) for _ in range(200)], "noop", 2),
    "W6": ("10,000 in layers of 100", lambda: [layers(100, 100)], "noop", 2),
    "W7": ("100,000 in layers of 100", lambda: [layers(1000, 100)], "noop", 2),
}
# A large document takes seconds on each side: fewer rounds say enough.
LARGE, LARGE_ROUNDS = ("W6", "W7"), 2

WHOLE: dict[str, Callable[[], dict[str, object]]] = {
    "control": control.measure,
    "documents": documents.measure,
    "daemon": daemon.measure,
}


def workload(name: str, rounds: int) -> dict[str, object]:
    """Time a workload on both sides in turn; return medians and their ratio (below 1: we are faster)."""
    title, graphs, task_type, workers = WORKLOADS[name]
    made = graphs()
    tasks = sum(len(graph) for graph in made)
    with tempfile.TemporaryDirectory(prefix="dropmill-bench-") as folder:
        bare, ours = Bare(workers), Engine(workers, Path(folder))
        try:
            pairs = [(ours.run(made, task_type), bare.run(made, task_type)) for _ in range(rounds)]
        finally:
            ours.close()
            bare.close()
    mine, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
    return {
        "title": title,
        "tasks": tasks,
        "ours_us_per_task": round(mine / tasks * 1e6, 1),
        "bare_us_per_task": round(theirs / tasks * 1e6, 1),
        "ratio": round(statistics.median(a / b for a, b in pairs), 3),
        "best_ratio": round(min(a / b for a, b in pairs), 3),
        "worst_ratio": round(max(a / b for a, b in pairs), 3),
    }


def main() -> int:
    """Parse what to run, run it, print and write."""
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("names", nargs="*", help=f"some of {' '.join([*WORKLOADS, *WHOLE])}; default: all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results.json")
    asked = parser.parse_args()
    names = asked.names or [*WORKLOADS, *WHOLE]
    results: dict[str, object] = {"python": platform.python_version(), "cores": os.cpu_count()}
    print(f"{'':4} {'workload':26} {'ours':>10} {'bare pool':>10} {'ratio':>7}   (microseconds a task; medians)")
    for name in names:
        if name in WHOLE:
            continue
        row = workload(name, min(asked.rounds, LARGE_ROUNDS) if name in LARGE else asked.rounds)
        results[name] = row
        print(
            f"{name:4} {row['title']:26} {row['ours_us_per_task']:>10} {row['bare_us_per_task']:>10} {row['ratio']:>7}",
            flush=True,
        )
    for name, measure in WHOLE.items():
        if name in names:
            results[name] = measure()
    asked.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
