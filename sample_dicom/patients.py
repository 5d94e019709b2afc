"""The seventeen synthetic patients: their visits, their measurements, and what the addenda should say.

None of them exists. What to expect is written by hand; README.md says where the numbers come from.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.22"
COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.88.33"
SR_CLASSES = (ENHANCED_SR, COMPREHENSIVE_SR)

COMPUTED_RADIOGRAPHY = "1.2.840.10008.5.1.4.1.1.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"

LEVELS = ("L1", "L2", "L3", "L4")
SIDES = ("left", "right", "mean")


@dataclass(frozen=True, kw_only=True)
class Scanner:
    """A densitometer as its reports name it, with the normal name of its manufacturer."""

    manufacturer: str
    model: str
    serial_number: str
    software: str
    normal_manufacturer: str
    known_as: "Scanner | None" = None
    """The scanner it is, if its reports name it otherwise."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is printed of one region. ``key`` is our name of it, ``printed`` the vendor's."""

    key: str
    printed: str
    bmd: str
    bmc: str
    area: str


@dataclass(frozen=True, kw_only=True)
class Scan:
    """One scan of one site: what a vendor calls it, and its regions."""

    name: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the addendum should say of one region: against the prior, against the baseline, judged by which LSC.

    ``prior_bmd`` is set where it is not what the prior's report prints (R2.12).
    """

    result: str
    baseline: str = ""
    lsc: str = ""
    obstacles: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    prior_bmd: str = ""


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One exam: its scans, which of them each report carries, and what the addendum should say.

    ``moments`` tells when each report's scans were made, where it is not the time of the visit. ``is_withdrawn`` says
    that an archive takes the visit back with a rejection note: then no other visit knows of it.
    """

    on: str
    at: str
    scanner: Scanner
    scans: tuple[Scan, ...]
    parts: tuple[tuple[int, ...], ...]
    overall: str
    flags: tuple[str, ...]
    outcomes: dict[str, Outcome]
    moments: tuple[str, ...] = ()
    is_withdrawn: bool = False


@dataclass(frozen=True, kw_only=True)
class Patient:
    """A synthetic patient and all visits, in their order."""

    folder: str
    dialect: str
    sex: str
    born: str
    shows: str
    visits: tuple[Visit, ...]
    sop_class: str = ENHANCED_SR
    texts: dict[str, str] = field(default_factory=dict)
    """What its header has in other values than everybody's, by keyword."""

    @property
    def counted(self) -> tuple[Visit, ...]:
        """Return the visits that were not withdrawn."""
        return tuple(visit for visit in self.visits if not visit.is_withdrawn)

    @property
    def number(self) -> str:
        """Return the two digits that begin the folder's name."""
        return self.folder[:2]


def patients() -> Iterator[Patient]:
    """Return all patients in the order of their numbers."""
    yield _stable()
    yield _spine_loss()
    yield _gain()
    yield _discordant()
    yield _other_machine()
    yield _no_serial()
    yield _no_lsc()
    yield _excluded_vertebra()
    yield _first_visit()
    yield _partial_reports()
    yield _slow_loss()
    yield _lunar_pictures()
    yield _hologic_pictures()
    yield _letters()
    yield _midnight()
    yield _two_spellings()
    yield _withdrawn()


# The scanners, and their LSCs in sample_dicom/precision.toml

PRODIGY = Scanner(
    manufacturer="GE Healthcare",
    model="Lunar Prodigy",
    serial_number="DF+500475",
    software="16 [SP 2]",
    normal_manufacturer="GE Healthcare",
)
PRODIGY_BEFORE_ITS_UPGRADE = Scanner(
    manufacturer="GE MEDICAL SYSTEMS, LUNAR",
    model="Prodigy",
    serial_number="500475",
    software="14.10",
    normal_manufacturer="GE Healthcare",
    known_as=PRODIGY,
)
PRODIGY_LSC = {"spine": "0.028", "total hip": "0.021", "femoral neck": "0.029", "total hip mean": "0.016"}

