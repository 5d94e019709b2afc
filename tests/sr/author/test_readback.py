"""Everything that an addendum says in codes and numbers is read back from it."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import ExplicitVRLittleEndian

from pipeline.clinical.model import Change, Finding, Interpretation, Overall
from pipeline.sr.author.addendum import author
from pipeline.sr.author.readback import ReadBack, read_back
from pipeline.sr.dicom.content_item import Code, Item
from pipeline.sr.dicom.content_tree import read_tree
from pipeline.sr.dicom.header import dicom_date
from pipeline.sr.dicom.reader import read_elements
from tests.factories import interpretations as make
from tests.factories import patients
from tests.factories.elements import elements_of

Values = dict[str, tuple[str, ...]]


def through_the_wire(case: patients.AddendumCase) -> Item:
    authored = author(
        case.interpretation,
        sources=[*map(elements_of, case.sources)],
        priors=[*map(elements_of, case.priors)],
    )
    return read_tree(read_elements(authored.data_set, ExplicitVRLittleEndian))


def of(interpretation: Interpretation) -> patients.AddendumCase:
    return patients.AddendumCase(interpretation, (), (make.report(),), (make.report(2022), make.report(2019)))


def expected(interpretation: Interpretation) -> dict[str, Values]:
    """What should be read back of each region, from the interpretation itself."""
    return {f.measurement.region.key: values_of(interpretation, f) for f in interpretation.findings}


def values_of(interpretation: Interpretation, finding: Finding) -> Values:
    exam, measurement = interpretation.exam, finding.measurement
    values: dict[str, list[object]] = {
        "DATE": [dicom_date(exam.performed_on)],
        "STUDY": [exam.study_instance_uid],
        "BMD": [measurement.bmd],
        "BMC": [measurement.bmc],
        "AREA": [measurement.area],
        "T_SCORE": [measurement.t_score],
        "Z_SCORE": [measurement.z_score],
        "PYA": [measurement.percent_young_adult],
        "PAM": [measurement.percent_age_matched],
        "RESULT": [finding.result.value],
        "OBSTACLE": [refusal.obstacle.value for refusal in finding.refusals],
        "OBSTACLE_DATE": [dicom_date(refusal.exam.performed_on) for refusal in finding.refusals],
        "OBSTACLE_STUDY": [refusal.exam.study_instance_uid for refusal in finding.refusals],
        "FLAG": [caution.flag.value for caution in finding.cautions],
    }
    if finding.since_prior:
        values |= compared(finding.since_prior, "PRIOR", "")
        values["RATE"] = [finding.since_prior.rate]
        if finding.detectable_on:
            values["DETECTABLE_ON"] = [dicom_date(finding.detectable_on)]
        lsc = finding.since_prior.lsc
        values |= {"LSC": [lsc.lsc], "LSC_CONFIDENCE": [Decimal(95)]} if lsc else {}
    if finding.since_baseline:
        values |= compared(finding.since_baseline, "BASELINE", "B")
        values["BRESULT"] = [finding.since_baseline.result.value]
    for line in interpretation.trends:
        if line.region == measurement.region:
            values |= {"SLOPE": [line.slope], "SLOPE_SE": [line.standard_error]}
    return {name: tuple(printed(found)) for name, found in values.items() if any(v is not None for v in found)}


def compared(change: Change, which: str, b: str) -> dict[str, list[object]]:
    return {
        f"{which}_BMD": [change.reference_bmd],
        f"{which}_DATE": [dicom_date(change.reference.performed_on)],
        f"{which}_STUDY": [change.reference.study_instance_uid],
        f"{b}DIFF": [change.difference],
        f"{b}PDIFF": [change.percent],
        f"{b}DIFF_BMD": [change.bmd],
        f"{b}CI_LOW": [change.interval and change.interval[0]],
        f"{b}CI_HIGH": [change.interval and change.interval[1]],
    }


def values_of_the_exam(interpretation: Interpretation) -> Values:
    """What should be read back of the whole exam."""
    before, diagnosis, target = interpretation.category_change, interpretation.diagnosis, interpretation.target
    withdrawn = interpretation.overall is Overall.WITHDRAWN
    values: dict[str, list[object]] = {
        "BOVERALL": [None if withdrawn else interpretation.overall_since_baseline.value],
        "CATEGORY": [diagnosis.category.value if diagnosis and not diagnosis.superseded else None],
        "PCATEGORY": [before and before.before.category.value],
        "PCATEGORY_DATE": [before and dicom_date(before.exam.performed_on)],
        "PCATEGORY_STUDY": [before and before.exam.study_instance_uid],
        "RESPONSE": ["RESPONSE_MET" if interpretation.response else None],
        "SUGGESTION": [suggestion.rule for suggestion in interpretation.suggestions],
        "NOT_EVALUATED": [item.rule for item in interpretation.not_evaluated],
        "TARGET_T": [target and target.target],
        "TARGET_DISTANCE": [target and target.distance],
    }
    return {name: tuple(printed(found)) for name, found in values.items() if any(v is not None for v in found)}


def printed(values: list[object]) -> Iterator[str]:
    for value in values:
        yield f"{value or abs(value):f}" if isinstance(value, Decimal) else str(value)


def assert_recovered(case: patients.AddendumCase) -> None:
    tree = through_the_wire(case)
    coded = read_back(tree)
    assert dict(coded.regions) == expected(case.interpretation)
    assert coded.overall == case.interpretation.overall
    assert dict(coded.whole) == values_of_the_exam(case.interpretation)
    assert coded.flags == tuple(caution.flag for caution in case.interpretation.cautions)
    assert_no_number_is_lost(tree, coded)


def assert_no_number_is_lost(tree: Item, coded: ReadBack) -> None:
    written = Counter(item.value for item in tree.walk() if item.value_type in ("NUM", "DATE"))
    every = (coded.whole, *coded.regions.values())
    recovered = Counter(value for part in every for values in part.values() for value in values)
    assert written - recovered == Counter()


@pytest.mark.parametrize("name", make.spread())
def test_every_code_and_number_is_recovered(name: str) -> None:
    assert_recovered(of(make.spread()[name]))


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False))
def test_every_code_and_number_of_any_patient_is_recovered(random: Random) -> None:
    assert_recovered(patients.case(random))


def test_values_are_read_by_codes_and_not_by_their_meanings() -> None:
    """A later version may word a meaning better."""
    tree = through_the_wire(of(make.interpretation()))

    def reworded(item: Item) -> Item:
        concept, code = (Code(c.value, c.scheme, "otherwise") if c else None for c in (item.concept, item.code))
        return item._replace(concept=concept, code=code, children=tuple(map(reworded, item.children)))

    assert read_back(reworded(tree)) == read_back(tree)


def test_of_what_is_no_addendum_nothing_is_read_back() -> None:
    assert read_back(Item(value_type="CONTAINER")) == ReadBack(overall="", flags=(), whole={}, regions={})
