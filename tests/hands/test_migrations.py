"""The tables made at once and the tables made revision by revision are the same, on both databases."""

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, create_engine, text

from engine import database, migrations, tables
from engine.facts import Complete, Finish, Spread
from engine.states import State
from tests.hands.memory import Memory, complete, start
from tests.rules.source import ROOT


class MigrationContract:
    """Expects fixtures `url` (of an empty database), `dump` (returns its schema), `empty` (takes everything out)."""

    @pytest.fixture
    def connection(self, url: str):
        path = database.file_of(url)
        if path is not None:
            path.touch()
        engine = database.writer(url, busy_seconds=5.0)
        with engine.connect() as connection:
            yield connection
        engine.dispose()

    def test_the_revisions_lead_to_the_tables_of_today(self, connection: Connection):
        database.begin_write(connection)
        migrations.upgrade(connection)
        connection.commit()
        assert migrations.found(connection) == migrations.newest()
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, tables.metadata) == []

    def test_an_empty_database_gets_the_same_schema_as_a_migrated_one(self, connection: Connection, dump, empty):
        database.begin_write(connection)
        migrations.upgrade(connection)
        connection.commit()
        migrated = dump()
        empty()
        database.begin_write(connection)
        migrations.bring_up(connection, "here")
        connection.commit()
        assert dump() == migrated
        for name in (*tables.metadata.tables, "runs_end_once", "events_stay", "runs_by_due"):
            assert name in migrated

    def test_an_upgrade_that_is_rolled_back_leaves_nothing(self, connection: Connection):
        database.begin_write(connection)
        migrations.upgrade(connection)
        connection.rollback()
        assert migrations.found(connection) is None

    def test_bringing_up_what_is_up_to_date_changes_nothing(self, connection: Connection, dump):
        for _ in range(2):
            database.begin_write(connection)
            migrations.bring_up(connection, "here")
            connection.commit()
        assert migrations.found(connection) == migrations.newest()


class TestOnSqlite(MigrationContract):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/state.db"

    @pytest.fixture
    def dump(self, url: str):
        engine = create_engine(url, poolclass=NullPool)

        def schema() -> str:
            query = "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"
            with engine.connect() as connection:
                return "\n".join(
                    f"{kind} {name}: {' '.join((sql or '').split())}"
                    for kind, name, sql in connection.execute(text(query))
                )

        return schema

    @pytest.fixture
    def empty(self, connection: Connection):
        def drop() -> None:
            names = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars().all()
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
            for name in names:
                connection.exec_driver_sql(f"DROP TABLE {name}")
            connection.exec_driver_sql("PRAGMA foreign_keys = ON")

        return drop


@pytest.mark.xdist_group("postgresql")
class TestOnPostgresql(MigrationContract):
    @pytest.fixture
    def url(self, postgresql) -> str:
        return postgresql.database()

    @pytest.fixture
    def dump(self, postgresql):
        # Every dump has a random key of its own in two lines.
        return lambda: "\n".join(line for line in postgresql.dump().splitlines() if "restrict" not in line)

    @pytest.fixture
    def empty(self, postgresql):
        return postgresql.database


def test_the_newest_revision_is_the_only_head():
    script = ScriptDirectory(str(migrations.FOLDER))
    assert script.get_heads() == [migrations.newest()]
    assert sorted(revision.revision for revision in script.walk_revisions()) == migrations.known()


def test_nothing_that_is_up_to_date_or_empty_imports_alembic(tmp_path: Path):
    program = (
        "import sys; from pathlib import Path; from tests.hands.memory import Memory;"
        " [Memory(sys.argv[1], Path(sys.argv[2])).close() for _ in range(2)];"
        " sys.exit('alembic' in sys.modules)"
    )
    command = [sys.executable, "-c", program, f"sqlite:///{tmp_path}/state/state.db", str(tmp_path)]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_database_of_an_earlier_revision_is_brought_up_when_it_is_opened(tmp_path: Path, monkeypatch):
    url = f"sqlite:///{tmp_path}/state.db"
    memory = Memory(url, tmp_path)
    memory.create("r", "a")
    memory.close()
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    today = migrations.newest()
    for path in (migrations.FOLDER / "env.py", *(migrations.FOLDER / "versions").glob("*.py")):
        (folder / path.relative_to(migrations.FOLDER)).write_bytes(path.read_bytes())
    (folder / "versions" / "9999_colour.py").write_text(
        "from alembic import op\nimport sqlalchemy as sa\n"
        f"revision, down_revision = '9999', '{today}'\n"
        "def upgrade():\n    op.add_column('workflows', sa.Column('colour', sa.Text))\n"
    )
    monkeypatch.setattr(migrations, "FOLDER", folder)
    later = Memory(url, tmp_path)
    assert later.rows("SELECT version_num FROM alembic_version") == [("9999",)]
    assert later.rows("SELECT colour FROM workflows") == [(None,)]
    assert later.history.run("r").id == "r"
    later.close()


# What the first revision held of a run in its middle, and of one that had ended.
FIRST = """
INSERT INTO workflows VALUES (1, 'w', 'h', X'7b7d', 1.0);
INSERT INTO runs (pk, id, tail, workflow_pk, workflow, state, message, trigger_type, trigger, params, priority,
    created_at, started_at, ended_at)
VALUES (1, 'r', 'r', 1, 'w', 'RUNNING', '', 'cli', '{}', '{}', 0, 1.0, 2.0, NULL),
    (2, 'ended', 'dedne', 1, 'w', 'COMPLETED', '', 'cli', '{}', '{}', 0, 1.0, 2.0, 3.0);
INSERT INTO tasks (run_pk, key, position, type, state, attempt, message, started_at, ended_at)
VALUES (1, 'fan', 1, 'print', 'PENDING', 0, '', NULL, NULL), (1, 'a', 0, 'print', 'RUNNING', 1, '', 2.0, NULL),
    (2, 'a', 0, 'print', 'COMPLETED', 1, '', 2.0, 3.0);
INSERT INTO attempts (run_pk, task, number, state, message, started_at) VALUES (1, 'a', 1, 'RUNNING', '', 2.0)
"""


def test_a_run_of_the_first_revision_goes_on_and_may_do_what_is_new(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/state.db"
    (tmp_path / "state.db").touch()
    engine = database.writer(url, busy_seconds=5.0)
    with engine.connect() as connection:
        database.begin_write(connection)
        migrations.upgrade(connection, "0001")
        for filled in FIRST.split(";"):
            connection.exec_driver_sql(filled)
        connection.commit()
    engine.dispose()
    memory = Memory(url, tmp_path)
    [old] = memory.history.open_runs()
    assert (old.id, old.depth, old.parent, old.use_cache, old.warned) == ("r", 1, None, True, frozenset())
    assert [task.id for task in memory.history.run("ended").tasks or ()] == ["a"]
    assert memory.write("r", complete("a", output=b"1"), Spread("fan", ("fan[0]",), b"{}"), start("fan[0]"))
    assert memory.write("r", Complete("fan[0]", 1, b"2", cache=("k", None)), Complete("fan", 0, b"[2]"))
    assert memory.write("r", Finish(State.COMPLETED, output=b"[2]"))
    assert memory.store.cached(["k"], 1.0) == {"k": (b"2", "r")}
    assert list(memory.states("r")) == ["a", "fan", "fan[0]"]
    assert memory.store.delete_runs(["r", "ended"]) == 2
    memory.close()
