r"""What bin/benchmark measures: supernets and networks of three spaces at the sizes of the paper.

    bin/benchmark --config=configs/benchmark.py --peer=pytorch --output=runs/benchmark

Cost: hours on two CPU cores with the peer, most of them for the stages of the selection.
Result: seconds and memory of each task, beside PyTorch's. On two CPU cores with AVX-512 a bilevel step was
10.7 times as fast in the DARTS space, and 4.3 times in NAS-Bench-201 (docs/performance.md).

In a few minutes:

    bin/benchmark --config=configs/benchmark.py --output=runs/small \
        --config.cases=nas_bench_201 --config.tasks=search --config.rounds=2 --config.event_rounds=0

It is no experiment: no images are read and nothing is searched. tf_darts/tools/benchmark/settings.py lists
all fields.
"""

from tf_darts.tools.benchmark import settings


def get_config():
    return settings.default()
