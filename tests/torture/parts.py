"""The parts, in the order in which they are reported."""

from importlib import import_module

from tests.torture.part import Part

# Module names: a batch imports only its own.
MODULES: dict[str, str] = {
    "simulation": "tests.simulation.part",
    "kills": "tests.torture.kills",
    "points": "tests.torture.points",
    "calls": "tests.torture.calls",
    "power cuts": "tests.torture.powercuts",
    "resources": "tests.torture.resources",
    "seeded": "tests.torture.seeded",
    "soak": "tests.torture.soak",
    "documents": "tests.torture.damaged",
    "calendar": "tests.torture.calendar",
}


def load(name: str) -> Part:
    """Return a part by its name; KeyError if there is none."""
    part: Part = import_module(MODULES[name]).PART
    return part
