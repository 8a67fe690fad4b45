"""History's contract on SQLite and on PostgreSQL, and on SQLite that every list stands on an index."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from engine.history import History
from engine.values import Values
from tests.hands.history_contract import HistoryContract
from tests.hands.memory import Memory


class TestOnSqlite(HistoryContract):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/state/state.db"

    @pytest.mark.parametrize(
        "chosen", list(product([False, True], repeat=6)), ids=lambda chosen: "".join(str(int(one)) for one in chosen)
    )
    def test_every_list_reads_an_index_in_its_order_and_stops_at_its_limit(self, memory: Memory, chosen):
        memory.create("r")
        filters: dict[str, Any] = {
            "state": "FAILED",
            "workflow": "w",
            "trigger": "cli",
            "parent": "p",
            "since": 1.0,
            "before": "r",
        }
        given = {name: value for (name, value), is_given in zip(filters.items(), chosen, strict=True) if is_given}
        plans = plans_of(memory, lambda: memory.history.runs(**given))
        assert plans
        for plan in plans:
            assert "USING INDEX" in plan or "USING COVERING INDEX" in plan, plan
            assert "TEMP B-TREE" not in plan, plan

    def test_one_run_and_its_trail_are_found_by_index(self, memory: Memory):
        memory.create("r1x")

        def read() -> None:
            memory.history.run("1x")
            memory.history.events("r1x")
            memory.history.counts()
            memory.history.references()
            memory.history.expansions("r1x")
            memory.history.open_runs()

        plans = plans_of(memory, read)
        assert len(plans) > 8
        assert [plan for plan in plans if "SCAN" in plan and "INDEX" not in plan] == []

    def test_where_nothing_was_ever_recorded_there_is_nothing(self, tmp_path: Path):
        history = History(f"sqlite:///{tmp_path}/none/state.db", values=Values(tmp_path / "values"))
        assert [history.runs(), history.open_runs(), history.workflows()] == [[], [], []]
        assert list(tmp_path.iterdir()) == []
        history.close()

    def test_a_history_that_found_nothing_finds_what_is_recorded_later(self, tmp_path: Path):
        url = f"sqlite:///{tmp_path}/late/state.db"
        history = History(url, values=Values(tmp_path / "values"))
        assert history.runs() == []
        memory = Memory(url, tmp_path)
        memory.create("r")
        assert [run.id for run in history.runs()] == ["r"]
        memory.close()
        assert [run.id for run in history.runs()] == ["r"]
        history.close()

    def test_a_reader_holds_nothing_between_two_reads(self, memory: Memory):
        memory.begin("r", "a")
        memory.history.run("r")
        assert memory.rows("PRAGMA wal_checkpoint(TRUNCATE)")[0][0] == 0

    def test_a_reader_cannot_write(self, memory: Memory):
        with memory.history._reading() as connection, pytest.raises(OperationalError, match="readonly"):
            connection.exec_driver_sql("DELETE FROM runs")


@pytest.mark.xdist_group("postgresql")
class TestOnPostgresql(HistoryContract):
    @pytest.fixture
    def url(self, postgresql) -> str:
        return postgresql.database()


def plans_of(memory: Memory, read) -> list[str]:
    """Return SQLite's plan for every query of a read."""
    asked: list[tuple[str, tuple]] = []

    def note(_connection, _cursor, statement, parameters, *_) -> None:
        asked.append((statement, parameters))

    memory.history.runs()
    engine = memory.history._engine
    event.listen(engine, "before_cursor_execute", note)
    read()
    event.remove(engine, "before_cursor_execute", note)
    plans = []
    with engine.connect() as connection:
        for statement, parameters in asked:
            if statement.startswith("SELECT"):
                details = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans.append("; ".join(row[3] for row in details))
    return plans
