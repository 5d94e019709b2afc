"""Observation context of a scan and its analysis, and the patient on that day."""

from decimal import Decimal

import pytest

from pipeline.sr.extract.report import Report
from tests.factories.reports import (
    code_item,
    coded,
    container,
    group,
    measurements,
    num,
    put,
    region,
    report,
    seen,
    spine,
    text,
    values,
)

TID1500 = ("126000", "DCM", "Imaging Measurement Report")
POPULATION = ("121405", "DCM", "Population description")


def hologic(*information, regions=None) -> Report:
    content = [
        container("Scan Information", *information),
        container("Data Set 1", text("Data Set Title", "Results Summary"), *(regions or [region("L1-L4", "0.930")])),
    ]
    return seen(report(*content, root="BMD Rate of Change Report", Manufacturer="HOLOGIC, Inc."))


def test_the_header_has_the_patient_on_that_day():
    sent = report(spine(), PatientAge="074Y", PatientWeight="61.5", PatientSize="1.58", EthnicGroup="White")
    read_report = seen(sent)
    exam = read_report.exam
    assert (exam.age, exam.weight_kg, exam.height_cm) == (Decimal(74), Decimal("61.5"), Decimal(158))
    assert read_report.ethnic_group == "White"
    assert read_report.remarks == ()


@pytest.mark.parametrize(
    ("sent", "age"),
    [("018M", Decimal("1.5")), ("026W", Decimal("0.5")), ("", None), ("74", None), ("ABC", None), ("000Y", None)],
)
def test_an_age_is_read_in_any_of_dicoms_units(sent, age):
    assert seen(report(spine(), PatientAge=sent)).exam.age == age


def test_the_content_supplies_what_the_header_lacks():
    exam = hologic(
        text("Age", "74"), text("Weight", "61.5  kg"), text("Height", "158.0 cm"), text("MenopauseAge", "51")
    ).exam
    assert (exam.age, exam.weight_kg, exam.height_cm) == (Decimal(74), Decimal("61.5"), Decimal("158.0"))
    assert exam.menopause_age == Decimal(51)


def test_a_weight_in_a_unit_we_do_not_know_is_not_used_and_kept():
    read_report = hologic(text("Weight", "135 lb"))
    assert read_report.exam.weight_kg is None
    assert [(unused.what, unused.text) for unused in read_report.unused] == [("weight kg", "135 lb")]


def test_a_value_stated_twice_and_differently_in_one_container_is_not_used():
    read_report = hologic(text("Scan Mode", "a Lumbar Spine"), text("Scan Mode", "f Lumbar Spine"))
    assert read_report.exam.measurements[0].scan_mode == ""
    assert any("scan mode in different ways" in remark for remark in read_report.remarks)


def test_of_two_hips_in_one_hologic_report_neither_has_the_mode_of_the_other():
    modes = (text("Scan Mode", "a Left Hip"), text("Scan Mode 2", "f Right Hip"))
    read_report = hologic(*modes, regions=[region("Neck Left", "0.7"), region("Neck Right", "0.71")])
    assert values(read_report) == {"femoral neck left": "0.7", "femoral neck right": "0.71"}
    assert [measured.scan_mode for measured in read_report.exam.measurements] == ["", ""]


def test_scan_mode_and_technologist_go_with_the_measurement():
    (measured,) = hologic(text("Scan Mode", "a Lumbar Spine"), text("Operator", "AB")).exam.measurements
    assert (measured.scan_mode, measured.technologist) == ("a Lumbar Spine", "AB")


def test_the_nearest_of_several_values_counts():
    near = region("L1-L4", "0.930", text("Scan Mode", "f Lumbar Spine"))
    read_report = hologic(text("Scan Mode", "a Lumbar Spine"), regions=[near, region("L2-L4", "0.940")])
    assert [measured.scan_mode for measured in read_report.exam.measurements] == ["f Lumbar Spine", "a Lumbar Spine"]