IDXA = Scanner(
    manufacturer="GE Healthcare",
    model="Lunar iDXA",
    serial_number="ME+212290",
    software="17 [SP 4]",
    normal_manufacturer="GE Healthcare",
)
NO_LSC: dict[str, str] = {}

HORIZON = Scanner(
    manufacturer="HOLOGIC, Inc.",
    model="Horizon A",
    serial_number="302081M",
    software="13.6.0.5",
    normal_manufacturer="Hologic",
)
HORIZON_LSC = {"spine": "0.022", "total hip": "0.027", "femoral neck": "0.029"}

SECOND_HORIZON = Scanner(
    manufacturer="Hologic",
    model="Horizon A",
    serial_number="302999M",
    software="13.6.0.5",
    normal_manufacturer="Hologic",
)

OSTEO = Scanner(
    manufacturer="Osteo Example",
    model="OE-100",
    serial_number="OE100-0042",
    software="4.2",
    normal_manufacturer="Osteo Example",
)
OSTEO_LSC = {"spine": "0.026", "total hip": "0.020", "femoral neck": "0.030"}

OSTEO_WITHOUT_SERIAL = Scanner(
    manufacturer="Osteo Example",
    model="OE-100",
    serial_number="",
    software="4.2",
    normal_manufacturer="Osteo Example",
)


def _visit(
    when: str,
    scanner: Scanner,
    *scans: Scan,
    overall: str,
    outcomes: dict[str, Outcome],
    flags: tuple[str, ...] = (),
    parts: tuple[tuple[int, ...], ...] = (),
    moments: tuple[str, ...] = (),
    is_withdrawn: bool = False,
) -> Visit:
    """Return a visit on a day and at a DICOM time; all scans are in one report unless ``parts`` says otherwise."""
    on, at = when.split()
    parts = parts or (tuple(range(len(scans))),)
    return Visit(
        on=on,
        at=at,
        scanner=scanner,
        scans=scans,
        parts=parts,
        overall=overall,
        flags=flags,
        outcomes=outcomes,
        moments=moments,
        is_withdrawn=is_withdrawn,
    )


# Outcomes, by region


def _first(keys: Iterable[str]) -> dict[str, Outcome]:
    """Return what to expect with nothing to compare with."""
    return {key: Outcome(result="NO_PRIOR") for key in keys}


def _refused(obstacle: str, keys: Iterable[str]) -> dict[str, Outcome]:
    """Return what to expect without a comparison, for one reason."""
    return {key: Outcome(result="NOT_COMPARABLE", obstacles=(obstacle,)) for key in keys}


def _compared(lscs: dict[str, str], results: dict[str, str]) -> dict[str, Outcome]:
    """Read ``LOSS``, or ``NSC LOSS`` where the result against the baseline is another."""
    outcomes = {}
    for key, told in results.items():
        part = "spine" if key == "L1-L4" else key.rsplit(" ", 1)[0]
        result, baseline = (told.split() * 2)[:2]
        outcomes[key] = Outcome(result=result, baseline=baseline, lsc=lscs.get(key) or lscs.get(part, ""))
    return outcomes


def _hip(side: str) -> tuple[str, str]:
    return f"femoral neck {side}", f"total hip {side}"


LEFT, RIGHT = ("L1-L4", *_hip("left")), ("L1-L4", *_hip("right"))
NOTHING_CHANGED = {key: "NSC" for key in LEFT}

# Scans


def _row(key: str, bmd: str, area: str, *, printed: str = "") -> Row:
    """Return a region whose BMC follows from BMD and area, two decimals as printed."""
    bmc = (Decimal(bmd) * Decimal(area)).quantize(Decimal("0.01"), ROUND_HALF_UP)
    return Row(key=key, printed=printed or key, bmd=bmd, bmc=str(bmc), area=area)


