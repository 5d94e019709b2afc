"""A difference is told in one way: no number passes for a change, and results have the words of every page."""

from pipeline.edge.overview.difference_words import ChangedValue, changed_values
from pipeline.edge.store.reprocessing_results import Difference

DIFFERENCE = Difference(
    exam=2,
    addendum=7,
    changed_inputs=("reference_data",),
    overall=("UNCHANGED", "UNCHANGED"),
    regions={
        "L1-L4": {
            "DIFF": ("", "-0.012"),
            "PDIFF": ("", "-1.3"),
            "BCI_LOW": ("", "-0.030"),
            "PRIOR_DATE": ("", "20240301"),
            "PRIOR_STUDY": ("", "2.25.1"),
            "RESULT": ("NO_LSC", "NSC"),
        }
    },
)


def test_numbers_of_a_change_and_uids_are_left_out_and_the_result_comes_first() -> None:
    """N6: a difference within the LSC is no change, so its number is not told as one."""
    assert list(changed_values(DIFFERENCE)) == [
        ChangedValue("L1-L4", "RESULT", "NO_LSC", "NSC"),
        ChangedValue("L1-L4", "PRIOR_DATE", "", "20240301"),
    ]


def test_codes_and_days_are_told_in_words() -> None:
    result, prior = changed_values(DIFFERENCE)
    assert (result.what, result.in_words[1]) == ("result since the prior exam", "no significant change")
    assert (prior.what, prior.in_words) == ("date of the prior", ("", "2024-03-01"))
