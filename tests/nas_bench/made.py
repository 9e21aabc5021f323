"""A made table and a made NATS-Bench: whole, cheap, and different in every figure."""

import itertools

import numpy as np

from tf_darts.nas_bench import table_file

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
TEXTS = ["|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|".format(*c) for c in itertools.product(OPERATIONS, repeat=6)]
# The benchmark's order is none that can be computed.
TEXTS = [TEXTS[i] for i in np.random.default_rng(0).permutation(len(TEXTS))]


def table_rows():
    """Rows with the columns that a table needs, and one with gaps."""
    rng = np.random.default_rng(1)
    figures = {column: np.round(rng.uniform(10, 90, len(TEXTS)), 2) for column in table_file.REQUIRED}
    rows = [
        {"index": i, "arch": text, **{column: float(values[i]) for column, values in figures.items()}}
        for i, text in enumerate(TEXTS)
    ]
    for row in rows[::2]:
        row["extra"] = 1.5
    return rows


COLUMNS = ("index", "arch", *table_file.REQUIRED, "extra")


def table_text():
    """The same as a file's text."""
    return table_file.csv_text(table_rows(), COLUMNS)


# As in the package: there is no validation half of training on all of CIFAR-10, and so on.
MISSING = {"cifar10-valid": {"valtest-accuracy"}, "cifar10": {"valid-accuracy", "valtest-accuracy"}}


class NatsBench:
    """What `nats_bench.create` makes, as far as its documentation of the topology space describes it.

    Every figure is another number. `call` has the shape of `nats_bench.create`.
    """

    SEEDS = (777, 888, 999)
    DATA = ("cifar10-valid", "cifar10", "cifar100", "ImageNet16-120")
    KEYS = ("valid-accuracy", "test-accuracy", "valtest-accuracy", "train-all-time")

    def __init__(self, texts=TEXTS, epochs=("12", "200"), broken=None):
        self.texts, self.epochs, self.broken = texts, epochs, broken
        self.created = []
        self.read = set()  # architectures read since the last call

    def call(self, file_path_or_dict, search_space, fast_mode=False, verbose=True):
        assert search_space == "tss" and verbose is False
        self.created.append((file_path_or_dict, fast_mode))
        self.read = set()
        return self

    def __len__(self):
        return len(self.texts)

    def arch(self, index):
        return self.texts[index]

    def figure(self, index, data, epochs, key, seed=0):
        """In percent, with two decimals so that the mean of the runs is another number than each."""
        parts = (index, self.DATA.index(data), int(epochs), self.KEYS.index(key), seed)
        return (np.dot(parts, (7919, 104729, 1299709, 15485863, 32452843)) % 10000) / 100

    def seeds(self, index):
        return list(self.SEEDS[: 2 + index % 2])

    def get_more_info(self, index, dataset, iepoch=None, hp="12", is_random=True):
        assert is_random is False or is_random in self.seeds(index), "one run at random is not a mean"
        assert iepoch is None
        if index == self.broken:
            raise ValueError(f"Did not find {index} from\narch2infos_dict.")
        if hp not in self.epochs:
            raise KeyError(hp)
        self.read.add(index)
        return {
            key: self.figure(index, dataset, hp, key, seed=is_random or 0)
            for key in self.KEYS
            if key not in MISSING.get(dataset, ())
        }

    def query_by_index(self, arch_index, dataname=None, hp="12"):
        assert dataname is None and hp == "200"
        return Trials(self, arch_index)


class Trials:
    """What `query_by_index` gives."""

    def __init__(self, api, index):
        self.api, self.index = api, index

    def get_compute_costs(self, dataset):
        place = self.api.DATA.index(dataset)
        return {"params": 0.1 + place + self.index / 1e5, "flops": 10.0 + place + self.index / 1e5}

    def get_dataset_seeds(self, dataset):
        assert dataset == "cifar10-valid"
        return self.api.seeds(self.index)
