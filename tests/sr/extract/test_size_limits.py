"""The largest object that is read at all is read in seconds, and a larger or deeper one is held at once."""

import time
from collections.abc import Callable

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from pipeline.edge.configuration.dialects import shipped_dialects
from pipeline.sr.dicom.reader import read_elements
from pipeline.sr.dicom.unreadable import Reason, UnreadableReportError
from pipeline.sr.extract.report import Report, extract
from tests.factories.images import apex, dxa_results, hologic_picture, picture, roi, scan
from tests.factories.reports import container, encode, num, region, report, spine, text

SECONDS = 5
"""What takes under one on a quiet machine; where each item is compared with every other it takes many times more."""


def many(count: int, make: Callable[[int], Dataset]) -> list[Dataset]:
    return [make(number) for number in range(count)]


LARGEST: dict[str, Callable[[], Dataset]] = {
    "regions": lambda: report(spine(*many(1500, lambda _: region("L1-L4", "0.912")))),
    "values": lambda: report(spine(container("L1-L4", *many(2000, lambda _: num("BMD", "0.912"))))),
    "names": lambda: report(spine(region("L1-L4", "0.912"), *many(1000, lambda n: region(f"X{n} " * 20, "0.912")))),
    "scans": lambda: report(*many(800, lambda _: spine(region("L1-L4", "0.912")))),
    "data sets": lambda: report(
        *many(600, lambda n: container(f"Data Set {n}", text("Data Set Title", "Summary"), region("L1-L4", "0.912"))),
        root="BMD Rate of Change Report",
        Manufacturer="Hologic",
    ),
    "comments": lambda: picture(comments=dxa_results(scan("AP Spine", *[roi("L1-L4", "0.912")] * 12_000))),
    "facts in comments": lambda: picture(
        comments=dxa_results(scan("AP Spine", *["<SCAN_MODE>x</SCAN_MODE>"] * 20_000, *[roi("L1-L4", "0.912")] * 6000))
    ),
}

BOMBS: dict[str, Callable[[], Dataset]] = {
    "script": lambda: hologic_picture("<HologicHeader1>ResultsTable" + 'a="' * 300_000 + "</HologicHeader1>"),
    "marks": lambda: hologic_picture(
        "<HologicHeader1>ResultsTable" + ('x = "' + "<" * 3000 + '"') * 300 + "</HologicHeader1>"
    ),
    "cells": lambda: hologic_picture(apex([["Region"] * 100] * 100)),
    "depth of XML": lambda: picture(comments=f"<DXA_RESULTS><ROI/>{'<A>' * 100_000}{'</A>' * 100_000}</DXA_RESULTS>"),
    "items": lambda: report(spine(*many(5100, lambda _: container("L1-L4", text("", ""))))),
}


def seconds_and_outcome(sent: Dataset) -> tuple[float, Report | UnreadableReportError]:
    content = encode(sent, ImplicitVRLittleEndian)  # in which a text may be of any length
    began = time.process_time()
    try:
        outcome: Report | UnreadableReportError = extract(
            read_elements(content, ImplicitVRLittleEndian), shipped_dialects()
        )
    except UnreadableReportError as held:
        outcome = held
    return time.process_time() - began, outcome


@pytest.mark.parametrize("what", LARGEST)
def test_the_largest_reports_are_read_in_seconds(what: str) -> None:
    seconds, outcome = seconds_and_outcome(LARGEST[what]())
    assert isinstance(outcome, Report)
    assert [measurement.region.key for measurement in outcome.exam.measurements] == ["L1-L4"]
    assert seconds < SECONDS


@pytest.mark.parametrize("what", BOMBS)
def test_what_is_larger_or_made_to_hold_us_up_is_held_in_seconds(what: str) -> None:
    seconds, outcome = seconds_and_outcome(BOMBS[what]())
    assert isinstance(outcome, UnreadableReportError)
    assert outcome.reason in (Reason.TOO_LARGE, Reason.NO_BMD)
    assert seconds < SECONDS
