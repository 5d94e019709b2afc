"""One line of a new addendum names what has changed since the one that it replaces."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from pydicom.uid import ExplicitVRLittleEndian

from pipeline.clinical.model import Caution, Finding, Flag, Interpretation, Obstacle, Overall, Result
from pipeline.sr import codes
from pipeline.sr.author.addendum import author
from pipeline.sr.author.content import document
from pipeline.sr.author.revision_note import revision_note
from pipeline.sr.dicom.content_tree import read_tree
from pipeline.sr.dicom.reader import read_elements
from tests.factories import interpretations as make
from tests.factories.elements import elements_of

LOST = make.change()
LOSS = make.interpretation(make.finding(since_prior=LOST))


def news(now: Interpretation, before: Interpretation = LOSS) -> str:
    line = revision_note(document(now), document(before))
    assert "\n" not in line
    assert line.startswith("Replaces an earlier addendum. ")
    return line.removeprefix("Replaces an earlier addendum. ")


def test_another_result_is_noted_with_the_old_one_the_overall_result_first() -> None:
    now = make.interpretation(
        make.finding(since_prior=make.change(Result.NO_LSC)),
        make.finding("total hip left", "0.801"),
        overall=Overall.INDETERMINATE,
    )
    assert news(now) == (
        "Changed: overall: indeterminate (was: declined), since baseline indeterminate (was: declined); "
        "L1-L4: no LSC (was: loss); total hip left: new."
    )
    assert "total hip left: no longer measured" in news(LOSS, now)


def test_another_number_is_noted_with_the_old_one() -> None:
    def of(**numbers: str) -> Interpretation:
        decimals: dict[str, Any] = {name: Decimal(value) for name, value in numbers.items()}
        measured = replace(make.measurement(), **decimals)
        return make.interpretation(Finding(measurement=measured, since_prior=LOST, since_baseline=LOST))

    assert news(of(bmd="0.931")) == "Changed: L1-L4: BMD 0.931 g/cm2 (was: 0.930)."
    assert news(of(t_score="-2.1")) == "Changed: L1-L4: T-score -2.1 (was: not stated)."
    assert news(of(bmc="48.31", area="51.95"), of(bmc="48.30")) == (
        "Changed: L1-L4: BMC 48.31 g (was: 48.30), area 51.95 cm2 (was: not stated)."
    )


def test_another_prior_and_another_lsc_are_noted() -> None:
    since_2019 = make.change(since=2019, earlier="0.981", lsc="0.030")
    assert news(make.interpretation(make.finding(since_prior=since_2019))) == (
        "Changed: L1-L4: prior of 2019-05-14 (was: 2022-05-14), prior BMD 0.981 g/cm2 (was: 0.970), "
        "LSC 0.030 g/cm2 (was: 0.028)."
    )


def test_the_baseline_is_noted_where_it_is_not_the_prior() -> None:
    lost, kept = (make.change(result, since=2019) for result in (Result.LOSS, Result.NO_SIGNIFICANT_CHANGE))
    before, now = (
        make.interpretation(make.finding(since_prior=make.change(), since_baseline=change)) for change in (lost, kept)
    )
    assert news(now, before) == "Changed: L1-L4: since baseline no significant change (was: loss)."


def test_other_cautions_and_obstacles_are_noted() -> None:
    caution = Caution(flag=Flag.LSC_80_EXCEEDED, text="Mind.")
    assert news(make.interpretation(make.finding(since_prior=LOST, cautions=(caution,)))) == (
        "Changed: L1-L4: cautions LSC 80 exceeded (was: none)."
    )
    assert news(make.interpretation(cautions=(caution,))) == ("Changed: overall: cautions LSC 80 exceeded (was: none).")
    before, now = (
        make.interpretation(make.finding(refusals=(make.refusal(obstacle),)))
        for obstacle in (Obstacle.OTHER_SCANNER, Obstacle.OTHER_EPOCH)
    )
    assert news(now, before) == "Changed: L1-L4: not compared because of other epoch (was: other scanner)."


def test_other_words_alone_change_no_number() -> None:
    assert news(make.interpretation(conclusions=("Another sentence.",))) == "No result and no number changed."


def test_it_stands_at_the_head_of_the_conclusions() -> None:
    first = author(LOSS, sources=[elements_of(make.report())])
    second = author(
        make.interpretation(conclusions=("One.",)), sources=[elements_of(make.report())], predecessor=first.data_set
    )
    root = read_tree(read_elements(second.data_set, ExplicitVRLittleEndian))
    (conclusions,) = (item for item in root.children if item.concept == codes.CONCLUSIONS)
    assert [item.value for item in conclusions.children] == [
        "Replaces an earlier addendum. No result and no number changed.",
        "One.",
    ]
