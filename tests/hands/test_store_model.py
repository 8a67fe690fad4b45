"""The store against a model: every state of a task, every order, every attempt number, alone and in random batches."""

from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.facts import Call, Cancel, Complete, Fail, Kill, Open, Order, RetryAt, Skip, Spread, Start, WaitUntil, Warn
from engine.states import ENDED, IllegalMoveError, Reason, State, move
from tests.hands.memory import Memory

STARTS = (Start, Open, Call)
KINDS = (*STARTS, Complete, Fail, Cancel, Skip, RetryAt, WaitUntil, Kill, Spread, Warn)
TARGETS = {Complete: State.COMPLETED, Fail: State.FAILED, Cancel: State.CANCELLED, Skip: State.SKIPPED}

# Every instance has a key of its own.
INSTANCES = count()


class Row(NamedTuple):
    """What the model knows of a task; one that has spread is RUNNING without an attempt."""

    state: State = State.PENDING
    attempt: int = 0
    is_warned: bool = False

    @property
    def has_open_attempt(self) -> bool:
        return self.state in (State.RUNNING, State.WAITING) and self.attempt > 0


def after(row: Row, kind: type, attempt: int) -> Row:
    """Move a task as an order says, by the table of moves alone; IllegalMoveError where it does not apply."""
    is_this_attempt = row.has_open_attempt and attempt == row.attempt
    if kind is Warn:
        if row.is_warned or row.state in ENDED:
            raise IllegalMoveError(row.state, row.state)
        return row._replace(is_warned=True)
    if kind is Spread:
        if row.attempt:
            raise IllegalMoveError(row.state, State.RUNNING)
        return row if row.state is State.RUNNING else row._replace(state=move(row.state, State.RUNNING))
    if kind in STARTS:
        goes_on = row.state is State.WAITING and is_this_attempt
        if not goes_on and (row.has_open_attempt or attempt != row.attempt + 1):
            raise IllegalMoveError(row.state, State.RUNNING)
        return row._replace(state=move(row.state, State.RUNNING), attempt=attempt)
    if kind in TARGETS:
        applies = is_this_attempt if attempt and kind is not Skip else not row.has_open_attempt
        if not applies:
            raise IllegalMoveError(row.state, TARGETS[kind])
        return row._replace(state=move(row.state, TARGETS[kind]))
    if not is_this_attempt or (kind in (WaitUntil, Kill) and row.state is not State.RUNNING):
        raise IllegalMoveError(row.state, State.RETRYING)
    if kind is RetryAt:
        return row._replace(state=move(move(row.state, State.FAILED), State.RETRYING))
    return row if kind is Kill else row._replace(state=move(row.state, State.WAITING))


def order(kind: type, task: str, attempt: int) -> Order:
    match kind:
        case _ if kind is Start:
            return Start(task, attempt, {}, {})
        case _ if kind is Open:
            return Open(task, attempt)
        case _ if kind is Call:
            return Call(task, attempt, None, {})
        case _ if kind is Complete:
            return Complete(task, attempt)
        case _ if kind is Spread:
            return Spread(task, (f"{task}[{next(INSTANCES)}]",))
        case _ if kind is Warn:
            return Warn(task, "late")
        case _ if kind is Skip:
            return Skip(task, Reason.CONDITION_FALSE)
        case _ if kind in (RetryAt, WaitUntil):
            return kind(task, attempt, 1.0)
        case _:
            return kind(task, attempt, Reason.USER)


