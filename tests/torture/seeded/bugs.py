"""The bugs that are put into a copy of the tree, each with the test that has to catch it.

An edit is the text as it stands and what stands there instead; `tests/whole/test_seeded.py` sees that each still fits.
"""

from typing import NamedTuple


class Edit(NamedTuple):
    """Change one place of one file."""

    path: str
    old: str
    new: str


class Bug(NamedTuple):
    """Say what is broken in a sentence, how, and what pytest is told to see it."""

    name: str
    what: str
    catcher: str
    edits: tuple[Edit, ...]


_STORE = "tests/hands/test_store.py -k "
_EXECUTOR = "tests/hands/test_executor.py -k "
_CALLS = "tests/hands/test_executor_calls.py -k "
_INBOX = "tests/daemon/test_inbox.py -k "
_CRASHES = "tests/daemon/test_inbox_crashes.py"

BUGS = (
    Bug(
        "folder-not-synced",
        "a claimed file is not durable: the fsync of the folders is left out",
        "tests/whole/test_barriers.py",
        (
            Edit(
                "daemon/claims/__init__.py",
                "        os.fsync(self._folders[CLAIMED])\n        os.fsync(self._inbox)\n",
                "        return\n",
            ),
        ),
    ),
    Bug(
        "synchronous-normal",
        "commits are acknowledged that a power cut takes back: `synchronous = NORMAL`",
        "tests/whole/test_barriers.py",
        (Edit("engine/database.py", "PRAGMA synchronous = FULL", "PRAGMA synchronous = NORMAL"),),
    ),
    Bug(
        "acknowledged-before-commit",
        "a receipt is handed out before the run is recorded",
        _EXECUTOR + "cannot_be_recorded_is_answered",
        (
            Edit(
                "engine/arrivals.py",
                '        sync_point("executor.asked")\n',
                "        for (key, _s, _n), (_x, _p, early) in zip(keyed, waiting, strict=True):\n"
                '            early.set_result(Receipt(run=key, is_new=True, state="PENDING"))\n'
                '        sync_point("executor.asked")\n',
            ),
            Edit(
                "engine/executor.py",
                "            answer.set_result(receipt)\n",
                "            answer.done() or answer.set_result(receipt)\n",
            ),
        ),
    ),
    Bug(
        "edge-only-watcher",
        "the inbox hears of files and never looks: what came while nothing ran stays",
        _INBOX + "before_the_start",
        (Edit("daemon/inbox/tray.py", "            self.arrivals.scan()\n", ""),),
    ),
    Bug(
        "claim-by-copy",
        "a file is claimed by copying it and removing the original",
        "tests/daemon/test_claims.py",
        (
            Edit(
                "daemon/claims/__init__.py",
                "                moves.rename(self._inbox, want.name, self._folders[CLAIMED], want.held)\n"
                "                self._compare(want)\n",
                "                data = moves.read(self._inbox, want.name, 1 << 30) or b''\n"
                "                moves.write(self._folders[CLAIMED], want.held, data)\n"
                "                os.unlink(want.name, dir_fd=self._inbox)\n",
            ),
        ),
    ),
    Bug(
        "killpg-only",
        "only the process group of a worker is killed: what called setsid lives on",
        "tests/hands/test_pool_trees.py",
        (
            Edit(
                "engine/tree.py",
                "    for process in below(root, spare):\n        # A dead one",
                "    for process in below(root, spare):\n"
                "        if os.getpgid(process.pid) != os.getpgid(root):\n"
                "            continue\n        # A dead one",
            ),
        ),
    ),
    Bug(
        "no-compare-and-set",
        "a change that found no row as expected is taken for made",
        _STORE + "another_attempt_number",
        (
            Edit(
                "engine/rows.py",
                "statement.run_all(connection, some) == len(some) or statement in sweeping",
                "statement.run_all(connection, some) <= len(some) or statement in sweeping",
            ),
        ),
    ),
    Bug(
        "retries-forgotten",
        "a restart does not fill the heap of retries and waits again",
        "tests/whole/test_waits.py -k outlives_a_kill",
        (
            Edit(
                "engine/executor.py",
                "        for task, attempt, at in run.waiting():\n"
                "            self._arm(run.key, Due(task, attempt), at, now)\n",
                "",
            ),
        ),
    ),
    Bug(
        "deadlines-forgotten",
        "a restart does not arm the timeout of a run again",
        "tests/whole/test_kills.py -k timeout",
        (Edit("engine/executor.py", "        if run.deadline is not None:\n", "        if False:\n"),),
    ),
    Bug(
        "catch-up-without-bound",
        "everything missed is run, however much that is",
        "tests/daemon/test_calendar_catchup.py",
        (Edit("daemon/calendar/catchup.py", "limit = policy.may_run()", "limit = policy.may_run() * 1000"),),
    ),
    Bug(
        "repeated-hour-twice",
        "a fixed time in the hour that the clock repeats in autumn is due twice",
        "tests/daemon/test_calendar_oracle.py",
        (
            Edit(
                "daemon/calendar/expressions.py",
                "offset = stretch.before if is_small and not self.follows_clock else stretch.offset",
                "offset = max(stretch.before, stretch.offset) if not is_small else stretch.offset",
            ),
        ),
    ),
    Bug(
        "duplicate-key-accepted",
        "an idempotency key that was seen before leads to another run",
        _STORE + "key_leads_to_one_run",
        (Edit("engine/admission.py", "        _key(submission.idempotency_key),\n", "        None,\n"),),
    ),
    Bug(
        "result-after-move",
        "a file is moved to its last folder before its result is there",
        _CRASHES,
        (
            Edit(
                "daemon/claims/__init__.py",
                "            moves.write(self._folders[CLAIMED], part, ending.note)\n",
                "            moves.rename(self._folders[CLAIMED], ending.held, target, name)\n"
                "            moves.write(self._folders[CLAIMED], part, ending.note)\n",
            ),
            Edit(
                "daemon/claims/__init__.py",
                "                    moves.rename(self._folders[CLAIMED], ending.held, target, name)\n",
                "",
            ),
        ),
    ),
    Bug(
        "dispatched-before-durable",
        "an attempt begins before RUNNING is recorded",
        _EXECUTOR + "before_its_start_is_durable",
        (
            Edit(
                "engine/executor.py",
                '        sync_point("executor.decided")\n',
                "        early, self._starts = self._starts, []\n"
                "        if early:\n"
                "            self._backend.dispatch([self._assignment(key, start) for key, start in early])\n"
                '        sync_point("executor.decided")\n',
            ),
        ),
    ),
    Bug(
        "old-report-accepted",
        "a report of an earlier attempt ends the one that runs",
        "tests/engine/test_run.py -k late",
        (Edit("engine/run/nodes.py", "node.state is State.RUNNING and node.attempt == attempt else", "True else"),),
    ),
    Bug(
        "called-twice",
        "a call that is made again after a restart leads to a second run",
        _CALLS + "after_a_restart",
        (
            Edit(
                "engine/admission.py",
                "(called.run, called.task, called.attempt, called.depth + 1)",
                "(called.run, called.task, None, called.depth + 1)",
            ),
        ),
    ),
    Bug(
        "hooks-again",
        "hooks that had ended run again after a restart",
        "tests/engine/test_control_flow.py -k TestHooks",
        (
            Edit(
                "engine/run/__init__.py",
                "            if key in nodes.by_key:\n                nodes.by_key[key].take_up",
                '            if key in nodes.by_key and nodes.by_key[key].planned.phase != "tasks":\n'
                "                continue\n"
                "            if key in nodes.by_key:\n                nodes.by_key[key].take_up",
            ),
        ),
    ),
    Bug(
        "instances-again",
        "instances of a foreach that had completed run again after a restart",
        "tests/engine/test_control_flow.py -k restart_goes_on_with_what_is_left",
        (Edit("engine/run/spreads.py", "                if snapshot is not None:\n", "                if False:\n"),),
    ),
    Bug(
        "second-daemon-let-in",
        "a second daemon on a state folder is not refused",
        "tests/whole/test_daemon.py -k second_daemon_on_the_state_folder",
        (
            Edit(
                "daemon/ownership.py",
                '            raise StateBusyError(str(self._folder), str(owner_of(self._folder) or "another process")) '
                "from None\n",
                "            return\n",
            ),
        ),
    ),
    Bug(
        "overflow-ignored",
        "an overflow of the queue of inotify is kept from the inbox",
        "tests/daemon/test_bell.py -k kernel_dropped",
        (
            Edit(
                "daemon/bell.py",
                "    def on_queue_overflow(self) -> None:\n        self._hear(Heard(self._folder))",
                "    def on_queue_overflow(self) -> None:\n        pass",
            ),
        ),
    ),
    Bug(
        "claims-not-taken-up",
        "files that a former life had claimed and not recorded are left where they are",
        _CRASHES,
        (
            Edit(
                "daemon/inbox/reconciling.py", "        for name in tray.claims.held():\n", "        for name in ():\n"
            ),
        ),
    ),
    Bug(
        "failed-sync-ignored",
        "a failed fsync of the folders of a claim is taken for a success",
        "tests/whole/test_barriers.py -k could_not",
        (
            Edit(
                "daemon/claims/__init__.py",
                "        os.fsync(self._folders[CLAIMED])\n        os.fsync(self._inbox)\n",
                "        with contextlib.suppress(OSError):\n"
                "            os.fsync(self._folders[CLAIMED])\n            os.fsync(self._inbox)\n",
            ),
        ),
    ),
    Bug(
        "lost-is-completed",
        "an attempt that vanished with the daemon counts as done",
        _EXECUTOR + "former_life_had_running",
        (
            Edit(
                "engine/run/attempts.py",
                "        if fact.reason is not Reason.DAEMON_STOPPED:\n            node.lost += 1\n",
                "        self._nodes.complete(node, b'null', attempt=fact.attempt)\n"
                "        return\n        if fact.reason is not Reason.DAEMON_STOPPED:\n            node.lost += 1\n",
            ),
        ),
    ),
)
