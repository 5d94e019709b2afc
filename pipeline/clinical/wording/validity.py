"""Sentences on what must not be judged, or only after review: invalid sites, children, implausible changes."""

from collections.abc import Sequence
from decimal import Decimal

from pipeline.clinical.model import Caution, Change, Exam, Flag, Obstacle, Refusal
from pipeline.clinical.rules import Rules


def invalid_site(exam: Exam, reasons: Sequence[str], *, own: bool) -> str:
    """R2.22, N5: what lies in or over the bone; never a number."""
    when = "" if own else f" on {exam.performed_on}"
    return f"Not valid{when}: {', '.join(reasons)} on record."


def paediatric(exam: Exam, *, own: bool) -> str:
    """R4.1, ISCD paediatric positions: growth is not a gain."""
    if own:
        return "Below 20 years of age: growth must be taken into account, and change is not judged by adult rules."
    return f"The exam of {exam.performed_on} was made below 20 years of age: growth since then is no change to judge."


def invalidated(refusal: Refusal) -> tuple[Caution, ...]:
    """R2.22: the flag of an invalid site, for the coded content; its text is that of the refusal."""
    if refusal.obstacle is not Obstacle.INVALID_SITE:
        return ()
    return (Caution(flag=Flag.INVALIDATED, text=refusal.text),)


def implausible(name: str, change: Change) -> Caution:
    """R3.1: larger than bone can change; no number, as none may be reported yet."""
    text = (
        f"{name}: the difference from {change.reference.performed_on} is larger than bone changes in that time; check "
        "identity, side, positioning and analysis before anything is reported."
    )
    return Caution(flag=Flag.IMPLAUSIBLE_CHANGE, text=text, review=True)


def too_soon_to_count(name: str, change: Change, rules: Rules) -> Caution:
    """R5.3: bone does not change fast enough to show in so short a time."""
    text = (
        f"{name}: less than {rules.no_change_months} months since {change.reference.performed_on}; a change over so "
        "short a time has no part in the overall result."
    )
    return Caution(flag=Flag.TOO_SOON, text=text, review=True)


def sides_exchanged(part: str, reference: Exam) -> Caution:
    """R2.16: left and right fit each other's earlier scan better than their own."""
    text = (
        f"The left and right {part} fit each other's scan of {reference.performed_on} better than their own; check "
        "whether the sides were exchanged."
    )
    return Caution(flag=Flag.SIDES_EXCHANGED, text=text, review=True)


def reference_changed(name: str, now: str, then: str, reference: Exam) -> Caution:
    """R4.5: another reference population changes scores without a change of BMD."""
    text = (
        f"{name}: the reference population is {now} and was {then} on {reference.performed_on}; scores of the two "
        "exams do not compare."
    )
    return Caution(flag=Flag.REFERENCE_CHANGED, text=text)


def height_loss(centimetres: Decimal, since: Exam) -> Caution:
    """R5.2, BHOF 2022: a measured loss of 2 cm or more asks for vertebral imaging."""
    text = f"Height is {centimetres:f} cm less than on {since.performed_on}; consider vertebral imaging (BHOF 2022)."
    return Caution(flag=Flag.HEIGHT_LOSS, text=text)
