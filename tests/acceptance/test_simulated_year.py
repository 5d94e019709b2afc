"""A year of exams, nights, visitors and two outages of the PACS: nothing is lost, and nothing grows that should not.

Here it is some nights with a hundred exams each; ``python -m tests.benchmarks year`` lives through the whole year.
"""

import os
from pathlib import Path

import pytest

from tests import peers
from tests.factories.simulated_year import PARTS, SimulatedYear

EXAMS, NIGHTS = int(os.environ.get("YEAR_EXAMS", "1000")), int(os.environ.get("YEAR_NIGHTS", "10"))
OUTAGES = {NIGHTS // 4 + 1: 2, NIGHTS // 2 + 2: 2}


@pytest.mark.slow
@pytest.mark.timeout(300 + 0.2 * EXAMS + 60 * NIGHTS)
def test_a_year_leaves_no_thread_no_file_and_no_memory_behind(
    tmp_path: Path, orthanc: peers.Orthanc, capsys: pytest.CaptureFixture[str]
) -> None:
    year = SimulatedYear(tmp_path, exams=EXAMS, nights=NIGHTS, outages=OUTAGES).live(orthanc)
    before, after = year.moments[0], year.moments[-1]
    halves = year.store_bytes_per_exam
    with capsys.disabled():
        print(f"\n{NIGHTS} nights: {year.exams} exams, {year.pages_shown} pages of the desk, {year.outages} outages")
        print(f"store {halves[0]:,.0f} and {halves[1]:,.0f} bytes an exam; memory {year.memory_growth:.3f} ×")
        for name, use in after.parts.items():
            print(f"{name}: {before.parts[name]} -> {use}")
    assert (year.nights_run, year.outages) == (NIGHTS, 2)
    assert (year.addenda_in_pacs, year.held) == (year.exams, 0)
    assert year.pages_shown > NIGHTS
    assert set(after.parts) == set(PARTS.values())
    assert year.memory_growth <= 1.1
    assert halves[1] <= 1.1 * halves[0]
    assert year.left_behind == {}
