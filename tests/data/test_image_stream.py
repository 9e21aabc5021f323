"""Streams: passes, their order and draws, from any batch on; from files and from tfds records."""

import numpy as np
import pytest
from PIL import Image

from tf_darts import config as config_lib
from tf_darts.data import sources
from tf_darts.data.image_stream import MEAN, STD, StreamedData
from tf_darts.data.transform import Transform
from tf_darts.errors import UserError

CLASSES = ("ant", "bee")


def write_folder(root, test="val", each=5):
    """Images of one shade each: 10, 20, ... in train, 11, 21, ... in the test part."""
    for k, part in enumerate(("train", test)):
        for c, name in enumerate(CLASSES):
            folder = root / part / name
            folder.mkdir(parents=True)
            for i in range(each):
                shade = 10 * (1 + c * each + i) + k
                Image.fromarray(np.full((12, 9, 3), shade, np.uint8)).save(folder / f"{i}.png")


def write_tfds(root, each=5):
    import tensorflow as tf
    import tensorflow_datasets as tfds

    def split(k):
        shades = [10 * (1 + i) + k for i in range(2 * each)]
        images = [np.full((12, 9, 3), shade, np.uint8) for shade in shades]
        rows = {"image": images, "label": [i // each for i in range(2 * each)]}
        return tf.data.Dataset.from_tensor_slices(rows)

    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "label": tfds.features.ClassLabel(names=CLASSES),
        }
    )
    tfds.dataset_builders.store_as_tfds_dataset(
        "shades", "1.0.0", features, {"train": split(0), "validation": split(1)}, data_dir=root
    )


def settings(**fields):
    config = config_lib.default()
    config.data.update({"stream": True, "image_size": 8, "test_resize": 9, "crop_padding": 0, **fields})
    return config_lib.validate(config).data


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("folder")
    write_folder(root)
    return root


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    root = tmp_path_factory.mktemp("tfds")
    write_tfds(root)
    return root


@pytest.fixture(params=["folder", "tfds"])
def data(request):
    if request.param == "folder":
        fields = {"source": "folder", "path": str(request.getfixturevalue("folder")), "test_split": "val"}
    else:
        path = str(request.getfixturevalue("records"))
        fields = {"source": "tfds", "name": "shades", "path": path, "test_split": "validation"}
    return sources.load(settings(**fields, color_jitter=0.0, hue_jitter=0.0), seed=3)


def streams(data, seed=1):
    return data.sets(config_lib.default().data, 0, Transform(data.mean, data.std, 0, True), seed)


def shades(batches):
    return [images.numpy()[:, 0, 0, 0].tolist() for images, _ in batches]


def together(lists):
    return [item for items in lists for item in items]


def test_what_is_there(data):
    assert isinstance(data, StreamedData)
    assert (data.train_size, data.num_classes, data.class_names) == (10, 2, CLASSES)
    assert data.image_shape == (8, 8, 3)
    assert data.mean is MEAN and data.std is STD


def test_a_pass_has_every_image_once_and_a_short_last_batch(data):
    train, _ = streams(data)
    batches = list(train.batches("p", 0, 0, 4, augment=True))
    assert [images.shape for images, _ in batches] == [(4, 8, 8, 3), (4, 8, 8, 3), (2, 8, 8, 3)]
    seen = together(shades(batches))
    assert sorted(seen) == list(range(10, 101, 10)) != seen
    for images, labels in batches:
        for image, label in zip(images.numpy(), labels.numpy(), strict=True):
            assert label == (image[0, 0, 0] > 50)


def test_passes_have_orders_of_their_own_and_the_same_again(data):
    train, _ = streams(data)
    first, again, second, other = (
        shades(train.batches(purpose, index, 0, 4, augment=True))
        for purpose, index in (("p", 0), ("p", 0), ("p", 1), ("q", 0))
    )
    assert first == again and first != second and first != other


def test_a_pass_goes_on_from_any_batch(data):
    train, _ = streams(data)
    whole = list(train.batches("p", 2, 0, 4, augment=True))
    for first in (1, 2):
        rest = list(train.batches("p", 2, first, 4, augment=True))
        assert len(rest) == 3 - first
        for (images, labels), (same, same_labels) in zip(whole[first:], rest, strict=True):
            np.testing.assert_array_equal(images, same)
            np.testing.assert_array_equal(labels, same_labels)


