"""Migrations of the schema with Alembic, in a module of its own: only a new or older database needs it."""

import logging
from importlib import resources

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

log = logging.getLogger(__name__)


def upgrade(connection: Connection) -> None:
    """Migrate a database to the last revision, in this transaction."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    log.info("the database schema is now at %s", ", ".join(heads()))


def known() -> set[str]:
    """Return every revision that this version knows."""
    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def heads() -> list[str]:
    """Return the last revision, in a list as Alembic has it."""
    return ScriptDirectory.from_config(_config()).get_heads()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(resources.files("pipeline.edge.store") / "migrations"))
    return config
