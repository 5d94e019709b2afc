"""When a precision study has to be repeated: new calibration, software or technologists, or its last day (R1.11)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from pipeline.clinical.cautions import major_version
from pipeline.clinical.model import Epoch, LeastSignificantChange
from pipeline.clinical.precision import REMIND
from pipeline.clinical.precision_register import StudyFacts

SCANS_OF_A_NEW_TECHNOLOGIST = 100
"""After so many exams a technologist's own precision belongs into the study (ISCD; R1.11)."""


@dataclass(frozen=True, slots=True)
class OutsideTechnologist:
    """A technologist who scans and was no part of the study: the name as reports have it, and recent exams."""

    name: str
    exams: int

    @property
    def is_experienced(self) -> bool:
        """Whether their own precision belongs into the study by now."""
        return self.exams >= SCANS_OF_A_NEW_TECHNOLOGIST

    def __str__(self) -> str:
        return (
            f"technologist {self.name} has made {self.exams} of the latest exams and was no part of the study: after "
            f"{SCANS_OF_A_NEW_TECHNOLOGIST} it has to be repeated with them"
        )


def ending(lsc: LeastSignificantChange, on: date) -> tuple[str, ...]:
    """Return that an LSC ends within 90 days of a day; empty if it does not."""
    if lsc.valid_until - on > REMIND:
        return ()
    return (f"it ends on {lsc.valid_until}; after that day no change is judged",)


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
    for one in technologists_outside(facts, exams_by_technologist):
        if one.is_experienced:
            yield f"technologist {one.name} has made {one.exams} exams, and the study has no precision of theirs"


def technologists_outside(
    facts: StudyFacts | None, exams_by_technologist: Mapping[str, int]
) -> tuple[OutsideTechnologist, ...]:
    """Return the technologists who scan and were no part of a study that names its own, by name."""
    studied = {_name(one.technologist) for one in facts.technologists} if facts else set()
    return tuple(
        OutsideTechnologist(name, exams)
        for name, exams in sorted(exams_by_technologist.items())
        if studied and _name(name) not in studied
    )


def _name(technologist: str) -> str:
    return " ".join(technologist.casefold().split())