def _vertebra(key: str, bmc: str, area: str, *, printed: str = "") -> Row:
    """Return a region of the spine whose BMD is its BMC over its area, three decimals as printed."""
    bmd = (Decimal(bmc) / Decimal(area)).quantize(Decimal("0.001"), ROUND_HALF_UP)
    return Row(key=key, printed=printed or key, bmd=str(bmd), bmc=bmc, area=area)


def _lunar_spine(bmd: str, area: str) -> Scan:
    return Scan(name="AP Spine", rows=(_row("L1-L4", bmd, area),))


def _lunar_femur(side: str, neck: str, total: str) -> Scan:
    """Return one femur: the scan has the side, its regions do not."""
    neck_key, total_key = _hip(side.lower())
    rows = (_row(neck_key, neck, "4.91", printed="Neck"), _row(total_key, total, "31.40", printed="Total"))
    return Scan(name=f"{side} Femur", rows=rows)


def _lunar_dual_femur(*sides: tuple[str, str]) -> Scan:
    """Return both femora and their mean: each region has its side."""
    rows = []
    for side, (neck, total) in zip(SIDES, sides, strict=True):
        rows.append(_row(f"femoral neck {side}", neck, "5.61", printed=f"Neck {side.title()}"))
        rows.append(_row(f"total hip {side}", total, "36.84", printed=f"Total {side.title()}"))
    return Scan(name="DualFemur", rows=tuple(rows))


def _hologic_spine(*vertebrae: tuple[str, str], total: str = "L1-L4") -> Scan:
    """Return L1 to L4 by BMC and area, and their sum."""
    rows = [_vertebra(level, bmc, area) for level, (bmc, area) in zip(LEVELS, vertebrae, strict=True)]
    bmc, area = (sum(Decimal(pair[i]) for pair in vertebrae) for i in (0, 1))
    return Scan(name="Lumbar Spine", rows=(*rows, _vertebra("L1-L4", str(bmc), str(area), printed=total)))


def _hologic_hip(side: str, neck: str, total: str) -> Scan:
    neck_key, total_key = _hip(side.lower())
    rows = (_row(neck_key, neck, "4.86", printed="Neck"), _row(total_key, total, "34.12", printed="Total"))
    return Scan(name=f"{side} Hip", rows=rows)


def _osteo_spine(bmd: str, area: str) -> Scan:
    return Scan(name="spine", rows=(_row("L1-L4", bmd, area),))


def _osteo_hip(side: str, neck: str, total: str) -> Scan:
    """Return one hip whose tracking identifiers are our own keys."""
    neck_key, total_key = _hip(side.lower())
    return Scan(name="hip", rows=(_row(neck_key, neck, "5.02"), _row(total_key, total, "33.75")))


# The patients

TWO_REPORTS = ((0,), (1,))


def _stable() -> Patient:
    return Patient(
        folder="01-stable",
        dialect="lunar",
        sex="F",
        born="1958-03-14",
        shows="Three visits on one Lunar; nothing changes by as much as its LSC, against prior or baseline.",
        visits=(
            _visit(
                "2020-02-11 093015",
                PRODIGY,
                _lunar_spine("1.022", "39.47"),
                _lunar_femur("Left", "0.861", "0.903"),
                overall="NO_PRIOR",
                outcomes=_first(LEFT),
            ),
            _visit(
                "2022-02-15 101010.000",
                PRODIGY,
                _lunar_spine("1.015", "39.52"),
                _lunar_femur("Left", "0.852", "0.899"),
                overall="STABLE",
                outcomes=_compared(PRODIGY_LSC, NOTHING_CHANGED),
            ),
            _visit(
                "2024-02-20 0915",
                PRODIGY,
                _lunar_spine("1.019", "39.44"),
                _lunar_femur("Left", "0.858", "0.894"),
                overall="STABLE",
                outcomes=_compared(PRODIGY_LSC, NOTHING_CHANGED),
            ),
        ),
    )


