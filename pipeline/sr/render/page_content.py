"""The content of an addendum's pages: impression, table of regions, plots, comparison, cautions and suggestions.

It has the numbers of the addendum and no others. A change that is not significant is given in words only (N6).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import pipeline
from pipeline.clinical.model import Change, Exam, Finding, Interpretation, Narrative, Result, Suggestion
from pipeline.clinical.wording.impression import is_in_impression
from pipeline.clinical.wording.names import bmd_in_text, difference_in_text, lsc_in_text, region_name, score_in_text
from pipeline.sr import codes
from pipeline.sr.author.content import DEVICE
from pipeline.sr.dicom.content_item import Code, Item
from pipeline.sr.dicom.content_tree import header_text
from pipeline.sr.dicom.reader import Elements
from pipeline.sr.dicom.values import read_date
from pipeline.sr.render.plots import Plot, PlotContext, plots


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of the table: a region since its prior or, in a second row, since a baseline that is another exam."""

    region: str
    bmd: str = ""
    t_score: str = ""
    z_score: str = ""
    reference: str = ""
    bmd_then: str = ""
    change: str = ""
    lsc: str = ""
    verdict: str
    significant: bool = False
    since_baseline: bool = False
    notes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PageContent:
    """Everything that the pages of one addendum show.

    ``patient_name`` is a DICOM person name (PS3.5 6.2.1). ``facts`` are labels and texts. Rows refer to ``notes`` by
    number, counted from one. ``impression`` and ``sections`` are those of the addendum, word for word and in its order;
    the rows replace its sentences on each region. ``small_print`` names the rules behind them.
    """

    patient_name: str
    patient_id: str
    exam_on: str
    facts: tuple[tuple[str, str], ...]
    status: str
    replaced: str
    impression: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    not_monitored: str
    plots: tuple[Plot, ...]
    sections: tuple[tuple[str, tuple[str, ...]], ...]
    small_print: tuple[str, ...]
    made_by: str


def page_content(
    addendum: Elements,
    document: Item,
    interpretation: Interpretation,
    history: Iterable[Exam],
    plot_context: PlotContext | None = None,
) -> PageContent:
    """Return the content of an addendum's pages; ``document`` is its content tree.

    The plots show ``history``, and ``plot_context`` what lies between the scans.
    """
    findings = interpretation.findings
    monitored = [finding for finding in findings if finding.followed]
    others = [finding for finding in findings if not finding.followed]
    notes = tuple(dict.fromkeys(text for finding in monitored for text in _notes(finding, interpretation.exam)))
    narrative = interpretation.narrative
    return PageContent(
        patient_name=header_text(addendum, "PatientName"),
        patient_id=header_text(addendum, "PatientID"),
        exam_on=str(interpretation.exam.performed_on),
        facts=tuple((label, text) for label, text in _facts(addendum, interpretation) if text),
        status=" ".join(narrative.status),
        replaced=" ".join(_texts(document, codes.COMMENT)),
        impression=narrative.impression,
        rows=tuple(row for finding in monitored for row in _rows(finding, interpretation.exam, notes)),
        notes=notes,
        not_monitored="; ".join(f"{region_name(f.measurement.region)} {_bmd(f)}" for f in others),
        plots=plots(monitored, interpretation.exam, history, plot_context),
        sections=tuple((title, texts) for title, texts in _sections(narrative, notes) if texts),
        small_print=(*narrative.not_supplied, *narrative.small_print, *_rules(interpretation.suggestions)),
        made_by=f"{DEVICE} {pipeline.__version__}, rules {interpretation.rules_version}",
    )


NOT_VALID = "not valid"
NOT_PLAUSIBLE = "change not plausible"

VERDICTS: Mapping[Result, str] = {
    Result.GAIN: "\N{BLACK UP-POINTING TRIANGLE} significant gain",
    Result.LOSS: "\N{BLACK DOWN-POINTING TRIANGLE} significant loss",
    Result.NO_SIGNIFICANT_CHANGE: "no significant change",
    Result.NOT_COMPARABLE: "not comparable",
    Result.NO_LSC: "no LSC: not judged",
    Result.NO_PRIOR: "first exam",
}
"""Result of a region in the width of a column; a shape distinguishes gain from loss without colour."""

WITHIN_LSC = "less than LSC"
"""Printed instead of a change that is not significant (N6)."""


