"""What Alembic runs to get at the database: the connection that `upgrade` was handed, inside its transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