def _spine_loss() -> Patient:
    return Patient(
        folder="02-spine-loss",
        dialect="hologic",
        sex="F",
        born="1951-07-02",
        shows="A Hologic spine that loses more than its LSC between second and third visit; the hip holds.",
        visits=(
            _visit(
                "2019-12-04 111500",
                HORIZON,
                _hologic_spine(("11.58", "13.26"), ("12.94", "13.72"), ("13.93", "14.81"), ("13.40", "13.97")),
                _hologic_hip("Left", "0.702", "0.812"),
                parts=TWO_REPORTS,
                overall="NO_PRIOR",
                outcomes=_first((*LEVELS, *LEFT)),
            ),
            _visit(
                "2021-12-08 112000",
                HORIZON,
                _hologic_spine(("11.40", "13.24"), ("12.70", "13.70"), ("13.70", "14.80"), ("13.20", "13.95")),
                _hologic_hip("Left", "0.698", "0.806"),
                parts=TWO_REPORTS,
                overall="STABLE",
                outcomes=_refused("NOT_MONITORED", LEVELS) | _compared(HORIZON_LSC, NOTHING_CHANGED),
            ),
            _visit(
                "2023-12-06 110500",
                HORIZON,
                _hologic_spine(("10.75", "13.22"), ("12.05", "13.68"), ("13.05", "14.78"), ("12.60", "13.93")),
                _hologic_hip("Left", "0.690", "0.799"),
                parts=TWO_REPORTS,
                overall="DECLINED",
                outcomes=_refused("NOT_MONITORED", LEVELS)
                | _compared(HORIZON_LSC, NOTHING_CHANGED | {"L1-L4": "LOSS"}),
            ),
        ),
    )


def _gain() -> Patient:
    return Patient(
        folder="03-gain",
        dialect="tid1500",
        sex="F",
        born="1955-11-23",
        sop_class=COMPREHENSIVE_SR,
        shows="The spine gains; the report comes from a workstation that names the scanner in its content tree.",
        visits=(
            _visit(
                "2021-05-03 140000",
                OSTEO,
                _osteo_spine("0.846", "52.10"),
                _osteo_hip("Left", "0.655", "0.771"),
                overall="NO_PRIOR",
                outcomes=_first(LEFT),
            ),
            _visit(
                "2022-05-09 141500",
                OSTEO,
                _osteo_spine("0.858", "52.04"),
                _osteo_hip("Left", "0.661", "0.775"),
                overall="STABLE",
                outcomes=_compared(OSTEO_LSC, NOTHING_CHANGED),
            ),
            _visit(
                "2023-05-15 135500",
                OSTEO,
                _osteo_spine("0.905", "52.13"),
                _osteo_hip("Left", "0.668", "0.783"),
                overall="IMPROVED",
                outcomes=_compared(OSTEO_LSC, NOTHING_CHANGED | {"L1-L4": "GAIN"}),
            ),
        ),
    )


def _discordant() -> Patient:
    return Patient(
        folder="04-discordant",
        dialect="lunar",
        sex="M",
        born="1949-01-30",
        shows="Spine up, both hips and their mean down; DualFemur says each side by name, and a difference.",
        visits=(
            _visit(
                "2021-09-14 083000",
                PRODIGY,
                _lunar_spine("1.081", "44.20"),
                _lunar_dual_femur(("0.790", "0.872"), ("0.802", "0.880"), ("0.796", "0.876")),
                overall="NO_PRIOR",
                outcomes=_first(("L1-L4", *_hip("left"), *_hip("right"), *_hip("mean"))),
            ),
            _visit(
                "2023-09-19 084500",
                PRODIGY,
                _lunar_spine("1.125", "44.31"),
                _lunar_dual_femur(("0.775", "0.840"), ("0.789", "0.850"), ("0.782", "0.845")),
                overall="DISCORDANT",
                outcomes=_compared(
                    PRODIGY_LSC,
                    {"L1-L4": "GAIN"}
                    | {f"femoral neck {side}": "NSC" for side in ("left", "right")}
                    | {f"total hip {side}": "LOSS" for side in SIDES},
                )
                | {"femoral neck mean": Outcome(result="NO_LSC", baseline="NO_LSC")},  # a mean needs its own (R1.16)
            ),
        ),
    )


