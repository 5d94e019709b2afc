"""Run Alembic's migrations over the connection, and in the transaction, that it is given."""

from alembic import context

from pipeline.edge.store.schema_base import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
