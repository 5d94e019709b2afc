"""New software of a scanner is news for two weeks, and known software never is."""

from datetime import date, timedelta

import pytest

from pipeline.edge.overview.software_changes import SoftwareChange, software_change
from pipeline.edge.store.scanner_exams import ScannedExam

TODAY = date(2026, 3, 20)


def exams(*software: tuple[int, str]) -> list[ScannedExam]:
    """Exams of so many days ago, each with its software."""
    return [
        ScannedExam(
            number=number,
            performed_on=TODAY - timedelta(days=ago),
            software=version,
            technologists=frozenset(),
            regions=(),
        )
        for number, (ago, version) in enumerate(software)
    ]


def test_the_first_exam_with_other_software_is_told_with_what_was_before() -> None:
    found = software_change(exams((0, "18"), (3, "18"), (4, ""), (5, "17"), (9, "16")), on=TODAY)
    assert found == SoftwareChange(now="18", before="17", since=TODAY - timedelta(days=3))


@pytest.mark.parametrize(
    "known",
    [
        pytest.param((), id="no exam"),
        pytest.param(((0, ""), (1, "17")), id="one that states none is not new"),
        pytest.param(((0, "18"), (1, "18")), id="always the same"),
        pytest.param(((0, "18"), (15, "18"), (16, "17")), id="known for two weeks"),
        pytest.param(((0, "18"), (1, "17"), (30, "18"), (31, "17")), id="two in turn"),
        pytest.param(((0, "18"), (400, "12")), id="history of long ago"),
        pytest.param(((0, "18"), (0, "17")), id="both on one day"),
    ],
)
def test_there_is_no_news(known: tuple[tuple[int, str], ...]) -> None:
    assert software_change(exams(*known), on=TODAY) is None