def _other_machine() -> Patient:
    return Patient(
        folder="05-other-machine",
        dialect="hologic",
        sex="F",
        born="1960-04-18",
        sop_class=COMPREHENSIVE_SR,
        shows="The follow-up was on another scanner of the same model: nothing is compared.",
        visits=(
            _visit(
                "2021-03-10 100000",
                HORIZON,
                _hologic_spine(("11.02", "12.90"), ("12.31", "13.41"), ("13.52", "14.55"), ("13.90", "14.62")),
                _hologic_hip("Right", "0.731", "0.845"),
                parts=TWO_REPORTS,
                overall="NO_PRIOR",
                outcomes=_first((*LEVELS, *RIGHT)),
            ),
            _visit(
                "2023-03-15 101500",
                SECOND_HORIZON,
                _hologic_spine(("10.42", "12.88"), ("11.70", "13.40"), ("12.90", "14.53"), ("13.22", "14.60")),
                _hologic_hip("Right", "0.702", "0.811"),
                parts=TWO_REPORTS,
                overall="INDETERMINATE",
                outcomes=_refused("OTHER_SCANNER", (*LEVELS, *RIGHT)),
            ),
        ),
    )


def _no_serial() -> Patient:
    return Patient(
        folder="06-no-serial",
        dialect="tid1500",
        sex="F",
        born="1962-08-09",
        shows="Neither visit tells the serial number of its scanner: nobody knows whether it was the same one.",
        visits=(
            _visit(
                "2020-06-02 150000",
                OSTEO_WITHOUT_SERIAL,
                _osteo_spine("0.921", "54.20"),
                _osteo_hip("Left", "0.702", "0.822"),
                overall="NO_PRIOR",
                outcomes=_first(LEFT),
            ),
            _visit(
                "2022-06-07 151500",
                OSTEO_WITHOUT_SERIAL,
                _osteo_spine("0.872", "54.25"),
                _osteo_hip("Left", "0.690", "0.809"),
                overall="INDETERMINATE",
                outcomes=_refused("SCANNER_UNKNOWN", LEFT),
            ),
        ),
    )


def _no_lsc() -> Patient:
    return Patient(
        folder="07-no-lsc",
        dialect="lunar",
        sex="F",
        born="1964-12-05",
        sop_class=COMPREHENSIVE_SR,
        shows="No precision study of this scanner is on file: the change is stated, its significance is not.",
        visits=(
            _visit(
                "2020-01-22 093000",
                IDXA,
                _lunar_spine("1.285", "56.40"),
                _lunar_femur("Right", "0.934", "0.988"),
                overall="NO_PRIOR",
                outcomes=_first(RIGHT),
            ),
            _visit(
                "2022-01-26 094500",
                IDXA,
                _lunar_spine("1.240", "56.31"),
                _lunar_femur("Right", "0.920", "0.979"),
                overall="INDETERMINATE",
                outcomes=_compared(NO_LSC, {key: "NO_LSC" for key in RIGHT}),
            ),
        ),
    )


