"""Erase, at night, patients whose last exam is older than the department keeps exams."""

import logging
from datetime import date, timedelta

from pipeline.edge.app import App
from pipeline.edge.operations.patient_erasure import erase_rows
from pipeline.edge.operations.patient_selection import not_looked_into, select_patients
from pipeline.edge.store import erasure, expired_patients

log = logging.getLogger(__name__)

AT_ONCE = 50
"""Patients that are erased in one transaction."""

MOST_BATCHES = 20
"""Batches in one night; what is left is erased in the next ones."""

NEWEST_EXAM_WITHIN = timedelta(days=90)
"""How far this computer's clock may be ahead of the newest exam, which has its day from a scanner's clock."""


def clock_is_credible(app: App, *, today: date) -> bool:
    """Return whether exams are still made at about the time of this computer's clock; the log says where they are not.

    One that has jumped ahead by years would have everybody erased in one night.

    Raises:
        StoreError: the database could not be reached.
    """
    with app.database.read() as connection:
        newest = expired_patients.newest_exam(connection)
    if newest is None or today - newest <= NEWEST_EXAM_WITHIN:
        return True
    extra = {"days": (today - newest).days}
    log.warning("no patient is erased by age: the newest exam is long ago; is the clock right?", extra=extra)
    return False


def erase_expired(app: App, *, today: date) -> int:
    """Erase patients by ``keeping.exams_years``, and return how many ids; none where it is not set.

    The files of the store are still to be rewritten.

    Raises:
        StoreError: the database could not be reached.
    """
    years = app.settings.service.keeping.exams_years
    if years is None:
        return 0
    erased, damaged = 0, frozenset[int]()
    for _ in range(MOST_BATCHES):
        with app.database.snapshot() as connection:
            numbers = expired_patients.expired(connection, years=years, on=today, most=AT_ONCE)
            if not numbers:
                break
            found = select_patients(connection, numbers)
        with app.database.write() as connection:
            erasure.lock(connection, found)
            now = select_patients(connection, numbers, known=found)
            damaged |= now.damaged
            if now.identities != found.identities:  # ids were merged or separated at this moment
                continue
            if waiting := erasure.under_way(connection, now):
                log.warning("old exams are erased another night, as work is under way: %s", "; ".join(waiting))
                break
            erase_rows(app, connection, now, f"the last exam is more than {years} years ago (keeping.exams_years)")
        erased += len(numbers)
    if damaged:
        log.warning("old patients were looked for, but %s", not_looked_into(damaged))
    if erased:
        log.info("patients were erased whose exams are old", extra={"count": erased})
    return erased
