"""The task type `sql`: statements on any database that SQLAlchemy speaks to, in one transaction, rows as output.

It binds the parameters, runs, and judges how many rows there may be; `cells` turns what a database gives into JSON.
The URL is never shown.
"""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from engine.task import fail

if TYPE_CHECKING:
    from sqlalchemy import BindParameter, Connection, CursorResult, Engine

TASK_TYPE = "sql"
DESCRIPTION = "Run SQL statements in one transaction and hand on the rows."
VERSION = "1.0"
REQUIRED_FIELDS = ["url"]

_MAX_ROWS = 10_000
_PARAMS: dict[str, Any] = {
    "anyOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}],
}
PARAM_SCHEMA = {
    "type": "object",
    "properties": {
        "url": {
            "type": "string",
            "minLength": 1,
            "examples": ["sqlite:///report.db"],
            "description": "The database as an SQLAlchemy URL, `postgresql+psycopg://user:password@host/name` or "
            "`sqlite:////srv/report.db`; take it from `secrets`. The driver has to be installed.",
        },
        "statement": {
            "type": "string",
            "minLength": 1,
            "examples": ["SELECT 1 AS one"],
            "description": "One SQL statement, its parameters written as `:name`. Either this or `statements`.",
        },
        "statements": {
            "type": "array",
            "minItems": 1,
            "items": {
                "anyOf": [
                    {"type": "string", "minLength": 1},
                    {
                        "type": "object",
                        "properties": {"statement": {"type": "string", "minLength": 1}, "params": _PARAMS},
                        "required": ["statement"],
                        "additionalProperties": False,
                    },
                ]
            },
            "description": "Several, one after the other in one transaction: texts or `{statement, params}`. The "
            "output is that of the last one, with all of them in `results`.",
        },
        "params": {
            **_PARAMS,
            "description": "Values by name, handed to the database apart from the statement: never write an expression "
            "into a statement. A list of objects runs the statement once for each. A value that is a list stands for "
            "what is between the brackets of `IN :name`; an object is handed over as JSON text.",
        },
        "max_rows": {
            "type": "integer",
            "minimum": 0,
            "default": _MAX_ROWS,
            "description": "Most rows that a statement may give; one that gives more fails the task, and nothing of "
            "the transaction is kept.",
        },
        "decimals": {
            "enum": ["text", "number"],
            "default": "text",
            "description": "How exact decimal numbers are handed on: as text, to the last digit, or as a number. Dates "
            "and times are texts (RFC 3339), lengths of time are seconds, bytes are base64.",
        },
        "transaction": {
            "type": "boolean",
            "default": True,
            "description": "Whether all is kept or nothing; false is for statements that a database runs alone, such "
            "as VACUUM.",
        },
    },
    # One of the two, said so that the problem names the field that is missing or too much.
    "if": {"not": {"required": ["statements"]}},
    "then": {"required": ["statement"]},
    "dependentSchemas": {"statement": {"properties": {"statements": False}}},
    "additionalProperties": False,
}

_SHOWN_CHARS = 100
_BUFFERED_ROWS = 500
_READS = re.compile(r"\s*select\b", re.IGNORECASE)
_MAKES = re.compile(r"\binto\b", re.IGNORECASE)
_EXAMPLE = "postgresql+psycopg://user:password@host/name"


def run(task: dict[str, Any]) -> bool:
    """Run the statements and set the output to `{"rows", "columns", "count", "affected"}` of the last one."""
    orders = _orders(task)
    has_transaction = task.get("transaction", True)
    with (
        _engine(task["url"], has_transaction=has_transaction) as engine,
        _connection(engine, has_transaction=has_transaction) as connection,
    ):
        results = [_result(connection, statement, params, task) for statement, params in orders]
    task["output"] = results[-1] | ({"results": results} if "statements" in task else {})
    return True


def _orders(task: dict[str, Any]) -> list[tuple[str, Any]]:
    if ("statement" in task) == ("statements" in task):
        fail("give either `statement` or `statements`", reason="invalid")
    if "statement" in task:
        return [(task["statement"], task.get("params"))]
    usual = task.get("params")
    given = [{"statement": each} if isinstance(each, str) else each for each in task["statements"]]
    if usual is not None and not any("params" not in each for each in given):
        fail("every statement has its own `params`; those of the task belong to none", reason="invalid")
    return [(each["statement"], each.get("params", usual)) for each in given]


