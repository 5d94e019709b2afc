"""Plain values for the edge's tests: one instance, one report."""

import socket
from datetime import UTC, datetime
from decimal import Decimal

from pydicom.uid import EnhancedSRStorage, ExplicitVRLittleEndian
from sqlalchemy import Connection, Table, update

from pipeline.clinical.model import Exam, Measurement, Patient, Scanner
from pipeline.clinical.regions import parse_region
from pipeline.edge.store import work_queue
from pipeline.edge.store.receipts import Instance
from pipeline.sr.extract.report import Report

NOW = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)


def instance(data_set: bytes = b"what a scanner sent", *, uid: str = "2.25.1") -> Instance:
    """An instance as it came over the wire."""
    return Instance(
        sop_class_uid=EnhancedSRStorage,
        sop_instance_uid=uid,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        data_set=data_set,
    )


def lose_the_worker(connection: Connection, queue: Table) -> int:
    """Let whoever has leased something be dead, as if killed, and take it over; how many pieces that concerns."""
    dead = f"{socket.gethostname()}/4194999.1"  # above any process id Linux gives by default
    connection.execute(update(queue).where(queue.c.lease_owner.is_not(None)).values(lease_owner=dead))
    return work_queue.reclaim_from_dead_processes(connection)


def report(
    *,
    study: str = "2.25.10",
    patient_id: str = "P1",
    serial_number: str = "S1",
    bmd: str = "0.930",
    uid: str = "2.25.1",
) -> Report:
    """A report of one region."""
    exam = Exam(
        study_instance_uid=study,
        patient=Patient(patient_id=patient_id),
        scanner=Scanner("Maker", "Model", serial_number),
        performed_at=datetime(2026, 3, 2, 8, 0),
        measurements=(Measurement(region=parse_region("L1-L4"), bmd=Decimal(bmd)),),
    )
    return Report(exam=exam, dialect="test 1", sop_class_uid=EnhancedSRStorage, sop_instance_uid=uid, remarks=())
