"""What happens when the machine runs out of something, or takes something away: what is expected, and what checks it.

The table is that of RELIABILITY.md; a case is one of its tests, run on real small disks, real limits, real locks.
"""

import subprocess
import sys
from typing import NamedTuple

from tests.rules.source import ROOT
from tests.torture.part import Batch, Part, Tally

_PASSED = 0
_DISKS, _OTHERS = "tests/whole/test_disks.py", "tests/whole/test_resources.py"
_SECONDS = 600.0


class Trouble(NamedTuple):
    """Say what is short, what is expected then, and which test checks it."""

    what: str
    expected: str
    file: str
    test: str


TROUBLES = (
    Trouble(
        "no bytes left for the database",
        "ends with 74 and says so; what was acknowledged completes when there is room",
        _DISKS,
        "test_a_full_disk_ends_the_daemon_with_74_and_what_was_acknowledged_completes_when_there_is_room",
    ),
    Trouble(
        "no bytes left, files are dropped",
        "they stay in the inbox; done when there is room",
        _DISKS,
        "test_files_dropped_while_the_disk_is_full_stay_and_are_done_when_there_is_room",
    ),
    Trouble("full at the start", "ends with 74 and a sentence", _DISKS, "test_a_start_on_a_full_disk_says_so_with_74"),
    Trouble(
        "no inodes left where the state is",
        "runs go on, without logs of their own where none can be made; status and doctor say it",
        _OTHERS,
        "test_a_state_folder_without_inodes_goes_on_and_says_so",
    ),
    Trouble(
        "the disk of the logs is full",
        "runs go on; lines are lost; status and doctor say it",
        _OTHERS,
        "test_a_full_disk_of_the_logs_stops_no_run_and_is_said",
    ),
    Trouble(
        "the inbox is read-only at the start",
        "ends with 2 and names the folder",
        _DISKS,
        "test_an_inbox_that_cannot_be_written_at_the_start_is_said_with_2",
    ),
    Trouble(
        "the inbox becomes read-only",
        "runs end; files wait in .claimed/, shown as stuck; filed when it can be written",
        _DISKS,
        "test_an_inbox_that_becomes_read_only_keeps_its_files_until_it_can_be_written_again",
    ),
    Trouble(
        "the state folder is read-only at the start",
        "ends with 74 or 2 and names it; goes on when it can be written",
        _OTHERS,
        "test_a_start_on_a_state_folder_that_is_read_only_says_so",
    ),
    Trouble(
        "no file descriptors left",
        "lives on; who asks waits; status and doctor say it; all goes on when there are some",
        "tests/whole/test_upkeep.py",
        "test_a_daemon_without_a_free_descriptor_says_so_and_goes_on",
    ),
    Trouble(
        "no process can be forked",
        "attempts wait for a worker; all goes on when processes can be had",
        _OTHERS,
        "test_where_no_process_can_be_forked_tasks_wait_until_one_can",
    ),
    Trouble(
        "a task takes more memory than it may",
        "the attempt fails with memory_limit; the daemon and others do not notice",
        _OTHERS,
        "test_a_task_that_takes_too_much_memory_fails_alone",
    ),
    Trouble(
        "the database is locked by another process",
        "waits, acknowledges nothing, and says so; after 90 s it ends with 74",
        _OTHERS,
        "test_a_locked_database_is_waited_for_and_that_is_said",
    ),
    Trouble(
        "the database is deleted or replaced",
        "ends with 74 at the next write; nothing is acknowledged into a file without a name",
        _OTHERS,
        "test_a_database_that_was_deleted_ends_the_daemon_and_nothing_is_acknowledged_into_it",
    ),
    Trouble(
        "the database is damaged while it is open",
        "asks are answered with 503, or it ends with 65; doctor fails",
        _OTHERS,
        "test_a_database_that_is_damaged_while_it_is_open_is_said_by_all_who_read_it",
    ),
    Trouble(
        "the database is damaged at the start",
        "ends with 65; the file is left as it is",
        "tests/whole/test_daemon.py",
        "test_a_damaged_database_is_not_touched_and_the_status_is_65",
    ),
    Trouble(
        "fsync is slow (0.2 s)",
        "slower, and nothing else: the same answers, once each",
        _OTHERS,
        "test_a_slow_disk_makes_it_slower_and_nothing_else",
    ),
)


def table() -> str:
    """Return the rows as RELIABILITY.md shows them."""
    rows = (f"| {each.what} | {each.expected} | `{each.file.rpartition('/')[2]}` |" for each in TROUBLES)
    return "\n".join(("| trouble | what happens | checked in |", "|---|---|---|", *rows))


def _carry_out(batch: Batch) -> Tally:
    tally = Tally(cases=0)
    for number in range(batch.number * PART.batch, batch.number * PART.batch + batch.count):
        trouble = TROUBLES[number % len(TROUBLES)]
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-p",
            "no:cacheprovider",
            f"{trouble.file}",
            "-k",
            trouble.test,
        ]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=_SECONDS)
        tally.cases += 1
        if done.returncode != _PASSED:
            tally.violations.append(f"{trouble.what}: {trouble.test}: {done.stdout[-800:]}")
    return tally


PART = Part(
    name="resources",
    unit="troubles with resources",
    promise="What runs out, or is taken away, is said, and costs nothing that was acknowledged.",
    goal=len(TROUBLES),
    batch=4,
    lane="troubles",
    carry_out=_carry_out,
    needs=("pids", "root", "strace"),
)
