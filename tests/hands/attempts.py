"""Attempts of functions written in a test, through a real registry and the real runner."""

import msgspec

from engine.limits import Limits
from engine.messages import Dispatch
from engine.registry import Registry
from engine.runner import Runner

RUN = "01hx3v9q8e7w6r5t4y3z2k1m0n"


class Bench:
    """A registry of functions written in the test, and a runner over it."""

    def __init__(self, settings=None, owns_process=True, **limits):
        self.registry = Registry("")
        self.runner = Runner(self.registry, settings or {}, Limits(**limits), owns_process=owns_process)

    def __call__(self, run, fields=None, /, **more):
        """Run `run(task)` as an attempt and return its report."""
        self.registry.register("tried", run)
        return self.attempt("tried", fields, **more)

    def attempt(self, task_type, fields=None, *, inputs=None, memo=None, task="tried-1", attempt=1, **more):
        dispatch = Dispatch(
            seq=7,
            run=RUN,
            task=task,
            attempt=attempt,
            type=task_type,
            fields=msgspec.json.encode(fields or {}),
            inputs={name: msgspec.json.encode(value) for name, value in (inputs or {}).items()},
            memo=msgspec.json.encode(memo),
            **more,
        )
        return self.runner.run(dispatch)


def returning(value):
    return lambda task: value


def raising(error):
    def run(task):
        raise error

    return run


def doing(change, end=None):
    """Change something, then end, with True unless told otherwise."""

    def run(task):
        change(task)
        return True if end is None else end(task)

    return run


def giving(output):
    def run(task):
        task["output"] = output
        return True

    return run