def test_test_images_come_in_one_order(data):
    _, test = streams(data)
    first, again = (shades(test.batches("t", index, 0, 4, augment=False)) for index in (0, 1))
    assert first == again and sorted(together(first)) == list(range(11, 102, 10))


def test_crops_differ_from_image_to_image_and_pass_to_pass(tmp_path):
    for part in ("train", "test"):
        for name in CLASSES:
            (tmp_path / part / name).mkdir(parents=True)
            ramp = np.tile(np.arange(0, 240, 5, dtype=np.uint8)[:, None, None], (1, 48, 3))
            for i in range(2):
                Image.fromarray(ramp).save(tmp_path / part / name / f"{i}.png")
    train, _ = streams(sources.load(settings(source="folder", path=str(tmp_path)), 0))
    passes = [next(iter(train.batches("p", index, 0, 4, augment=True)))[0].numpy() for index in (0, 1)]
    different = {image.tobytes() for images in passes for image in images}
    assert len(different) == 8


def test_normalised_on_the_device(data):
    _, test = streams(data)
    images, _ = next(iter(test.batches("t", 0, 0, 4, augment=False)))
    found = test.finish(images, "t", 0, 4, 0, augment=False).numpy()
    np.testing.assert_allclose(found, (images.numpy() / 255 - MEAN) / STD, rtol=1e-5, atol=1e-6)


def test_limits(folder):
    fields = {"source": "folder", "path": str(folder), "test_split": "val"}
    data = sources.load(settings(**fields, limit_train=3, limit_test=2), 0)
    assert (data.train.size, data.test.size) == (3, 2)


def test_records_are_split_in_their_order(records):
    fields = {"source": "tfds", "name": "shades", "path": str(records), "test_split": "validation"}
    data = sources.load(settings(**fields, share=0.8, split="order", train_fraction=0.75), seed=3)
    config = settings(**fields, share=0.8, split="order", train_fraction=0.75)
    train, valid, test = data.search_sets(config, 1, Transform(data.mean, data.std))
    assert [part.size for part in (train, valid, test)] == [6, 2, 10]
    whole = together(
        shades(streams(sources.load(settings(**fields), 3))[0].batches("t", 0, 0, 4, augment=False))
    )
    found = [
        together(shades(part.batches("t", 0, 0, 4, augment=False))) for part in (train, valid, valid.first(1))
    ]
    assert found == [whole[:6], whole[6:8], whole[6:7]] and len(set(whole)) == 10
    config.split = "seed"
    with pytest.raises(UserError, match="data.split is 'seed': with data.stream, .*; allowed: 'order'"):
        data.search_sets(config, 1, Transform(data.mean, data.std))


def test_limits_of_records(records):
    fields = {"source": "tfds", "name": "shades", "path": str(records), "test_split": "validation"}
    fields |= {"limit_train": 3, "limit_test": 99, "color_jitter": 0.0, "hue_jitter": 0.0}
    data = sources.load(settings(**fields), 0)
    assert (data.train.size, data.test.size) == (3, 10)
    first = [together(shades(streams(data)[0].batches("p", p, 0, 2, augment=True))) for p in (0, 1)]
    assert set(first[0]) == set(first[1]) and len(set(first[0])) == len(first[0]) == 3
    assert set(first[0]) < set(range(10, 101, 10))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"source": "digits"}, "data.source is 'digits' with data.stream; allowed: tfds or folder"),
        ({"crop_padding": 4}, "data.crop_padding is 4 with data.stream; allowed: 0"),
        ({"downscale": 2}, "data.downscale is 2 with data.stream; allowed: 1"),
        ({"test_resize": 7}, "data.test_resize is 7 with data.stream; allowed: at least data.image_size, 8"),
        (
            {"stream": False, "test_resize": 256, "hue_jitter": 0.1},
            "data.hue_jitter is 0.1; allowed: only with",
        ),
    ],
)
def test_settings_that_contradict_each_other(fields, message):
    with pytest.raises(UserError, match=message):
        settings(**fields)


def test_a_part_that_is_not_there(folder, records):
    with pytest.raises(UserError, match="has no folder test"):
        sources.load(settings(source="folder", path=str(folder)), 0)
    with pytest.raises(UserError, match="has no split test"):
        sources.load(settings(source="tfds", name="shades", path=str(records)), 0)
