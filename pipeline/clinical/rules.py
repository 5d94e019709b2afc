"""Which thresholds may a department set for itself, and what holds when it sets none?"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The clinical decisions of ``rules.toml``, each under its own name; none is a hard block (section 10)."""

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
    """Patient ids and names that are nobody's, beside one character repeated; only letters and digits count (R2.19)"""

    placeholder_birth_dates: tuple[date, ...] = (
        *(date(1, 1, 1), date(1000, 1, 1), date(1111, 11, 11), date(1600, 1, 1), date(1601, 1, 1), date(1753, 1, 1)),
        *(date(1800, 1, 1), date(1850, 1, 1), date(1858, 11, 17), date(1899, 12, 30), date(1899, 12, 31)),
        *(date(1900, 1, 1), date(1901, 1, 1), date(1904, 1, 1), date(9999, 12, 31)),
    )
    """Birth dates that programs write where none is known (R2.19)"""

    borderline_factor: Decimal = Decimal("1.3")
    """A significant change below this many LSCs is borderline (R1.17)."""

    flag_80_percent: bool = False
    """Whether a change that is significant at 80 % confidence only is flagged so (R1.7)."""

    high_bmi: Decimal = Decimal(30)
    """Body mass index in kg/m2 above which precision is worse (R1.17)."""

    outlier_t: Decimal = Decimal("1.0")
    """Difference in T-score between adjacent vertebrae above which one is an outlier (R2.13)."""

    shift_bmc_percent: Decimal = Decimal(5)
    """Change in content, with that in area, from which other levels may have been analysed (R2.14)."""

    shift_area_percent: Decimal = Decimal(3)
    """Change in area, with that in content, from which other levels may have been analysed (R2.14)."""

    shift_bmd_ratio: Decimal = Decimal("1.5")
    """How many times smaller the change in BMD is than that in content when levels were shifted (R2.14)."""

    area_note_percent: Decimal = Decimal(2)
    """Change in bone area worth a note (R2.15)."""

    area_note_spine_cm2: Decimal = Decimal(1)
    """Change in the area of the spine worth a note, in cm2 (R2.15)."""

    area_review_percent: Decimal = Decimal(5)
    """Change in area of spine or neck that wants a look (R2.15)."""

    height_review_cm: Decimal = Decimal(4)
    """Change in height above which patient or fractures want a look (R2.19)."""

    weight_note_kg: Decimal = Decimal(5)
    """Change in weight above which precision may suffer (R2.20)."""

    weight_review_percent: Decimal = Decimal(10)
    """Change in weight above which the comparison wants a look (R2.20)."""

    short_interval_months: int = 12
    """Exams closer than this are too soon without a reason, and never annualised (R2.21, R5.3)."""

    no_change_months: int = 3
    """Over a shorter interval no change has a part in the overall result (R5.3)."""

    implausible_gain_percent: Decimal = Decimal(20)
    """Gain per year above which a change is doubted; below one year as it stands (R3.1)."""

    implausible_loss_percent: Decimal = Decimal(15)
    """Loss per year above which a change is doubted; below one year as it stands (R3.1)."""

    usual_interval_months: int = 24
    """The usual time between exams (R5.1, R5.3)."""

    normal_interval_years: Literal[2, 3, 4, 5] = 3
    """The longest time to the next exam where BMD is normal and no risk is on record (R5.1)."""

    expected_percent_per_year: Decimal | None = None
    """Change to be expected in a year; with it an interval too short to show any is flagged (R2.21, R5.3)."""

    degenerative_age: int = 65
    """From this age spine BMD rises by degeneration (R3.10, R3.11)."""

    degenerative_signs: int = 2
    """So many signs make the spine suspect (R3.11)."""

    degenerative_t_gap: Decimal = Decimal("2.0")
    """T-score of the spine above that of the neck that is a sign of degeneration (R3.11)."""

    drop_percent_spine: Decimal = Decimal(4)
    """Loss in about a year published as an unexpected drop of the spine (R5.4)."""

    drop_percent_hip: Decimal = Decimal(7)
    """Loss in about a year published as an unexpected drop of the hip (R5.4)."""

    drop_months: tuple[int, int] = (9, 18)
    """The interval of what was published, both ends included (R5.4)."""

    height_loss_cm: Decimal = Decimal(2)
    """Measured loss of height between exams that asks for vertebral imaging (BHOF 2022)."""

    woman_t_from: int = 60
    """Age from which a patient of any sex is classified by T-score, whatever is unknown (R4.1)."""

    woman_z_below: int = 40
    """Age below which a woman of unknown menopausal status is classified by Z-score (R4.1)."""

    man_t_from: int = 50
    """Age from which a man is classified by T-score (R4.1)."""

    t_tolerance: Decimal = Decimal("0.15")
    """How far a printed T-score may lie from the reference's constants (R4.6)."""

    t_score_target: Decimal | None = None
    """T-score that the department treats to; the distance to it is told where it is set (ASBMR/BHOF 2024)."""

    vfa_t_below: Decimal = Decimal("-1.0")
    """T-score below which vertebral fractures are looked for, given another reason (R5.2)."""

    vfa_woman_from: int = 70
    """Age from which that reason is a woman's age (R5.2)."""

    vfa_man_from: int = 80
    """Age from which that reason is a man's age (R5.2)."""

    vfa_height_loss_cm: Decimal = Decimal(4)
    """Height lost since youth above which that reason is height (R5.2)."""

    glucocorticoid_mg: Decimal = Decimal(5)
    """Prednisone-equivalent a day that shortens intervals and asks for fracture assessment (R5.1, R5.2, R5.9)."""

    glucocorticoid_months: Decimal = Decimal(3)
    """How long at that dose (R5.1, R5.2, R5.9)."""

    low_weight_kg: Decimal = Decimal("57.6")
    """Body weight below which it counts as a risk factor (R5.9)."""

    frax_hip_percent: Decimal = Decimal(3)
    """Ten-year hip fracture risk of the US threshold (R5.8)."""

    frax_major_percent: Decimal = Decimal(20)
    """Ten-year major osteoporotic fracture risk of the US threshold (R5.8)."""

    frax_offset: bool = False
    """Whether the major fracture risk is adjusted for a spine that differs from the neck (R3.12)."""
