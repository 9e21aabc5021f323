"""Shares of a data set and the halves of a search: of every class its own, drawn by the seed."""

import numpy as np
import pytest
from PIL import Image

from tf_darts import config as config_lib
from tf_darts.data import share, sources
from tf_darts.data.image_data import ImageData
from tf_darts.data.image_set import search_sets
from tf_darts.data.image_stream import StreamedData
from tf_darts.data.transform import Transform
from tf_darts.errors import UserError

LABELS = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [500, 40, 5]))


@pytest.mark.parametrize(
    ("fraction", "of_class"),
    [(0.2, (100, 8, 1)), (0.5, (250, 20, 2)), (0.25, (125, 10, 1)), (1.0, (500, 40, 5))],
)
def test_every_class_has_its_share(fraction, of_class):
    kept = share.share_of(LABELS, fraction, 3, "abc")
    counts = np.bincount(LABELS[kept], minlength=3)
    assert counts.sum() == int(545 * fraction + 1e-9)
    assert np.abs(counts - fraction * np.array([500, 40, 5])).max() < 1 and tuple(counts) == of_class
    assert (np.diff(kept) > 0).all()  # in the order of the set, each once
    np.testing.assert_array_equal(kept, share.share_of(LABELS, fraction, 3, "abc"))
    if fraction < 1:
        assert not np.array_equal(kept, share.share_of(LABELS, fraction, 4, "abc"))


def test_a_share_without_an_image_of_a_class():
    message = (
        r"data.share is 0.01: of 545 training images none of class b, c is left; allowed: a share .*, as 0.2"
    )
    with pytest.raises(UserError, match=message):
        share.share_of(LABELS, 0.01, 3, "abc")
    assert len(np.unique(LABELS[share.share_of(LABELS, 0.2, 3, "abc")])) == 3


def test_halves():
    number = len(LABELS)
    for how in ("seed", "class", "order"):
        first, second = share.split(LABELS, 436, how, 7)
        assert len(first) == 436
        np.testing.assert_array_equal(np.sort(np.concatenate([first, second])), np.arange(number))
        assert (how == "order") == bool((np.diff(first) > 0).all())
        if how == "class":
            assert np.bincount(LABELS[first]).tolist() == [400, 32, 4]
            assert len(np.unique(LABELS[second][:60])) > 1  # shuffled: probes may see the first of them
    # As before there was any other way.
    order = np.random.default_rng(share.seeds.fold(7, "halves")).permutation(number)
    np.testing.assert_array_equal(share.split(LABELS, 436, "seed", 7)[1], order[436:])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """40 and 20 training images of two classes, which are told apart by their shade."""
    root = tmp_path_factory.mktemp("images")
    for part, counts in (("train", (40, 20)), ("test", (2, 2))):
        for label, count in enumerate(counts):
            place = root / part / f"class{label}"
            place.mkdir(parents=True)
            for i in range(count):
                Image.fromarray(np.full((8, 8, 3), 4 * i + label, np.uint8)).save(place / f"{i}.png")
    return root


def loaded(folder, seed=0, **fields):
    config = config_lib.default()
    config.data.update({"source": "folder", "path": str(folder), "image_size": 8, **fields})
    if config.data.stream:
        config.data.update({"crop_padding": 0, "test_resize": 8, "color_jitter": 0.0, "hue_jitter": 0.0})
    config = config_lib.validate(config)
    return sources.load(config.data, seed), config.data


def test_memory_and_stream_keep_the_same_images(folder):
    memory, settings = loaded(folder, share=0.25, split="class", train_fraction=0.8)
    stream, streamed = loaded(folder, share=0.25, split="class", train_fraction=0.8, stream=True)
    assert isinstance(memory, ImageData) and isinstance(stream, StreamedData)
    assert memory.record.train.of_class == stream.record.train.of_class == (10, 5)
    assert memory.record.test.images == 4  # the test images stay
    transform = Transform(np.zeros(3), np.full(3, 1 / 255))
    for ours, theirs in zip(
        search_sets(memory, settings, 5, transform), stream.search_sets(streamed, 5, transform), strict=True
    ):
        assert ours.size == theirs.size
        shades = ours.pass_batch("p", 0, 0, ours.size, ours.size, augment=False, shuffle=False)[0]
        pixels, _ = theirs.batch("p", 0, 0, ours.size, augment=False)
        np.testing.assert_allclose(shades, pixels)
    again, _ = loaded(folder, share=0.25)
    other, _ = loaded(folder, share=0.25, seed=1)
    assert again.record.train == memory.record.train != other.record.train


def test_a_share_of_arrays(tmp_path):
    images = np.arange(100, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 1), np.uint8)
    labels = np.arange(100) % 2
    np.savez(tmp_path / "a.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    config = config_lib.default()
    config.data.update({"source": "npz", "path": str(tmp_path / "a.npz"), "share": 0.5, "limit_train": 80})
    data = sources.load(config_lib.validate(config).data, 0)
    assert data.record.train.of_class == (20, 20) and data.record.test.images == 100
    shades = data.x_train[:, 0, 0, 0]
    assert shades.max() < 80 and (np.diff(shades.astype(int)) > 0).all()
    np.testing.assert_array_equal(shades % 2, data.y_train)
