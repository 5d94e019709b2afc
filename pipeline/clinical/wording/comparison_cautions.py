"""Cautions about one scan, and about the comparison of one region with an earlier exam (R1, R2, R7)."""

from collections.abc import Sequence
from decimal import Decimal

from pipeline.clinical.model import Caution, Change, Epoch, Exam, Flag, LeastSignificantChange, QcGap
from pipeline.clinical.rules import Rules


def software_changed(prior: Exam, exam: Exam, *, major: bool) -> Caution:
    """R2.4: other software may change BMD; after a new major version the earlier scan should be re-analysed."""
    text = f"Software was {prior.software} on {prior.performed_on} and is {exam.software} now"
    text += "; please have the earlier scan analysed again with this version." if major else "."
    return Caution(flag=Flag.SOFTWARE_CHANGED, text=text, review=major)


def scan_mode_changed(name: str, prior: Exam, what: str, now: str, then: str) -> Caution:
    """R2.5: scan modes and protocols of analysis do not measure alike."""
    text = f"{name}: {what} was {then} on {prior.performed_on} and is {now} now."
    return Caution(flag=Flag.SCAN_MODE_CHANGED, text=text, review=True)


def subset_recomputed(name: str, change: Change) -> Caution:
    """R2.12: the sets differed, so the shared vertebrae were compared; BMD as printed, else content over area."""
    since = change.reference.performed_on
    text = f"{name}: compared with {since} on {change.region}, the vertebrae both exams include."
    return Caution(flag=Flag.SUBSET_RECOMPUTED, text=text)


def total_disagrees(name: str, exam: Exam) -> Caution:
    """R2.12: content over area of the vertebrae must match the printed BMD of the set within 0.002 g/cm2."""
    text = f"{name}: BMD printed on {exam.performed_on} is not its content over its area; please check the vertebrae."
    return Caution(flag=Flag.TOTAL_DISAGREES, text=text, review=True)


def cross_calibrated(name: str, change: Change) -> Caution:
    """R2.10: a prior of another scanner, converted to the scale of this one."""
    text = (
        f"{name}: the exam of {change.reference.performed_on} was made on {change.reference.scanner}; its BMD was "
        "brought to the scale of this scanner by cross-calibration."
    )
    return Caution(flag=Flag.CROSS_CALIBRATED, text=text)


def dominant_arm(name: str) -> Caution:
    """R2.17: the forearm is followed on the non-dominant side."""
    return Caution(flag=Flag.DOMINANT_ARM, text=f"{name}: the dominant arm by the record; follow the other one.")


def qc_not_verified(exam: Exam, gap: QcGap) -> Caution:
    """R7.6: an exam within a QC gap."""
    text = f"Quality control of the scanner was not verified on {exam.performed_on} ({gap.reason})."
    return Caution(flag=Flag.QC_UNVERIFIED, text=text, review=True)


def vertebra_outlier(pairs: Sequence[tuple[str, str]], rules: Rules, *, compared: bool) -> Caution:
    """R2.13: only a person excludes a vertebra, and then from both exams."""
    names = ", ".join(f"{upper} and {lower}" for upper, lower in pairs)
    text = f"{names} differ by more than {rules.outlier_t:f} in T-score; if one is abnormal, exclude it"
    text += " from both exams." if compared else "."
    return Caution(flag=Flag.VERTEBRA_OUTLIER, text=text)


def level_shift(name: str, prior: Exam) -> Caution:
    """R2.14: a T12 labelled as L1 changes content and area more than BMD."""
    text = (
        f"{name}: other vertebral levels may have been analysed than on {prior.performed_on}; please check the levels."
    )
    return Caution(flag=Flag.LEVEL_SHIFT_SUSPECTED, text=text, review=True)


def area_changed(name: str, prior: Exam, *, review: bool) -> Caution:
    """R2.15: a different bone area means that a different region was measured."""
    text = f"{name}: bone area differs from that of {prior.performed_on}"
    text += " by much; please compare position and region." if review else "."
    return Caution(flag=Flag.AREA_CHANGED, text=text, review=review)


def height_changed(prior: Exam, exam: Exam) -> Caution:
    """R2.19: another patient, or vertebral fractures; the text states both heights (E23)."""
    text = (
        f"Height is {exam.height_cm:f} cm and was {prior.height_cm:f} cm on {prior.performed_on}; please check the "
        "patient's identity and the vertebrae."
    )
    return Caution(flag=Flag.HEIGHT_CHANGED, text=text, review=True)


def weight_changed(prior: Exam, exam: Exam, *, review: bool) -> Caution:
    """R2.20: soft tissue changes BMD; the text states both weights (E23)."""
    then = f"{prior.weight_kg:f} kg on {prior.performed_on}"
    text = f"Weight is {exam.weight_kg:f} kg and was {then}; soft tissue may shift BMD."
    return Caution(flag=Flag.WEIGHT_CHANGED, text=text, review=review)


def high_bmi(rules: Rules) -> Caution:
    """R1.17: precision is worse in large patients."""
    text = f"Body mass index is above {rules.high_bmi:f} kg/m2: the spine's precision is worse than the LSC tells."
    return Caution(flag=Flag.HIGH_BMI, text=text)


def interval_short(prior: Exam, rules: Rules) -> Caution:
    """R2.21: the shorter the interval, the less a rate means; none is given."""
    text = f"Less than {rules.short_interval_months} months have passed since {prior.performed_on}"
    text += ": no yearly rate is given."
    return Caution(flag=Flag.INTERVAL_SHORT, text=text)


def lsc_approximated(name: str, lsc: LeastSignificantChange) -> Caution:
    """R1.15: no precision study of these vertebrae; the LSC of L1-L4 was inflated."""
    return Caution(flag=Flag.LSC_APPROXIMATED, text=f"{name}: LSC of {lsc.region} {lsc.source}.")


def lsc_before_epoch(name: str, epoch: Epoch) -> Caution:
    """R1.11: a scanner that was moved or repaired needs a new precision study."""
    text = (
        f"{name}: the LSC dates from before the calibration epoch of {epoch.begins}; precision wants to be shown anew."
    )
    return Caution(flag=Flag.LSC_BEFORE_EPOCH, text=text, review=True)


def borderline(name: str, change: Change) -> Caution:
    """R1.17: scans on different days vary more than a precision study shows."""
    text = f"{name}: significant by a small margin since {change.reference.performed_on}; wants confirmation."
    return Caution(flag=Flag.BORDERLINE, text=text)


def only_at_80_percent(name: str, change: Change) -> Caution:
    """R1.7: a secondary flag, never the main result."""
    text = f"{name}: the change since {change.reference.performed_on} would be significant at 80 % confidence only."
    return Caution(flag=Flag.LSC_80_EXCEEDED, text=text)


def ceiling_exceeded(name: str, change: Change, percent: Decimal) -> Caution:
    """R1.13: without a facility LSC, the largest that ISCD accepts gives a hint, but no result."""
    text = (
        f"{name}: the difference from {change.reference.performed_on} exceeds the largest LSC ISCD accepts for a "
        f"technologist ({percent:.1f} %); this is no statement on significance."
    )
    return Caution(flag=Flag.CEILING_EXCEEDED, text=text)
