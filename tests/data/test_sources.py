"""Every source of images, offline, and every way in which one can be of no use."""

import os
import pathlib

import numpy as np
import pytest
from PIL import Image

from tf_darts import config
from tf_darts.data import image_data, sources
from tf_darts.errors import UserError


def settings(**fields):
    data = config.default().data
    data.update(fields)
    return data


def fails(*parts, seed=0, **fields):
    """Loading with these settings gives a one-line UserError that has all the parts in it."""
    with pytest.raises(UserError) as caught:
        sources.load(settings(**fields), seed)
    message = str(caught.value)
    assert "\n" not in message and "allowed:" in message
    for part in parts:
        assert part in message


def test_mean_and_std_are_those_of_all_training_pixels_in_the_unit_range():
    images = np.zeros((2, 1, 2, 3), np.uint8)
    images[..., 0] = [[[0, 255]], [[0, 255]]]
    images[..., 1] = 51
    images[..., 2] = [[[0, 0]], [[0, 204]]]
    data = image_data.ImageData(images, np.zeros(2, np.int32), images[:1], np.zeros(1, np.int32), ("a", "b"))
    np.testing.assert_allclose(data.mean, [0.5, 0.2, 0.2], rtol=1e-6)
    np.testing.assert_allclose(data.std, [0.5, 0, 0.8 * 3**0.5 / 4], rtol=1e-6)
    assert data.std[1] == 0
    assert data.mean.dtype == data.std.dtype == np.float64
    assert data.image_shape == (1, 2, 3) and data.num_classes == 2


def test_published_moments_of_cifar10():
    beside = pathlib.Path(__file__).resolve().parents[3] / "shared"
    folder = pathlib.Path(os.environ.get("TF_DARTS_SHARED", beside)) / "data" / "cifar10"
    strips = [folder / f"train_{k:02d}.png" for k in range(50)]
    if not all(strip.is_file() for strip in strips):
        pytest.skip(f"no CIFAR-10 strips in {folder}; set TF_DARTS_SHARED to the folder above data/cifar10")
    images = np.concatenate([np.asarray(Image.open(strip)).reshape(1000, 32, 32, 3) for strip in strips])
    labels = np.load(folder / "labels.npz")["train_labels"].astype(np.int32)
    data = image_data.ImageData(images, labels, images[:1], labels[:1], tuple("0123456789"))
    # The published figures were summed up in single precision: only six of their digits hold.
    np.testing.assert_allclose(data.mean, [0.49139968, 0.48215827, 0.44653124], rtol=0, atol=1e-6)
    np.testing.assert_allclose(data.std, [0.24703233, 0.24348505, 0.26158768], rtol=0, atol=1e-6)


# digits


def test_digits_are_scaled_and_split_by_the_seed_with_equal_class_shares():
    data = sources.load(settings(source="digits"), 3)
    assert data.x_train.shape == (1437, 8, 8, 1) and data.x_test.shape == (360, 8, 8, 1)
    assert data.x_train.dtype == np.uint8 and data.y_train.dtype == np.int32
    assert data.x_train.max() == 255 and len(np.unique(data.x_train)) == 17
    assert data.num_classes == 10
    shares = np.bincount(data.y_test, minlength=10) / np.bincount(data.y_train, minlength=10)
    np.testing.assert_allclose(shares, 0.25, atol=0.01)
    again, other = (sources.load(settings(source="digits"), seed) for seed in (3, 4))
    np.testing.assert_array_equal(data.x_train, again.x_train)
    assert not np.array_equal(data.y_train, other.y_train)


def test_limits_take_the_first_images():
    whole = sources.load(settings(source="digits"), 0)
    data = sources.load(settings(source="digits", limit_train=7, limit_test=5), 0)
    np.testing.assert_array_equal(data.x_train, whole.x_train[:7])
    np.testing.assert_array_equal(data.y_train, whole.y_train[:7])
    np.testing.assert_array_equal(data.x_test, whole.x_test[:5])
    assert sources.load(settings(source="digits", limit_test=9999), 0).y_test.shape == (360,)


