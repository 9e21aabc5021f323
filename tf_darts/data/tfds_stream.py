"""Encoded images of a tfds data set, in the order of its files or shuffled."""

import hashlib
from typing import Any

import ml_collections
import tensorflow as tf

from tf_darts.data import tfds_source
from tf_darts.data.arrays import bad
from tf_darts.data.share import size_of
from tf_darts.workdir.data_record import PartRecord

SHARDS = 16  # files that are read in turns when a pass is shuffled
BUFFER = 10_000  # encoded images, of ImageNet some 1.1 GB, among which each next one is drawn


class Records:
    """The images of a split. Record files are read from their beginning, also to continue within a pass."""

    def __init__(self, builder: Any, split: str, limit: int = 0, start: int = 0):
        self._builder, self._name, self._start = builder, split, start
        whole = builder.info.splits[split].num_examples
        end = min(start + limit, whole) if limit else whole
        self.size = end - start
        self._split = f"{split}[{start or ''}:{end}]" if self.size < whole else split

    def first(self, count: int) -> "Records":
        """Return the first so many of them; as `image_stream.Encoded.first`."""
        return Records(self._builder, self._name, min(count, self.size), self._start)

    def halves(self, first: int, how: str, seed: int) -> "tuple[Records, Records]":
        """Split them in two, in their order; as `image_stream.Encoded.halves`."""
        del seed
        if how != "order":
            fault = "with data.stream, records of tfds are read in their order"
            raise bad("data.split", how, fault, "'order' (tfds shuffles images when it prepares a data set)")
        rest = Records(self._builder, self._name, self.size - first, self._start + first)
        return self.first(first), rest

    def broken(self, seed: int | None, skip: int, count: int) -> list[str]:
        """Return none: records have no names; as `image_stream.Encoded.broken`."""
        del seed, skip, count
        return []

    def record(self, classes: int) -> PartRecord:
        """Return what a stage keeps of them, as `Encoded.record`: what tfds says of the split."""
        del classes  # labels are read with the images
        info = self._builder.info
        split = info.splits[self._split.partition("[")[0]]
        said = (info.full_name, self._split, split.num_examples, split.num_bytes, tuple(split.shard_lengths))
        return PartRecord(self.size, (), hashlib.sha256(repr(said).encode()).hexdigest())

    def read(self, seed: int | None, skip: int) -> tf.data.Dataset:
        """Read images as `image_stream.Encoded.read`; shuffle the files, and the images within `BUFFER`."""
        import tensorflow_datasets as tfds  # slow to import, and only this source needs it

        options = tf.data.Options()
        options.deterministic = True
        shuffled = seed is not None
        dataset = self._builder.as_dataset(
            split=self._split,
            shuffle_files=shuffled,
            decoders={"image": tfds.decode.SkipDecoding()},
            read_config=tfds.ReadConfig(
                options=options, shuffle_seed=seed, interleave_cycle_length=SHARDS if shuffled else 1
            ),
        )
        dataset = dataset.map(lambda example: (example["image"], tf.cast(example["label"], tf.int32)))
        if shuffled:
            dataset = dataset.shuffle(min(BUFFER, self.size), seed, reshuffle_each_iteration=False)
        return dataset.skip(skip)


def parts(data: ml_collections.ConfigDict, seed: int) -> tuple[Records, Records, tuple[str, ...]]:
    """Return the training images, the test images and the class names of `data.name`.

    Raises:
      UserError: as `tfds_source.load`.
    """
    del seed  # nothing is drawn
    with tfds_source.quiet():
        builder = tfds_source.builder(data)
    names = getattr(builder.info.features["label"], "names", None)
    if names is None:
        fault = "its labels have no names"
        raise bad("data.name", data.name, fault, "with data.stream, a data set that names its classes")
    train, test = (
        Records(builder, split, limit)
        for split, limit in (("train", data.limit_train), (data.test_split, data.limit_test))
    )
    if data.share < 1:  # labels are read with the images: by chance, every class has its share
        train = train.first(max(size_of(data.share, train.size), 1))
    return train, test, tuple(names)
