"""Every benchmark, one after the other: ``make bench``."""

from tests.benchmarks import bench_author, bench_core, bench_latency

for benchmark in (bench_core, bench_author, bench_latency):
    benchmark.main()
    print()
