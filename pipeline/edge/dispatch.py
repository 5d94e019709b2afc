"""Which addenda wait for an archive, and when do we try again?"""

import logging
from datetime import UTC, datetime, timedelta

from pipeline.edge.deliver import CommitmentAwaited, deliver, wait_after
from pipeline.edge.house import House
from pipeline.edge.settings import DestinationSettings
from pipeline.edge.store import outbox, work
from pipeline.edge.store.schema import delivery as delivery_table

log = logging.getLogger(__name__)

BATCH = 50

PROVEN_BY = {"commitment": "commitment", "find": "C-FIND", "none": "answer to C-STORE"}
"""How the audit trail names each kind of proof."""

COMMITMENT_WAIT = timedelta(minutes=10)
"""How long an archive may take to commit itself before we store and ask again."""


def deliver_due(house: House, destination: DestinationSettings) -> tuple[int, int]:
    """Send one batch of what is due for a destination; how many it has now, and how many will be tried again."""
    with house.database.write() as connection:
        claimed = outbox.claim(connection, destination.name, limit=BATCH, at=datetime.now(UTC))
    if not claimed:
        return 0, 0
    delivered = postponed = 0
    answers = deliver(
        [waiting.addendum for waiting in claimed],
        destination,
        house.settings.service.listener.ae_title,
        attempt=max(waiting.attempts for waiting in claimed),
    )
    for waiting, problem in zip(claimed, answers, strict=True):
        now = datetime.now(UTC)
        names = {"addendum": waiting.addendum.number, "destination": destination.name}
        with house.database.write() as connection:
            if problem is None:
                outbox.delivered(connection, waiting.number, proof=PROVEN_BY[destination.proof], at=now)
                delivered += 1
                log.info("delivered", extra=names)
            else:
                awaited = isinstance(problem, CommitmentAwaited)
                until = now + (COMMITMENT_WAIT if awaited else wait_after(waiting.attempts))
                reason, detail = type(problem).__name__, str(problem)
                work.postpone(connection, delivery_table, waiting.number, until=until, reason=reason, detail=detail)
                postponed += 1
                level = logging.INFO if awaited else logging.WARNING
                log.log(level, "not delivered yet", extra={**names, "reason": reason, "detail": detail})
    return delivered, postponed
