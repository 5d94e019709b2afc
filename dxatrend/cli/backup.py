"""How does an operator carry the store into a file and back?"""

import argparse
import sys

from pipeline.edge.configuration.loading import load_configuration
from pipeline.edge.operations.backup import BackupError, back_up, restore
from pipeline.edge.store.database import Database
from pipeline.edge.text_files import printable


def backup(options: argparse.Namespace) -> int:
    """Copy the store into a new file while the service runs; the exit status."""
    database = _database(options, existing=True)
    try:
        with database.in_use():
            database.require_schema()
            copied = back_up(database, options.file)
    except BackupError as failed:
        print(f"Nothing was backed up: {printable(failed)}", file=sys.stderr)
        return 1
    finally:
        database.close()
    print(f"{printable(options.file)}: {copied.size} bytes, {_told(copied.rows)}")
    print(f"SHA-256 {copied.digest}")
    return 0


def restore_backup(options: argparse.Namespace) -> int:
    """Make the store what a backup was; the exit status."""
    database = _database(options, existing=False)
    try:
        rows = restore(options.file, database, replace=options.replace)
    except BackupError as failed:
        print(f"Nothing was restored: {printable(failed)}", file=sys.stderr)
        return 1
    finally:
        database.close()
    print(f"restored {_told(rows)}")
    return 0


def _database(options: argparse.Namespace, *, existing: bool) -> Database:
    settings, _ = load_configuration(options.config)
    return Database(settings.service.store.url, existing=existing)


def _told(rows: dict[str, int]) -> str:
    return f"{rows['receipt']} receipts, {rows['exam']} exams, {rows['addendum']} addenda"
