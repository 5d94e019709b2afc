"""The latest analysis of a scan counts, and one reference population."""

import pytest

from pipeline.clinical.exam_assembly import ContradictionError, assemble
from pipeline.sr.extract.reanalysis import current, superseded_regions
from pipeline.sr.extract.report import Report
from tests.factories.reports import container, encode, read, region, report, spine, text


def analysed_report(
    *regions,
    scan: str = "A0301240C",
    analysed: str = "2024-03-01 10:30",
    title: str = "Results Summary",
    uid: str = "2.25.1",
) -> Report:
    """A Hologic report of one analysis of one scan."""
    information = [text("Scan ID", scan), text("Analysis Date", analysed)]
    return read(
        encode(
            report(
                container("Scan Information", *(item for item in information if item.TextValue)),
                container("Data Set 1", text("Data Set Title", title), *regions),
                root="BMD Rate of Change Report",
                Manufacturer="Hologic",
                SOPInstanceUID=uid,
            )
        )
    )


def together(*reports: Report) -> dict[str, str]:
    """What the reports of one exam say together, in whichever order they came."""
    there = assemble(current([one.part for one in reports]))
    back = assemble(current([one.part for one in reversed(reports)]))
    assert there == back
    return {measured.region.key: str(measured.bmd) for measured in there.measurements}


FIRST = analysed_report(region("L1-L4", "0.930"))
AGAIN = analysed_report(region("L1-L4", "0.912"), analysed="2024-03-02 09:00")


def test_a_scan_analysed_again_counts_as_analysed_last():
    assert together(FIRST, AGAIN) == {"L1-L4": "0.912"}
    parts = [FIRST.part, AGAIN.part]
    assert [superseded_regions(part, parts) for part in parts] == [("L1-L4",), ()]


def test_a_later_analysis_replaces_the_earlier_one_whole():
    """It may have left a vertebra out: what it no longer tells, it no longer says."""
    without_l2 = analysed_report(region("L1,L3-L4", "0.925"), analysed="2024-03-02 09:00")
    assert together(FIRST, without_l2) == {"L1,L3-L4": "0.925"}


def test_parts_of_one_analysis_complete_each_other():
    assert together(FIRST, analysed_report(region("L2-L4", "0.948"))) == {"L1-L4": "0.930", "L2-L4": "0.948"}


def test_another_scan_of_the_same_region_contradicts():
    with pytest.raises(ContradictionError, match=r"0\.930 in one report and 0\.912"):
        together(FIRST, analysed_report(region("L1-L4", "0.912"), scan="A0301240D", analysed="2024-03-02 09:00"))


@pytest.mark.parametrize(("scan", "analysed"), [("", "2024-03-02 09:00"), ("A0301240C", "")])
def test_measurements_without_scan_or_analysis_contradict(scan, analysed):
    with pytest.raises(ContradictionError):
        together(FIRST, analysed_report(region("L1-L4", "0.912"), scan=scan, analysed=analysed))


def test_an_analysis_date_with_two_readings_decides_only_where_both_say_the_same():
    later = analysed_report(region("L1-L4", "0.912"), analysed="04/05/2024 09:00")
    assert together(FIRST, later) == {"L1-L4": "0.912"}, "on 4 May and on 5 April"
    for other in (
        analysed_report(region("L1-L4", "0.9"), analysed=when) for when in ("2024-04-20 09:00", "03/06/2024 09:00")
    ):
        with pytest.raises(ContradictionError):
            together(later, other)


def test_another_site_of_one_visit_is_not_touched_by_a_new_analysis():
    hip = analysed_report(region("Total", "0.812"), scan="A0301240E", title="Results Summary: Left Hip")
    assert together(FIRST, hip, AGAIN) == {"L1-L4": "0.912", "total hip left": "0.812"}


def test_the_same_scan_name_on_two_sides_is_two_scans():
    left = analysed_report(region("Total", "0.812"), title="Results Summary: Left Hip")
    right = analysed_report(region("Total", "0.820"), title="Results Summary: Right Hip", analysed="2024-03-02 09:00")
    assert together(left, right) == {"total hip left": "0.812", "total hip right": "0.820"}


def test_a_scan_without_a_name_is_known_by_its_acquisition_time():
    def acquired(bmd: str, analysed: str) -> Report:
        scan = container("AP Spine", region("L1-L4", bmd), text("ANALYSIS_DATE", analysed))
        return read(encode(report(scan, AcquisitionDate="20240301", AcquisitionTime="101500")))

    assert together(acquired("0.930", "01-Mar-2024 10:30"), acquired("0.912", "02-Mar-2024")) == {"L1-L4": "0.912"}


def test_scores_against_men_and_women_in_two_reports_do_not_contradict():
    def against(population: str, score: str) -> Report:
        scores = text("Reference Population", population), text("BMD_TSCORE", score)
        return read(encode(report(spine(region("L1-L4", "1.022", *scores)), PatientSex="M")))

    exam = assemble(current([against("Male", "-1.8").part, against("Female", "-1.3").part]))
    assert [str(measured.t_score) for measured in exam.measurements] == ["-1.3"]
    assert exam.measurements[0].reference_population == "Female"


def test_parts_without_any_measurement_left_are_left_out_and_never_all_of_them():
    assert [exam.measurements[0].bmd for exam in current([FIRST.part, AGAIN.part])] == [AGAIN.exam.measurements[0].bmd]
    assert current([FIRST.part]) == [FIRST.exam]
