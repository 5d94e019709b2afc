"""The core beside a second reading of R2 and R3: another program, written from the specification alone.

It shares no code with the core: fractions in place of decimals, plain tuples in place of the model. Some thousands of
random histories must come to the same prior, baseline, difference, LSC and result for every region.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

import pytest

from pipeline.clinical.findings import compare_matches
from pipeline.clinical.model import Change, Epoch, Exam, LeastSignificantChange, Patient, Scanner, Sex
from pipeline.clinical.priors import match
from tests.factories.exams import HOLOGIC, NAMELESS, PATIENT, ROOM_1, ROOM_2, exam, lsc, measurement

HISTORIES = 3000
PARTS = 10
LEVELS = ("L1", "L2", "L3", "L4")
SETS = {"L1-L4": LEVELS, "L2-L4": LEVELS[1:], "L1-L3": LEVELS[:3], "L1,L3-L4": ("L1", "L3", "L4"), "L1-L2": LEVELS[:2]}
OTHERS = (
    *(f"{part} {side}" for part in ("total hip", "femoral neck") for side in ("left", "right", "mean")),
    *("33% radius left", "33% radius right", "trochanter left", "ward's triangle right", "total body"),
)
SOMEBODY_ELSE = Patient(patient_id="P1", issuer="HOSPITAL", birth_date=date(1951, 5, 5), sex=Sex.FEMALE)


@dataclass(frozen=True)
class Case:
    """One exam with everything known beside it."""

    now: Exam
    history: list[Exam]
    lscs: list[LeastSignificantChange]
    epochs: list[Epoch]


def history(random: Random) -> Case:
    """Exams of one patient over twenty years: mostly one scanner, some of another, some broken by an epoch."""
    days = sorted(random.sample(range(0, 7300), random.randint(2, 7)))
    if random.random() < 0.1:
        days[-2] = days[-1]
    visits = [visit(random, date(2000, 1, 1) + timedelta(days=day), number) for number, day in enumerate(days)]
    now = visits.pop(random.choice([-1, -1, -1, random.randrange(len(visits))]))
    random.shuffle(visits)
    records = [
        lsc(
            region,
            f"{random.uniform(0.01, 0.05):.4f}",
            scanner=random.choice((ROOM_1, ROOM_1, ROOM_2)),
            valid_from=date(1999 + random.randint(0, 12), 1, 1),
            valid_until=date(2012 + random.randint(0, 12), 1, 1),
            same_day=random.choice((None, True, False)),
        )
        for region in (
            "L1-L4",
            "L2-L4",
            "total hip",
            "total hip mean",
            "femoral neck",
            "femoral neck left",
            "33% radius",
        )
        if random.random() < 0.8
    ]
    epochs = [
        Epoch(
            scanner=random.choice((ROOM_1, ROOM_2)),
            begins=date(2000, 1, 1) + timedelta(days=random.randrange(7300)),
            reason="tube",
            cross_calibrated=random.random() < 0.4,
        )
        for _ in range(random.choice((0, 0, 1, 2)))
    ]
    return Case(now, visits, records, epochs)


def visit(random: Random, day: date, number: int) -> Exam:
    """One exam: a set of vertebrae with or without its levels, and some other regions."""
    measured = []
    if random.random() < 0.8:
        levels = {level: (random.randint(1150, 1250), random.randint(1380, 1420)) for level in LEVELS}
        name = random.choice(list(SETS))
        bmc, area = (sum(levels[level][part] for level in SETS[name]) for part in (0, 1))
        measured.append(measurement(name, f"{bmc / area:.3f}"))
        if random.random() < 0.6:
            printed = random.sample(LEVELS, random.randint(2, 4))
            for level in sorted(printed):
                content, size = levels[level]
                numbers = {"bmc": f"{content / 100:.2f}", "area": f"{size / 100:.2f}"} if random.random() < 0.9 else {}
                measured.append(measurement(level, f"{content / size:.3f}", **numbers))
    for region in random.sample(OTHERS, random.randint(0, 4)):
        measured.append(measurement(region, f"{random.uniform(0.80, 0.88):.3f}"))
    scanner = random.choice((ROOM_1, ROOM_1, ROOM_1, ROOM_2, HOLOGIC, NAMELESS))
    patient = SOMEBODY_ELSE if random.random() < 0.01 else PATIENT
    return exam(day.isoformat(), *measured, uid=f"1.2.{number}", scanner=scanner, patient=patient)


# The second reading


def key_of(scanner: Scanner) -> tuple[str, ...]:
    """R2.1: manufacturer, model, serial number, folded."""
    return tuple(" ".join(p.lower().split()) for p in (scanner.manufacturer, scanner.model, scanner.serial_number))


def bmd_on(visit: Exam, levels: tuple[str, ...]) -> Fraction | None:
    """R2.12: as printed for just these vertebrae, else sum of content over sum of area to three decimals."""
    by_level = {m.region.vertebrae: m for m in visit.measurements if m.region.vertebrae}
    if levels in by_level:
        return Fraction(by_level[levels].bmd)
    content, size = Fraction(0), Fraction(0)
    for level in levels:
        one = by_level.get((level,))
        if one is None or one.bmc is None or one.area is None:
            return None
        content += Fraction(one.bmc)
        size += Fraction(one.area)
    return Fraction(int(content / size * 1000 + Fraction(1, 2)), 1000)


def pair(now: Exam, then: Exam, name: str) -> tuple[Fraction, Fraction, tuple[str, ...]] | None:
    """R2.11, R2.12: BMD now and then on the same region, or on the vertebrae that both sets include."""
    mine = next(m for m in now.measurements if str(m.region) == name)
    same = [m for m in then.measurements if str(m.region) == name]
    if same:
        return Fraction(mine.bmd), Fraction(same[0].bmd), mine.region.vertebrae
    best: tuple[str, ...] = ()
    for other in then.measurements:
        shared = tuple(level for level in mine.region.vertebrae if level in other.region.vertebrae)
        if len(shared) >= 2 and len(shared) > len(best):
            best = shared
    before, after = (bmd_on(then, best), bmd_on(now, best)) if best else (None, None)
    return None if before is None or after is None else (after, before, best)


def limit(case: Case, name: str, levels: tuple[str, ...]) -> Fraction | None:
    """R1.12, R1.15, R1.16: the facility's LSC on the day of the exam; of two or three vertebrae inflated from L1-L4."""
    valid: dict[str, tuple[date, Decimal, bool | None]] = {}
    for record in case.lscs:
        if (
            key_of(record.scanner) == key_of(case.now.scanner)
            and record.valid_from <= case.now.performed_on <= record.valid_until
        ):
            valid[str(record.region)] = (record.valid_from, record.lsc, record.same_day)
    own = next((text for text, members in SETS.items() if members == levels), "") if levels else name
    for wanted in (own, own.removesuffix(" left").removesuffix(" right")):
        if wanted in valid:
            return Fraction(valid[wanted][1])
    if levels and "L1-L4" in valid:
        _, full, same_day = valid["L1-L4"]
        factors = {3: "1.39", 2: "1.60"} if same_day else {3: "1.07", 2: "1.24"}
        return Fraction(full) * Fraction(factors[len(levels)])
    return None