def _excluded_vertebra() -> Patient:
    printed_spine = (
        Row(key="L1", printed="L1", bmd="0.886", bmc="7.50", area="8.46"),
        Row(key="L2", printed="L2", bmd="1.061", bmc="9.76", area="9.20"),
        Row(key="L3", printed="L3", bmd="1.138", bmc="11.84", area="10.40"),
        Row(key="L4", printed="L4", bmd="0.987", bmc="11.25", area="11.40"),
        Row(key="L1-L4", printed="L1-L4", bmd="1.022", bmc="40.36", area="39.47"),
    )
    without_l2 = (
        _vertebra("L1", "7.42", "8.44"),
        _vertebra("L3", "11.70", "10.38"),
        _vertebra("L4", "11.10", "11.38"),
        _vertebra("L1,L3-L4", "30.22", "30.20", printed="L1-L4 (L2)"),
    )
    shared = Outcome(
        result="NSC",
        baseline="NSC",
        lsc="0.02996",  # 0.028 x 1.07, approximated (Rosen 2024; R1.15)
        flags=("SUBSET_BMD", "LSC_APPROXIMATED"),
        prior_bmd="1.011",  # (7.50 + 11.84 + 11.25) / (8.46 + 10.40 + 11.40), R2.12
    )
    return Patient(
        folder="08-excluded-vertebra",
        dialect="lunar",
        sex="F",
        born="1956-05-27",
        shows="The follow-up leaves L2 out, which Lunar writes L1-L4 (L2): both exams are read on L1, L3 and L4.",
        visits=(
            _visit(
                "2019-04-25 130000",
                PRODIGY,
                Scan(name="AP Spine", rows=printed_spine),
                _lunar_femur("Left", "0.842", "0.911"),
                overall="NO_PRIOR",
                outcomes=_first((*LEVELS, *LEFT)),
            ),
            _visit(
                "2021-04-29 131500",
                PRODIGY,
                Scan(name="AP Spine", rows=without_l2),
                _lunar_femur("Left", "0.838", "0.905"),
                overall="STABLE",
                outcomes=_refused("NOT_MONITORED", ("L1", "L3", "L4"))
                | _compared(PRODIGY_LSC, {key: "NSC" for key in _hip("left")})
                | {"L1,L3-L4": shared},
            ),
        ),
    )


def _first_visit() -> Patient:
    return Patient(
        folder="09-first-visit",
        dialect="hologic",
        sex="M",
        born="1957-09-12",
        shows="One visit: a baseline, nothing to compare.",
        visits=(
            _visit(
                "2024-01-10 090000",
                HORIZON,
                _hologic_spine(("13.20", "14.10"), ("14.85", "14.92"), ("16.10", "15.80"), ("16.42", "16.05")),
                _hologic_hip("Left", "0.801", "0.952"),
                parts=TWO_REPORTS,
                overall="NO_PRIOR",
                outcomes=_first((*LEVELS, *LEFT)),
            ),
        ),
    )


def _partial_reports() -> Patient:
    both = ("L1-L4", *_hip("left"), *_hip("right"))
    return Patient(
        folder="10-partial-reports",
        dialect="lunar",
        sex="F",
        born="1953-02-08",
        shows="The second exam comes as three reports, the second of which repeats the first.",
        visits=(
            _visit(
                "2020-10-06 103000",
                PRODIGY,
                _lunar_spine("0.954", "41.02"),
                _lunar_femur("Left", "0.781", "0.842"),
                _lunar_femur("Right", "0.792", "0.851"),
                overall="NO_PRIOR",
                outcomes=_first(both),
            ),
            _visit(
                "2022-10-11 104500",
                PRODIGY,
                _lunar_spine("0.966", "41.10"),
                _lunar_femur("Left", "0.775", "0.836"),
                _lunar_femur("Right", "0.788", "0.848"),
                parts=((0,), (0, 1), (2,)),
                overall="STABLE",
                outcomes=_compared(PRODIGY_LSC, {key: "NSC" for key in both}),
            ),
        ),
    )


