"""Do we write, byte for byte, what highdicom and pydicom would?"""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from pipeline.clinical.model import Interpretation
from pipeline.sr import writing
from pipeline.sr.author import author
from pipeline.sr.content import document
from pipeline.sr.tree import Item, read_instance, read_tree
from pipeline.sr.writing import Unwritable
from tests.sr import highdicom_author, make_patient
from tests.sr import make_interpretation as make

SOURCES = (make.report(number=1), make.report(number=2))
PRIORS = (make.report(2022), make.report(2019))


def both(
    interpretation: Interpretation, sources: Sequence[Dataset], priors: Sequence[Dataset], predecessor: bytes | None = None
) -> tuple[bytes, bytes]:
    """The addendum as we write it, and as highdicom does."""
    ours = author(interpretation, sources=sources, priors=priors, predecessor=predecessor).data_set
    read = read_instance(ours, ExplicitVRLittleEndian)
    theirs = highdicom_author.data_set(
        read,
        read_tree(read) if predecessor else document(interpretation),
        interpretation.exam,
        sources=sources,
        priors=priors,
        predecessor=read_instance(predecessor, ExplicitVRLittleEndian) if predecessor else None,
    )
    return ours, theirs


@pytest.mark.parametrize("name", make.spread())
def test_highdicom_writes_the_same_bytes(name: str) -> None:
    ours, theirs = both(make.spread()[name], SOURCES, PRIORS)
    assert ours == theirs


def test_highdicom_writes_the_same_bytes_of_a_superseding_addendum() -> None:
    first = author(make.interpretation(), sources=SOURCES, priors=PRIORS).data_set
    ours, theirs = both(make.spread()["every caution"], SOURCES, PRIORS, first)
    assert ours == theirs


@settings(max_examples=40, deadline=None)
@given(st.randoms(use_true_random=False))
def test_highdicom_writes_the_same_bytes_whatever_the_patient_is_like(random: Random) -> None:
    case = make_patient.case(random)
    ours, theirs = both(case.interpretation, case.sources, case.priors)
    assert ours == theirs
