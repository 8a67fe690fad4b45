"""Writes down that it began and ended where no daemon looks, and behaves as its fields say for each attempt."""

import os
import threading
from pathlib import Path

from engine.task import InterruptedByEngineError, later

TASK_TYPE = "ledger"
REQUIRED_FIELDS = ["ledger"]
_PAUSE_SECONDS = 0.002
_NEVER = 1_000_000.0
_MUCH = 1 << 40


def run(task):
    """Follow `script`, a word for each attempt, the last one for all further ones; `seconds` is how long it takes."""
    script = task.get("script", ["ok"])
    word = script[min(task["attempt"], len(script)) - 1]
    if task["memo"] is None:
        _write(task, "begin")
        if word == "later":
            later(0.01, {"called": 1})
    try:
        _pass_time(task, _NEVER if word == "hang" else task.get("seconds", 0.0))
    except InterruptedByEngineError:
        _write(task, "asked")
        raise
    if word == "die":
        os._exit(9)
    if word == "grow":
        bytearray(_MUCH)
    _write(task, "end")
    if word == "raise":
        raise ValueError(word)
    task["output"] = {"attempt": task["attempt"], "inputs": sorted(task["inputs"])}
    return word != "fail"


def _pass_time(task, seconds):
    """Take so long, or until the file `until` exists."""
    moment = threading.Event()
    until = Path(task["until"]) if "until" in task else None
    if until is None:
        moment.wait(seconds)
        return
    while not until.exists():
        moment.wait(_PAUSE_SECONDS)


def _write(task, phase):
    """Append one record of 64 bytes, durably, in one call: it is whole or not there."""
    record = f"{task['run']:<26} {task['id']:<24} {task['attempt']:>4} {phase:<6}\n".encode()
    descriptor = os.open(task["ledger"], os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, record)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
