"""What the tests of `run` share: short ways to write a workflow and to talk to a run."""

from typing import Any

from engine.facts import Fact, Granted, Order, Start, Submitted, Succeeded
from engine.model import Retry, Task, Workflow
from engine.plan import make_plan
from engine.run import Run

NOW = 10.0


def task(key: str, *after: str, **settings: Any) -> Task:
    return Task(id=key, type="print", depends_on=after, fields=settings.pop("fields", {"message": key}), **settings)


def run_of(*tasks: Task, **settings: Any) -> Run:
    scope = settings.pop("scope", {})
    return Run("r", make_plan(Workflow(tasks=tasks, **settings)), scope=scope)


def retry(count: int, **settings: Any) -> Retry:
    return Retry(max_retries=count, **settings)


class Talk:
    """Grant every ready task at once and keep the orders apart from the starts."""

    def __init__(self, run: Run, now: float = NOW) -> None:
        self.run, self.now = run, now
        self.started: list[tuple[str, int]] = []
        self.starts: dict[str, Start] = {}

    def begin(self) -> list[Order]:
        return self.say(Submitted())

    def say(self, fact: Fact, now: float | None = None) -> list[Order]:
        self.now = self.now if now is None else now
        orders = self.run.handle(fact, self.now)
        while (ready := self.run.peek()) is not None:
            orders += self.run.handle(Granted(ready.key), self.now)
        for order in orders:
            if isinstance(order, Start):
                self.started.append((order.task, order.attempt))
                self.starts[order.task] = order
        return [order for order in orders if not isinstance(order, Start)]

    def succeed(self, key: str, output: bytes = b"null") -> list[Order]:
        return self.say(Succeeded(key, self.starts[key].attempt, output))