# npz

RNG = np.random.default_rng(0)
GOOD = {
    "x_train": RNG.integers(0, 256, (6, 4, 5, 3), dtype=np.uint8),
    "y_train": np.array([0, 1, 2, 0, 1, 2], np.uint8),
    "x_test": RNG.integers(0, 256, (2, 4, 5, 3), dtype=np.uint8),
    "y_test": np.array([1, 0]),
}


@pytest.fixture
def npz(tmp_path):
    def write(lacking=(), **changed):
        arrays = {key: value for key, value in {**GOOD, **changed}.items() if key not in lacking}
        np.savez(tmp_path / "images.npz", **arrays)
        return {"source": "npz", "path": str(tmp_path / "images.npz")}

    return write


def test_npz_is_read_as_it_is(npz):
    data = sources.load(settings(**npz()), 0)
    for key, value in GOOD.items():
        np.testing.assert_array_equal(getattr(data, key), value)
    assert data.y_train.dtype == data.y_test.dtype == np.int32
    assert data.class_names == ("0", "1", "2")


def test_npz_accepts_grey_images_floats_and_class_names(npz):
    grey = np.array([0.0, 1.0, 0.5, 0.002, 100 / 255, 0.2]).reshape(6, 1, 1)
    changed = {"x_train": grey, "x_test": np.ones((2, 1, 1), np.float32), "class_names": ["a", "b", "c", "d"]}
    data = sources.load(settings(**npz(**changed)), 0)
    assert data.x_train.shape == (6, 1, 1, 1)
    assert data.x_train.ravel().tolist() == [0, 255, 128, 1, 100, 51]
    assert data.class_names == ("a", "b", "c", "d") and data.num_classes == 4


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"lacking": ["y_test"]}, ["lacks the key y_test"]),
        ({"x_train": GOOD["x_train"][0, 0]}, ["x_train has the shape (5, 3)", "[N, H, W, C]"]),
        ({"x_train": GOOD["x_train"] - 300.5}, ["x_train has values from -", "undo the normalisation"]),
        ({"x_train": GOOD["x_train"].astype(np.int32) + 9}, ["x_train has values from", "uint8"]),
        ({"x_test": GOOD["x_test"] / 100}, ["x_test has values from", "floats in [0, 1]"]),
        ({"x_test": np.full((2, 4, 5, 3), np.nan)}, ["x_test has values from nan"]),
        ({"y_train": np.full(6, 0.5)}, ["y_train has the type float64", "integer"]),
        ({"y_train": np.zeros((6, 2), int)}, ["y_train has the shape (6, 2)", "one-hot"]),
        ({"y_train": np.array([0, 1, -1, 0, 1, 0])}, ["y_train has labels from -1 to 1"]),
        ({"y_train": np.array([0, 1, 2**60, 0, 1, 0])}, ["y_train has labels from 0 to 1152921504606846976"]),
        ({"y_train": np.array([0, 5, 7, 0, 5, 7])}, ["no training image of class 1;"]),
        ({"y_test": np.array([0, 1, 1])}, ["x_test has 2 images and y_test has 3 labels"]),
        ({"y_train": np.zeros(6, int), "y_test": np.zeros(2, int)}, ["1 class", "at least 2 classes"]),
        ({"class_names": ["a", "b"]}, ["train labels go from 0 to 2"]),
        ({"x_test": GOOD["x_test"][:0], "y_test": GOOD["y_test"][:0]}, ["no pixels in the test part"]),
        ({"x_test": GOOD["x_test"][:, :3]}, ["(4, 5, 3)", "(3, 5, 3)", "one shape"]),
        ({"y_test": np.array([{}, {}])}, ["cannot be read", "none pickled"]),
    ],
)
def test_npz_of_no_use(npz, change, parts):
    lacking = change.get("lacking", ())
    changed = {key: value for key, value in change.items() if key != "lacking"}
    fails("data.path is", "images.npz", *parts, **npz(lacking, **changed))


