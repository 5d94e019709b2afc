"""Poll the outbox of one destination and send what is due."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from pipeline.edge.app import App
from pipeline.edge.deliver import dispatcher
from pipeline.edge.store import work_queue
from pipeline.edge.store.schema import delivery as delivery_table
from pipeline.edge.work_loop import RunWork, WorkLoop


def outbox_loop(destination: str, *, run: RunWork, stopped: Callable[[], bool]) -> WorkLoop:
    """Return the loop that sends to the destination of this name, until ``stopped`` is true."""

    def poll(app: App) -> datetime | None:
        with app.database.read() as connection:
            due = dispatcher.next_due(connection, destination)
        if due is None or due > datetime.now(UTC):
            return due
        run(app, partial(dispatcher.send_due, app, destination, stopped), partial(requeue, app))
        return datetime.now(UTC)

    def requeue(app: App) -> None:
        with app.database.write() as connection:
            work_queue.requeue(connection, delivery_table, where=delivery_table.c.destination == destination)

    return WorkLoop(name=f"outbox of {destination}", poll=poll, requeue=requeue)
