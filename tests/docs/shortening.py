"""What shortens the commands of the pages, so that they run: `Runs` in coverage.py."""

import re

from tests.docs import coverage, pages

QUICK = [
    "--config.data.limit_train=48", "--config.data.limit_test=30", "--config.search.channels=2",
    "--config.search.epochs=1", "--config.search.batch_size=12", "--config.search.evaluate_every=0",
    "--config.selection.interval=0", "--config.training.channels=2", "--config.training.epochs=1",
    "--config.training.batch_size=12",
]  # fmt: skip
# Added to commands with a config, by its file.
SHORT = {
    "configs/quickstart.py": QUICK,
    "configs/recommended_small.py": QUICK,
    "configs/own_images.py": [a for a in QUICK if "training" not in a] + ["--config.training.epochs=3"],
    "configs/paper.py": [
        "--config.data.source=npz", "--config.search.channels=2", "--config.search.cells=3",
        "--config.search.epochs=1", "--config.search.batch_size=8", "--config.search.evaluate_every=0",
        "--config.selection.interval=0", "--config.selection.one_shot=True", "--config.training.channels=4",
        "--config.training.cells=3", "--config.training.epochs=1", "--config.training.batch_size=16",
    ],
    "configs/study_paper.py": [
        "--config.base.data.source=npz", "--config.base.search.batch_size=8",
        "--config.base.training.batch_size=8",
    ],
    "configs/study_digits.py": [],
}  # fmt: skip
# Studies of CIFAR-10: the made file has few images.
STUDIES = ("nas_bench_201", "leaderboard", "methods_cifar10", "recommended", "recommended_small", "s2_s4")
SMALL_BATCHES = ["--config.base.search.batch_size=8", "--config.base.training.batch_size=8"]
SHORT |= {f"configs/study_{name}.py": SMALL_BATCHES for name in STUDIES}
# Files that the pages name, and the made one that stands there.
FILES = {"TFDS_DIRECTORY": "CIFAR10.npz"}


def run_blocks(page):
    """The blocks of a page that are run, with the arguments that are added to each program's commands."""
    covered = [(block, coverage.of(block)[1]) for block in pages.blocks(page)]
    return [(block, entry.more) for block, entry in covered if isinstance(entry, coverage.Runs)]


def shortened(command, more):
    """The arguments of a command, and those that make it short."""
    name = command.program.removeprefix("bin/")
    files = [
        a.removeprefix("--config=").partition(":")[0] for a in command.arguments if a.startswith("--config=")
    ]
    arguments = [*command.arguments, *more.get(name, ()), *(short for file in files for short in SHORT[file])]
    return [re.sub(r"=(\w+)$", lambda found: "=" + FILES.get(found[1], found[1]), a) for a in arguments]
