"""Poll the conditions of the alarms and send what is due, in a loop of its own, so that nothing else waits for it."""

from datetime import datetime

from pipeline.edge.alarms.watch import Watcher
from pipeline.edge.app import App
from pipeline.edge.store import work_queue
from pipeline.edge.store.alarm_schema import alarm_message
from pipeline.edge.work_loop import WorkLoop


def alarm_loop(app: App) -> WorkLoop:
    """Return the loop that watches, as long as no other process does."""
    watcher = Watcher(app)
    due: datetime | None = None

    def poll(current: App) -> datetime:
        nonlocal due
        now = watcher.now()
        if due is None or not now < due <= now + watcher.every:  # woken by a change, or the clock was set
            due = watcher.poll(current)
        return due

    def requeue(current: App) -> None:
        with current.database.write() as connection:
            work_queue.requeue(connection, alarm_message)

    return WorkLoop(name="alarms", poll=poll, requeue=requeue)
