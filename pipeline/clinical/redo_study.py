"""When a precision study has to be repeated: new calibration, software or technologists, or its last day (R1.11)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date

from pipeline.clinical.cautions import major_version
from pipeline.clinical.model import Epoch, LeastSignificantChange
from pipeline.clinical.precision import REMIND
from pipeline.clinical.precision_register import StudyFacts

SCANS_OF_A_NEW_TECHNOLOGIST = 100
"""After so many exams a technologist's own precision belongs into the study (ISCD; R1.11)."""


def ending(lsc: LeastSignificantChange, on: date) -> tuple[str, ...]:
    """Return that an LSC ends within 90 days of a day; empty if it does not."""
    if lsc.valid_until - on > REMIND:
        return ()
    return (f"it ends on {lsc.valid_until}; after that day no change is judged (NO_LSC)",)


def changes_since_study(
    lsc: LeastSignificantChange,
    facts: StudyFacts | None,
    *,
    epochs: Sequence[Epoch],
    software_now: str,
    exams_by_technologist: Mapping[str, int],
    on: date,
) -> tuple[str, ...]:
    """Return what has changed since the study of an LSC, so that it has to be repeated; empty if nothing.

    Of software only another major version counts (R2.4). ``software_now`` is that of the scanner's latest exam,
    ``exams_by_technologist`` counts recent exams.
    """
    return tuple(_changes(lsc, facts, epochs, software_now, exams_by_technologist, on))


def _changes(
    lsc: LeastSignificantChange,
    facts: StudyFacts | None,
    epochs: Iterable[Epoch],
    software_now: str,
    exams_by_technologist: Mapping[str, int],
    on: date,
) -> Iterator[str]:
    made = facts.ends if facts and facts.ends else lsc.valid_from
    for epoch in epochs:
        if epoch.scanner == lsc.scanner and made < epoch.begins <= on:
            yield f"a new calibration epoch began on {epoch.begins} ({epoch.reason})"
    if facts is None:
        return
    if facts.software and software_now and major_version(facts.software) != major_version(software_now):
        yield f"the scanner's software is now {software_now}; the study was made with {facts.software}"
    studied = {_name(one.technologist) for one in facts.technologists}
    for technologist, exams in sorted(exams_by_technologist.items()):
        if studied and exams >= SCANS_OF_A_NEW_TECHNOLOGIST and _name(technologist) not in studied:
            yield f"technologist {technologist} has made {exams} exams, and the study has no precision of theirs"


def _name(technologist: str) -> str:
    return " ".join(technologist.casefold().split())
