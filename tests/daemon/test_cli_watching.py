"""A run as it is watched: what is known of it, the picture on a terminal, the lines in a pipe, signals meanwhile."""

import io
import os
import signal
import threading
from collections import Counter
from queue import SimpleQueue

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.cli.output import Output
from daemon.cli.text import plain
from daemon.cli.watching.following import Died, Heard, Signals, SilentView, follow
from daemon.cli.watching.frame import Frame
from daemon.cli.watching.lines import LineView
from daemon.cli.watching.progress import Change, Progress, changes
from engine.facts import (
    Begin,
    Call,
    Cancel,
    Complete,
    Fail,
    Finish,
    Kill,
    Open,
    Order,
    Pause,
    RetryAt,
    Skip,
    Spread,
    Start,
    Stay,
    Unpause,
    WaitUntil,
    WindDown,
)
from engine.states import ENDED, MOVES, Reason, State

NOW = 1_800_000_000.0


def progress_of(count, kind="print"):
    return Progress((f"task-{number}", kind) for number in range(count))


def drawn(progress, *, width=80, height=24, now=NOW, tail=None, has_symbols=True, notice=""):
    frame = Frame(progress, ["nightly"], has_symbols=has_symbols, tail=tail)
    return [plain(tuple(line)) for line in frame.draw(now, width, height, notice)]


def change(number, state, at=NOW, **more):
    return Change(f"task-{number}", State(state), at, **more)


def test_orders_are_read_as_changes_and_what_changes_no_state_is_left_out():
    orders: list[Order] = [
        Begin(None),
        Start("a", 1, {}, {}),
        RetryAt("a", 1, NOW + 5, Reason.ERROR, "no"),
        WaitUntil("a", 2, NOW + 9),
        Complete("a", 2),
        Fail("b", 1, Reason.TIMEOUT, "late"),
        Skip("c", Reason.UPSTREAM_FAILED, "b did not"),
        Cancel("d", 0, Reason.USER),
        Kill("e", 1, Reason.USER),
        WindDown(State.FAILED, Reason.DEADLINE),
        Finish(State.FAILED, Reason.TASK_FAILED, "b failed"),
    ]
    assert [(found.task, found.state) for found in changes(orders, NOW)] == [
        (None, "RUNNING"),
        ("a", "RUNNING"),
        ("a", "RETRYING"),
        ("a", "WAITING"),
        ("a", "COMPLETED"),
        ("b", "FAILED"),
        ("c", "SKIPPED"),
        ("d", "CANCELLED"),
        (None, "FAILED"),
    ]


def test_orders_of_control_flow_are_read_as_changes_too():
    orders: list[Order] = [
        Stay(Reason.CONCURRENCY, "behind"),
        Spread("a", ("a[0]", "a[1]")),
        Spread("b", ("b[2]",), None, NOW + 3),
        Open("c", 1),
        Call("d", 1, "other", {}),
        Pause("lunch", "ann"),
        Unpause("", "ann"),
    ]
    assert [(found.task, found.state, found.until) for found in changes(orders, NOW)] == [
        (None, "WAITING", None),
        ("a", "RUNNING", None),
        ("a[0]", "PENDING", None),
        ("a[1]", "PENDING", None),
        ("b", "RUNNING", None),
        ("b[2]", "WAITING", NOW + 3),
        ("c", "RUNNING", None),
        ("d", "RUNNING", None),
        (None, "WAITING", None),
        (None, "RUNNING", None),
    ]


