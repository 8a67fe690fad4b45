"""Statements on real SQLite files and on a real PostgreSQL."""

import sqlite3
import tracemalloc
import uuid

import pytest

from plugins import sql
from tests.plugins.contract import Bad, PluginContract, try_once
from tests.plugins.direct import call, refusal

PASSWORD = "hunter2-hunter2"  # noqa: S105 -- made up


class TestSql(PluginContract):
    task_type = "sql"

    @pytest.fixture
    def url(self, tmp_path):
        return f"sqlite:///{tmp_path}/a.db"

    @pytest.fixture
    def good(self, url):
        return {"url": url, "statement": "SELECT :a AS a, 1.5 AS b, NULL AS c", "params": {"a": "x"}}

    @pytest.fixture
    def bad(self, url):
        return [
            Bad({"url": url, "statement": "SELEC 1"}, "syntax error"),
            Bad({"url": url}, "statement"),
            Bad({"url": url, "statement": "SELECT 1", "statements": ["SELECT 1"]}, "statements"),
            Bad({"url": url, "statement": "SELECT 1", "params": [1]}, "params"),
            Bad({"url": url, "statement": "SELECT 1; SELECT 2"}, "one statement at a time"),
            Bad({"url": url, "statement": "SELECT :a AS a"}, "no value for a"),
            Bad({"url": url, "statement": "SELECT :a AS a", "params": {"A": 1}}, "no value for a and no place for A"),
            Bad({"url": url, "statement": "SELECT :a AS a", "params": {"a": 2**63}}, "too large"),
            Bad({"url": url, "statements": [{"statement": "SELECT 1", "params": {}}], "params": {}}, "belong to none"),
            Bad({"url": "nosuch://h/d", "statement": "SELECT 1"}, "there is no driver for nosuch"),
            Bad({"url": "::", "statement": "SELECT 1"}, "is not the URL of a database"),
            Bad({"url": "sqlite:////no/such/folder/a.db", "statement": "SELECT 1"}, "unable to open database file"),
        ]


class OnADatabase:
    """What holds on every database; a class for each inherits it and says `url`."""

    key = "INTEGER PRIMARY KEY"

    @pytest.fixture
    def url(self):
        raise NotImplementedError

    @pytest.fixture
    def ask(self, url):
        def ask(*statements, **fields):
            given = {"statement": statements[0]} if len(statements) == 1 else {"statements": list(statements)}
            return call(sql, {"url": url, **given, **fields})

        return ask

    @pytest.fixture
    def pets(self, ask):
        rows = [{"id": 1, "name": "Rex"}, {"id": 2, "name": "Mia"}, {"id": 3, "name": None}]
        insert = {"statement": "INSERT INTO pets (id, name) VALUES (:id, :name)", "params": rows}
        ask(f"CREATE TABLE pets (id {self.key}, name TEXT)", insert)
        return rows

    def test_rows_are_objects_by_column(self, ask, pets):
        output = ask("SELECT id, name FROM pets ORDER BY id")
        assert output == {"rows": pets, "columns": ["id", "name"], "count": 3, "affected": 0}

    def test_columns_of_one_name_are_told_apart(self, ask, pets):
        output = ask("SELECT p.id, q.id, 7 AS id FROM pets p JOIN pets q ON p.id = q.id WHERE p.id = 2")
        assert output["rows"] == [{"id": 2, "id_2": 2, "id_3": 7}]

    def test_changed_rows_are_counted(self, ask, pets):
        assert ask("UPDATE pets SET name = 'x' WHERE id > 1")["affected"] == 2
        assert ask("DELETE FROM pets WHERE id = :id", params=[{"id": 1}, {"id": 2}, {"id": 9}])["affected"] == 2
        assert ask("DELETE FROM pets WHERE id = :id", params=[])["affected"] == 0
        assert ask("SELECT count(*) AS n FROM pets")["rows"] == [{"n": 1}]

    def test_what_looks_like_sql_is_a_value(self, ask, pets):
        evil = "'; DROP TABLE pets; --"
        ask("UPDATE pets SET name = :name WHERE id = 1", params={"name": evil})
        assert ask("SELECT id FROM pets WHERE name = :name", params={"name": evil})["rows"] == [{"id": 1}]
        assert ask("SELECT count(*) AS n FROM pets")["rows"] == [{"n": 3}]

    def test_a_list_stands_for_what_is_between_the_brackets(self, ask, pets):
        statement = "SELECT id FROM pets WHERE id IN :ids ORDER BY id"
        assert ask(statement, params={"ids": [3, 1, 9]})["rows"] == [{"id": 1}, {"id": 3}]
        assert ask(statement, params={"ids": []})["rows"] == []

    def test_an_object_is_handed_over_as_json(self, ask, pets):
        ask("UPDATE pets SET name = :name WHERE id = 1", params={"name": {"a": [1]}})
        assert ask("SELECT name FROM pets WHERE id = 1")["rows"] == [{"name": '{"a":[1]}'}]

    def test_several_statements_share_their_params_and_give_all_results(self, ask, pets):
        own = {"statement": "SELECT id FROM pets WHERE name = :name", "params": {"name": "Rex"}}
        output = ask("DELETE FROM pets WHERE id = :id", own, params={"id": 2})
        assert output["rows"] == [{"id": 1}]
        assert [result["affected"] for result in output["results"]] == [1, 0]

    def test_all_of_a_transaction_is_kept_or_nothing(self, url, ask, pets):
        statements = ["CREATE TABLE more (a INTEGER)", "DELETE FROM pets", "INSERT INTO no_such_table VALUES (1)"]
        assert "no_such_table" in refusal(sql, {"url": url, "statements": statements})
        assert ask("SELECT count(*) AS n FROM pets")["rows"] == [{"n": 3}]
        assert "more" in refusal(sql, {"url": url, "statement": "SELECT * FROM more"})

    def test_too_many_rows_are_a_failure_that_keeps_nothing(self, url, ask, pets):
        statements = ["DELETE FROM pets WHERE id = 1", "SELECT id FROM pets"]
        message = refusal(sql, {"url": url, "statements": statements, "max_rows": 1})
        assert message == "'SELECT id FROM pets' gives more than 1 rows (`max_rows`)"
        assert ask("SELECT id FROM pets", max_rows=3)["count"] == 3

    def test_what_a_database_runs_alone_is_run_without_a_transaction(self, url, ask, pets):
        assert "VACUUM" in refusal(sql, {"url": url, "statement": "VACUUM"})
        assert ask("VACUUM", transaction=False)["count"] == 0

    def test_a_colon_in_a_text_or_a_cast_is_no_parameter(self, ask, pets):
        assert ask("SELECT '12:30' AS a, 'b' AS b WHERE :c = 1", params={"c": 1})["rows"] == [{"a": "12:30", "b": "b"}]

    def test_what_is_broken_by_a_rule_of_the_table_says_so_without_the_values(self, url, pets):
        fields = {"url": url, "statement": "INSERT INTO pets VALUES (:id, :name)", "params": {"id": 1, "name": "Zoe"}}
        message = refusal(sql, fields)
        assert "unique" in message.lower()
        assert "Zoe" not in message