def _slow_loss() -> Patient:
    return Patient(
        folder="11-slow-loss",
        dialect="tid1500",
        sex="F",
        born="1950-06-16",
        sop_class=COMPREHENSIVE_SR,
        shows="Spine only: no step reaches the LSC, yet the third visit is below the first by more than it.",
        visits=(
            _visit(
                "2019-08-06 120000",
                OSTEO,
                _osteo_spine("0.850", "53.40"),
                overall="NO_PRIOR",
                outcomes=_first(("L1-L4",)),
            ),
            _visit(
                "2021-08-10 120000",
                OSTEO,
                _osteo_spine("0.835", "53.40"),
                overall="STABLE",
                flags=("PARTIAL",),
                outcomes=_compared(OSTEO_LSC, {"L1-L4": "NSC"}),
            ),
            _visit(
                "2023-08-15 120000",
                OSTEO,
                _osteo_spine("0.815", "53.40"),
                overall="STABLE",
                flags=("PARTIAL",),
                outcomes=_compared(OSTEO_LSC, {"L1-L4": "NSC LOSS"}),
            ),
        ),
    )


def _lunar_pictures() -> Patient:
    return Patient(
        folder="12-lunar-pictures",
        dialect="lunar",
        sex="F",
        born="1952-10-20",
        sop_class=COMPUTED_RADIOGRAPHY,
        shows="A Lunar without an SR licence: pictures, with the results as XML in Image Comments; the spine loses.",
        visits=(
            _visit(
                "2021-06-15 093000",
                PRODIGY,
                _lunar_spine("1.044", "40.12"),
                _lunar_femur("Left", "0.848", "0.905"),
                parts=TWO_REPORTS,
                overall="NO_PRIOR",
                outcomes=_first(LEFT),
            ),
            _visit(
                "2023-06-20 094500",
                PRODIGY,
                _lunar_spine("1.009", "40.05"),
                _lunar_femur("Left", "0.839", "0.897"),
                parts=TWO_REPORTS,
                overall="DECLINED",
                outcomes=_compared(PRODIGY_LSC, NOTHING_CHANGED | {"L1-L4": "LOSS"}),
            ),
        ),
    )


def _hologic_pictures() -> Patient:
    return Patient(
        folder="13-hologic-pictures",
        dialect="hologic",
        sex="F",
        born="1954-08-25",
        sop_class=SECONDARY_CAPTURE,
        shows="A Hologic without an SR licence: pictures, with the results in a private document; the spine gains.",
        visits=(
            _visit(
                "2021-10-13 140000",
                HORIZON,
                _hologic_spine(
                    ("10.61", "12.95"), ("11.88", "13.38"), ("12.90", "14.41"), ("13.05", "14.52"), total="Total"
                ),
                _hologic_hip("Right", "0.688", "0.781"),
                parts=TWO_REPORTS,
                overall="NO_PRIOR",
                outcomes=_first((*LEVELS, *RIGHT)),
            ),
            _visit(
                "2023-10-18 141500",
                HORIZON,
                _hologic_spine(
                    ("11.14", "12.97"), ("12.41", "13.40"), ("13.40", "14.43"), ("13.62", "14.55"), total="Total"
                ),
                _hologic_hip("Right", "0.695", "0.793"),
                parts=TWO_REPORTS,
                overall="IMPROVED",
                outcomes=_refused("NOT_MONITORED", LEVELS)
                | _compared(HORIZON_LSC, {key: "NSC" for key in RIGHT} | {"L1-L4": "GAIN"}),
            ),
        ),
    )