def second_reading(case: Case) -> dict[str, tuple[Any, ...]]:
    """For each region that may be followed: its prior and baseline, difference, LSC and result (R2, R3.2)."""
    now = case.now
    if any(other.patient != now.patient for other in case.history):
        return {}
    begun = [
        epoch.begins
        for epoch in case.epochs
        if key_of(epoch.scanner) == key_of(now.scanner)
        and epoch.begins <= now.performed_on
        and not epoch.cross_calibrated
    ]
    series = [
        other
        for other in case.history
        if key_of(other.scanner) == key_of(now.scanner)
        and all(key_of(now.scanner))
        and max(begun, default=date.min) <= other.performed_on < now.performed_on
    ]
    found: dict[str, tuple[Any, ...]] = {}
    for mine in now.measurements:
        name, levels = str(mine.region), mine.region.vertebrae
        followed = len(levels) >= 2 or name.split(" ")[0] in ("total", "femoral", "33%")
        if not followed or name == "total body":
            continue
        usable = sorted((other.performed_on, other) for other in series if pair(now, other, name)) if series else []
        if usable:
            found[name] = tuple(change(case, other, name) for other in (usable[-1][1], usable[0][1]))
    return found


def change(case: Case, then: Exam, name: str) -> tuple[Any, ...]:
    """R1.8, R3.1: a change counts when it equals or exceeds the LSC."""
    both = pair(case.now, then, name)
    assert both is not None
    after, before, levels = both
    allowed = limit(case, name, levels)
    size = after - before
    result = "NO_LSC" if allowed is None else "NSC" if abs(size) < allowed else "GAIN" if size > 0 else "LOSS"
    return then.study_instance_uid, size, allowed, result


def by_the_core(case: Case) -> dict[str, tuple[Any, ...]]:
    """The same of the core."""
    findings = compare_matches(case.now, match(case.now, case.history, case.epochs), case.lscs)
    return {
        str(f.measurement.region): (plain(f.since_prior), plain(f.since_baseline))
        for f in findings
        if f.since_prior and f.since_baseline
    }


def plain(change: Change) -> tuple[Any, ...]:
    """A change of the core in the form of the second reading."""
    allowed = Fraction(change.lsc.lsc) if change.lsc else None
    return change.reference.study_instance_uid, Fraction(change.difference), allowed, change.result.value


@pytest.mark.parametrize("part", range(PARTS))
def test_a_second_reading_of_the_specification_comes_to_the_same(part: int) -> None:
    """R1.8, R1.12, R1.15, R1.16, R2.1, R2.6, R2.8, R2.11, R2.12, R2.16, R2.17, R2.19, R3.1, R3.2, R3.8"""
    random = Random(part)
    compared: set[str] = set()
    for _ in range(HISTORIES // PARTS):
        case = history(random)
        ours, theirs = by_the_core(case), second_reading(case)
        assert ours == theirs
        compared |= {result for findings in ours.values() for _, _, _, result in findings}
    assert compared == {"NO_LSC", "NSC", "GAIN", "LOSS"}