@contextmanager
def _engine(url: str, *, has_transaction: bool) -> "Iterator[Engine]":
    """Make an engine for one attempt, and turn what goes wrong with it into a sentence without the URL."""
    import sqlalchemy  # noqa: PLC0415 -- every worker would pay for it at its start

    try:
        parsed = sqlalchemy.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        fail(f"`url` is not the URL of a database, such as {_EXAMPLE}", reason="invalid")
    if "@" in (parsed.host or ""):
        # The rest of a password with an `@` in it would stand in the driver's complaint about the host.
        fail("`url` has more than one `@`; in a password it is written as %40", reason="invalid")
    where = parsed.get_backend_name()
    of_query = [value for name, value in parsed.query.items() if "pass" in name.lower()]
    hidden = [text for text in (url, parsed.password, *of_query) if isinstance(text, str) and text]
    try:
        engine = sqlalchemy.create_engine(parsed, poolclass=sqlalchemy.NullPool, hide_parameters=True)
    except (sqlalchemy.exc.ArgumentError, ImportError, TypeError, ValueError) as error:
        fail(f"there is no driver for {parsed.drivername}: {_masked(str(error), hidden)}", reason="invalid")
    if where == "sqlite" and has_transaction:
        _begin_for_real(engine)
    try:
        yield engine
    except sqlalchemy.exc.SQLAlchemyError as error:
        cause = getattr(error, "orig", None)
        # Its own text repeats the statement; that of the driver says what is wrong.
        sentence = str(cause if cause is not None else error).partition("\n(Background")[0]
        fail(f"{where}: {' '.join(_masked(sentence, hidden).split())}")
    except (OverflowError, TypeError, ValueError, LookupError) as error:
        # What drivers raise for a value or an option that they cannot take.
        fail(f"{where}: {_masked(str(error), hidden)}")
    finally:
        engine.dispose()


def _masked(text: str, hidden: list[str]) -> str:
    for secret in hidden:
        text = text.replace(secret, "***")
    return text


def _begin_for_real(engine: "Engine") -> None:
    """Make SQLite begin a transaction before the first statement; its driver would leave CREATE and the like out."""
    from sqlalchemy import event  # noqa: PLC0415 -- see `_engine`

    @event.listens_for(engine, "connect")
    def _(connection: Any, _: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _(connection: "Connection") -> None:
        connection.exec_driver_sql("BEGIN")


@contextmanager
def _connection(engine: "Engine", *, has_transaction: bool) -> "Iterator[Connection]":
    if has_transaction:
        with engine.begin() as connection:
            yield connection
    else:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            yield connection


def _result(connection: "Connection", statement: str, params: Any, task: dict[str, Any]) -> dict[str, Any]:
    if params == []:
        return {"rows": [], "columns": [], "count": 0, "affected": 0}
    result = _executed(connection, statement, params)
    from plugins._parts.cells import as_json, unique  # noqa: PLC0415 -- it brings decimal

    if not result.returns_rows:
        # Minus one is what drivers say where there is nothing to count.
        return {"rows": [], "columns": [], "count": 0, "affected": max(result.rowcount, 0)}
    most = task.get("max_rows", _MAX_ROWS)
    columns = unique(list(result.keys()))
    with closing(result):
        found = result.fetchmany(most + 1)
    if len(found) > most:
        fail(f"{_short(statement)} gives more than {most} rows (`max_rows`)")
    exact = task.get("decimals", "text") == "text"
    rows = [{name: as_json(value, exact=exact) for name, value in zip(columns, row, strict=True)} for row in found]
    return {"rows": rows, "columns": columns, "count": len(rows), "affected": 0}


def _executed(connection: "Connection", statement: str, params: Any) -> "CursorResult[Any]":
    from sqlalchemy import bindparam, text  # noqa: PLC0415 -- see `_engine`

    clause = text(statement)
    options: dict[str, Any] = {}
    if connection.in_transaction() and _READS.match(statement) and not _MAKES.search(statement):
        # Row by row from a cursor of the server, where it has them: the driver would fetch millions before the first.
        options = {"stream_results": True, "max_row_buffer": _BUFFERED_ROWS}
    wanted = set(clause.compile().params)
    for values in params if isinstance(params, list) else [params or {}]:
        if wanted != set(values):
            _refuse_names(statement, wanted, set(values))
    if isinstance(params, list):
        return connection.execute(clause, [{name: _plain(value) for name, value in row.items()} for row in params])
    values = {name: value if isinstance(value, list) else _plain(value) for name, value in (params or {}).items()}
    lists: list[BindParameter[Any]] = [
        bindparam(name, expanding=True) for name, value in values.items() if isinstance(value, list)
    ]
    return connection.execute(clause.bindparams(*lists), values, execution_options=options)


def _refuse_names(statement: str, wanted: set[str], given: set[str]) -> None:
    missing, unused = sorted(wanted - given), sorted(given - wanted)
    problems = [f"no value for {', '.join(missing)}"] if missing else []
    problems += [f"no place for {', '.join(unused)}"] if unused else []
    fail(f"`params` of {_short(statement)}: {' and '.join(problems)}", reason="invalid")


def _plain(value: Any) -> Any:
    if isinstance(value, dict | list):
        import msgspec  # noqa: PLC0415 -- rare

        return msgspec.json.encode(value).decode()
    return value


def _short(statement: str) -> str:
    text = " ".join(statement.split())
    return repr(text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "...")