def test_the_operator_in_the_header_is_the_technologist_whatever_the_name_is_written_in():
    assert seen(report(spine(), OperatorsName="Doe^Jo")).exam.measurements[0].technologist == "Doe Jo"
    sent = report(spine())
    put(sent, "SpecificCharacterSet", "ISO_IR 192")
    put(sent, "OperatorsName", "\xff\xfe^\xff")
    read_report = seen(sent)
    assert values(read_report) == {"L1-L4": "0.912"}


def test_in_a_standard_report_the_reference_population_may_be_a_code_or_a_text():
    for stated in (text(POPULATION, "NHANES III"), code_item(POPULATION, "NHANES III")):
        sent = report(measurements(group("L1-L4", stated)), root=TID1500)
        assert seen(sent).exam.measurements[0].reference_population == "NHANES III"


# Men have two result sets


def man(*populations: tuple[str, str], apart: bool = False):
    """A spine told against several reference populations."""
    stated = [
        region("L1-L4", "1.022", text("Reference Population", population), text("BMD_TSCORE", score))
        for population, score in populations
    ]
    return report(*([spine(one) for one in stated] if apart else [spine(*stated)]), PatientSex="M")


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("women", ["Female", "USA (Women 20-40)", "Caucasian female"])
def test_against_men_and_against_women_the_female_reference_counts_and_the_other_is_kept_separately(apart, women):
    for order in (1, -1):
        read_report = seen(man(*[("USA Male", "-1.8"), (women, "-1.3")][::order], apart=apart))
        (measured,) = read_report.exam.measurements
        assert measured.t_score == Decimal("-1.3")
        assert "female" in measured.reference_population.casefold()
        (other,) = read_report.other_scores
        assert (other.t_score, other.region) == (Decimal("-1.8"), measured.region)
        assert "male" in other.reference_population.casefold().split()
        assert len(read_report.remarks) == 1


def test_one_reference_population_is_kept_with_its_scores():
    (measured,) = seen(man(("USA Men", "-1.8"))).exam.measurements
    assert (measured.t_score, measured.reference_population) == (Decimal("-1.8"), "male (USA Men)")


def test_in_a_standard_report_the_population_may_stand_below_each_score():
    """TID 311 tells it of a measurement."""

    def against(population: str, score: str):
        item = num(("38267-1", "LN", "DXA Lumbar spine [T-score]"), score, ("1", "UCUM", "no units"))
        below = text(POPULATION, population)
        below.RelationshipType = "HAS PROPERTIES"
        item.ContentSequence = [below]
        return item

    sent = measurements(group("L1-L4", against("NHANES male", "-1.8"), against("NHANES female", "-1.3")))
    read_report = seen(report(sent, root=TID1500, PatientSex="M"))
    (measured,) = read_report.exam.measurements
    assert (str(measured.bmd), measured.t_score) == ("0.912", Decimal("-1.3"))
    assert measured.reference_population == "NHANES female"
    assert [other.t_score for other in read_report.other_scores] == [Decimal("-1.8")]


def test_scores_against_populations_of_unknown_sex_are_all_left_out_and_kept():
    read_report = seen(man(("Local A", "-1.8"), ("Local B", "-1.3")))
    assert read_report.exam.measurements[0].t_score is None
    assert [unused.text for unused in read_report.unused] == ["-1.8 and as -1.3"]


def test_a_code_without_a_meaning_is_read_by_its_value():
    sent = report(measurements(group("L1-L4")), root=TID1500)
    item = code_item(POPULATION, ("NH3", "99X", ""))
    item.ConceptCodeSequence = [coded(("NH3", "99X", ""))]
    sent.ContentSequence[0].ContentSequence[0].ContentSequence.append(item)
    assert seen(sent).exam.measurements[0].reference_population == "NH3"


def test_a_number_among_the_facts_brings_its_unit():
    weight = num("Weight", "61.5", ("kg", "UCUM", "kg"))
    assert hologic(weight).exam.weight_kg == Decimal("61.5")
