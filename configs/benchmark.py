r"""What bin/benchmark measures: supernets and networks of three spaces at the sizes of the paper.

    bin/benchmark --config=configs/benchmark.py --peer=pytorch --output=runs/benchmark

Not an experiment: no data are read and nothing is searched. tf_darts/tools/benchmark/settings.py lists all
fields.
With the peer it takes hours on two CPU cores, most of them the stages of the selection; for a few minutes:

    bin/benchmark --config=configs/benchmark.py --output=runs/small \
        --config.cases=nas_bench_201 --config.tasks=search --config.rounds=2 --config.event_rounds=0
"""

from tf_darts.tools.benchmark import settings


def get_config():
    return settings.default()