class TestOnSqlite(OnADatabase):
    @pytest.fixture
    def url(self, tmp_path):
        return f"sqlite:///{tmp_path}/a.db"

    def test_bytes_are_base64(self, ask):
        assert ask("SELECT x'00ff' AS b")["rows"] == [{"b": "AP8="}]

    def test_another_program_finds_what_was_written(self, ask, pets, tmp_path):
        with sqlite3.connect(tmp_path / "a.db") as connection:
            assert connection.execute("SELECT count(*) FROM pets").fetchone() == (3,)
        connection.close()

    def test_infinity_is_a_text(self, ask):
        assert ask("SELECT 9e999 AS a")["rows"] == [{"a": "inf"}]


@pytest.mark.xdist_group("postgresql")
class TestOnPostgresql(OnADatabase):
    @pytest.fixture
    def url(self, postgresql):
        return postgresql.database()

    def test_every_kind_of_value_is_json(self, ask):
        number = uuid.uuid4()
        output = ask(
            "SELECT timestamptz '2027-03-01 12:00:00.5+02' AS instant, timestamp '2027-03-01 12:00' AS local,"
            " date '2027-03-01' AS day, time '12:30' AS clock, interval '90 min' AS span, numeric '1.10' AS exact,"
            f" '\\x00ff'::bytea AS bytes, '{number}'::uuid AS id, ARRAY[1, 2] AS list,"
            " '{\"a\": [1.5]}'::jsonb AS doc, true AS yes, NULL AS nothing,"
            " 'NaN'::float8 AS nan, numeric '100000000000000000000' AS large"
        )
        assert output["rows"] == [
            {
                "instant": "2027-03-01T10:00:00.500000Z",
                "local": "2027-03-01T12:00:00",
                "day": "2027-03-01",
                "clock": "12:30:00",
                "span": 5400.0,
                "exact": "1.10",
                "bytes": "AP8=",
                "id": str(number),
                "list": [1, 2],
                "doc": {"a": [1.5]},
                "yes": True,
                "nothing": None,
                "nan": "nan",
                "large": "100000000000000000000",
            }
        ]

    def test_decimals_may_be_numbers(self, ask):
        statement = "SELECT numeric '1.10' AS a, numeric '3' AS b, numeric 'NaN' AS c, numeric '1e30' AS d"
        assert ask(statement, decimals="number")["rows"] == [{"a": 1.1, "b": 3, "c": "NaN", "d": 1e30}]

    def test_of_a_large_result_no_more_is_fetched_than_may_be(self, url, ask):
        statement = "SELECT n, repeat('x', 1000) AS filler FROM generate_series(1, 2000000) AS n"
        tracemalloc.start()
        try:
            assert "more than 50 rows" in refusal(sql, {"url": url, "statement": statement, "max_rows": 50})
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert most < 20_000_000
        assert ask("SELECT 1 AS one INTO made")["affected"] == 1

    def test_rows_that_a_change_returns_are_handed_on(self, ask, pets):
        output = ask("DELETE FROM pets WHERE id = 1 RETURNING id, name")
        assert output["rows"] == [{"id": 1, "name": "Rex"}]


class TestTheUrl:
    @pytest.mark.parametrize(
        "url",
        [
            f"postgresql+psycopg://u:{PASSWORD}@127.0.0.1:1/d",
            f"postgresql+psycopg://u@127.0.0.1:1/d?password={PASSWORD}&bogus=1",
            f"postgresql+psycopg://u:{PASSWORD}@h:port/d",
            f"postgresql+psycopg://u:x@{PASSWORD}@h/d",
            f"nosuch://u:{PASSWORD}@h/d",
            f"{PASSWORD}",
        ],
    )
    def test_it_is_never_shown(self, url, capfd):
        tried = try_once("sql", {"url": url, "statement": "SELECT 1"})
        assert tried.outcome == "Failed"
        assert PASSWORD not in tried.message + "".join(capfd.readouterr())
