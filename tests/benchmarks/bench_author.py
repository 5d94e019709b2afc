"""What does one addendum cost, from interpretation to bytes, and what would highdicom take for it in the same run?

Six regions, each with all its numbers, a prior and a baseline. The target is 10 ms for the SR alone.
"""

from collections.abc import Callable
from decimal import Decimal
from time import perf_counter

from pydicom.uid import ExplicitVRLittleEndian

from pipeline.clinical.interpret import interpret
from pipeline.clinical.model import Exam, Interpretation
from pipeline.sr.author import author
from pipeline.sr.content import document
from pipeline.sr.header import read_header
from pipeline.sr.tree import read_instance
from tests.sr import highdicom_author
from tests.sr import make_interpretation as make

TARGET_MS = 10
ROUNDS = 200
REGIONS = ("L1-L4", "total hip left", "total hip right", "total hip mean", "femoral neck left", "femoral neck right")


def main() -> None:
    """Print the best and the median of many rounds."""
    interpretation = _interpretation()
    sources, priors = [make.report(number=1), make.report(number=2)], [make.report(2022), make.report(2019)]
    headers = [highdicom_author.encoded(report) for report in (*sources, *priors)]

    def ours() -> bytes:
        read = [read_header(header, ExplicitVRLittleEndian) for header in headers]
        return author(interpretation, sources=read[:2], priors=read[2:]).data_set

    read_back = read_instance(ours(), ExplicitVRLittleEndian)

    def theirs() -> bytes:
        return highdicom_author.data_set(
            read_back, document(interpretation), interpretation.exam, sources=sources, priors=priors
        )

    assert ours() == theirs(), "highdicom writes something else"
    mine, highdicoms = _milliseconds(ours, ROUNDS), _milliseconds(theirs, ROUNDS // 10)
    print(f"one addendum of {len(REGIONS)} regions, {len(ours()):,} bytes, the same to the last one:")
    print(f"  dxatrend   {_figures(mine)}   (target {TARGET_MS} ms)")
    print(f"  highdicom  {_figures(highdicoms)}")
    print(f"  ratio of medians {_median(highdicoms) / _median(mine):.0f}")


def _interpretation() -> Interpretation:
    exam, *history = (_exam(year, change) for year, change in ((2024, "0"), (2022, "0.040"), (2019, "0.081")))
    return interpret(exam, history, lscs=[make.lsc(region) for region in REGIONS])


def _exam(year: int, more: str) -> Exam:
    return make.exam(
        year, *(make.measurement(region, f"{Decimal('0.930') + Decimal(more)}", full=True) for region in REGIONS)
    )


def _milliseconds(work: Callable[[], object], rounds: int) -> list[float]:
    taken = []
    for _ in range(rounds):
        began = perf_counter()
        work()
        taken.append((perf_counter() - began) * 1000)
    return sorted(taken)


def _median(taken: list[float]) -> float:
    return taken[len(taken) // 2]


def _figures(taken: list[float]) -> str:
    return f"best {taken[0]:6.1f} ms  median {_median(taken):6.1f} ms  slowest {taken[-1]:6.1f} ms"
