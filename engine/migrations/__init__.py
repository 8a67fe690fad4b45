"""From what a database holds to the tables of today: finds its revision and brings it up, in the caller's transaction.

Each file in `versions` is one revision; its name begins with the revision's number, and the largest is today's. Alembic
is imported only when there is something to do: an empty database is made from `tables`, which a test holds equal.
"""

from pathlib import Path

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, inspect

from engine import tables
from engine.errors import StoreCorruptError, StoreTooNewError

FOLDER = Path(__file__).parent
# Alembic's own table, as it makes it.
_REVISION = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
# One number for all of us, so that two daemons do not migrate one server's database at the same time.
_SERVER_LOCK = 0x64726F706D696C6C


def known() -> list[str]:
    """Return every revision this version knows, oldest first."""
    return sorted(path.name.partition("_")[0] for path in (FOLDER / "versions").glob("[0-9]*_*.py"))


def newest() -> str:
    """Return today's revision."""
    return known()[-1]


def found(connection: Connection) -> str | None:
    """Return the revision of a database, None where nothing of ours is in it."""
    if not inspect(connection).has_table(_REVISION.name):
        return None
    revision: str | None = connection.execute(_REVISION.select()).scalar()
    return revision


def bring_up(connection: Connection, place: str) -> None:
    """Bring the database at `place` up to date, inside the caller's transaction.

    Raises StoreTooNewError for a revision this version does not know, StoreCorruptError for our tables without one.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_SERVER_LOCK,))
    revision = found(connection)
    if revision is None:
        clash = sorted(tables.metadata.tables.keys() & set(inspect(connection).get_table_names()))
        if clash:
            raise StoreCorruptError(place, f"it has the tables {', '.join(clash[:3])} and does not say which revision")
        tables.create(connection)
        _REVISION.create(connection)
        connection.execute(_REVISION.insert().values(version_num=newest()))
    elif revision not in known():
        raise StoreTooNewError(revision)
    elif revision != newest():
        upgrade(connection)


def upgrade(connection: Connection, to: str = "head") -> None:
    """Run the revisions between a database and `to`, inside the caller's transaction."""
    from alembic import command  # noqa: PLC0415 -- Alembic takes longer to import than everything else at start
    from alembic.config import Config  # noqa: PLC0415 -- likewise

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    command.upgrade(config, to)