def test_npz_files_of_no_use(tmp_path):
    missing, text, single = (tmp_path / name for name in ("missing.npz", "text.npz", "single.npz"))
    text.write_text("no archive")
    with single.open("wb") as file:
        np.save(file, np.zeros(3))
    fails("data.path is", "missing.npz", "no such file", source="npz", path=str(missing))
    fails("data.path is", "text.npz", "cannot be read", source="npz", path=str(text))
    fails("data.path is", "single.npz", "not a .npz file", source="npz", path=str(single))


# folder


def put(path, colour, mode="RGB", size=(6, 4)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)


def test_folder_with_train_and_test(tmp_path):
    put(tmp_path / "train" / "cat" / "a.png", (10, 20, 30))
    put(tmp_path / "train" / "ape" / "b.PNG", 77, "L")
    put(tmp_path / "train" / "ape" / "c.jpg", (200, 200, 200))
    put(tmp_path / "test" / "cat" / "d.png", (1, 2, 3), size=(8, 8))
    put(tmp_path / "test" / "ape" / "e.png", (4, 5, 6))
    (tmp_path / "train" / "ape" / "notes.txt").write_text("not an image")
    (tmp_path / "train" / ".cache").mkdir()
    data = sources.load(settings(source="folder", path=str(tmp_path), image_size=8), 0)
    assert data.class_names == ("ape", "cat")
    assert data.x_train.shape == (3, 8, 8, 3) and data.x_test.shape == (2, 8, 8, 3)
    assert (data.x_train == data.x_train[:, :1, :1]).all()  # one colour each
    seen = {(int(y), *x[0, 0].tolist()) for x, y in zip(data.x_train, data.y_train, strict=True)}
    assert seen == {(1, 10, 20, 30), (0, 77, 77, 77), (0, 200, 200, 200)}
    seen = {(int(y), *x[0, 0].tolist()) for x, y in zip(data.x_test, data.y_test, strict=True)}
    assert seen == {(1, 1, 2, 3), (0, 4, 5, 6)}


@pytest.fixture
def flat(tmp_path):
    """CLASS/*: ten images of each of two classes, whose red channel tells them apart."""
    for k in range(10):
        put(tmp_path / "one" / f"{k}.png", (k, 0, 0))
        put(tmp_path / "two" / f"{k}.png", (100 + k, 0, 0))
    return tmp_path


def test_folder_without_test_part_is_split_by_the_seed(flat):
    data = sources.load(settings(source="folder", path=str(flat), test_fraction=0.3, image_size=4), 0)
    assert np.bincount(data.y_train).tolist() == [7, 7] and np.bincount(data.y_test).tolist() == [3, 3]
    red = np.concatenate([data.x_train, data.x_test])[:, 0, 0, 0]
    assert sorted(red.tolist()) == [*range(10), *range(100, 110)]
    np.testing.assert_array_equal(data.y_train, data.x_train[:, 0, 0, 0] >= 100)
    other = sources.load(settings(source="folder", path=str(flat), test_fraction=0.3, image_size=4), 1)
    assert not np.array_equal(data.x_train, other.x_train)


def test_first_images_of_a_folder_have_several_classes(flat):
    for part in ("train", "test"):
        for name in ("one", "two"):
            (flat / part).mkdir(exist_ok=True)
            for k in range(10):
                put(flat / part / name / f"{k}.png", (k, 0, 0))
    data = sources.load(settings(source="folder", path=str(flat), limit_train=8, limit_test=9), 0)
    assert len(data.y_train) == 8 and len(data.y_test) == 9
    assert set(data.y_train.tolist()) == set(data.y_test.tolist()) == {0, 1}


