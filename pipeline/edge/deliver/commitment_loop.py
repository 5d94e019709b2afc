"""Poll the storage commitment requests of one scanner and report the results that are due on a new association."""

from datetime import UTC, datetime

from pipeline.edge.app import App
from pipeline.edge.configuration.service_settings import CallerSettings
from pipeline.edge.deliver import commitment_reporter
from pipeline.edge.store import work_queue
from pipeline.edge.store.schema import commitment_request as request_table
from pipeline.edge.work_loop import WorkLoop


def commitment_loop(caller: CallerSettings) -> WorkLoop:
    """Return the loop that reports to this caller."""

    def poll(app: App) -> datetime | None:
        due = commitment_reporter.next_due(app, caller)
        if due is None or due > datetime.now(UTC):
            return due
        commitment_reporter.report_due(app, caller)
        return datetime.now(UTC)

    def requeue(app: App) -> None:
        with app.database.write() as connection:
            work_queue.requeue(connection, request_table, where=request_table.c.calling_ae_title == caller.ae_title)

    return WorkLoop(name=f"storage commitment for {caller.ae_title}", poll=poll, requeue=requeue)
