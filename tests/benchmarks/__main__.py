"""Run every benchmark and print one table: ``make bench``. Names choose single ones: ``... latency author``."""

import sys
from collections.abc import Iterator, Mapping
from types import ModuleType

import pytest

from tests.benchmarks import (
    bench_attacks,
    bench_author,
    bench_core,
    bench_desk,
    bench_extract,
    bench_follow_up,
    bench_growth,
    bench_latency,
    bench_receive,
    bench_reprocess,
    bench_rest,
    bench_year,
)
from tests.benchmarks.table import Row, show

BENCHMARKS: Mapping[str, ModuleType] = {
    "core": bench_core,
    "extract": bench_extract,
    "author": bench_author,
    "receive": bench_receive,
    "attacks": bench_attacks,
    "follow_up": bench_follow_up,
    "latency": bench_latency,
    "rest": bench_rest,
    "reprocess": bench_reprocess,
    "growth": bench_growth,
    "desk": bench_desk,
    "year": bench_year,
}
"""Each has ``rows()``, which measures and yields rows of the table."""

BY_NAME_ONLY = {"year"}
"""What takes too long to be measured with the others."""


def main(names: list[str]) -> None:
    """Measure, and print the table at the end."""
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        sys.exit(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    show([row for name in names or BENCHMARKS if name in names or name not in BY_NAME_ONLY for row in _measured(name)])


def _measured(name: str) -> Iterator[Row]:
    print(f"measuring {name} ...", file=sys.stderr, flush=True)
    try:
        yield from BENCHMARKS[name].rows()
    except pytest.skip.Exception as missing:  # how a peer says that it is not there
        print(f"{name}: {missing}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