def _facts(addendum: Elements, interpretation: Interpretation) -> Iterator[tuple[str, str]]:
    exam = interpretation.exam
    born = read_date(header_text(addendum, "PatientBirthDate"))
    issuer = header_text(addendum, "IssuerOfPatientID")
    yield "Patient ID", header_text(addendum, "PatientID") + (f" ({issuer})" if issuer else "")
    yield "Exam", f"{exam.performed_at:%Y-%m-%d %H:%M}"
    yield "Born", str(born or "not stated")
    yield "Accession no.", header_text(addendum, "AccessionNumber")
    yield "Sex", {"F": "female", "M": "male", "O": "other"}.get(header_text(addendum, "PatientSex"), "not stated")
    yield "Referred by", " ".join(header_text(addendum, "ReferringPhysicianName").partition("=")[0].split("^")).strip()


def _sections(narrative: Narrative, notes: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the sections after the regions, without sentences that are in a note already."""
    for title, texts in (
        ("Comparison", narrative.basis),
        ("Cautions", narrative.cautions),
        ("Suggestions", narrative.suggestions),
    ):
        yield title, tuple(text for text in texts if not _is_noted(text, notes))


def _is_noted(text: str, notes: Sequence[str]) -> bool:
    """Return whether a note has the same sentence, for its own row and without the names of other regions."""
    about, _, rest = text.partition(": ")
    return any(text.startswith(note[:-1]) or note.endswith(f": {rest or about}") for note in notes)


def _rules(suggestions: Sequence[Suggestion]) -> tuple[str, ...]:
    rules = dict.fromkeys(f"{suggestion.rule} ({suggestion.source})" for suggestion in suggestions)
    return (f"Rules of the suggestions: {', '.join(rules)}.",) if rules else ()


def _notes(finding: Finding, exam: Exam) -> Iterator[str]:
    """Yield the notes to a row: vertebrae compared, why there is no comparison, cautions that need review."""
    for change in _changes(finding):
        if change.region is not None and change.bmd is not None and change.reference.scanner == exam.scanner:
            yield (
                f"{region_name(finding.measurement.region)} was compared with {change.reference.performed_on} on "
                f"{change.region}, where BMD is now {change.bmd:f} g/cm2."
            )
    yield from (refusal.text for refusal in finding.refusals if not finding.of_a_child)
    yield from (caution.text for caution in finding.cautions if caution.review and not is_in_impression(caution))


def _changes(finding: Finding) -> list[Change]:
    """Return the change since the prior, and since the baseline if that is another exam."""
    prior, baseline = finding.since_prior, finding.since_baseline
    if prior is None or baseline is None:
        return []
    same = baseline.reference.key == prior.reference.key
    return [prior] if same else [prior, baseline]


def _rows(finding: Finding, exam: Exam, notes: Sequence[str]) -> Iterator[Row]:
    measurement = finding.measurement
    first = Row(
        region=region_name(measurement.region),
        bmd=_bmd(finding),
        t_score=_score(measurement.t_score),
        z_score=_score(measurement.z_score),
        verdict=VERDICTS[finding.result],
        notes=tuple(sorted({notes.index(text) + 1 for text in _notes(finding, exam)})),
    )
    changes = _changes(finding)
    rows = [first] + [
        Row(region="since baseline", verdict=VERDICTS[c.result], since_baseline=True) for c in changes[1:]
    ]
    compared = [_compared(row, change) for row, change in zip(rows, changes, strict=False)] or rows
    yield from compared if finding.plausible else map(_withheld, compared)


def _withheld(row: Row) -> Row:
    """Leave out the number of a change that is larger than bone changes."""
    return replace(row, verdict=NOT_PLAUSIBLE, change="", significant=False)


def _compared(row: Row, change: Change) -> Row:
    return replace(
        row,
        reference=str(change.reference.performed_on),
        bmd_then=bmd_in_text(change.reference_bmd),
        change=_change(change),
        lsc=lsc_in_text(change.lsc.lsc) if change.lsc else "none",
        significant=change.result.significant,
    )


def _texts(document: Item, concept: Code) -> list[str]:
    return [item.value for item in document.walk() if item.value_type == "TEXT" and item.concept == concept]


def _score(score: Decimal | None) -> str:
    return "" if score is None else score_in_text(score)


def _change(change: Change) -> str:
    if change.result is Result.NO_SIGNIFICANT_CHANGE:
        return WITHIN_LSC
    if change.result is Result.NO_LSC:
        return ""
    return f"{difference_in_text(change.difference)} ({change.percent:+f} %)"


def _bmd(finding: Finding) -> str:
    """Return the BMD of a region, or ``NOT_VALID`` instead of a number (N5)."""
    return bmd_in_text(finding.measurement.bmd) if finding.valid else NOT_VALID
