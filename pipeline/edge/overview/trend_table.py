"""The scans behind a trend plot as a table, in the order of the plot: what each was, and why it was not compared."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from pipeline.clinical.model import Exam, Finding, Scanner
from pipeline.clinical.regions import SPINE, Region
from pipeline.clinical.wording.impression import NOT_COMPARED
from pipeline.clinical.wording.names import bmd_in_text, score_in_text
from pipeline.sr.render.plot_geometry import age_on
from pipeline.sr.render.plots import NOT_COMPARABLE, Plot, Point, ScanGroup, other_set, scan_of

ExamNumbers = Mapping[tuple[tuple[str, int], tuple[str, str, str]], int]
"""The numbers of exams by ``Exam.key`` and the key of their scanner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendRow:
    """One scan; ``differs`` names the columns in which it is not as the present exam.

    ``role`` is what it served as, ``why`` why it was not compared. A held exam has no numbers.
    """

    exam: int | None
    on: date
    age: int | None = None
    bmd: str = ""
    t_score: str = ""
    z_score: str = ""
    vertebrae: str = ""
    scanner: str = ""
    software: str = ""
    mode: str = ""
    role: str = ""
    why: str = ""
    differs: frozenset[str] = frozenset()


def rows_of(
    plot: Plot,
    finding: Finding,
    region: Region,
    exams: Sequence[Exam],
    numbers: ExamNumbers,
    held: Sequence[tuple[int, date]] = (),
) -> tuple[TrendRow, ...]:
    """Return a row for each scan of the plot, the oldest first.

    ``exams`` are the patient's, the present one last; ``held`` are numbers and days of held exams.
    """
    *earlier, present = exams
    this = _row(plot, finding, region, present, numbers)
    assert this is not None, "the present exam measured the region"
    rows = [row for one in earlier if (row := _row(plot, finding, region, one, numbers)) is not None]
    waiting = [TrendRow(exam=number, on=day, why="held for a person") for number, day in held if day < this.on]
    compared = [replace(row, differs=frozenset(_differences(row, this))) for row in rows]
    return (*sorted((*compared, *waiting), key=lambda row: row.on), replace(this, role="this exam"))


def _row(plot: Plot, finding: Finding, region: Region, exam: Exam, numbers: ExamNumbers) -> TrendRow | None:
    point, vertebrae = scan_of(exam, region), ""
    if point is None:
        point, vertebrae = next(iter(other_set(exam, region)), (None, ""))
    if point is None:
        return None
    measured = exam.measurement_of(region)
    printed = vertebrae or point.printed or (str(region) if region.part == SPINE else "")
    role, why = _use(plot, finding, exam, point)
    row = TrendRow(
        exam=numbers.get((exam.key, exam.scanner.key)),
        on=exam.performed_on,
        age=age_on(exam.patient.birth_date, exam.performed_on) if exam.patient.birth_date else None,
        bmd=bmd_in_text(point.bmd) + (" recomputed" if point.recomputed else ""),
        t_score=score_in_text(measured.t_score) if measured and measured.t_score is not None else "",
        z_score=score_in_text(measured.z_score) if measured and measured.z_score is not None else "",
        vertebrae=printed,
        scanner=_scanner(exam.scanner),
        software=exam.software,
        mode=measured.scan_mode if measured else "",
        role=role,
        why=why,
    )
    is_invalid = not vertebrae and _group_of(point, plot.excluded) is not None
    return replace(row, bmd="", t_score="", z_score="") if is_invalid else row  # N5


def _scanner(scanner: Scanner) -> str:
    return f"{scanner.manufacturer} {scanner.model}, S/N {scanner.serial_number or 'not stated'}"


def _use(plot: Plot, finding: Finding, exam: Exam, point: Point) -> tuple[str, str]:
    """Return what a scan served as, and why it was not compared; one of the two is empty."""
    references = {
        "prior": finding.since_prior.reference.key if finding.since_prior else None,
        "baseline": finding.since_baseline.reference.key if finding.since_baseline else None,
    }
    if roles := [role for role, key in references.items() if key == exam.key]:
        return " and ".join(roles), ""
    if (group := _group_of(point, plot.excluded)) is not None:
        return "", f"not used: {group.reason}"
    if (group := _group_of(point, plot.not_comparable)) is not None:
        words = "not comparable" if group.reason == NOT_COMPARABLE else f"not comparable: {group.reason}"
        return "", _refusal(finding, exam) or words
    return "comparable", ""


def _refusal(finding: Finding, exam: Exam) -> str:
    """Return why an exam was not compared; only the latest of each reason and scanner is refused by name."""
    refusals = [refusal for refusal in finding.refusals if not refusal.own]
    if own := next((refusal.text for refusal in refusals if refusal.exam.key == exam.key), ""):
        return own
    alike = next((one.obstacle for one in refusals if one.exam.scanner == exam.scanner), None)
    return "" if alike is None else NOT_COMPARED[alike]


def _group_of(point: Point, groups: Sequence[ScanGroup]) -> ScanGroup | None:
    return next((group for group in groups if point in group.points), None)


def _differences(row: TrendRow, this: TrendRow) -> Iterator[str]:
    for column in ("scanner", "software", "mode", "vertebrae"):
        then, now = getattr(row, column), getattr(this, column)
        if then and now and then != now:
            yield column
