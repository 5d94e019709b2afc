"""Reference data in force: what the configuration says, and what was recorded in the database since.

A QC stop in the database counts like a ``[[scanner.unverified]]`` of ``scanners.toml`` (R7.6).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial

from sqlalchemy import Connection

from pipeline.clinical.precision_register import counting_cross_calibrations, counting_lscs
from pipeline.edge.configuration.reference_data import ReferenceData
from pipeline.edge.provenance import ProvenanceTracker
from pipeline.edge.store import recorded_reference
from pipeline.edge.store.precision_register import RegisteredRecords
from pipeline.edge.store.recorded_reference import RecordedReference
from pipeline.sr.extract.scanner_alias import canonical_scanner

MOST_CACHED = 8
"""Combinations kept in memory: a run over all exams uses one, a dry run two."""


@dataclass(frozen=True, slots=True)
class ReferenceInForce:
    """What an exam is judged by now, and the fingerprints of it."""

    reference_data: ReferenceData
    provenance_tracker: ProvenanceTracker


class ReferenceReader:
    """Combines the reference data of one configuration with those in the database, as they are at each reading."""

    def __init__(self, configured: ReferenceData, supposed: RegisteredRecords | None = None) -> None:
        self._combined: Callable[[RecordedReference], ReferenceInForce] = lru_cache(MOST_CACHED)(
            partial(_combined, configured)
        )
        self._supposed = supposed
        self._known: RegisteredRecords | None = None

    def in_force(self, connection: Connection) -> ReferenceInForce:
        """Return what is in force in the eyes of a transaction."""
        recorded = recorded_reference.load(connection, self._known)
        self._known = recorded.register
        return self._combined(replace(recorded, register=self._supposed) if self._supposed else recorded)


def _combined(configured: ReferenceData, recorded: RecordedReference) -> ReferenceInForce:
    """Return the configuration with what is recorded; the register names scanners as reports named them then."""
    spellings, register = configured.spellings, recorded.register
    lscs = [
        replace(one, value=replace(one.value, scanner=canonical_scanner(one.value.scanner, spellings)))
        for one in register.lscs
    ]
    cross_calibrations = [
        replace(
            one,
            value=replace(
                one.value,
                old=canonical_scanner(one.value.old, spellings),
                new=canonical_scanner(one.value.new, spellings),
            ),
        )
        for one in register.cross_calibrations
    ]
    stops = [replace(gap, scanner=canonical_scanner(gap.scanner, spellings)) for gap in recorded.qc_gaps]
    clinical = replace(
        configured.clinical,
        lscs=counting_lscs(configured.clinical.lscs, lscs),
        cross_calibrations=counting_cross_calibrations(configured.clinical.cross_calibrations, cross_calibrations),
        qc_gaps=(*configured.clinical.qc_gaps, *stops),
    )
    reference_data = replace(configured, clinical=clinical)
    return ReferenceInForce(reference_data, ProvenanceTracker(clinical))
