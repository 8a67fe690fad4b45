"""The frozen values that cross a process boundary: pool, fork server and worker speak these and nothing else.

Encoded as MessagePack, one frame (4 bytes of length, big-endian) a list of messages. Outputs and inputs travel as JSON
bytes inside, so nobody on the way decodes them.
"""

from typing import Any

import msgspec

from engine.task import Catalogue


class Dispatch(msgspec.Struct, frozen=True, tag_field="kind", tag="d", array_like=True, gc=False):
    """Pool to worker: call the plugin of `type` for this attempt.

    `seq` names the attempt on this pipe; `fields` is JSON; `secrets` are the values to redact;
    limits are bytes and seconds.
    """

    seq: int
    run: str
    task: str
    attempt: int
    type: str
    fields: bytes
    inputs: dict[str, bytes]
    memo: bytes = b"null"
    secrets: tuple[str, ...] = ()
    memory_limit: int | None = None
    cpu_limit: float | None = None


class Done(msgspec.Struct, frozen=True, tag_field="kind", tag="r", array_like=True, gc=False):
    """Worker to pool: how the attempt ended; `outcome` is the name of the fact it becomes.

    `ended` is monotonic seconds by the worker (the same clock on one machine).
    """

    seq: int
    outcome: str
    output: bytes = b"null"
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    delay: float = 0.0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    memory_bytes: int = 0


class Said(msgspec.Struct, frozen=True, tag_field="kind", tag="l", array_like=True):
    """Worker to pool: what the attempt wrote to its standard output and error since the last of these."""

    seq: int
    data: bytes
    dropped: int = 0


class Returned(msgspec.Struct, frozen=True, tag_field="kind", tag="b", array_like=True):
    """Worker to pool: these attempts were never begun and go back unharmed."""

    seqs: tuple[int, ...]


class Fork(msgspec.Struct, frozen=True, tag_field="kind", tag="F", array_like=True):
    """Pool to fork server: fork worker number `worker`; its descriptors come along with the message."""

    worker: int


class End(msgspec.Struct, frozen=True, tag_field="kind", tag="E", array_like=True):
    """Pool to fork server: end a worker; `hard` kills its whole tree at once, otherwise it is asked (SIGTERM)."""

    worker: int
    hard: bool


class Forked(msgspec.Struct, frozen=True, tag_field="kind", tag="f", array_like=True):
    """Fork server to pool: worker number `worker` is process `pid`."""

    worker: int
    pid: int


class Exited(msgspec.Struct, frozen=True, tag_field="kind", tag="x", array_like=True):
    """Fork server to pool: the worker is reaped and nothing of its tree is alive; `status` as `os.waitpid` gives it."""

    worker: int
    pid: int
    status: int


class Ready(msgspec.Struct, frozen=True, tag_field="kind", tag="c", array_like=True):
    """Fork server to pool: plugins are imported; this is what there is."""

    catalogue: Catalogue


class Refused(msgspec.Struct, frozen=True, tag_field="kind", tag="n", array_like=True):
    """Fork server to pool: the fork failed; `detail` says why."""

    worker: int
    detail: str


ToWorker = Dispatch
FromWorker = Done | Said | Returned
ToServer = Fork | End
FromServer = Forked | Exited | Ready | Refused

Settings = dict[str, Any]
