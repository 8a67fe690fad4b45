"""A program that writes run after run and says so only after each write returned: what the crash tests kill.

    python -m tests.hands.writer URL FOLDER NAME [COUNT]

Each line it prints is the id of a run that is recorded COMPLETED, as far as the store says; `LOST` when it refused.
"""

import sys
from itertools import count, islice
from pathlib import Path

from engine.clock import SystemClock
from engine.errors import StoreLostError
from engine.facts import Begin, Complete, Finish, Start
from engine.states import State
from engine.store import Store
from engine.values import Values
from tests.hands.memory import submission

TASKS = ("a", "b", "c")


def write_run(store: Store, run: str) -> str:
    """Take a run from its submission to its end and return its id."""
    store.create([(run, submission(*TASKS, idempotency_key=run), 1.0)])
    lost = store.write([(run, [Begin(), *(Start(task, 1, {}, {}) for task in TASKS)])], 2.0)
    output = b'"' + run.encode() * 50 + b'"'
    lost |= store.write([(run, [*(Complete(task, 1, output) for task in TASKS), Finish(State.COMPLETED)])], 3.0)
    assert not lost
    return run


def main() -> None:
    """Write until killed, until a write is refused, or until there are as many runs as asked for."""
    url, folder, name, *most = sys.argv[1:]
    store = Store(url, values=Values(Path(folder) / "values", inline_bytes=100), clock=SystemClock())
    store.open()
    for number in islice(count(), *map(int, most)):
        try:
            print(write_run(store, f"{name}-{number}"), flush=True)
        except StoreLostError as error:
            print("LOST", error, flush=True)
            return


if __name__ == "__main__":
    main()
