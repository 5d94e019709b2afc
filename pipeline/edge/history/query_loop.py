"""Poll the history queries for one archive and run those that are due."""

from datetime import UTC, datetime

from pipeline.edge.app import App
from pipeline.edge.configuration.destination_settings import DicomDestination, StowDestination
from pipeline.edge.history import query_retrieve
from pipeline.edge.store import work_queue
from pipeline.edge.store.schema import history_query as query_table
from pipeline.edge.work_loop import WorkLoop


def query_loop(archive: DicomDestination | StowDestination) -> WorkLoop:
    """Return the loop that queries this archive."""

    def poll(app: App) -> datetime | None:
        with app.database.read() as connection:
            due = work_queue.next_due(connection, query_table, destination=archive.name)
        if due is None or due > datetime.now(UTC):
            return due
        query_retrieve.run_due_query(app, archive)
        return datetime.now(UTC)

    def requeue(app: App) -> None:
        with app.database.write() as connection:
            work_queue.requeue(connection, query_table, where=query_table.c.destination == archive.name)

    return WorkLoop(name=f"history in {archive.name}", poll=poll, requeue=requeue)
