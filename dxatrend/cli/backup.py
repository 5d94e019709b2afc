"""``dxatrend backup`` and ``restore``: copy the store into one file, and back."""

import argparse
from collections.abc import Mapping

from dxatrend.cli.output import FAILURE, SUCCESS, print_errors
from pipeline.edge.configuration.loading import load_configuration
from pipeline.edge.operations import backup as backups
from pipeline.edge.operations.backup import BackupError, back_up
from pipeline.edge.store.database import Database
from pipeline.edge.text_files import printable


def run(options: argparse.Namespace) -> int:
    """Copy the store into a new file, also while the service is running."""
    database = _database(options, existing=True)
    try:
        with database.in_use():
            database.require_schema()
            copied = back_up(database, options.file)
    except BackupError as failed:
        print_errors(f"Nothing was backed up: {printable(failed)}")
        return FAILURE
    finally:
        database.close()
    print(f"{printable(options.file)}: {copied.size} bytes, {_counts(copied.rows)}")
    print(f"SHA-256 {copied.digest}")
    return SUCCESS


def restore(options: argparse.Namespace) -> int:
    """Replace the store with a backup."""
    database = _database(options, existing=False)
    try:
        rows = backups.restore(options.file, database, replace=options.replace)
    except BackupError as failed:
        print_errors(f"Nothing was restored: {printable(failed)}")
        return FAILURE
    finally:
        database.close()
    print(f"restored {_counts(rows)}")
    return SUCCESS


def _database(options: argparse.Namespace, *, existing: bool) -> Database:
    settings, _ = load_configuration(options.config)
    return Database(settings.service.store.url, existing=existing)


def _counts(rows: Mapping[str, int]) -> str:
    return f"{rows['receipt']} receipts, {rows['exam']} exams, {rows['addendum']} addenda"
