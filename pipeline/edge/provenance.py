"""What does an addendum rest on, and has any of it changed since?

Besides the exam's own reports an addendum rests on the patient's other visits up to its day, on who counts as the same
patient, on the LSCs, epochs, cross-calibrations and quality control of the machines on that day, on the records
of clinical context up to it, and on the rules. Of each kind a digest is kept with the exam; comparing digests
costs some microseconds, so that of a hundred thousand exams only those are looked at again whose ground has shifted.

Nothing here depends on today's date: an LSC judges the exams of its own days, so that its expiry shifts the ground of
an exam only where the department changes ``valid_until``.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache

from pipeline.clinical.clinical_reference import ClinicalReference
from pipeline.clinical.interpret import RULES_VERSION
from pipeline.clinical.model import Exam, Scanner
from pipeline.edge.configuration.fingerprint import fingerprint_of
from pipeline.edge.store.exam_summaries import ExamSummary, LinkedPatients, Provenance
from pipeline.edge.store.schema import State

SOME_SCANNERS = 10_000
"""How many digests of what is known of a scanner at a time are remembered: memory stays flat."""


class ChangedInput(StrEnum):
    """Which ground has shifted under an addendum; most are named as the digests are."""

    UNKNOWN = "unknown"
    """It was never kept."""
    HISTORY = "history"
    REFERENCE_DATA = "reference_data"
    CONTEXT = "context"
    RULES = "rules"


class ProvenanceTracker:
    """Tells what an exam rests on today, by one configuration."""

    def __init__(self, reference: ClinicalReference) -> None:
        self._rules = fingerprint_of(RULES_VERSION, asdict(reference.rules))
        self._known = _Known(reference)

    def provenance(self, visit: ExamSummary, linked_patients: LinkedPatients, parts: str) -> Provenance:
        """What a visit that measured these parts of the body rests on now."""
        day = visit.performed_at.date()
        return Provenance(
            parts=parts,
            history=_history(visit, linked_patients, day),
            reference_data=self._known.digest(visit.scanner_key, day, parts),
            context=_context(linked_patients, day),
            rules=self._rules,
        )

    def changed_inputs(self, visit: ExamSummary, linked_patients: LinkedPatients) -> tuple[ChangedInput, ...]:
        """What has shifted under a visit since it was last looked at; empty when nothing has."""
        before = visit.provenance
        if before is None:
            return (ChangedInput.UNKNOWN,)
        now = self.provenance(visit, linked_patients, before.parts)
        if now == before:
            return ()
        pairs = {
            ChangedInput.HISTORY: (now.history, before.history),
            ChangedInput.REFERENCE_DATA: (now.reference_data, before.reference_data),
            ChangedInput.CONTEXT: (now.context, before.context),
            ChangedInput.RULES: (now.rules, before.rules),
        }
        return tuple(shift for shift, (today, then) in pairs.items() if today != then)


def is_answered(visit: ExamSummary) -> bool:
    """Whether an exam has come to its end with an addendum that may have to be superseded."""
    return visit.state == State.DONE and not visit.historical and not visit.withdrawn


def parts_of(exam: Exam) -> str:
    """The parts of the body an exam has measured, as the grounds keep them."""
    return ";".join(sorted({measurement.region.part for measurement in exam.measurements}))


def _history(visit: ExamSummary, linked_patients: LinkedPatients, day: date) -> str:
    """The visits up to a day, with revisions and whether they are held; whose they are; who counts as the same patient.

    Of those only that count: a withdrawn one might as well not be there, nor one that came late, for those before it.

    Of later visits it matters only whether they are somebody else's: one conflict stops every comparison (R2.19).
    """
    known = [other for other in linked_patients.summaries if not other.late or other.number <= visit.number]
    up_to = [
        (other.number, other.revision, other.late, other.state == State.HELD and other.number != visit.number)
        for other in known
        if other.performed_at.date() <= day and not other.withdrawn
    ]
    counted = [
        other for other in known if other.number == visit.number or not (other.state == State.HELD or other.withdrawn)
    ]
    identities = sorted({(str(other.birth_date), other.sex) for other in counted})
    own = (visit.patient_id, visit.issuer)
    together = next((sorted(same) for same in linked_patients.merged if own in same), [])
    return fingerprint_of(visit.revision, up_to, identities, together)


def _context(linked_patients: LinkedPatients, day: date) -> str:
    """The records of the person up to a day: field by field the oldest may be the one that holds (E7)."""
    records = linked_patients.records
    return fingerprint_of(sorted((one.patient_number, one.number) for one in records if one.recorded_on <= day))


class _Known:
    """What the department knows of a machine on a day, day by day the same between two of its dates."""

    def __init__(self, reference: ClinicalReference) -> None:
        self._reference = reference
        self._dates = sorted(set(_dates(reference)))
        self._digest = lru_cache(maxsize=SOME_SCANNERS)(self._digest_between)

    def digest(self, scanner_key: str, day: date, parts: str) -> str:
        """A digest of what judges these parts of the body on this scanner on this day."""
        return self._digest(scanner_key, bisect_right(self._dates, day), parts)

    def _digest_between(self, scanner_key: str, segment: int, parts: str) -> str:
        day = self._dates[segment - 1] if segment else date.min
        known, measured = self._reference, set(parts.split(";"))
        cross_calibrations = [
            cross_calibration
            for cross_calibration in known.cross_calibrations
            if _key(cross_calibration.new) == scanner_key
            and cross_calibration.valid_from <= day
            and cross_calibration.region.part in measured
        ]
        machines = {scanner_key, *(_key(cross_calibration.old) for cross_calibration in cross_calibrations)}
        return fingerprint_of(
            [
                lsc
                for lsc in known.lscs
                if _key(lsc.scanner) == scanner_key
                and lsc.valid_from <= day <= lsc.valid_until
                and lsc.region.part in measured
            ],
            cross_calibrations,
            [epoch for epoch in known.epochs if _key(epoch.scanner) in machines and epoch.begins <= day],
            [gap for gap in known.qc_gaps if _key(gap.scanner) in machines and gap.begins <= day],
        )


def _dates(reference: ClinicalReference) -> Iterator[date]:
    """Every day on which what is known of some machine changes."""
    for lsc in reference.lscs:
        yield lsc.valid_from
        if lsc.valid_until < date.max:
            yield lsc.valid_until + timedelta(days=1)
    yield from (cross_calibration.valid_from for cross_calibration in reference.cross_calibrations)
    yield from (epoch.begins for epoch in reference.epochs)
    yield from (gap.begins for gap in reference.qc_gaps)


def _key(scanner: Scanner) -> str:
    """A scanner as the store knows it."""
    return "\t".join(scanner.key)
