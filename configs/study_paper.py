"""Rows of the paper's tables side by side, each with the four seeds that the paper's averages are over.

    bin/study --config=configs/study_paper.py --output=runs/nas_bench_201 --data_dir=TFDS_DIRECTORY

Cost: four times that of each row, on an accelerator.
Result: the paper gives test errors of 45.70 % (DARTS), 11.89 % (DARTS+PT) and 6.20 % (DARTS+PT, fixed
alpha). The last row was run here with one seed and a search of 20 epochs. It has an error of 6.31 %, and took
4.5 hours of one CPU core with AVX-512 (docs/results.md).

Without names, these are the three rows of NAS-Bench-201 (table 4). With names, joined by commas, any rows
of one space and one data set; `bin/list` has the names. Rows that share a search share its supernet:

    ROWS=s1_cifar10_darts,s1_cifar10_darts_pt,s1_cifar10_darts_pt_fixed_alpha
    bin/study --config=configs/study_paper.py:$ROWS --output=runs/s1_cifar10 --data_dir=TFDS_DIRECTORY
"""

from tf_darts.paper import study

DEFAULT = (
    "nas_bench_201_cifar10_darts,nas_bench_201_cifar10_darts_pt,nas_bench_201_cifar10_darts_pt_fixed_alpha"
)


def get_config(names: str = DEFAULT):
    return study.of_rows(names.split(","))
