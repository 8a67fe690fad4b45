"""Sound inputs of every kind, damaged: what is accepted is good, what is refused is told well, nothing hangs.

A batch takes its share of each kind: first every cut and every flipped bit of the sound ones, one after the other over
the batches, then damage drawn at random. `laws`, `inputs` and `drops` say what must hold.
"""

import contextlib
import json
import random
import signal
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from tests.torture import damage, drops, inputs, laws, seeds
from tests.torture.part import Batch, Part, Tally

BATCH = 10_000
# Of each batch so many thousandths are of each kind; the rest are workflow documents.
SHARES = {"requests": 60, "schedules": 60, "settings": 25, "plugin files": 6, "command lines": 6, "drops": 3}
_CASE_SECONDS = 5.0  # of processor time: a busy machine is no hang
_MOST_SHOWN = 600

Check = Callable[[Any], str]


class HungError(BaseException):
    """A case took longer than any may."""


def carry_out(batch: Batch) -> Tally:
    """Carry out the cases of a batch."""
    tally = Tally(cases=0)
    left = batch.count
    for kind, share in SHARES.items():
        count = batch.count * share // 1000
        left -= count
        _KINDS[kind](batch, count, tally)
    _documents(batch, left, tally)
    return tally


def _documents(batch: Batch, count: int, tally: Tally) -> None:
    sweep, rng = _sweep(tuple(seeds.documents())), _draws(batch, "documents")

    def case(number: int) -> bytes:
        if number < len(sweep):
            return sweep.damaged(number)
        if rng.random() < 0.4:  # damage that leaves it JSON reaches deeper
            return damage.text(rng, seeds.documents())
        return json.dumps(damage.value(rng, seeds.VALUES)).encode()

    _judge("documents", batch, count, tally, case, laws.check_document)


def _texts(kind: str, sound: list[bytes], check: Callable[[Batch, random.Random], Check]) -> Callable[..., None]:
    """Return what damages texts of a kind and checks them."""

    def carry(batch: Batch, count: int, tally: Tally) -> None:
        sweep, rng = _sweep(tuple(sound)), _draws(batch, kind)

        def case(number: int) -> bytes:
            return sweep.damaged(number) if number < len(sweep) else damage.text(rng, sound)

        _judge(kind, batch, count, tally, case, check(batch, rng))

    return carry


def _command_lines(batch: Batch, count: int, tally: Tally) -> None:
    rng = _draws(batch, "command lines")
    with inputs.site(batch.folder / "site"):
        _judge("command lines", batch, count, tally, lambda _number: inputs.arguments(rng), inputs.check_arguments)


def _drops(batch: Batch, count: int, tally: Tally) -> None:
    def check(_case: object) -> str:
        places = drops.drop(_draws(batch, "drops"), count, batch.folder / "house")
        for place, found in places.items():
            tally.counts[f"drops {place}"] = tally.counts.get(f"drops {place}", 0) + found
        return "judged"

    (batch.folder / "house").mkdir()
    if count:
        _case(tally, "drops", f"{count} objects", check)
        tally.cases += count


def _judge(kind: str, batch: Batch, count: int, tally: Tally, case: Callable[[int], Any], check: Check) -> None:
    """Check so many cases; those of a batch go on where the batch before has ended."""
    first = batch.number * (BATCH * SHARES.get(kind, 1000 - sum(SHARES.values())) // 1000)
    for number in range(first, first + count):
        _case(tally, kind, case(number), check)
    tally.cases += count


def _case(tally: Tally, kind: str, case: Any, check: Check) -> None:
    try:
        with _bounded():
            found = check(case)
    except (Exception, HungError, SystemExit) as error:  # whatever it raises is what is looked for
        found = "breaches"
        told = f"{kind}: {type(error).__name__}: {str(error)[:_MOST_SHOWN]}; the case: {str(case)[:_MOST_SHOWN]}"
        tally.violations.append(told)
    name = f"{kind} {found}"
    tally.counts[name] = tally.counts.get(name, 0) + 1


@contextlib.contextmanager
def _bounded() -> Iterator[None]:
    """Raise HungError in what takes too much of the processor."""
    signal.setitimer(signal.ITIMER_PROF, _CASE_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _rung(_number: int, _frame: object) -> None:
    raise HungError(f"it took more than {_CASE_SECONDS:g} s of the processor")


@cache
def _sweep(texts: tuple[bytes, ...]) -> damage.Sweep:
    return damage.Sweep(texts)


def _draws(batch: Batch, kind: str) -> random.Random:
    return random.Random(f"{batch.draws}/{kind}")


def _carry_out(batch: Batch) -> Tally:
    signal.signal(signal.SIGPROF, _rung)
    return carry_out(batch)


_KINDS: dict[str, Callable[[Batch, int, Tally], None]] = {
    "requests": _texts("requests", seeds.REQUESTS, lambda _batch, _rng: laws.check_request),
    "schedules": _texts(
        "schedules",
        [text.encode() for text in seeds.SCHEDULES],
        lambda _batch, rng: lambda data: inputs.check_schedule(data, rng),
    ),
    "settings": _texts(
        "settings", seeds.CONFIGS, lambda batch, _rng: lambda data: inputs.check_config(data, batch.folder)
    ),
    "plugin files": _texts(
        "plugin files", seeds.PLUGINS, lambda batch, _rng: lambda data: inputs.check_plugin(data, batch.folder)
    ),
    "command lines": _command_lines,
    "drops": _drops,
}

PART = Part(
    name="documents",
    unit="damaged inputs",
    promise="No input makes it raise, hang or guess: it is refused with every problem at its place, or it is sound.",
    goal=500_000,
    batch=BATCH,
    lane="reasoning",
    carry_out=_carry_out,
)
