"""The parts, in the order in which they are reported."""

from importlib import import_module

from tests.torture.part import Part

# Module names: a batch imports only its own.
MODULES: dict[str, str] = {"calendar": "tests.torture.calendar", "kills": "tests.torture.kills"}


def load(name: str) -> Part:
    """Return a part by its name; KeyError if there is none."""
    part: Part = import_module(MODULES[name]).PART
    return part
