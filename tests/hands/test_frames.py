"""Messages between processes arrive whole, in order, however the pieces are cut; what is not ours is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.limits import Limits
from engine.messages import (
    Dispatch,
    Done,
    End,
    Exited,
    Fork,
    Forked,
    FrameError,
    Frames,
    FromServer,
    FromWorker,
    Hello,
    Load,
    Ready,
    Refused,
    Returned,
    Said,
    ToServer,
    ToWorker,
    frame,
)
from engine.task import BrokenPlugin, Catalogue, TaskType

CATALOGUE = Catalogue(
    {"a": TaskType(type="a", required_fields=("x",), param_schema={"type": "object"}, fields=("x",))},
    (BrokenPlugin(source="b.py", code="import_error", message="no"),),
)
EXAMPLES: dict[Any, list[Any]] = {
    ToWorker: [Dispatch(1, "r", "t", 1, "print", b'{"a":1}', {"x": b"[1]"}, b"null", ("s",), 5, 1.5)],
    FromWorker: [Hello(), Done(1, "Succeeded", b"{}", leaving=True), Said(1, b"\xff\x00", 3), Returned((1, 2))],
    ToServer: [Load("plugins", ("/a",), {"t": {"k": [1]}}, Limits()), Fork(1, 2), End(1, True)],
    FromServer: [Forked(1, 99), Exited(1, 99, 9, 0.5, 7, b"bye"), Ready(CATALOGUE), Refused(1, "why")],
}


@pytest.mark.parametrize("kinds", EXAMPLES, ids=str)
def test_every_message_comes_back_equal(kinds):
    assert Frames(kinds).feed(frame(EXAMPLES[kinds])) == EXAMPLES[kinds]


@given(st.lists(st.lists(st.binary(max_size=50), max_size=5), max_size=6), st.lists(st.integers(1, 60), min_size=1))
def test_however_the_stream_is_cut_the_messages_are_the_same(groups, sizes):
    messages = [Said(number, data) for number, group in enumerate(groups) for data in group]
    stream = b"".join(frame([Said(number, data) for data in group]) for number, group in enumerate(groups))
    frames: Frames[Any] = Frames(FromWorker)
    heard: list[Any] = []
    turn = 0
    while stream:
        size = sizes[turn % len(sizes)]
        heard += frames.feed(stream[:size])
        stream, turn = stream[size:], turn + 1

    assert heard == messages


@pytest.mark.parametrize("junk", [b"\x00\x00\x00\x04junk", b"\x00\x00\x00\x00", frame([Fork(1)]), b"\xff\xff\xff\xffx"])
def test_what_is_not_ours_is_refused_from_then_on(junk):
    frames: Frames[Any] = Frames(FromWorker, 10_000)
    good = Done(1, "Succeeded")

    with pytest.raises(FrameError) as refusal:
        frames.feed(frame([good]) + junk + frame([good]))

    assert refusal.value.before == [good]
    with pytest.raises(FrameError):
        frames.feed(frame([good]))


def test_a_frame_that_is_too_long_is_refused_by_its_header():
    frames: Frames[Any] = Frames(FromWorker, 1000)

    with pytest.raises(FrameError, match="longer than 1000"):
        frames.feed((2000).to_bytes(4, "big"))
