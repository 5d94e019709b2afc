"""The latest exams on a scanner: with which software, by which technologists, of which regions, and of whom often."""

import json
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from sqlalchemy import Connection, func, select

from pipeline.clinical.model import Exam, Scanner
from pipeline.clinical.regions import Region, parse_region
from pipeline.edge.store.schema import exam, reading, scanner
from pipeline.edge.store.schema_base import State

LATEST = 5_000
"""Exams among which a patient who is scanned too often is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannedExam:
    """One exam that was followed up, as its reports state it; texts are empty where they state none."""

    number: int
    performed_on: date
    software: str
    technologists: frozenset[str]
    regions: tuple[Region, ...]


def write_scanned(exam: Exam) -> str:
    """Return the column of a report from which ``latest`` reads: its software, technologists and regions, as JSON."""
    measured = exam.measurements
    names = (" ".join(one.technologist.split()) for one in measured)
    found = {
        "software": exam.software,
        "technologists": sorted({name for name in names if name}),
        "regions": list(dict.fromkeys(str(one.region.key) for one in measured)),
    }
    return json.dumps({name: value for name, value in found.items() if value}, ensure_ascii=False)


def latest(connection: Connection, machine: Scanner, *, limit: int) -> list[ScannedExam]:
    """Return the latest exams on a scanner that were followed up and not withdrawn, the newest first."""
    chosen = (
        select(exam.c.id)
        .join(scanner, scanner.c.id == exam.c.scanner_id)
        .where(scanner.c.key == "\t".join(machine.key), exam.c.state == State.DONE, exam.c.withdrawn.is_(None))
        .order_by(exam.c.performed_at.desc(), exam.c.id.desc())
        .limit(limit)
    ).subquery()
    query = (
        select(exam.c.id, exam.c.performed_at, reading.c.scanned)
        .join(chosen, chosen.c.id == exam.c.id)
        .join(reading, reading.c.exam_id == exam.c.id)
        .where(reading.c.rejected.is_(None))
        .order_by(exam.c.performed_at.desc(), exam.c.id.desc(), reading.c.receipt_id)
    )
    found: dict[int, ScannedExam] = {}
    for row in connection.execute(query):
        software, technologists, regions = _read_scanned(row.scanned)
        before = found.get(row.id)
        found[row.id] = ScannedExam(
            number=row.id,
            performed_on=row.performed_at.date(),
            software=software or (before.software if before else ""),
            technologists=technologists | (before.technologists if before else frozenset()),
            regions=tuple(dict.fromkeys((*(before.regions if before else ()), *regions))),
        )
    return list(found.values())


def frequent(connection: Connection, *, fewest: int) -> list[tuple[int, list[int]]]:
    """Return the patients who have so many of the latest exams on one scanner, with the numbers of these exams.

    The latest are a few thousand by their numbers: whoever is scanned so often is among them soon.
    """
    last = select(func.max(exam.c.id)).scalar_subquery()
    lately = (
        select(exam.c.patient_id, exam.c.scanner_id)
        .where(exam.c.id > last - LATEST, exam.c.withdrawn.is_(None))
        .order_by(exam.c.id)
        .limit(LATEST)  # without it SQLite walks through all exams, patient by patient
    ).subquery()
    often = (
        select(lately.c.patient_id, lately.c.scanner_id)
        .group_by(lately.c.patient_id, lately.c.scanner_id)
        .having(func.count() >= fewest)
    )
    found = []
    for row in connection.execute(often.order_by(lately.c.patient_id, lately.c.scanner_id)):
        theirs = (exam.c.patient_id == row.patient_id) & (exam.c.scanner_id == row.scanner_id)
        numbers = select(exam.c.id).where(theirs, exam.c.withdrawn.is_(None)).order_by(exam.c.performed_at, exam.c.id)
        found.append((row.patient_id, list(connection.scalars(numbers))))
    return found


@lru_cache(maxsize=4096)
def _read_scanned(text: str) -> tuple[str, frozenset[str], tuple[Region, ...]]:
    """Return software, technologists and regions of a report; most reports of a scanner have the same."""
    read = json.loads(text)
    regions = tuple(parse_region(key) for key in read.get("regions", ()))
    return read.get("software", ""), frozenset(read.get("technologists", ())), regions
