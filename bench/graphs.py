"""The workloads, as plain graphs: a list of (id, ids it depends on), seeded where they are random."""

import json
import random

Graph = list[tuple[str, list[str]]]


def chain(length: int) -> Graph:
    """W1: each task waits for the one before."""
    return [(f"t{n}", [f"t{n - 1}"] if n else []) for n in range(length)]


def fan(width: int) -> Graph:
    """W2: one, then many, then one."""
    middle = [f"t{n}" for n in range(width)]
    return [("first", []), *((key, ["first"]) for key in middle), ("last", middle)]


def layers(count: int, width: int, seed: int = 7) -> Graph:
    """W3: layers whose tasks have two random parents in the layer before."""
    draw = random.Random(seed)
    graph: Graph = [(f"l0_{n}", []) for n in range(width)]
    for layer in range(1, count):
        before = [f"l{layer - 1}_{n}" for n in range(width)]
        graph += [(f"l{layer}_{n}", draw.sample(before, 2)) for n in range(width)]
    return graph


def loose(count: int) -> Graph:
    """W4: tasks that depend on nothing."""
    return [(f"t{n}", []) for n in range(count)]


def document(graph: Graph, task_type: str) -> bytes:
    """Write a graph as a workflow document."""
    tasks = [{"id": key, "type": task_type, **({"depends_on": after} if after else {})} for key, after in graph]
    return json.dumps({"name": "bench", "tasks": tasks}).encode()
