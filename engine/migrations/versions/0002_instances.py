"""What control flow needs: who called a run and what it gives back, instances of tasks, what may be used again."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _widen_runs()
    _widen_tasks()
    _make_offers_and_cache()


def _pk() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _id() -> sa.types.TypeEngine[str]:
    return sa.String().with_variant(sa.String(collation="C"), "postgresql")


def _widen_runs() -> None:
    for column in (
        sa.Column("parent", _id()),
        sa.Column("parent_task", _id()),
        sa.Column("parent_attempt", sa.Integer),
        sa.Column("depth", sa.Integer, nullable=False, server_default=sa.text("1")),
        sa.Column("use_cache", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("is_warned", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("output", sa.LargeBinary),
        sa.Column("output_ref", _id()),
    ):
        op.add_column("runs", column)
    _make_partial_index("runs_by_call", "runs", ["parent", "parent_task", "parent_attempt"], unique=True)
    _make_partial_index("runs_by_parent", "runs", ["parent", "created_at", "pk"])
    _make_partial_index("runs_by_output_ref", "runs", ["output_ref"])


def _make_partial_index(name: str, table: str, columns: list[str], *, unique: bool = False) -> None:
    is_given = sa.text(f"{columns[0]} IS NOT NULL")
    op.create_index(name, table, columns, unique=unique, sqlite_where=is_given, postgresql_where=is_given)


def _widen_tasks() -> None:
    for column in (
        sa.Column("instance", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("instances", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("is_warned", sa.Boolean, nullable=False, server_default=sa.false()),
    ):
        op.add_column("tasks", column)


def _make_offers_and_cache() -> None:
    op.create_table(
        "offers",
        sa.Column("run_pk", _pk(), sa.ForeignKey("runs.pk", ondelete="CASCADE"), nullable=False),
        sa.Column("key", _id(), nullable=False),
        sa.Column("memo", sa.LargeBinary),
        sa.Column("output", sa.LargeBinary),
        sa.Column("output_ref", _id()),
        sa.Column("child", _id()),
        sa.PrimaryKeyConstraint("run_pk", "key"),
        sqlite_with_rowid=False,
    )
    _make_partial_index("offers_by_output_ref", "offers", ["output_ref"])
    op.create_table(
        "cache",
        sa.Column("key", _id(), primary_key=True),
        sa.Column("run_pk", _pk(), nullable=False),
        sa.Column("task", _id(), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double),
        sa.ForeignKeyConstraint(["run_pk", "task"], ["tasks.run_pk", "tasks.key"], ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )
    op.create_index("cache_by_task", "cache", ["run_pk", "task"])
