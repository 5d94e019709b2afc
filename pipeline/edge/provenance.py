"""Provenance of addenda: what each rests on, as fingerprints that show which exams to examine again.

Besides the exam's own reports an addendum rests on the patient's other exams up to its day, on who counts as the same
patient, on the LSCs, epochs, cross-calibrations and QC gaps of the scanners on that day, on the records of clinical
context up to it, and on the rules. A fingerprint of each kind is stored with the exam. To compare them takes
microseconds, so that of a hundred thousand exams only those are examined again whose inputs have changed.

Nothing here depends on today's date: an LSC judges the exams of its own days, so that its expiry changes no input of an
exam; nor does an edit of ``valid_until``, or a later LSC, as long as the same one judges the day.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache

from pipeline.clinical.clinical_reference import ClinicalReference
from pipeline.clinical.interpret import RULES_VERSION
from pipeline.clinical.model import Exam, Scanner
from pipeline.edge.configuration.fingerprint import fingerprint_of
from pipeline.edge.store.exam_summaries import ExamSummary, LinkedPatients, Provenance
from pipeline.edge.store.schema_base import State

MAX_CACHED = 10_000
"""Most fingerprints of reference data in memory, one for each scanner, span of days and set of body parts."""


class ChangedInput(StrEnum):
    """The kind of input that has changed since an exam was examined."""

    UNKNOWN = "unknown"
    """No provenance is on file."""
    HISTORY = "history"
    REFERENCE_DATA = "reference_data"
    CONTEXT = "context"
    RULES = "rules"


class ProvenanceTracker:
    """Computes what an exam rests on now, by one configuration."""

    def __init__(self, reference: ClinicalReference) -> None:
        self._rules = fingerprint_of(RULES_VERSION, asdict(reference.rules))
        self._reference = _ReferenceFingerprints(reference)

    def provenance(self, summary: ExamSummary, linked_patients: LinkedPatients, parts: str) -> Provenance:
        """Return what an exam that measured these parts of the body rests on now."""
        day = summary.performed_at.date()
        return Provenance(
            parts=parts,
            history=_history(summary, linked_patients, day),
            reference_data=self._reference.fingerprint(summary.scanner_key, day, parts),
            context=_context(linked_patients, day),
            rules=self._rules,
        )

    def changed_inputs(self, summary: ExamSummary, linked_patients: LinkedPatients) -> tuple[ChangedInput, ...]:
        """Return the inputs that have changed since an exam was examined; empty when none has."""
        before = summary.provenance
        if before is None:
            return (ChangedInput.UNKNOWN,)
        now = self.provenance(summary, linked_patients, before.parts)
        if now == before:
            return ()
        pairs = {
            ChangedInput.HISTORY: (now.history, before.history),
            ChangedInput.REFERENCE_DATA: (now.reference_data, before.reference_data),
            ChangedInput.CONTEXT: (now.context, before.context),
            ChangedInput.RULES: (now.rules, before.rules),
        }
        return tuple(changed for changed, (today, then) in pairs.items() if today != then)


def is_answered(summary: ExamSummary) -> bool:
    """Return whether an exam has been followed up with an addendum that may have to be superseded."""
    return summary.state == State.DONE and not summary.historical and not summary.withdrawn


def parts_of(exam: Exam) -> str:
    """Return the parts of the body that an exam has measured, as its provenance has them."""
    return ";".join(sorted({measurement.region.part for measurement in exam.measurements}))


def _history(summary: ExamSummary, linked_patients: LinkedPatients, day: date) -> str:
    """Return a fingerprint of a patient's exams up to a day, of whose they are, and of who counts as the same patient.

    A withdrawn exam does not count, nor does one that came late for those that came before it. Of later exams only
    whether they are somebody else's matters: one conflict stops every comparison (R2.19).
    """
    relevant = [other for other in linked_patients.summaries if not other.late or other.number <= summary.number]
    up_to = [
        (other.number, other.revision, other.late, other.state == State.HELD and other.number != summary.number)
        for other in relevant
        if other.performed_at.date() <= day and not other.withdrawn
    ]
    counted = [
        other
        for other in relevant
        if other.number == summary.number or not (other.state == State.HELD or other.withdrawn)
    ]
    identities = sorted({(str(other.birth_date), other.sex) for other in counted})
    own = (summary.patient_id, summary.issuer)
    together = next((sorted(same) for same in linked_patients.merged if own in same), [])
    return fingerprint_of(summary.revision, up_to, identities, together)


def _context(linked_patients: LinkedPatients, day: date) -> str:
    """Return a fingerprint of the records of clinical context up to a day, any of which may hold on it (E7)."""
    records = linked_patients.records
    return fingerprint_of(sorted((one.patient_number, one.number) for one in records if one.recorded_on <= day))


class _ReferenceFingerprints:
    """Fingerprints of the reference data of a scanner on a day; between two dates of the data all days are alike."""

    def __init__(self, reference: ClinicalReference) -> None:
        self._reference = reference
        self._dates = sorted(set(_dates(reference)))
        self._cached = lru_cache(maxsize=MAX_CACHED)(self._fingerprint)

    def fingerprint(self, scanner_key: str, day: date, parts: str) -> str:
        """Return a fingerprint of what judges these parts of the body on a scanner on a day."""
        return self._cached(scanner_key, bisect_right(self._dates, day), parts)

    def _fingerprint(self, scanner_key: str, segment: int, parts: str) -> str:
        day = self._dates[segment - 1] if segment else date.min
        reference, measured = self._reference, set(parts.split(";"))
        cross_calibrations = [
            calibration
            for calibration in reference.cross_calibrations
            if _key(calibration.new) == scanner_key
            and calibration.valid_from <= day
            and calibration.region.part in measured
        ]
        scanners = {scanner_key, *(_key(calibration.old) for calibration in cross_calibrations)}
        return fingerprint_of(
            [
                replace(lsc, valid_until=date.max)  # until when it goes on changes nothing that it judges now
                for lsc in reference.lscs
                if _key(lsc.scanner) == scanner_key
                and lsc.valid_from <= day <= lsc.valid_until
                and lsc.region.part in measured
            ],
            cross_calibrations,
            [epoch for epoch in reference.epochs if _key(epoch.scanner) in scanners and epoch.begins <= day],
            [gap for gap in reference.qc_gaps if _key(gap.scanner) in scanners and gap.begins <= day],
        )


def _dates(reference: ClinicalReference) -> Iterator[date]:
    """Yield each day on which the reference data of some scanner change."""
    for lsc in reference.lscs:
        yield lsc.valid_from
        if lsc.valid_until < date.max:
            yield lsc.valid_until + timedelta(days=1)
    yield from (calibration.valid_from for calibration in reference.cross_calibrations)
    yield from (epoch.begins for epoch in reference.epochs)
    yield from (gap.begins for gap in reference.qc_gaps)


def _key(scanner: Scanner) -> str:
    """Return a scanner's key in the database."""
    return "\t".join(scanner.key)
