"""The frozen values that cross a process boundary: pool, fork server and worker speak these and nothing else.

Encoded as MessagePack, one frame (4 bytes of length, big-endian) a list of messages. Outputs and inputs travel as JSON
bytes inside, so nobody on the way decodes them.
"""

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec

from engine.limits import Limits
from engine.task import Catalogue


class Dispatch(msgspec.Struct, frozen=True, tag_field="kind", tag="d", array_like=True, gc=False):
    """Pool to worker: call the plugin of `type` for this attempt.

    `seq` names the attempt on this pipe; `fields` is JSON; `secrets` are the values to redact;
    limits and the timeout are bytes and seconds, `origin` the type of the trigger that the document or its parameters
    came by.
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
    origin: str = ""
    timeout: float | None = None


class Done(msgspec.Struct, frozen=True, tag_field="kind", tag="r", array_like=True, gc=False):
    """Worker to pool: how the attempt ended; `outcome` is the name of the fact it becomes.

    For Deferred, `delay` is seconds and `output` the memo. `leaving` is set by the worker alone: it ends itself now,
    and only when it is gone nothing of the attempt is alive.
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
    leaving: bool = False


class Said(msgspec.Struct, frozen=True, tag_field="kind", tag="l", array_like=True):
    """Worker to pool: what the attempt wrote to its standard output and error since the last of these."""

    seq: int
    data: bytes
    dropped: int = 0


class Returned(msgspec.Struct, frozen=True, tag_field="kind", tag="b", array_like=True):
    """Worker to pool: these attempts were never begun and go back unharmed."""

    seqs: tuple[int, ...]


class Load(msgspec.Struct, frozen=True, tag_field="kind", tag="L", array_like=True):
    """Pool to fork server, first of all: import the plugins found here; `settings` is handed on to the runner."""

    builtin_package: str
    folders: tuple[str, ...]
    settings: dict[str, Any]
    limits: Limits


class Hello(msgspec.Struct, frozen=True, tag_field="kind", tag="h", array_like=True):
    """Worker to pool, first of all: it has got as far as reading what it is sent."""


class Fork(msgspec.Struct, frozen=True, tag_field="kind", tag="F", array_like=True):
    """Pool to fork server: fork worker number `worker`; its descriptors come along with the message.

    `slot` is its place on the board that worker and pool share.
    """

    worker: int
    slot: int = 0


class End(msgspec.Struct, frozen=True, tag_field="kind", tag="E", array_like=True):
    """Pool to fork server: end a worker; `hard` kills its whole tree at once, otherwise it is asked (SIGTERM)."""

    worker: int
    hard: bool


class Forked(msgspec.Struct, frozen=True, tag_field="kind", tag="f", array_like=True):
    """Fork server to pool: worker number `worker` is process `pid`."""

    worker: int
    pid: int


class Exited(msgspec.Struct, frozen=True, tag_field="kind", tag="x", array_like=True):
    """Fork server to pool: the worker is reaped and nothing of its tree is alive; `status` as `os.waitpid` gives it.

    `said` is what was left in the pipe of its standard output.
    """

    worker: int
    pid: int
    status: int
    cpu_seconds: float = 0.0
    memory_bytes: int = 0
    said: bytes = b""


class Ready(msgspec.Struct, frozen=True, tag_field="kind", tag="c", array_like=True):
    """Fork server to pool: plugins are imported; this is what there is."""

    catalogue: Catalogue


class Refused(msgspec.Struct, frozen=True, tag_field="kind", tag="n", array_like=True):
    """Fork server to pool: the fork failed; `detail` says why."""

    worker: int
    detail: str


ToWorker = Dispatch
FromWorker = Hello | Done | Said | Returned
ToServer = Load | Fork | End
FromServer = Forked | Exited | Ready | Refused

Settings = dict[str, Any]
Message = TypeVar("Message", bound=msgspec.Struct)

_HEADER_BYTES = 4
_ENCODER = msgspec.msgpack.Encoder()


def frame(messages: Sequence[msgspec.Struct]) -> bytes:
    """Encode messages as one frame."""
    body = _ENCODER.encode(messages)
    return len(body).to_bytes(_HEADER_BYTES, "big") + body


class FrameError(ValueError):
    """What came in is not a frame of ours; nothing that follows on this pipe can be trusted.

    `before` holds the messages that were whole before it.
    """

    def __init__(self, detail: str, before: Sequence[Any] = ()) -> None:
        super().__init__(detail)
        self.before = before


class Frames(Generic[Message]):
    """Put frames together from the pieces they arrive in."""

    def __init__(self, kinds: Any, most_bytes: int = 1 << 31) -> None:
        """Read messages of the union `kinds`; a frame longer than `most_bytes` is refused before it is kept."""
        self._decoder: msgspec.msgpack.Decoder[list[Message]] = msgspec.msgpack.Decoder(list[kinds])
        self._most_bytes = most_bytes
        self._rest = bytearray()
        self._error = ""

    def feed(self, data: bytes) -> list[Message]:
        """Take the next piece and return the messages that are complete with it.

        Raises FrameError, from then on each time.
        """
        if self._error:
            raise FrameError(self._error)
        if self._rest:
            self._rest += data
            whole: bytes | bytearray = self._rest
        else:
            whole = data
        messages: list[Message] = []
        start, end = 0, len(whole)
        with memoryview(whole) as view:
            while end - start >= _HEADER_BYTES:
                after = start + _HEADER_BYTES + int.from_bytes(view[start : start + _HEADER_BYTES], "big")
                if after - start > self._most_bytes:
                    self._error = f"a frame of {after - start} bytes is longer than {self._most_bytes}"
                    raise FrameError(self._error, messages)
                if after > end:
                    break
                try:
                    messages += self._decoder.decode(view[start + _HEADER_BYTES : after])
                except msgspec.MsgspecError as error:
                    self._error = str(error)
                    raise FrameError(self._error, messages) from error
                start = after
        if whole is self._rest:
            del self._rest[:start]
        elif start < end:
            self._rest += data[start:]
        return messages
