"""Properties that hold for any exams."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.clinical.clinical_context import ClinicalContext, Menopause, Therapy
from pipeline.clinical.clinical_reference import ClinicalReference
from pipeline.clinical.compare import compare, judge
from pipeline.clinical.exam_assembly import ContradictionError, assemble
from pipeline.clinical.findings import compare_matches
from pipeline.clinical.interpret import interpret
from pipeline.clinical.model import (
    CrossCalibration,
    Epoch,
    Exam,
    LeastSignificantChange,
    Measurement,
    Patient,
    QcGap,
    Result,
    Scanner,
    Sex,
)
from pipeline.clinical.precision import in_force, lsc_for
from pipeline.clinical.precision_study import PrecisionScan, UnfitStudyError, evaluate_study, worksheet
from pipeline.clinical.priors import match
from pipeline.clinical.regions import parse_region
from pipeline.clinical.rules import Rules
from tests.factories.exams import HOLOGIC, NAMELESS, ROOM_1, ROOM_2, exam, lsc

KEYS = [
    "L1", "L2", "L3", "L4", "L1-L4", "L2-L4", "L1,L3-L4", "L1-L2", "T12-L4", "total hip left", "total hip right",
    "total hip mean", "femoral neck left", "femoral neck mean", "trochanter left", "33% radius left", "total body",
]  # fmt: skip
SWAPPED = {Result.GAIN: Result.LOSS, Result.LOSS: Result.GAIN}

bmds = st.decimals("0.100", "2.500", places=3)
limits = st.decimals("0.001", "0.200", places=4)
days = st.dates(date(1995, 1, 1), date(2030, 12, 31))
scanners = st.sampled_from([ROOM_1, ROOM_2, HOLOGIC, NAMELESS])
maybe = st.none() | st.booleans()


def optional(numbers: st.SearchStrategy[Decimal]) -> st.SearchStrategy[Decimal | None]:
    return st.none() | numbers


patients = st.builds(
    Patient,
    patient_id=st.sampled_from(["P1", "P1", "P1", "P1", "P2", ""]),
    issuer=st.sampled_from(["", "", "HOSPITAL"]),
    birth_date=st.sampled_from([None, date(1950, 5, 5), date(1950, 5, 5), date(2010, 1, 1)]),
    sex=st.sampled_from([Sex.FEMALE, Sex.FEMALE, Sex.MALE, Sex.UNKNOWN]),
)
one_patient = Patient(patient_id="P1", birth_date=date(1950, 5, 5), sex=Sex.FEMALE)


measurements = st.builds(
    Measurement,
    region=st.sampled_from(KEYS).map(parse_region),
    bmd=bmds,
    bmc=optional(st.decimals("0.01", "90", places=2)),
    area=optional(st.decimals("0.01", "90", places=2)),
    t_score=optional(st.decimals("-6", "4", places=1)),
    z_score=optional(st.decimals("-6", "4", places=1)),
    tbs=optional(st.decimals("0.8", "1.6", places=3)),
    scan_mode=st.sampled_from(["", "fast", "array"]),
    reference_population=st.sampled_from(["", "male", "NHANES female"]),
    technologist=st.sampled_from(["", "ann"]),
)


@st.composite
def exams(draw: st.DrawFn, patient: st.SearchStrategy[Patient] = patients) -> Exam:
    on = draw(days)
    measured = draw(st.lists(measurements, max_size=6, unique_by=lambda measurement: measurement.region))
    return Exam(
        study_instance_uid=f"1.2.{draw(st.integers(0, 10**6))}",
        patient=draw(patient),
        scanner=draw(scanners),
        performed_at=datetime(on.year, on.month, on.day, draw(st.integers(0, 23))),
        measurements=tuple(measured),
        software=draw(st.sampled_from(["", "16.0", "16.1", "17", "beta"])),
        age=draw(optional(st.decimals("0", "110", places=1))),
        weight_kg=draw(optional(st.decimals("0", "300", places=1))),
        height_cm=draw(optional(st.decimals("0", "250", places=1))),
        menopause_age=draw(optional(st.decimals("30", "60", places=0))),
    )


records = st.builds(
    LeastSignificantChange,
    scanner=scanners,
    region=st.sampled_from([*KEYS, "total hip", "femoral neck"]).map(parse_region),
    lsc=limits,
    valid_from=days,
    valid_until=days,
    source=st.just("study"),
    patients=st.none() | st.integers(2, 60),
    repeats=st.none() | st.integers(2, 4),
    same_day=maybe,
)
epochs = st.builds(Epoch, scanner=scanners, begins=days, reason=st.just("tube"), cross_calibrated=st.booleans())
cross_calibrations = st.builds(
    CrossCalibration,
    old=scanners,
    new=scanners,
    region=st.sampled_from([*KEYS, "total hip"]).map(parse_region),
    intercept=st.decimals("-0.5", "0.5", places=3),
    slope=st.decimals("0.1", "2", places=3),
    residual_sd=limits,
    precision_error_old=limits,
    precision_error_new=limits,
    patients=st.integers(25, 40),
    scans_on_new=st.integers(1, 3),
    valid_from=days,
    source=st.just("study"),
)
qc_gaps = st.builds(QcGap, scanner=scanners, begins=days, ends=days, reason=st.just("phantom"))
contexts = st.builds(
    ClinicalContext,
    recorded_on=days,
    menopause=st.none() | st.sampled_from(Menopause),
    therapy=st.none() | st.sampled_from(Therapy),
    therapy_since=st.none() | days,
    glucocorticoid_mg=optional(st.decimals("0", "60", places=1)),
    glucocorticoid_months=optional(st.decimals("0", "60", places=1)),
    cancer_therapy=maybe,
    fragility_fracture=maybe,
    reported_vertebral_fracture=maybe,
    fracture_on_therapy=maybe,
    peak_height_cm=optional(st.decimals("0", "250", places=1)),
    hyperparathyroidism=maybe,
    stress_fracture_suspected=maybe,
    frax_hip_percent=optional(st.decimals("0", "100", places=1)),
    frax_major_percent=optional(st.decimals("0", "100", places=1)),
    spinal_hardware=maybe,
    left_hip_prosthesis=maybe,
    calcium_tablet=maybe,
)
rules = st.builds(
    Rules,
    flag_80_percent=st.booleans(),
    frax_offset=st.booleans(),
    expected_percent_per_year=optional(st.decimals("-3", "3", places=1)),
)


@given(bmds, limits, st.sampled_from([1, -1]))
def test_a_change_of_exactly_one_lsc_is_always_significant(bmd: Decimal, limit: Decimal, sign: int) -> None:
    """R1.8, in exact decimals; one digit less is not."""
    now = bmd + sign * limit
    assert judge(now - bmd, lsc("L1-L4", str(limit))) in SWAPPED
    assert judge(now - bmd, lsc("L1-L4", str(limit + Decimal("0.0001")))) is Result.NO_SIGNIFICANT_CHANGE


@given(bmds, bmds, limits)
def test_swapping_two_scans_swaps_gain_and_loss(one: Decimal, other: Decimal, limit: Decimal) -> None:
    """R3.1"""
    early, late = exam("2018-01-01"), exam("2020-01-01")
    record = lsc("L1-L4", str(limit))
    forth, back = compare(other, one, late, early, record), compare(one, other, late, early, record)
    assert back.result is SWAPPED.get(forth.result, forth.result)
    assert back.difference == -forth.difference


def results(now: Exam, history: list[Exam], lscs: list[LeastSignificantChange]) -> list[tuple[object, ...]]:
    """Which exam each measurement was judged against, and how."""
    return [
        tuple((c.reference.study_instance_uid, c.difference, c.result) for c in (f.since_prior, f.since_baseline) if c)
        for f in compare_matches(now, match(now, history), lscs)
    ]


same_patient = exams(st.just(one_patient))
histories = st.lists(same_patient, max_size=4, unique_by=lambda visit: visit.study_instance_uid)


@given(same_patient, histories, same_patient, st.lists(records, max_size=4))
def test_an_exam_from_another_scanner_changes_no_result(
    now: Exam, history: list[Exam], other: Exam, lscs: list[LeastSignificantChange]
) -> None:
    """R2.8"""
    on_another_scanner = replace(other, scanner=Scanner("Norland", "XR-46", "N1"))
    assert results(now, [*history, on_another_scanner], lscs) == results(now, history, lscs)


@given(
    exams(), st.lists(exams(), max_size=4).flatmap(lambda visits: st.tuples(st.just(visits), st.permutations(visits)))
)
def test_reordering_history_changes_nothing(now: Exam, orders: tuple[list[Exam], list[Exam]]) -> None:
    history, shuffled = orders
    history = list({visit.study_instance_uid: visit for visit in history}.values())
    shuffled = [visit for visit in shuffled if visit in history]
    reference = ClinicalReference(lscs=tuple(lsc(key, "0.02") for key in ("L1-L4", "total hip", "femoral neck")))
    assert interpret(now, history, reference) == interpret(now, shuffled, reference)


@settings(max_examples=50, deadline=None)
@given(
    exams(),
    st.lists(exams(), max_size=3),
    st.builds(
        ClinicalReference,
        lscs=st.lists(records, max_size=3).map(tuple),
        epochs=st.lists(epochs, max_size=2).map(tuple),
        cross_calibrations=st.lists(cross_calibrations, max_size=2).map(tuple),
        qc_gaps=st.lists(qc_gaps, max_size=1).map(tuple),
        rules=rules,
    ),
    st.lists(contexts, max_size=2),
)
def test_the_core_never_fails_and_every_measurement_gets_one_finding(
    now: Exam,
    history: list[Exam],
    reference: ClinicalReference,
    known: list[ClinicalContext],
) -> None:
    """No input makes the core raise; every sentence is printable and ends."""
    interpretation = interpret(now, history, reference, contexts=known)
    assert [(f.measurement.region, f.measurement.bmd) for f in interpretation.findings] == [
        (measurement.region, measurement.bmd) for measurement in now.measurements
    ]
    for finding in interpretation.findings:
        assert (finding.since_prior is None) == (finding.since_baseline is None)
        for change in (finding.since_prior, finding.since_baseline):
            if change is not None:
                assert (change.lsc is None) == (change.result is Result.NO_LSC)
                assert change.reference.performed_on < now.performed_on
                assert change.reference.scanner == now.scanner or (change.lsc is not None and change.lsc.generalised)
    assert all(text.isprintable() and text.endswith(".") for text in interpretation.conclusions)
    if not reference.cross_calibrations:
        assert {prior.scanner for prior in interpretation.priors} <= {now.scanner}


@given(same_patient, st.lists(same_patient, max_size=3), st.lists(records, max_size=4))
def test_what_is_not_significant_is_never_put_in_numbers(
    now: Exam, history: list[Exam], lscs: list[LeastSignificantChange]
) -> None:
    """N6: neither the percentage nor the earlier BMD of a change that is not significant reaches the words."""
    interpretation = interpret(now, history, ClinicalReference(lscs=tuple(lscs)))
    sentences = {text.split(":")[0]: text for text in interpretation.conclusions if "since" in text and "LSC" in text}
    for finding in interpretation.findings:
        changes = (finding.since_prior, finding.since_baseline)
        if all(change is not None and change.result is Result.NO_SIGNIFICANT_CHANGE for change in changes):
            text = next((t for name, t in sentences.items() if name.endswith(str(finding.measurement.region))), "")
            assert "g/cm2 (" not in text.split("LSC")[0]


@given(st.lists(same_patient, min_size=1, max_size=4))
def test_assembly_is_the_same_in_any_order_or_refused(parts: list[Exam]) -> None:
    """Reports of one visit arrive as they like."""
    visit = [
        replace(part, study_instance_uid="1", scanner=ROOM_1, performed_at=parts[0].performed_at + timedelta(minutes=n))
        for n, part in enumerate(parts)
    ]
    try:
        whole = assemble(visit)
    except ContradictionError:
        with pytest.raises(ContradictionError, match=r"^(?!.*1950)"):
            assemble(visit[::-1])
        return
    assert assemble(visit[::-1]) == whole
    assert assemble([whole, *visit]) == whole
    assert {m.region for part in visit for m in part.measurements} == {m.region for m in whole.measurements}


@given(st.lists(records, max_size=5), scanners, st.sampled_from(KEYS).map(parse_region), days)
def test_an_lsc_is_found_only_on_its_own_scanner_and_days(
    lscs: list[LeastSignificantChange], scanner: Scanner, region: object, on: date
) -> None:
    """R1.9, R1.12"""
    found = lsc_for(in_force(lscs, scanner, on), region)  # type: ignore[arg-type] # a region
    if found is not None:
        assert found.scanner == scanner
        assert found.valid_from <= on <= found.valid_until
        assert any(found.lsc >= record.lsc for record in lscs)


@given(
    st.lists(
        st.builds(
            PrecisionScan,
            patient=st.sampled_from("ABC"),
            scan=st.sampled_from("123"),
            region=st.just(parse_region("L1-L4")),
            bmd=bmds,
            technologist=st.sampled_from(["", "ann", "bob"]),
        ),
        max_size=9,
    )
)
def test_a_study_is_evaluated_or_refused_with_reasons(scans: list[PrecisionScan]) -> None:
    """R1.4: the pooled error lies between the best and the worst patient."""
    try:
        found = evaluate_study(scans)
    except UnfitStudyError:
        with pytest.raises(UnfitStudyError, match=r"."):
            evaluate_study(scans[::-1])
        return
    sds = [patient.sd for patient in found.patients]
    assert min(sds) - Decimal("1e-20") <= found.precision_error <= max(sds) + Decimal("1e-20")
    assert worksheet(found).count("\n") > len(found.patients)
