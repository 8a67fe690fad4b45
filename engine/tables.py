"""The tables: what is remembered, under which keys, and which indexes the lists stand on.

Owns the schema as it is now; how an older database gets there is in `migrations`, and a test compares the two.
Times are wall seconds, JSON is text, every id of ours inside is an integer `pk`; text ids are for the outside.
Called by `store` and `rows` (writes) and `history` (reads).
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    false,
    literal_column,
    text,
    true,
)

metadata = MetaData()

# SQLite numbers rows by itself only where the type is exactly INTEGER.
_PK = BigInteger().with_variant(Integer, "sqlite")
# Ids are compared byte by byte on both databases, so that a range finds a prefix.
_ID = String().with_variant(String(collation="C"), "postgresql")
# Lengths of ids that history can look up by their end.
TAIL_LENGTH = 10


def _of_run() -> Column[int]:
    return Column("run_pk", _PK, ForeignKey("runs.pk", ondelete="CASCADE"), nullable=False)


# Each content of a document is a version; `hash` is the SHA-256 of the bytes, kept once for each name.
workflows = Table(
    "workflows",
    metadata,
    Column("pk", _PK, primary_key=True),
    Column("name", Text, nullable=False),
    Column("hash", _ID, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("created_at", Double, nullable=False),
    Index("workflows_by_hash", "hash", "name", unique=True),
    Index("workflows_by_name", "name", "pk"),
)

# `tail` is the end of the id, reversed: people type the end, since the beginning is the time. An idempotency key speaks
# for one workflow name. `ending_*` is what a WindDown order said and the run has not come to yet. `parent` is the id of
# the run that called it (which may have been pruned since), `output` what it gives back. What a later revision added
# stands last: so an older database, brought up, has the same text.
runs = Table(
    "runs",
    metadata,
    Column("pk", _PK, primary_key=True),
    Column("id", _ID, nullable=False),
    Column("tail", _ID, nullable=False),
    Column("workflow_pk", _PK, ForeignKey("workflows.pk"), nullable=False),
    Column("workflow", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("message", Text, nullable=False),
    Column("trigger_type", Text, nullable=False),
    Column("trigger", Text, nullable=False),
    Column("params", Text, nullable=False),
    Column("labels", Text),
    Column("priority", BigInteger, nullable=False),
    Column("idempotency_key", Text),
    Column("claim", _ID),
    Column("schedule", Text),
    Column("due_at", Double),
    Column("run_at", Double),
    Column("deadline", Double),
    Column("ending_state", Text),
    Column("ending_reason", Text),
    Column("ending_message", Text),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("parent", _ID),
    Column("parent_task", _ID),
    Column("parent_attempt", Integer),
    Column("depth", Integer, nullable=False, server_default=text("1")),
    Column("use_cache", Boolean, nullable=False, server_default=true()),
    Column("is_warned", Boolean, nullable=False, server_default=false()),
    Column("output", LargeBinary),
    Column("output_ref", _ID),
)
Index("runs_by_id", runs.c.id, unique=True)
Index("runs_by_tail", runs.c.tail)
# Whether a version of a document is still spoken of, when runs are deleted.
Index("runs_by_version", runs.c.workflow_pk)
# One partial index for each key that leads to at most one run: most runs have none of them.
for _name, _columns in (
    ("runs_by_idempotency_key", (runs.c.idempotency_key, runs.c.workflow)),
    ("runs_by_claim", (runs.c.claim,)),
    ("runs_by_due", (runs.c.schedule, runs.c.due_at)),
    ("runs_by_call", (runs.c.parent, runs.c.parent_task, runs.c.parent_attempt)),
):
    _is_given = _columns[0].is_not(None)
    Index(_name, *_columns, unique=True, sqlite_where=_is_given, postgresql_where=_is_given)
# One index for each filter of the list and each pair of them, newest first: with a million runs, a pair that must be
# filtered out of one index reads hundreds of thousands of rows to find none. All three are judged inside the index.
_NEWEST = (runs.c.created_at, runs.c.pk)
Index("runs_by_time", *_NEWEST)
Index("runs_by_state", runs.c.state, *_NEWEST)
Index("runs_by_workflow", runs.c.workflow, *_NEWEST)
Index("runs_by_trigger", runs.c.trigger_type, *_NEWEST)
Index("runs_by_workflow_and_state", runs.c.workflow, runs.c.state, *_NEWEST, runs.c.trigger_type)
Index("runs_by_workflow_and_trigger", runs.c.workflow, runs.c.trigger_type, *_NEWEST)
Index("runs_by_trigger_and_state", runs.c.trigger_type, runs.c.state, *_NEWEST)
_is_called, _is_large = runs.c.parent.is_not(None), runs.c.output_ref.is_not(None)
Index("runs_by_parent", runs.c.parent, *_NEWEST, sqlite_where=_is_called, postgresql_where=_is_called)
Index("runs_by_output_ref", runs.c.output_ref, sqlite_where=_is_large, postgresql_where=_is_large)

# A row is found by (run, key) alone, so SQLite keeps table and index as one tree. `attempt` is the last one begun.
# `output` is JSON, NULL for null; a large one lies in the file that `output_ref` names. An instance (key `id[key]`) has
# the position of its task and its number, from 1, in `instance`; how far its task has counted is in `instances`.
tasks = Table(
    "tasks",
    metadata,
    _of_run(),
    Column("key", _ID, nullable=False),
    Column("position", Integer, nullable=False),
    Column("type", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("reason", Text),
    Column("message", Text, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("due_at", Double),
    Column("memo", LargeBinary),
    Column("output", LargeBinary),
    Column("output_ref", _ID),
    Column("instance", Integer, nullable=False, server_default=text("0")),
    Column("instances", Integer, nullable=False, server_default=text("0")),
    Column("is_warned", Boolean, nullable=False, server_default=false()),
    PrimaryKeyConstraint("run_pk", "key"),
    sqlite_with_rowid=False,
)
_is_large = tasks.c.output_ref.is_not(None)
Index("tasks_by_output_ref", tasks.c.output_ref, sqlite_where=_is_large, postgresql_where=_is_large)

attempts = Table(
    "attempts",
    metadata,
    _of_run(),
    Column("task", _ID, nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("message", Text, nullable=False),
    Column("exit_code", BigInteger),
    Column("started_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("seconds", Double),
    Column("cpu_seconds", Double),
    Column("memory_bytes", BigInteger),
    PrimaryKeyConstraint("run_pk", "task", "number"),
    sqlite_with_rowid=False,
)

# What a run that repeats another may take over when a task of it is spread: the `memo` of the Spread there, by task,
# the outputs of instances that completed there, and, by the `child` of a task or an instance, the run that it called.
offers = Table(
    "offers",
    metadata,
    _of_run(),
    Column("key", _ID, nullable=False),
    Column("memo", LargeBinary),
    Column("output", LargeBinary),
    Column("output_ref", _ID),
    Column("child", _ID),
    PrimaryKeyConstraint("run_pk", "key"),
    sqlite_with_rowid=False,
)

_is_large = offers.c.output_ref.is_not(None)
Index("offers_by_output_ref", offers.c.output_ref, sqlite_where=_is_large, postgresql_where=_is_large)

# Outputs that may be used again, by key: each is that of the COMPLETED task it points to, and goes with it.
cache = Table(
    "cache",
    metadata,
    Column("key", _ID, primary_key=True),
    Column("run_pk", _PK, nullable=False),
    Column("task", _ID, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    ForeignKeyConstraint(["run_pk", "task"], ["tasks.run_pk", "tasks.key"], ondelete="CASCADE"),
    Index("cache_by_task", "run_pk", "task"),
    sqlite_with_rowid=False,
)

# The audit trail. `task` is NULL for the run itself, `state` for what changed none. Moves of one turn of which there is
# no more to say share a row: `packed` is a JSON list of them, each [task, attempt, state].
events = Table(
    "events",
    metadata,
    Column("pk", _PK, primary_key=True),
    _of_run(),
    Column("at", Double, nullable=False),
    Column("task", Text),
    Column("attempt", Integer),
    Column("state", Text),
    Column("reason", Text),
    Column("message", Text, nullable=False),
    Column("actor", Text),
    Column("packed", Text),
    Index("events_by_run", "run_pk", "pk"),
)

# What the daemon knows of a schedule beside its definition: `since` when it counts, and whether it is held.
schedules = Table(
    "schedules",
    metadata,
    Column("name", Text, primary_key=True),
    Column("definition_hash", Text, nullable=False),
    Column("since", Double, nullable=False),
    Column("is_paused", Boolean, nullable=False),
    Column("reason", Text),
    Column("message", Text, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("changed_at", Double, nullable=False),
)

# Every due instant and what became of it: RUN with the id of the run (which may have been pruned since), or why not.
# One row may speak of many instants that were missed: `count` of them, from `first_at` to `due_at`.
due_times = Table(
    "due_times",
    metadata,
    Column("schedule", Text, nullable=False),
    Column("due_at", Double, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("message", Text, nullable=False),
    Column("run", _ID),
    Column("count", BigInteger, nullable=False),
    Column("first_at", Double),
    Column("recorded_at", Double, nullable=False),
    PrimaryKeyConstraint("schedule", "due_at"),
    sqlite_with_rowid=False,
)
_is_queued = due_times.c.state == literal_column("'QUEUED'")
Index(
    "due_times_queued",
    due_times.c.schedule,
    due_times.c.due_at,
    sqlite_where=_is_queued,
    postgresql_where=_is_queued,
)

# Every dropped file that became ours; names and paths are bytes, as the file system has them.
claims = Table(
    "claims",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", LargeBinary),
    Column("path", LargeBinary),
    Column("state", Text, nullable=False),
    Column("run", _ID),
    Column("reason", Text),
    Column("message", Text, nullable=False),
    Column("claimed_at", Double, nullable=False),
    Column("settled_at", Double),
    Index("claims_by_state", "state", "claimed_at"),
)

# Two promises that hold whatever writes to the database: a run that has ended never changes, events are only added.
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


def create(connection: Connection) -> None:
    """Make every table, index and guard in an empty database, inside the caller's transaction."""
    metadata.create_all(connection, checkfirst=False)
    dialect = connection.dialect.name
    for guard in ([_REFUSE] if dialect == "postgresql" else []) + [_RUNS_END_ONCE[dialect], _EVENTS_STAY[dialect]]:
        connection.execute(text(guard))
