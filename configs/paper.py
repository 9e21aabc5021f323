"""A row of the paper's tables, by its name: `bin/list` prints all of them with their published figures.

    bin/search --config=configs/paper.py:darts_cifar10_darts_pt --workdir=runs/darts --data_dir=TFDS_DIRECTORY
    bin/select --config=configs/paper.py:darts_cifar10_darts_pt --workdir=runs/darts
    bin/train --config=configs/paper.py:darts_cifar10_darts_pt --workdir=runs/darts

Cost: the paper gives 0.8 GPU-days (GTX 1080 Ti) for search and selection of this row.
Result: the paper gives a test error of 2.61 %, the mean over four seeds. One row was run here
at its own size, with a shorter search (docs/results.md).

Rows are for an accelerator. On two CPU cores a bilevel step takes some seconds, and this search has 19,550
of them.
"""

from tf_darts import paper


def get_config(row: str = ""):
    return paper.row(row).config()
