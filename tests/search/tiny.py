"""The smallest search there is, for tests that run it whole: one cell, three edges into one node."""

import dataclasses
import functools
import json
import types

import numpy as np
import tensorflow as tf

from tf_darts import config as config_lib
from tf_darts.data import sources
from tf_darts.genotypes.genotype import Choice, Genotype
from tf_darts.registry import METHODS
from tf_darts.runtime.strategy import mirrored
from tf_darts.search import loop
from tf_darts.search import setup as search_setup
from tf_darts.search.now import Now
from tf_darts.search.plan import plan
from tf_darts.spaces import Block, Space, Stacking, custom
from tf_darts.workdir.checkpoints import Checkpoints

OPERATIONS = ("skip_connect", "nor_conv_1x1")

# Three edges end in the one node, which keeps two: three decisions on operations and one on topology.
SPACE = Space(
    name="tiny",
    input_nodes=3,
    nodes=1,
    candidates={"normal": (OPERATIONS,) * 3},
    output_nodes=(3,),
    kept_edges=2,
    stacking=Stacking(
        name="nas_bench_201",  # for its text form
        stem_multiplier=1,
        preprocess=False,
        head_batch_norm=False,
        blocks=lambda cells: (Block("normal", 1, False),) * cells,
    ),
)
GENOTYPE = Genotype("tiny", {"normal": (Choice(3, 0, "nor_conv_1x1"), Choice(3, 1, "skip_connect"))})


def config(**fields):
    """Settings for `SPACE`: 18 training and 16 validation images, batches of 8.

    Args:
      fields: other values, with two underscores for the dot (search__epochs=1).
    """
    settings = config_lib.default()
    settings.data.source = "digits"
    settings.data.limit_train, settings.data.limit_test = 34, 16
    settings.data.train_fraction = 0.53
    settings.data.crop_padding, settings.data.flip = 1, False
    settings.search.channels, settings.search.cells = 2, 1
    settings.search.epochs, settings.search.batch_size = 3, 8
    settings.search.alpha_learning_rate = 0.1  # so that alpha goes somewhere in a few steps
    settings.selection.interval = 2
    settings.training.channels, settings.training.cells = 4, 1
    settings.training.epochs, settings.training.batch_size = 3, 8
    settings.training.auxiliary_weight = 0.0
    settings.training.cutout_length = 0
    settings.runtime.steps_per_call = 2
    settings.runtime.tensorboard = False
    for name, value in fields.items():
        settings.update_from_flattened_dict({name.replace("__", "."): value})
    return config_lib.validate(settings)


@functools.cache
def _digits(limit_train: int, limit_test: int):
    settings = config(data__limit_train=limit_train, data__limit_test=limit_test)
    return sources.load(settings.data, seed=0)


def data(settings):
    """The digits; which of them are held out does not depend on the config's seed here."""
    return _digits(settings.data.limit_train, settings.data.limit_test)


def one_stage(patch):
    """Stacks the cells of custom spaces as `SPACE` does: NAS-Bench-201's text form, without its stages."""
    cells = custom.STACKINGS["nas_bench_201"]
    patch.setitem(custom.STACKINGS, "nas_bench_201", dataclasses.replace(cells, stacking=SPACE.stacking))


def one_device():
    return tf.distribute.OneDeviceStrategy("/cpu:0")


def some_replicas(count):
    return mirrored([f"/cpu:{i}" for i in range(count)])


def two_replicas():
    return some_replicas(2)


def setup(settings, space=SPACE, strategy=None):
    """A supernet with its data, as the programs make it."""
    return search_setup.set_up(settings, space, data(settings), strategy or one_device())


def run(settings, space=SPACE, images=None):
    """What a program makes of its flags, for `stages`: on one of the devices that tests have."""
    images = data(settings) if images is None else images
    made = {"config": settings, "space": space, "data": images, "strategy": one_device(), "checked": {}}
    nothing = {"tell_data": lambda: None, "latency": lambda *_: None, "keep_latency": lambda *_: None}
    return types.SimpleNamespace(**made, **nothing)


def save_unsearched(folder, of=SPACE, **fields):
    """Saves a supernet of random weights and alpha as a search would; gives its setup."""
    made = setup(config(search__alpha_scale=1.0, **fields), of)
    Checkpoints(folder, 0.0, ("step",), **made.state()).save(step=1)
    return made


def now(number=0, learning_rate=0.1, total=8, progress=0.5, trains_alpha=True):
    """What a step is told, for a global batch of `total` images in both halves."""
    return Now(
        tf.convert_to_tensor(number),
        tf.constant(progress),
        tf.constant(learning_rate),
        total,
        total,
        trains_alpha,
        7,
    )


def method(name: str, **fields):
    """A search method with the settings of `config`."""
    return METHODS.load(name)(config(search__method=name, **fields), SPACE)


def search_steps(made):
    """The steps of the search's first epoch, and how many it has."""
    epochs = plan(made.method, made.train.size, made.strategy.num_replicas_in_sync)
    return loop.search_steps(made, epochs, epochs[0], epochs[0].batch), epochs[0].steps


def values(*modules) -> list[np.ndarray]:
    """All variables of some modules, in order."""
    return [v.numpy() for module in modules for v in module.variables]


def state(made) -> list[np.ndarray]:
    """Everything of a search's setup that steps change."""
    b = made.bilevel
    return values(b.supernet, b.architecture, b.weight_optimizer, b.alpha_optimizer)


def assert_equal(ours: list[np.ndarray], theirs: list[np.ndarray]) -> None:
    """Equal bit for bit."""
    assert len(ours) == len(theirs) > 0
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


def rows(path) -> list[dict]:
    """The rows of a .jsonl file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


class StoppedError(Exception):
    """Stands for whatever ends a process."""


def stop_at_call(monkeypatch, owner, name: str, number: int) -> None:
    """Makes the method raise `StoppedError` at its call of this number (from 1), before it does anything."""
    method, calls = getattr(owner, name), []

    def stopping(*arguments, **keywords):
        calls.append(None)
        if len(calls) == number:
            raise StoppedError
        return method(*arguments, **keywords)

    monkeypatch.setattr(owner, name, stopping)
