"""In which order the daemon writes, makes durable and answers, as the kernel sees it: what kills cannot show.

A process that is killed loses nothing that it wrote; only a power cut does. So the order of the system calls is judged.
"""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from engine.points import VARIABLE
from tests.waiting import wait_for, wait_for_file
from tests.whole.mill import Mill

pytestmark = pytest.mark.needs("strace")

_CALLS = "fsync,fdatasync,pwrite64,rename,renameat,renameat2,sendto,sendmsg,write"
_LINE = re.compile(r"\d+ +(\w+)\((.*)")


class Call(NamedTuple):
    """Show one system call: its name, and what it was given as strace writes it, descriptors with their paths."""

    name: str
    given: str


def trace_life(mill: Mill, *options: str) -> Path:
    """Start a daemon that is traced, wait until it is ready, and return where the trace is."""
    trace = mill.folder / "trace"
    command = ("strace", "-D", "-f", "-qq", "-y", "-s", "40", "-o", str(trace), "-e", f"trace={_CALLS}")
    mill.launch(*command, *options)
    wait_for(mill.is_ready, "a daemon that is ready")
    return trace


@pytest.fixture
def traced(mill: Mill):
    """Yield a mill whose daemon is traced and ready, and where the trace is."""
    return mill, trace_life(mill)


def calls(trace: Path) -> list[Call]:
    """Read a trace; a call that another thread came into counts where it returned."""
    begun: dict[str, str] = {}
    found = []
    for line in trace.read_text(errors="replace").splitlines():
        pid, _, rest = line.partition(" ")
        if "<unfinished" in rest:
            begun[pid] = rest
            continue
        resumed = "resumed>" in rest and pid in begun
        match = _LINE.match(f"{pid} {begun.pop(pid) if resumed else rest}")
        if match is not None:
            found.append(Call(match[1], match[2]))
    return found


def position(found: list[Call], names: str, text: str, start: int = 0) -> int:
    """Return where a call of one of these names that was given this text stands; fail if there is none."""
    for number in range(start, len(found)):
        if found[number].name in names.split() and text in found[number].given:
            return number
    raise AssertionError(f"no {names} of {text} after {start} in {found[start:]}")


def test_a_receipt_is_sent_after_the_run_was_made_durable(traced):
    mill, trace = traced
    before = len(calls(trace))
    mill.wait_for_end(mill.submit(mill.chain(1)))
    mill.stop()
    found = calls(trace)
    written = position(found, "pwrite64", "state.db-wal", before)
    durable = position(found, "fsync fdatasync", "state.db-wal", written)
    sent = position(found, "sendto sendmsg write", "HTTP/1.1 201", before)
    assert written < durable < sent


def test_a_claimed_file_is_durable_in_its_folders_before_it_is_recorded_as_a_run(traced):
    mill, trace = traced
    mill.drop("chain.json", mill.chain(1))
    wait_for_file(mill.inbox / "done" / "chain.json")
    mill.wait_for_quiet()
    mill.stop()
    found = calls(trace)
    claimed = position(found, "renameat2", '"chain.json"')
    recorded = position(found, "pwrite64", "state.db-wal", claimed)
    for folder in (mill.inbox / ".claimed", mill.inbox):
        assert position(found, "fsync", f"{folder}>", claimed) < recorded


def test_a_result_is_durable_before_the_file_moves_and_the_move_before_it_is_settled(traced):
    mill, trace = traced
    mill.drop("chain.json", mill.chain(1))
    wait_for_file(mill.inbox / "done" / "chain.json")
    mill.wait_for_quiet()
    mill.stop()
    found = calls(trace)
    named = position(found, "renameat2", '"chain.json.result.json"')
    content = max(n for n in range(named) if found[n].name == "fsync" and ".tmp" in found[n].given)
    noted = position(found, "fsync", f"{mill.inbox}/done>", named)
    moved = position(found, "renameat2", f'{mill.inbox}/done>, "chain.json"', named)
    kept = position(found, "fsync", f"{mill.inbox}/done>", moved)
    settled = position(found, "pwrite64", "state.db-wal", moved)
    assert content < named < noted < moved < kept < settled


def test_a_claim_that_could_not_be_made_durable_is_made_so_before_its_run_is_recorded(mill):
    claimed = mill.inbox / ".claimed"
    trace = trace_life(
        mill, "-P", str(claimed), "-P", f"{mill.state}/state.db-wal", "-e", "inject=fsync:error=EIO:when=1"
    )
    mill.drop("chain.json", mill.chain(1))
    wait_for_file(mill.inbox / "done" / "chain.json")
    mill.wait_for_quiet()
    assert mill.stop() == 0
    found = calls(trace)
    failed = position(found, "fsync", "INJECTED")
    assert f"{claimed}>" in found[failed].given
    durable = position(found, "fsync", f"{claimed}>", failed + 1)
    recorded = position(found, "pwrite64", "state.db-wal", failed)
    assert durable < recorded
    assert "Input/output error" in mill.words()


def test_what_a_former_life_had_claimed_is_made_durable_before_its_run_is_recorded(mill):
    mill.start(**{VARIABLE: "claims.renamed"})
    mill.drop("chain.json", mill.chain(1))
    assert mill.ended() == -9
    trace = trace_life(mill)
    wait_for_file(mill.inbox / "done" / "chain.json")
    assert mill.stop() == 0
    found = calls(trace)
    noted = position(found, "renameat2", "chain.json.result.json")
    for folder in (mill.inbox / ".claimed", mill.inbox):
        # The last one of the memory before the result is known to be of this life, so of the run at the latest.
        durable = position(found, "fsync", f"{folder}>")
        assert any(call.name == "pwrite64" and "state.db-wal" in call.given for call in found[durable:noted])