def spread(count):
    """Return a run of a task between two others that came to so many instances, the first of which failed."""
    progress = progress_of(3, "shell")
    for found in changes([Begin(None), Spread("task-1", tuple(f"task-1[{key}]" for key in range(count)))], NOW):
        progress.take(found)
    for key in range(count // 2):
        progress.take(Change(f"task-1[{key}]", State.RUNNING, NOW, 1))
    progress.take(Change("task-1[0]", State.FAILED, NOW + 1, 1, "exit_code", "no luck"))
    return progress


def test_instances_stand_under_their_task_and_are_counted_there():
    lines = drawn(spread(4))
    assert [line.split()[1] for line in lines[2:]] == [
        "task-0",
        "task-1",
        "task-1[0]",
        "task-1[1]",
        "task-1[2]",
        "task-1[3]",
        "task-2",
    ]
    assert "4 instances: 1 failed, 2 pending, 1 running" in lines[3]


def test_of_ten_thousand_instances_those_are_drawn_that_tell_something():
    lines = drawn(spread(10_000))
    assert len(lines) <= 24
    assert any("task-1[0]" in line and "no luck" in line for line in lines)
    assert "more:" in lines[-1]


def test_in_a_pipe_ten_thousand_instances_are_counts_and_failures():
    progress = spread(10_000)
    text = io.StringIO()
    view = LineView(Output(text, {}), progress, "run x")
    news = [Change(f"task-1[{key}]", State.COMPLETED, NOW + 2, 1) for key in range(1, 5000)]
    news.append(Change("task-1[5000]", State.FAILED, NOW + 2, 1, "exit_code", "bad"))
    view.take([found for found in news if progress.take(found)])
    assert [line.split(" ", 1)[1] for line in text.getvalue().splitlines()] == ["task-1[5000] failed: bad"]


def test_what_is_no_news_is_told_once():
    progress = progress_of(1)
    again = [Spread("task-0", (f"task-0[{number}]",)) for number in (1, 2)]
    told = [found for found in changes(again, NOW) if progress.take(found)]
    assert [found.task for found in told] == ["task-0", "task-0[1]", "task-0[2]"]
    assert not progress.take(Change("stranger[1]", State.RUNNING, NOW, 1))


MESSAGES = ("", "no answer", "größer", "x" * 200)


def play(progress, chooser, length):
    """Take in random legal changes."""
    for _ in range(length):
        task = chooser.choice(list(progress.tasks.values()))
        following = sorted(MOVES[task.state])
        if following:
            until = chooser.choice([None, NOW + 3])
            state, message = State(chooser.choice(following)), chooser.choice(MESSAGES)
            progress.take(Change(task.id, state, NOW, chooser.randint(0, 3), "error", message, until))


@given(st.randoms(use_true_random=False), st.integers(0, 80), st.integers(1, 120), st.integers(1, 40))
def test_whatever_happens_every_task_is_counted_once_and_no_picture_is_too_high(chooser, length, width, height):
    progress = progress_of(28)
    play(progress, chooser, length)
    counted = Counter(task.state for task in progress.tasks.values())
    assert {state: count for state, count in progress.counts.items() if count} == counted
    for room in (0, 1, 5, 27, 28):
        focus = progress.focus(room)
        assert len({task.id for task in focus}) == len(focus) <= room
    assert len(drawn(progress, width=width, height=height, has_symbols=False)) <= height


def test_without_symbols_a_picture_is_plain_ascii():
    progress = progress_of(len(State))
    for number, state in enumerate(State):
        progress.take(change(number, state))
    assert all(line.isascii() for line in drawn(progress, has_symbols=False))


def test_a_small_run_shows_every_task_in_the_order_of_the_document():
    progress = progress_of(4)
    progress.take(Change(None, State.RUNNING, NOW - 2))
    progress.take(change(0, "RUNNING", NOW - 2, attempt=1))
    progress.take(change(0, "COMPLETED", NOW - 1, attempt=1))
    progress.take(change(1, "RUNNING", NOW - 1, attempt=2))
    progress.take(change(2, "RETRYING", until=NOW + 3, attempt=1, message="no answer"))
    head, bar, *rows = drawn(progress, tail=lambda task, attempt: f"{task} said {attempt}")
    assert head == "nightly  RUNNING  2.0 s"
    assert bar.endswith(" 1 of 4  1 running  1 retrying")
    assert rows[0].split() == ["✓", "task-0", "print", "1.0", "s"]
    assert rows[1].split()[1:] == ["task-1", "print", "1.0", "s", "attempt", "2", "task-1", "said", "2"]
    assert rows[2].split() == ["↻", "task-2", "print", "attempt", "2", "in", "3.0", "s:", "no", "answer"]
    assert rows[3].split() == ["·", "task-3", "print"]


def test_a_large_run_shows_what_runs_and_what_failed_and_counts_the_rest():
    progress = progress_of(20_000)
    for number in range(9_000):
        progress.take(change(number, "COMPLETED"))
    for number in range(9_000, 9_100):
        progress.take(change(number, "FAILED", message="broke"))
    for number in range(9_100, 9_108):
        progress.take(change(number, "RUNNING"))
    lines = drawn(progress, height=23)
    assert len(lines) == 23
    assert sum("broke" in line for line in lines) >= 6
    assert [f"task-{number} " in " ".join(lines) for number in range(9_100, 9_108)] == [True] * 8
    assert lines[-1].startswith("  and 19,98")
    assert "10,892 pending" in lines[-1]


@pytest.mark.parametrize(("height", "count"), [(1, 1), (2, 2), (3, 3), (4, 4), (10, 10)])
def test_a_tiny_terminal_gets_what_fits(height, count):
    progress = progress_of(100)
    for number in range(20):
        progress.take(change(number, "RUNNING"))
    assert len(drawn(progress, width=20, height=height)) == count


def test_a_narrow_terminal_has_no_column_for_types():
    progress = progress_of(1)
    assert "print" in drawn(progress, width=80)[2]
    assert "print" not in drawn(progress, width=40)[2]


def test_a_notice_stands_below_the_tasks():
    assert drawn(progress_of(2), notice="cancelling")[-1] == "cancelling"


def lines_of(count, happened):
    stream, progress = io.StringIO(), progress_of(count)
    view = LineView(Output(stream, {}), progress, "run 1 of nightly")
    for each in happened:
        progress.take(each)
        view.take([each])
    view.refresh()
    return [line.split(" ", 1)[1] for line in stream.getvalue().splitlines()]


def test_a_pipe_gets_a_line_for_everything_that_happens_to_a_task():
    said = lines_of(
        3,
        [
            Change(None, State.RUNNING, NOW),
            change(0, "RUNNING", attempt=1),
            change(0, "RETRYING", NOW + 1, attempt=1, reason="error", message="no\nluck", until=NOW + 3),
            change(0, "RUNNING", NOW + 3, attempt=2),
            change(0, "FAILED", NOW + 4, attempt=2, reason="timeout"),
            change(1, "SKIPPED", NOW + 4, reason="upstream_failed", message="task-0 did not complete"),
            change(2, "RUNNING", attempt=1),
            change(2, "COMPLETED", NOW + 1, attempt=1),
        ],
    )
    assert said == [
        "run 1 of nightly begins",
        "task-0 started",
        "task-0 failed, next attempt in 2.0 s: no\\nluck",
        "task-0 started (attempt 2)",
        "task-0 failed after 4.0 s (attempt 2): the attempt took longer than its timeout and was killed",
        "task-1 skipped: task-0 did not complete",
        "task-2 started",
        "task-2 completed after 1.0 s",
    ]


def test_of_a_large_run_a_pipe_gets_what_went_wrong_only():
    happened = [change(number, "RUNNING", attempt=1) for number in range(600)]
    happened += [change(number, "COMPLETED", attempt=1) for number in range(599)]
    assert lines_of(600, [*happened, change(599, "FAILED", attempt=1, message="broke")]) == [
        "task-599 failed after 0 ms: broke"
    ]


def queue() -> Heard:
    return SimpleQueue()


class RecordingView(SilentView):
    def __init__(self):
        self.notes, self.taken = [], []

    def take(self, changes):
        self.taken += changes

    def note(self, sentence):
        self.notes.append(sentence)


ENDING = [Change(None, State.CANCELLED, NOW, reason="user")]


def test_following_ends_with_the_run_and_takes_in_what_came_together():
    heard, view = queue(), RecordingView()
    heard.put([Change(None, State.RUNNING, NOW)])
    heard.put(iter([change(0, "RUNNING"), change(0, "COMPLETED")]))
    heard.put([Change(None, State.COMPLETED, NOW)])
    progress = progress_of(1)
    assert follow(heard, progress, view, lambda: None) is None
    assert progress.tasks["task-0"].state in ENDED
    assert len(view.taken) == 4


def test_the_first_signal_asks_for_a_cancel_and_the_run_may_end_by_it():
    heard, view = queue(), RecordingView()
    with Signals() as signals:
        signals.into(heard)
        signal.raise_signal(signal.SIGINT)
        assert follow(heard, progress_of(1), view, lambda: heard.put(ENDING)) is None
    assert view.notes == ["Ctrl-C: cancelling, what runs may finish cleaning up; once more kills it at once"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_second_signal_cuts_the_following_short(number):
    heard, asked = queue(), []
    with Signals() as signals:
        signals.into(heard)
        signal.raise_signal(number)
        signal.raise_signal(number)
        assert follow(heard, progress_of(1), SilentView(), lambda: asked.append(1)) == number
    assert asked == [1]


def test_a_signal_wakes_who_waits_for_the_run():
    heard, pid = queue(), os.getpid()
    view = SilentView()
    view.patience = 1000.0
    with Signals() as signals:
        signals.into(heard)
        threading.Timer(0.05, os.kill, (pid, signal.SIGTERM)).start()
        assert follow(heard, progress_of(1), view, lambda: heard.put(ENDING)) is None


def test_a_signal_before_the_run_is_there_interrupts_and_handlers_are_put_back():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), Signals():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_that_was_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_whoever_follows_hears_of_the_death_of_who_runs():
    heard = queue()
    heard.put(Died(OSError("disk gone")))
    with pytest.raises(OSError, match="disk gone"):
        follow(heard, progress_of(1), SilentView(), lambda: None)


def test_whoever_keeps_talking_does_not_keep_the_picture_from_being_drawn():
    heard, drawn = queue(), []

    class Talkative(SilentView):
        def take(self, changes):
            heard.put([change(0, "RUNNING")])

        def refresh(self):
            drawn.append(1)
            if len(drawn) == 3:
                heard.put(ENDING)

    heard.put([change(0, "RUNNING")])
    assert follow(heard, progress_of(1), Talkative(), lambda: None) is None
    assert len(drawn) >= 3