class ModelContract:
    """Expects a class-wide `memory`: hypothesis runs many examples in one test, each with a run of its own."""

    numbers = count()

    @pytest.mark.parametrize("kind", KINDS)
    def test_every_order_moves_exactly_the_states_that_the_table_allows(self, memory: Memory, kind):
        rows = [Row(state, attempt) for state in State for attempt in (0, 1, 2)]
        for row in rows:
            # Not every order names an attempt.
            for attempt in (0,) if kind in (Skip, Spread, Warn) else (0, 1, 2, 3):
                assert self.is_taken(memory, row, kind, attempt) == is_legal(row, kind, attempt), (row, attempt)

    def is_taken(self, memory: Memory, row: Row, kind: type, attempt: int) -> bool:
        """Put a task into a state past our own code, and see whether the store carries an order out."""
        run = memory.create(f"m{next(self.numbers)}", "a")
        [(pk,)] = memory.rows("SELECT pk FROM runs WHERE id = :run", run=run)
        ended_at = 1.0 if row.state in ENDED else None
        memory.rows(
            "UPDATE tasks SET state = :state, attempt = :attempt, ended_at = :ended_at WHERE run_pk = :pk",
            state=row.state.value,
            attempt=row.attempt,
            ended_at=ended_at,
            pk=pk,
        )
        for number in range(1, row.attempt + 1):
            is_open = number == row.attempt and row.has_open_attempt
            memory.rows(
                "INSERT INTO attempts (run_pk, task, number, state, message, started_at)"
                " VALUES (:pk, 'a', :number, :state, '', 1)",
                pk=pk,
                number=number,
                state=row.state.value if is_open else "FAILED",
            )
        return memory.write(run, order(kind, "a", attempt))


# Which attempt an order names, seen from where the task stands: none, the last one, the next one, an older one.
ATTEMPTS = {
    "none": lambda row: 0,
    "this": lambda row: row.attempt,
    "next": lambda row: row.attempt + 1,
    "old": lambda row: row.attempt - 1,
}
BATCHES = st.lists(
    st.lists(
        st.tuples(st.sampled_from(KINDS), st.sampled_from("ab"), st.sampled_from(sorted(ATTEMPTS))),
        min_size=1,
        max_size=4,
    ),
    max_size=15,
)


def check_batches(memory: Memory, run: str, batches: list[list[tuple[type, str, str]]]) -> None:
    """Write batch after batch: each goes through whole where the model takes all of it, else it leaves no trace."""
    memory.begin(run, "a", "b")
    model = {"a": Row(), "b": Row()}
    for batch in batches:
        trial, is_good, orders = dict(model), True, []
        for kind, task, which in batch:
            attempt = max(0, ATTEMPTS[which](trial[task]))
            orders.append(order(kind, task, attempt))
            if is_legal(trial[task], kind, attempt):
                trial[task] = after(trial[task], kind, attempt)
            else:
                is_good = False
        before = memory.trail(run)
        assert memory.write(run, *orders) == is_good
        if is_good:
            model = trial
        else:
            assert memory.trail(run) == before
    shown = {task.id: (task.state, task.attempts) for task in memory.history.run(run).tasks or () if task.id in model}
    assert shown == {task: (row.state, row.attempt) for task, row in model.items()}
    warned = "SELECT key FROM tasks JOIN runs ON pk = run_pk WHERE id = :run AND tasks.is_warned"
    assert {key for (key,) in memory.rows(warned, run=run)} == {task for task, row in model.items() if row.is_warned}
    for task, row in model.items():
        tried = memory.history.attempts(run, task)
        assert [attempt.attempt for attempt in tried] == list(range(1, row.attempt + 1))
        is_open = [attempt.state in (State.RUNNING, State.WAITING) for attempt in tried]
        assert is_open == [False] * (len(tried) - 1) + [row.has_open_attempt] * bool(tried)


def is_legal(row: Row, kind: type, attempt: int) -> bool:
    try:
        after(row, kind, attempt)
    except IllegalMoveError:
        return False
    return True


class TestOnSqlite(ModelContract):
    @pytest.fixture(scope="class")
    @classmethod
    def memory(cls, tmp_path_factory) -> Iterator[Memory]:
        folder = tmp_path_factory.mktemp("model")
        memory = Memory(f"sqlite:///{folder}/state.db", folder)
        yield memory
        memory.close()

    @settings(max_examples=60)
    @given(BATCHES)
    def test_random_batches_leave_what_the_model_says(self, memory: Memory, batches):
        check_batches(memory, f"h{next(self.numbers)}", batches)


@pytest.mark.xdist_group("postgresql")
class TestOnPostgresql(ModelContract):
    @pytest.fixture(scope="class")
    @classmethod
    def memory(cls, postgresql, tmp_path_factory) -> Iterator[Memory]:
        memory = Memory(postgresql.database(), tmp_path_factory.mktemp("model"))
        yield memory
        memory.close()

    @settings(max_examples=30)
    @given(BATCHES)
    def test_random_batches_leave_what_the_model_says(self, memory: Memory, batches):
        check_batches(memory, f"h{next(self.numbers)}", batches)
