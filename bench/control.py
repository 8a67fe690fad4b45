"""What control flow costs: a fan of 10,000 instances beside W2, a loop of 1,000 iterations beside W1, on one engine."""

import json
import statistics
import tempfile
from pathlib import Path

from bench.graphs import chain, document, fan
from bench.ours import Engine

_ITEMS, _ITERATIONS = 10_000, 1_000


def foreach(items: int) -> bytes:
    """Write a task that is spread over so many numbers, given as a list of the one before."""
    spread = {"id": "fan", "type": "noop", "depends_on": ["first"], "foreach": list(range(items))}
    tasks = [{"id": "first", "type": "noop"}, spread, {"id": "last", "type": "noop", "depends_on": ["fan"]}]
    return json.dumps({"name": "bench", "tasks": tasks}).encode()


def loop(iterations: int) -> bytes:
    """Write a task that is repeated so often."""
    until = {"until": f"iteration >= {iterations}", "max_iterations": iterations}
    return json.dumps({"name": "bench", "tasks": [{"id": "turn", "type": "noop", "loop": until}]}).encode()


def measure(rounds: int = 5) -> dict[str, object]:
    """Time each beside what it is measured by, in turn; microseconds a task and their ratio."""
    pairs = {
        "foreach": (foreach(_ITEMS), _ITEMS, document(fan(2000), "noop"), 2000),
        "loop": (loop(_ITERATIONS), _ITERATIONS, document(chain(500), "noop"), 500),
    }
    results: dict[str, object] = {}
    for name, (data, count, beside, beside_count) in pairs.items():
        with tempfile.TemporaryDirectory(prefix="dropmill-bench-") as folder:
            engine = Engine(2, Path(folder))
            try:
                timed = [
                    (engine.run_documents([data]) / count, engine.run_documents([beside]) / beside_count)
                    for _ in range(rounds)
                ]
            finally:
                engine.close()
        results[name] = {
            "tasks": count,
            "us_per_task": round(statistics.median(one for one, _ in timed) * 1e6, 1),
            "beside_us_per_task": round(statistics.median(other for _, other in timed) * 1e6, 1),
            "ratio": round(statistics.median(one / other for one, other in timed), 3),
        }
        print(f"{name}: {results[name]}", flush=True)
    return results
