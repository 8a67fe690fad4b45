"""Daemons killed at random moments under load, and their workers between: nothing is lost, nothing is done twice.

A case is a `kill -9` of a daemon. A batch is one state folder that goes through many lives, and is judged from outside
when it has come to rest; the same seed draws the same lives and the same load, as far as real time allows.
"""

import random

from tests.torture import documents, load
from tests.torture.lives import Lives
from tests.torture.part import Batch, Part, Tally
from tests.whole import checker
from tests.whole.mill import Mill, mills

# A look at everything costs as much as several lives.
_WITNESS_EVERY = 5


def torment(mill: Mill, seed: object, kills: int, kinds: documents.Kinds = documents.CONTROL) -> dict[str, int]:
    """Let daemons on a mill that load.SETTINGS configured be killed this often, then judge; return counts.

    Raises AssertionError for whatever does not hold.
    """
    load.prepare(mill)
    lives, producer = Lives(mill, random.Random(f"lives {seed}")), load.Producer(mill, seed, kinds)
    witnesses: list[checker.Witness] = []
    producer.start()
    try:
        round_number = 0
        while lives.counts["kills"] < kills:
            lives.next()
            round_number += 1
            if round_number % _WITNESS_EVERY == 0 and checker.has_memory(mill):
                witnesses.append(checker.witness(mill))
    finally:
        producer.is_over.set()
    producer.finish()
    load.conclude(mill, producer, witnesses)
    [[runs]] = mill.rows("SELECT count(*) FROM runs")
    counts = {"runs": runs, "files": len(mill.dropped), "entries in the ledger": len(mill.ledger())}
    return {**lives.counts, **counts}


def _carry_out(batch: Batch) -> Tally:
    tally = Tally(cases=0)
    try:
        with mills() as folder:
            mill = Mill(folder, load.SETTINGS)
            try:
                tally.counts = torment(mill, batch.draws, batch.count)
            finally:
                mill.close()
    except AssertionError as error:
        tally.violations.append(f"{error} {' '.join(getattr(error, '__notes__', ()))}"[:1500])
    tally.cases = tally.counts.pop("kills", 0) or batch.count
    return tally


PART = Part(
    name="kills",
    unit="kills of a daemon",
    promise="A daemon may be killed at any moment: what it acknowledged is done once, to the end.",
    goal=2000,
    batch=50,
    lane="kills",
    carry_out=_carry_out,
)
