"""Does what the fields of a drawn task say (tests/engine/control_documents.py), and writes down that it did.

What failed before is what is recorded as failed: an attempt that was cut off failed for nobody. So it looks into the
database, without writing, at all runs that stand at the same place in runs that called each other.
"""

import contextlib
import hashlib
import json
import os
import sqlite3
from pathlib import Path

TASK_TYPE = "scripted"
REQUIRED_FIELDS = ["gives"]


def run(task):
    """Fail the first `fails` times, then give `gives`."""
    state = Path(os.environ["DROPMILL_STATE"])
    _write(state, task, "begin")
    fails = task.get("fails", 0)
    is_good = not fails or _failures(state, task["run"], task["id"]) >= fails
    if is_good:
        task["output"] = _outcome(task)
    _write(state, task, "end")
    return is_good


def _outcome(task):
    if not task.get("looks"):
        return task["gives"]
    found = json.dumps({key: value for key, value in task["inputs"].items() if value is not None}, sort_keys=True)
    return {"gives": task["gives"], "found": hashlib.sha256(found.encode()).hexdigest()[:8]}


def _failures(state, run, task):
    place = f"file:{state}/state.db?mode=ro"
    with contextlib.closing(sqlite3.connect(place, uri=True, timeout=30)) as base:
        root, path = run, []
        while (row := base.execute("SELECT parent, parent_task FROM runs WHERE id = ?", (root,)).fetchone())[0]:
            root = row[0]
            path.insert(0, row[1])
        alike = [root]
        for key in path:
            query = "SELECT id FROM runs WHERE parent = ? AND parent_task = ?"
            alike = [found for run in alike for (found,) in base.execute(query, (run, key))]
        query = (
            "SELECT count(*) FROM attempts a JOIN runs r ON r.pk = a.run_pk "
            "WHERE r.id = ? AND a.task = ? AND a.state = 'FAILED' AND a.reason = 'error'"
        )
        return sum(base.execute(query, (run, task)).fetchone()[0] for run in alike)


def _write(state, task, phase):
    """Append one line, durably, in one call."""
    line = json.dumps([task["run"], task["id"], task["attempt"], phase]) + "\n"
    descriptor = os.open(state.parent / "told", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, line.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
