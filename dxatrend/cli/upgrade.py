"""``dxatrend upgrade``: bring the store of an earlier version to this one, with a backup taken first."""

import argparse
from contextlib import closing
from datetime import datetime
from pathlib import Path

from dxatrend.cli.output import FAILURE, SUCCESS, print_errors
from pipeline import __version__
from pipeline.edge.configuration.loading import load_configuration
from pipeline.edge.operations.upgrade import FOLDER, PREFIX, UpgradeError, upgrade
from pipeline.edge.store.database import Database, StoreError
from pipeline.edge.text_files import printable


def run(options: argparse.Namespace) -> int:
    """Back the store up, migrate and check it, and say what was done and how to return."""
    settings, _ = load_configuration(options.config)
    store = settings.service.store
    assert store.folder is not None  # the configuration names the data folder
    backup = options.backed_up or options.backup or _new_backup(settings.service.backup.folder or store.folder / FOLDER)
    with closing(Database(store.url, existing=True)) as database:
        database.require_schema()
        try:
            done = upgrade(database, backup, is_taken=options.backed_up is not None)
        except (UpgradeError, StoreError) as failed:
            print_errors(f"Nothing was upgraded, and the store is as it was: {printable(failed)}")
            if backup.exists():
                print_errors(f"The backup stays: {printable(backup)}", "Start the version before again.")
            return FAILURE
    if done is None:
        print(f"The store is one of dxatrend {__version__} already; there is nothing to do.")
        return SUCCESS
    print(f"backup  {printable(done.backup)}, SHA-256 {done.digest}")
    print(f"schema  {done.before} -> {done.after}")
    print(f"rows    {', '.join(f'{count} of {name}' for name, count in done.rows.items())}: none is missing")
    if options.backed_up is None:  # whoever made the backup knows the way back
        print("To return: install the version before, then, with the service stopped:")
        print(f"  dxatrend restore {printable(done.backup)} --replace")
    return SUCCESS


def _new_backup(folder: Path) -> Path:
    now = datetime.now().astimezone()
    return folder / f"{PREFIX}{__version__}-{now:%Y%m%dT%H%M%S}.sqlite3"
