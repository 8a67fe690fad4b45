"""The first tables. Frozen: what changes later is a revision of its own, `engine.tables` holds today's shape.

Revisions go forward only: what goes back is a backup, since an older version refuses a newer database.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _make_workflows_and_runs()
    _make_tasks_and_attempts()
    _make_events()
    _make_what_the_daemon_keeps()
    dialect = op.get_bind().dialect.name
    if dialect == "postgresql":
        op.execute(_REFUSE)
    op.execute(_RUNS_END_ONCE[dialect])
    op.execute(_EVENTS_STAY[dialect])


def _pk() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _id() -> sa.types.TypeEngine[str]:
    return sa.String().with_variant(sa.String(collation="C"), "postgresql")


def _run_pk() -> sa.Column[int]:
    return sa.Column("run_pk", _pk(), sa.ForeignKey("runs.pk", ondelete="CASCADE"), nullable=False)


def _make_workflows_and_runs() -> None:
    op.create_table(
        "workflows",
        sa.Column("pk", _pk(), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("hash", _id(), nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    op.create_index("workflows_by_hash", "workflows", ["hash", "name"], unique=True)
    op.create_index("workflows_by_name", "workflows", ["name", "pk"])
    op.create_table(
        "runs",
        sa.Column("pk", _pk(), primary_key=True),
        sa.Column("id", _id(), nullable=False),
        sa.Column("tail", _id(), nullable=False),
        sa.Column("workflow_pk", _pk(), sa.ForeignKey("workflows.pk"), nullable=False),
        sa.Column("workflow", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("trigger_type", sa.Text, nullable=False),
        sa.Column("trigger", sa.Text, nullable=False),
        sa.Column("params", sa.Text, nullable=False),
        sa.Column("labels", sa.Text),
        sa.Column("priority", sa.BigInteger, nullable=False),
        sa.Column("idempotency_key", sa.Text),
        sa.Column("claim", _id()),
        sa.Column("schedule", sa.Text),
        sa.Column("due_at", sa.Double),
        sa.Column("run_at", sa.Double),
        sa.Column("deadline", sa.Double),
        sa.Column("ending_state", sa.Text),
        sa.Column("ending_reason", sa.Text),
        sa.Column("ending_message", sa.Text),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("ended_at", sa.Double),
    )
    op.create_index("runs_by_id", "runs", ["id"], unique=True)
    op.create_index("runs_by_tail", "runs", ["tail"])
    op.create_index("runs_by_version", "runs", ["workflow_pk"])
    _make_partial_index("runs_by_idempotency_key", "runs", ["idempotency_key", "workflow"], unique=True)
    _make_partial_index("runs_by_claim", "runs", ["claim"], unique=True)
    _make_partial_index("runs_by_due", "runs", ["schedule", "due_at"], unique=True)
    for name, *columns in (
        ("runs_by_time",),
        ("runs_by_state", "state"),
        ("runs_by_workflow", "workflow"),
        ("runs_by_trigger", "trigger_type"),
        ("runs_by_workflow_and_trigger", "workflow", "trigger_type"),
        ("runs_by_trigger_and_state", "trigger_type", "state"),
    ):
        op.create_index(name, "runs", [*columns, "created_at", "pk"])
    columns = ["workflow", "state", "created_at", "pk", "trigger_type"]
    op.create_index("runs_by_workflow_and_state", "runs", columns)


def _make_partial_index(name: str, table: str, columns: list[str], *, unique: bool = False) -> None:
    is_given = sa.text(f"{columns[0]} IS NOT NULL")
    op.create_index(name, table, columns, unique=unique, sqlite_where=is_given, postgresql_where=is_given)


def _make_tasks_and_attempts() -> None:
    op.create_table(
        "tasks",
        _run_pk(),
        sa.Column("key", _id(), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("ended_at", sa.Double),
        sa.Column("due_at", sa.Double),
        sa.Column("memo", sa.LargeBinary),
        sa.Column("output", sa.LargeBinary),
        sa.Column("output_ref", _id()),
        sa.PrimaryKeyConstraint("run_pk", "key"),
        sqlite_with_rowid=False,
    )
    _make_partial_index("tasks_by_output_ref", "tasks", ["output_ref"])
    op.create_table(
        "attempts",
        _run_pk(),
        sa.Column("task", _id(), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("exit_code", sa.BigInteger),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("ended_at", sa.Double),
        sa.Column("seconds", sa.Double),
        sa.Column("cpu_seconds", sa.Double),
        sa.Column("memory_bytes", sa.BigInteger),
        sa.PrimaryKeyConstraint("run_pk", "task", "number"),
        sqlite_with_rowid=False,
    )


def _make_events() -> None:
    op.create_table(
        "events",
        sa.Column("pk", _pk(), primary_key=True),
        _run_pk(),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("task", sa.Text),
        sa.Column("attempt", sa.Integer),
        sa.Column("state", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("actor", sa.Text),
    )
    op.create_index("events_by_run", "events", ["run_pk", "pk"])


def _make_what_the_daemon_keeps() -> None:
    op.create_table(
        "schedules",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("definition_hash", sa.Text, nullable=False),
        sa.Column("since", sa.Double, nullable=False),
        sa.Column("is_paused", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("changed_at", sa.Double, nullable=False),
    )
    op.create_table(
        "due_times",
        sa.Column("schedule", sa.Text, nullable=False),
        sa.Column("due_at", sa.Double, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("run", _id()),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("first_at", sa.Double),
        sa.Column("recorded_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("schedule", "due_at"),
        sqlite_with_rowid=False,
    )
    is_queued = sa.text("state = 'QUEUED'")
    op.create_index(
        "due_times_queued", "due_times", ["schedule", "due_at"], sqlite_where=is_queued, postgresql_where=is_queued
    )
    op.create_table(
        "claims",
        sa.Column("id", _id(), primary_key=True),
        sa.Column("name", sa.LargeBinary),
        sa.Column("path", sa.LargeBinary),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("run", _id()),
        sa.Column("reason", sa.Text),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("claimed_at", sa.Double, nullable=False),
        sa.Column("settled_at", sa.Double),
    )
    op.create_index("claims_by_state", "claims", ["state", "claimed_at"])


_REFUSE = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% never change here', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END
$$"""
_RUNS_END_ONCE = {
    "sqlite": """
CREATE TRIGGER runs_end_once BEFORE UPDATE ON runs WHEN OLD.ended_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a run that has ended never changes'); END""",
    "postgresql": """
CREATE TRIGGER runs_end_once BEFORE UPDATE ON runs FOR EACH ROW WHEN (OLD.ended_at IS NOT NULL)
EXECUTE FUNCTION refuse_change()""",
}
_EVENTS_STAY = {
    "sqlite": """
CREATE TRIGGER events_stay BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events never change'); END""",
    "postgresql": """
CREATE TRIGGER events_stay BEFORE UPDATE ON events FOR EACH ROW
EXECUTE FUNCTION refuse_change()""",
}