def test_folders_of_no_use(tmp_path):
    path = str(tmp_path)
    folder = {"source": "folder", "path": path}
    fails("data.path is", "no such folder", source="folder", path=path + "/missing")
    fails("data.path is", path, "0 class folders", **folder)
    put(tmp_path / "a" / "1.png", 0)
    fails("1 class folders", "at least 2", **folder)
    (tmp_path / "b").mkdir()
    fails("data.path", "/b has no images", **folder)
    put(tmp_path / "b" / "1.png", 0)
    fails("data.test_fraction is 0.2", "cannot split 2 images", **folder)
    put(tmp_path / "train" / "a" / "1.png", 0)
    put(tmp_path / "train" / "b" / "1.png", 0)
    fails("data.path", "has no folder test", **folder)
    put(tmp_path / "test" / "a" / "1.png", 0)
    put(tmp_path / "test" / "c" / "1.png", 0)
    fails("data.path", "only one of train and test has the classes b, c", **folder)


def test_unreadable_images_are_named(flat):
    (flat / "one" / "broken.png").write_bytes(b"no image")
    cut = (flat / "two" / "0.png").read_bytes()[:45]
    (flat / "two" / "cut.png").write_bytes(cut)
    put(flat / "two" / "deep.png", 40000, "I;16")
    # Wherever the split puts the three: both parts are read before the error.
    fails("data.path", "one/broken.png", "two/cut.png", "two/deep.png", source="folder", path=str(flat))


# tfds

X = RNG.integers(0, 256, (12, 4, 5, 3), dtype=np.uint8)
Y = np.arange(12) % 3