def _letters() -> Patient:
    return Patient(
        folder="14-letters",
        dialect="lunar",
        sex="F",
        born="1956-01-19",
        shows="Letters beyond ASCII in every text of the header: Latin, Polish, Greek, Cyrillic and Japanese.",
        texts={
            "SpecificCharacterSet": "ISO_IR 192",
            "AccessionNumber": "Nº-ÄÖ14",
            "InstitutionName": "Universitätsklinik Łódź",
            "ReferringPhysicianName": "Ångström^Ægir^^Dr.",
            "StationName": "Räntgen-2",
            "StudyDescription": "Knochendichte, πυκνότητα, плотность",
            "InstitutionalDepartmentName": "Nuklearmedizin Süd",
            "OperatorsName": "Müller^Jürgen",
            "PatientName": "Lettère^Zoë=山田^花子=やまだ^はなこ",
            "PatientID": "SAMPLE-14-É",
            "IssuerOfPatientID": "ÉCHANTILLONS",
            "StudyID": "Prüfung 1",
            "SoftwareVersions": "16 [SP 2] é",
        },
        visits=(
            _visit(
                "2022-03-08 091500",
                PRODIGY,
                _lunar_spine("0.982", "40.31"),
                _lunar_femur("Left", "0.811", "0.866"),
                overall="NO_PRIOR",
                outcomes=_first(LEFT),
            ),
            _visit(
                "2024-03-12 092000",
                PRODIGY,
                _lunar_spine("0.975", "40.28"),
                _lunar_femur("Left", "0.806", "0.861"),
                overall="STABLE",
                outcomes=_compared(PRODIGY_LSC, NOTHING_CHANGED),
            ),
        ),
    )


def _midnight() -> Patient:
    return Patient(
        folder="15-midnight",
        dialect="lunar",
        sex="F",
        born="1949-11-05",
        shows="The second exam begins before midnight and ends after it: two reports of two days, and one exam.",
        visits=(
            _visit(
                "2021-05-18 133000",
                PRODIGY,
                _lunar_spine("0.968", "41.77"),
                _lunar_femur("Left", "0.765", "0.823"),
                overall="NO_PRIOR",
                outcomes=_first(LEFT),
            ),
            _visit(
                "2023-05-23 235200",
                PRODIGY,
                _lunar_spine("0.961", "41.70"),
                _lunar_femur("Left", "0.759", "0.818"),
                parts=TWO_REPORTS,
                moments=("2023-05-23 235200", "2023-05-24 000700"),
                overall="STABLE",
                outcomes=_compared(PRODIGY_LSC, NOTHING_CHANGED),
            ),
        ),
    )


def _two_spellings() -> Patient:
    return Patient(
        folder="16-two-spellings",
        dialect="lunar",
        sex="F",
        born="1955-04-28",
        shows="One scanner whose upgrade has changed its manufacturer, model and serial number; the spine loses.",
        visits=(
            _visit(
                "2019-09-17 101500",
                PRODIGY_BEFORE_ITS_UPGRADE,
                _lunar_spine("1.031", "39.90"),
                _lunar_femur("Left", "0.842", "0.897"),
                overall="NO_PRIOR",
                outcomes=_first(LEFT),
            ),
            _visit(
                "2021-09-21 103000",
                PRODIGY,
                _lunar_spine("0.994", "39.82"),
                _lunar_femur("Left", "0.836", "0.890"),
                overall="DECLINED",
                outcomes=_compared(PRODIGY_LSC, NOTHING_CHANGED | {"L1-L4": "LOSS"}),
            ),
        ),
    )


def _withdrawn() -> Patient:
    return Patient(
        folder="17-withdrawn",
        dialect="lunar",
        sex="F",
        born="1952-12-03",
        shows="The second exam was of somebody else: the archive takes it back, and the third looks at the first.",
        visits=(
            _visit(
                "2020-04-14 084500",
                PRODIGY,
                _lunar_spine("1.008", "40.66"),
                _lunar_femur("Left", "0.829", "0.884"),
                overall="NO_PRIOR",
                outcomes=_first(LEFT),
            ),
            _visit(
                "2022-04-19 090000",
                PRODIGY,
                _lunar_spine("1.163", "42.05"),
                _lunar_femur("Left", "0.961", "1.022"),
                overall="WITHDRAWN",
                outcomes={},
                is_withdrawn=True,
            ),
            _visit(
                "2024-04-23 091500",
                PRODIGY,
                _lunar_spine("1.002", "40.61"),
                _lunar_femur("Left", "0.824", "0.880"),
                overall="STABLE",
                outcomes=_compared(PRODIGY_LSC, NOTHING_CHANGED),
            ),
        ),
    )
