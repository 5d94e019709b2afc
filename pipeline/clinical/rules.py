"""Clinical thresholds that a department may set in ``rules.toml``, with the defaults of the specification."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The thresholds of ``rules.toml``, each under its own name; none blocks an addendum (section 10)."""

    placeholder_ids: tuple[str, ...] = (
        *("anon", "anonym", "anonymous", "anonymised", "anonymized", "deidentified", "dummy", "default", "emergency"),
        *(
            "inconnu",
            "desconocido",
            "sconosciuto",
            "unbekannt",
            "missing",
            "na",
            "n/a",
            "nil",
            "no id",
            "none",
            "noname",
        ),
        *("not available", "not known", "not set", "not stated", "null", "patient", "patient id", "pending", "tbd"),
        *(
            "temp",
            "test",
            "test patient",
            "unassigned",
            "undefined",
            "unidentified",
            "unk",
            "unknown",
            "unknown patient",
        ),
        *("jane doe", "john doe", "nan", "no patient id", "nobody", "not applicable", "not given", "trauma", "unkn"),
        *("desconhecido", "nieznany", "okänd", "onbekend", "ukendt", "ukjent", "неизвестно", "不明", "未知", "xxx"),
        *("123456789", "1234567890", "0123456789"),
    )
    """Patient ids and names that identify nobody; only letters and digits count (R2.19)."""

    placeholder_birth_dates: tuple[date, ...] = (
        *(date(1, 1, 1), date(1000, 1, 1), date(1111, 11, 11), date(1600, 1, 1), date(1601, 1, 1), date(1753, 1, 1)),
        *(date(1800, 1, 1), date(1850, 1, 1), date(1858, 11, 17), date(1899, 12, 30), date(1899, 12, 31)),
        *(date(1900, 1, 1), date(1901, 1, 1), date(1904, 1, 1), date(9999, 12, 31)),
    )
    """Birth dates that programs write for an unknown one (R2.19)."""

    borderline_factor: Decimal = Decimal("1.3")
    """A significant change below this many LSCs is borderline (R1.17)."""

    flag_80_percent: bool = False
    """Whether a change that is significant at 80 % confidence only is flagged so (R1.7)."""

    high_bmi: Decimal = Decimal(30)
    """Body mass index in kg/m2 above which precision is worse (R1.17)."""

    outlier_t: Decimal = Decimal("1.0")
    """Difference in T-score between adjacent vertebrae above which one is an outlier (R2.13)."""

    shift_bmc_percent: Decimal = Decimal(5)
    """Change in content, in percent, from which other levels may have been analysed, if area changed too (R2.14)."""

    shift_area_percent: Decimal = Decimal(3)
    """Change in area, in percent, from which other levels may have been analysed, if content changed too (R2.14)."""

    shift_bmd_ratio: Decimal = Decimal("1.5")
    """The factor by which the change in content exceeds that in BMD when levels were shifted (R2.14)."""

    area_note_percent: Decimal = Decimal(2)
    """Change in bone area, in percent, from which a caution is given (R2.15)."""

    area_note_spine_cm2: Decimal = Decimal(1)
    """Change in the area of the spine, in cm2, from which a caution is given (R2.15)."""

    area_review_percent: Decimal = Decimal(5)
    """Change in area of spine or neck, in percent, from which the result asks for a review (R2.15)."""

    height_review_cm: Decimal = Decimal(4)
    """Change in height, in cm, above which identity and vertebrae ask for a review (R2.19)."""

    weight_note_kg: Decimal = Decimal(5)
    """Change in weight, in kg, above which precision may suffer (R2.20)."""

    weight_review_percent: Decimal = Decimal(10)
    """Change in weight, in percent, above which the comparison asks for a review (R2.20)."""

    short_interval_months: int = 12
    """The shortest interval that needs no reason and is annualised, in months (R2.21, R5.3)."""

    no_change_months: int = 3
    """The shortest interval, in months, whose change counts in the overall result (R5.3)."""

    implausible_gain_percent: Decimal = Decimal(20)
    """Gain in percent per year above which a change is implausible; within a year the whole change (R3.1)."""

    implausible_loss_percent: Decimal = Decimal(15)
    """Loss in percent per year above which a change is implausible; within a year the whole change (R3.1)."""

    usual_interval_months: int = 24
    """The usual time between exams, in months (R5.1, R5.3)."""

    normal_interval_years: Literal[2, 3, 4, 5] = 3
    """The longest time to the next exam, in years, where BMD is normal and no risk is on record (R5.1)."""

    expected_percent_per_year: Decimal | None = None
    """Expected change in percent per year; if set, an interval too short to show it is flagged (R2.21, R5.3)."""

    degenerative_age: int = 65
    """Age in years from which degeneration raises spine BMD (R3.10, R3.11)."""

    degenerative_signs: int = 2
    """How many signs of degeneration make the spine suspect (R3.11)."""

    degenerative_t_gap: Decimal = Decimal("2.0")
    """How far the T-score of the spine exceeds that of the neck in a sign of degeneration (R3.11)."""

    drop_percent_spine: Decimal = Decimal(4)
    """Loss of the spine in about a year, in percent, published as unexpected (R5.4)."""

    drop_percent_hip: Decimal = Decimal(7)
    """Loss of the hip in about a year, in percent, published as unexpected (R5.4)."""

    drop_months: tuple[int, int] = (9, 18)
    """The interval of that publication in months, both ends included (R5.4)."""

    height_loss_cm: Decimal = Decimal(2)
    """Measured loss of height between exams, in cm, that asks for vertebral imaging (BHOF 2022)."""

    woman_t_from: int = 60
    """Age from which a patient of any sex is classified by T-score, whatever is unknown (R4.1)."""

    woman_z_below: int = 40
    """Age below which a woman of unknown menopausal status is classified by Z-score (R4.1)."""

    man_t_from: int = 50
    """Age from which a man is classified by T-score (R4.1)."""

    t_tolerance: Decimal = Decimal("0.15")
    """How far a printed T-score may lie from the reference's constants (R4.6)."""

    t_score_target: Decimal | None = None
    """T-score that the department treats to; if set, the distance to it is reported (ASBMR/BHOF 2024)."""

    vfa_t_below: Decimal = Decimal("-1.0")
    """T-score below which a vertebral fracture assessment is suggested, given another reason (R5.2)."""

    vfa_woman_from: int = 70
    """A woman's age, in years, from which age is such a reason (R5.2)."""

    vfa_man_from: int = 80
    """A man's age, in years, from which age is such a reason (R5.2)."""

    vfa_height_loss_cm: Decimal = Decimal(4)
    """Height lost since youth, in cm, above which height is such a reason (R5.2)."""

    glucocorticoid_mg: Decimal = Decimal(5)
    """Prednisone-equivalent in mg a day that shortens intervals and is such a reason (R5.1, R5.2, R5.9)."""

    glucocorticoid_months: Decimal = Decimal(3)
    """How many months at that dose (R5.1, R5.2, R5.9)."""

    low_weight_kg: Decimal = Decimal("57.6")
    """Body weight in kg below which it is a risk factor (R5.9)."""

    frax_hip_percent: Decimal = Decimal(3)
    """The US threshold of the ten-year hip fracture risk, in percent (R5.8)."""

    frax_major_percent: Decimal = Decimal(20)
    """The US threshold of the ten-year risk of a major osteoporotic fracture, in percent (R5.8)."""

    frax_offset: bool = False
    """Whether the major fracture risk is adjusted for a spine that differs from the neck (R3.12)."""
