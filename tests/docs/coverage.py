"""How each block of the pages is kept true. A block that is not named here fails a test.

Whatever stands here, `test_blocks.py` checks of every command, without running it, that the program is there,
takes these flags, and that the config they give is valid; and of every piece of Python that it compiles.
"""

import dataclasses
from collections.abc import Mapping

from tests.docs.pages import Block


@dataclasses.dataclass(frozen=True)
class FromPage:
    """A test reads the block from its page and runs it."""

    test: str


@dataclasses.dataclass(frozen=True)
class Runs:
    """`test_commands.py` runs its commands in order, shortened by `SHORT` in shortening.py.

    Attributes:
      more: arguments added to all commands of a program.
    """

    more: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Checked:
    """Checked and not run.

    Attributes:
      why: the outside service that it needs, or the test that runs the same program.
      before: what has to stand before the text to make a command of it.
    """

    why: str
    before: str = ""


@dataclasses.dataclass(frozen=True)
class Shows:
    """No command and no code: what a program prints or leaves, or a picture."""

    what: str


Coverage = FromPage | Runs | Checked | Shows

# A study as an array of SLURM tasks: everything is checked, the data too, and no job is run.
NO_JOBS = {"study": ("--slurm=jobs.sh",)}

SHORT_EXPORT = ("--formats=keras,tflite", "--check_images=8")

# By page and by how the block begins.
COVERAGE: dict[str, dict[str, Coverage]] = {
    "README.md": {
        "bin/quickstart ": Checked("test_commands.py runs bin/quickstart; bin/test runs all of this"),
        "selection method ": Shows("the end of bin/quickstart"),
        "bin/run --config=configs/own_images.py": Runs(),
        "from sklearn.datasets import load_digits": FromPage("tests/test_api.py"),
    },
    "architecture.md": {
        "config ─► data source": Shows("the parts"),
        "┌───": Shows("the folders; tests/test_imports.py compares with the sources"),
    },
    "cloud_tpu.md": {
        "export NAME=darts": Checked(
            "Cloud TPU; tests/scripts/test_cloud_tpu.py runs the script with programs that stand for gcloud"
        ),
        "TF_CONFIG=": Checked("two machines; tests/test_multi_worker.py has two processes"),
    },
    "CONTRIBUTING.md": {
        "bin/test ": Checked("bin/test runs this; tests/test_site.py builds the site"),
        "# tf_darts/data/stripes.py": FromPage("tests/test_docs.py"),
        ".venv/bin/python -m build ": Checked("tests/test_release.py builds and installs"),
    },
    "data.md": {
        "bin/run --config=configs/recommended_small.py": Runs(),
        "bin/train --config=configs/recommended_small.py": Runs(),
    },
    "own_images.md": {
        "bin/run --config=configs/own_images.py": Checked("README.md has the same, and it is run"),
    },
    "export.md": {
        "bin/export ": Runs({"export": SHORT_EXPORT}),
        "import keras, numpy": FromPage("tests/cli/test_export.py"),
        "import numpy, tensorflow": FromPage("tests/cli/test_export.py"),
    },
    "extending.md": {
        "# my_": FromPage("tests/test_extending.py"),
        "config.extensions.": FromPage("tests/test_extending.py"),
        '("skip_connect", "sep_conv_3x3")': Shows("forms of candidates; tests/spaces/test_custom.py"),
    },
    "imagenet.md": {
        "bin/search --config=configs/pc_darts_imagenet.py": Checked(
            "ImageNet; tests/search/test_streamed.py does it at a tiny size"
        ),
        "bin/train ": Checked("ImageNet; tests/training/test_streamed.py trains from a made stream"),
        "--config.training.batch_size=1024": Checked(
            "ImageNet; tests/training/test_schedule.py has its learning rates",
            before="bin/train --config=configs/paper.py:darts_imagenet_darts_pt --workdir=w --data_dir=d ",
        ),
    },
    "import.md": {
        "bin/import_supernet ": Runs(),
        "import numpy, torch": FromPage("tests/test_docs.py"),
        "from tf_darts.models import torch_weights": FromPage("tests/test_docs.py"),
    },
    "methods.md": {"bin/search ": Runs()},
    "nas_bench_201.md": {
        "bin/select --workdir=runs/mine --table=": Runs(),
        'pip install -e ".[nats-bench]"': Checked(
            "NATS-Bench's file of 2 GB; tests/nas_bench/test_convert_nats_bench.py converts a made one"
        ),
    },
    "paper.md": {"bin/search ": Runs(), "ROWS=": Runs(NO_JOBS)},
    "performance.md": {
        'pip install -e ".[peer]"': Checked(
            "hours, and PyTorch; tests/tools/benchmark/test_program.py measures a small case"
        ),
        "bin/benchmark ": Checked("a GPU, and PyTorch; tests/tools/benchmark/test_device.py"),
        "bin/launch tf_darts.tools.gpu_experiment": Checked(
            "a GPU; tests/tools/gpu_experiment/test_program.py"
        ),
        "bin/latency ": Checked("minutes, and CIFAR-10; tests/cli/test_latency.py measures a small case"),
    },
    "programs.md": {
        "bin/select ": Runs(),
        "bin/latency ": Checked(
            "tests/cli/test_latency.py measures, selects within a limit and trains the next"
        ),
        "bin/train --workdir=runs/fast": Checked("tests/cli/test_latency.py trains the second best"),
    },
    "reliability.md": {
        "python -m tests.faults.kill": Checked("hours; tests/faults/test_programs.py kills at some points")
    },
    "report.md": {
        "bin/tensorboard ": Runs({"tensorboard": ("--inspect",)}),  # tells what is there, and ends
        "bin/report ": Runs(),
    },
    "results.md": {"bin/study ": Runs(NO_JOBS), "ROW=": Runs(NO_JOBS)},
    "studies.md": {
        "bin/study --config=configs/study_nas_bench_201.py": Runs(NO_JOBS),
        "OUTPUT/results.csv": Shows("a study's folder; tests/study/test_program.py"),
    },
    "tutorial.md": {
        "bin/tensorboard ": Checked("report.md has the same, and it is run"),
        "bin/": FromPage("tests/cli/test_tutorial.py"),
        ".venv/bin/python ": FromPage("tests/cli/test_tutorial.py"),
    },
    "work_directory.md": {"WORKDIR/config.json ": Shows("a work directory; test_commands.py compares")},
}


def of(block: Block) -> tuple[str, Coverage]:
    """How a block begins in the table, and what stands there: of several, the longest.

    Raises:
      KeyError: it is not in the table.
    """
    entries = COVERAGE.get(block.page, {})
    begins = [start for start in entries if block.text.startswith(start)]
    if not begins:
        raise KeyError(f"{block.name}: not in COVERAGE of tests/docs/coverage.py")
    start = max(begins, key=len)
    return start, entries[start]
