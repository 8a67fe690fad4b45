"""Large documents: load, check and plan beside a plain `json.loads` of the same bytes, each in a fresh process."""

import gc
import json
import resource
import statistics
import subprocess
import sys
import time

from bench.graphs import document, layers
from engine import loader
from engine.limits import Limits
from engine.plan import make_plan
from engine.task import Catalogue, TaskType

SIZES = (10_000, 100_000)
LIMITS = Limits(document_tasks=200_000, document_bytes=64 * 1024 * 1024)
CATALOGUE = Catalogue({"noop": TaskType(type="noop")}, ())


def measure() -> dict[str, object]:
    """Measure each size in its own process and print a row."""
    rows: dict[str, object] = {}
    for size in SIZES:
        done = subprocess.run(  # noqa: S603 -- this very module
            [sys.executable, "-m", "bench.documents", str(size)], check=True, capture_output=True, text=True
        )
        row = json.loads(done.stdout)
        rows[str(size)] = row
        print(
            f"document of {size:,} tasks: json.loads {row['json_ms']} ms, load + check {row['load_ms']} ms, "
            f"plan {row['plan_ms']} ms, together {row['ratio']} x json.loads, peak {row['peak_mb']} MB"
        )
    return rows


def _once(size: int) -> dict[str, float]:
    data = document(layers(size // 100, 100), "noop")
    plain, loaded, planned = [], [], []
    for _ in range(3):
        gc.collect()
        begin = time.perf_counter()
        json.loads(data)
        plain.append(time.perf_counter() - begin)
        gc.collect()
        begin = time.perf_counter()
        workflow, problems = loader.load(data, CATALOGUE, LIMITS)
        middle = time.perf_counter()
        if workflow is None:
            raise ValueError(problems)
        make_plan(workflow)
        loaded.append(middle - begin)
        planned.append(time.perf_counter() - middle)
    json_s, load_s, plan_s = (statistics.median(times) for times in (plain, loaded, planned))
    return {
        "json_ms": round(json_s * 1e3, 1),
        "load_ms": round(load_s * 1e3, 1),
        "plan_ms": round(plan_s * 1e3, 1),
        "ratio": round((load_s + plan_s) / json_s, 2),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


if __name__ == "__main__":
    print(json.dumps(_once(int(sys.argv[1]))))
