"""Worksheets of cross-calibration studies: the lines of text that a person checks and files (R2.6, R2.7)."""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

from pipeline.clinical.cross_calibration_study import CrossCalibrationStudy, PhantomStudy
from pipeline.clinical.model import ZERO


def cross_calibration_worksheet(evaluated: CrossCalibrationStudy, doubts: Sequence[str] = ()) -> str:
    """Return the study of one region as lines of text; ``doubts`` beside its own, as of its record."""
    mean_old, mean_new = evaluated.means
    lines = [
        f"Cross-calibration of {evaluated.region}",
        "",
        f"{'patient':<16}{'old':>10}{'new':>10}{'SD new':>12}{'days':>7}",
        *(
            f"{one.patient:<16}{_places(one.old, 4):>10}{_places(one.new, 4):>10}{_places(one.sd_new, 6):>12}"
            f"{'-' if one.days is None else one.days:>7}"
            for one in evaluated.patients
        ),
        "",
        f"patients               {len(evaluated.patients)}, {evaluated.scans_on_new} scans of each on the new scanner",
        f"mean BMD               {_places(mean_old, 3)} g/cm2 old, {_places(mean_new, 3)} g/cm2 new",
        f"new BMD =              {_places(evaluated.intercept, 6)} + {_places(evaluated.slope, 6)} x old BMD",
        f"residual SD            {_places(evaluated.residual_sd, 6)} g/cm2 (SEE)",
        f"precision error old    {_places_or_none(evaluated.precision_error_old)}",
        f"precision error new    {_places(evaluated.precision_error_new, 6)} g/cm2 (RMS-SD)",
        f"generalised LSC        {_places(evaluated.glsc, 5)} g/cm2 at 95 % confidence",
    ]
    lines += [f"NOT FOR CLINICAL USE: {objection}" for objection in evaluated.objections]
    lines += [f"please check: {doubt}" for doubt in (*evaluated.doubts, *doubts)]
    return "\n".join(lines) + "\n"


def phantom_worksheet(evaluated: PhantomStudy) -> str:
    """Return the scans of a phantom on two scanners as lines of text, with what follows from them."""
    lines = [f"Phantom on two scanners, {evaluated.region}", ""]
    for name, values in (("old", evaluated.old), ("new", evaluated.new)):
        mean = sum(values, ZERO) / len(values)
        sd = (sum(((value - mean) ** 2 for value in values), ZERO) / (len(values) - 1)).sqrt()
        lines.append(
            f"{name} scanner            {len(values)} scans, {_places(mean, 4)} g/cm2, SD {_places(sd, 4)} g/cm2"
        )
    lines.append(f"difference             {_places(evaluated.percent, 2)} % of the old mean")
    if evaluated.holds:
        lines.append(
            "within 1 %: the calibration agrees (R2.6). Patients on two serial numbers are compared only after"
        )
        lines.append("an in vivo study of 30 patients (R2.2, R2.7)")
    else:
        lines.append("MORE THAN 1 %: have the manufacturer correct the calibration before patients are scanned (R2.6)")
    return "\n".join(lines) + "\n"


def _places(number: Decimal, places: int) -> str:
    return f"{number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP):f}"


def _places_or_none(number: Decimal | None) -> str:
    return "not on file" if number is None else f"{_places(number, 6)} g/cm2 (its own precision study)"