def store(
    path, name="tiny_images", version="1.0.0", images=X, config=None, splits=("train", "test"), **features
):
    """Prepares a tiny tfds data set: 12 training images, and the first four as test images."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    shape = images[0].shape if isinstance(images, np.ndarray) else (None, None, 3)
    features = features or {
        "image": tfds.features.Image(shape=shape, encoding_format="png"),
        "label": tfds.features.ClassLabel(names=["a", "b", "c"]),
    }
    keys = list(features)

    def examples(number):
        def make():
            for k in range(number):
                yield {keys[0]: images[k], keys[1]: Y[k]}

        signature = {keys[0]: tf.TensorSpec(shape, tf.uint8), keys[1]: tf.TensorSpec((), tf.int64)}
        return tf.data.Dataset.from_generator(make, output_signature=signature)

    tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        version=version,
        config=config,
        data_dir=str(path),
        features=tfds.features.FeaturesDict(features),
        split_datasets={split: examples(12 if split == "train" else 4) for split in splits},
        disable_shuffling=True,
    )


def tiny(path, name="tiny_images", **fields):
    return settings(source="tfds", name=name, path=str(path), **fields)


def test_tfds_is_read_offline_in_order_and_quietly(tmp_path, capfd):
    store(tmp_path)
    capfd.readouterr()
    data = sources.load(tiny(tmp_path), 0)
    assert capfd.readouterr().out == ""
    np.testing.assert_array_equal(data.x_train, X)
    np.testing.assert_array_equal(data.y_train, Y)
    np.testing.assert_array_equal(data.x_test, X[:4])
    assert data.class_names == ("a", "b", "c") and data.y_train.dtype == np.int32
    data = sources.load(tiny(tmp_path, limit_train=5), 0)
    np.testing.assert_array_equal(data.x_train, X[:5])


def test_tfds_takes_the_newest_version_or_the_one_asked_for(tmp_path):
    store(tmp_path, version="1.10.0", images=X)
    store(tmp_path, version="1.9.0", images=255 - X)
    np.testing.assert_array_equal(sources.load(tiny(tmp_path), 0).x_train, X)
    asked = sources.load(tiny(tmp_path, "tiny_images:1.9.0"), 0)
    np.testing.assert_array_equal(asked.x_train, 255 - X)
    fails("data.path", "2.0.0", "not prepared", source="tfds", path=str(tmp_path), name="tiny_images:2.0.0")


def test_tfds_configs(tmp_path):
    store(tmp_path, config="dark", images=X // 2)
    np.testing.assert_array_equal(sources.load(tiny(tmp_path), 0).x_train, X // 2)
    store(tmp_path, config="light", images=X)
    np.testing.assert_array_equal(sources.load(tiny(tmp_path, "tiny_images/light"), 0).x_train, X)
    fails("data.name", "tiny_images/dark, tiny_images/light", **tiny(tmp_path).to_dict())


def test_tfds_that_is_not_prepared_is_no_network_try(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    def refuse(*args, **kwargs):
        raise AssertionError("looked elsewhere")

    for name in ("load", "builder"):
        monkeypatch.setattr(tfds, name, refuse)
    place = {"source": "tfds", "name": "cifar10", "path": str(tmp_path)}
    fails(
        "data.path is", str(tmp_path), "'cifar10' is not prepared", "dataset_info.json", "tfds.load", **place
    )
    (tmp_path / "cifar10" / "3.0.2").mkdir(parents=True)  # preparation that did not end
    fails("not prepared", **place)
    fails("data.path", "not prepared", **{**place, "path": str(tmp_path / "missing")})
    fails("data.name is '../x'", "NAME/CONFIG", **{**place, "name": "../x"})


def test_tfds_of_no_use(tmp_path):
    import tensorflow_datasets as tfds

    place = tiny(tmp_path).to_dict()
    store(tmp_path, splits=["train"])
    fails("data.name is 'tiny_images'", "no split test (it has train)", **place)
    features = {"picture": tfds.features.Image(shape=(4, 5, 3)), "label": tfds.features.Scalar(np.int64)}
    store(tmp_path, version="1.0.1", **features)
    fails("data.name", "no feature image (it has label, picture)", **place)
    store(tmp_path, version="1.0.2", images=[*X[:11], X[11, :3]])
    fails("data.name", "differ in shape", "(3, 5, 3)", "(4, 5, 3)", **place)
    store(tmp_path, version="1.0.3")
    (record,) = (tmp_path / "tiny_images" / "1.0.3").glob("*train*tfrecord*")
    record.write_bytes(record.read_bytes()[:-50])
    fails("data.path", "cannot be read", **place)
    (tmp_path / "tiny_images" / "1.0.4").mkdir()
    (tmp_path / "tiny_images" / "1.0.4" / "dataset_info.json").write_text("{")
    fails("data.path", "cannot be read", **place)


def test_tfds_without_class_names_counts_labels(tmp_path):
    import tensorflow_datasets as tfds

    store(tmp_path, image=tfds.features.Image(shape=(4, 5, 3)), label=tfds.features.Scalar(np.int64))
    assert sources.load(tiny(tmp_path), 0).class_names == ("0", "1", "2")


def test_tfds_default_place(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    fails("data.name is 'no_such_images'", "knows no such", source="tfds", name="no_such_images")
    fails("data.name is 'mnist:9.9.9'", "9.9.9", source="tfds", name="mnist:9.9.9")
    store(tmp_path)
    builder = tfds.builder_from_directory(str(tmp_path / "tiny_images" / "1.0.0"))
    monkeypatch.setattr(tfds, "builder", lambda name: builder)
    np.testing.assert_array_equal(sources.load(settings(source="tfds", name="tiny_images"), 0).x_train, X)

    def offline():
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(builder, "download_and_prepare", offline)
    fails("data.name", "cannot download", "no route", "data.path", source="tfds", name="tiny_images")


def test_every_source_of_the_config_has_a_function():
    allowed = config.FIELDS["data"]["source"].allowed.removeprefix("one of ").split(", ")
    assert sorted(allowed) == sorted(sources.SOURCES)
