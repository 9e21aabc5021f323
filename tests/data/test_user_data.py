"""Arrays and datasets as people hold them: read alike, or refused in one line that leaves nothing."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_darts import api
from tf_darts import config as config_lib
from tf_darts.data import image_pairs, sources, user_data
from tf_darts.data.arrays import Reading
from tf_darts.data.image_arrays import images_of
from tf_darts.errors import UserError

RNG = np.random.default_rng(0)
N = 30
Y = np.arange(N) % 3
X = RNG.integers(0, 256, (N, 8, 8, 3)).astype(np.uint8)
X[:, 0, 0, 0] = np.arange(N)  # tells which image it is
ONE_HOT = np.eye(3)[Y]
DATASET = tf.data.Dataset.from_tensor_slices


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        part = slice(10 * index, 10 * index + 10)
        return X[part], ONE_HOT[part]


def kept(folder, data, test=None, names=(), side=0):
    path = user_data.keep(folder, data, test, names, 0.2, 0, side)
    settings = config_lib.default().data
    settings.update({"source": "npz", "path": str(path)})
    return sources.load(settings, 0)


def unknown(dataset):
    """The same elements, of shapes and a number that TensorFlow does not know."""
    types = tf.nest.map_structure(lambda spec: spec.dtype, dataset.element_spec)
    return tf.data.Dataset.from_generator(lambda: iter(dataset), output_types=types)


SAME = {
    "plain": (X, Y),
    "list": [list(X), Y.tolist()],
    "dictionary": {"image": X, "label": Y},
    "tensors": (tf.constant(X), tf.constant(Y)),
    "labels (n, 1)": (X, Y[:, None].astype(np.uint8)),
    "one-hot": (X, ONE_HOT.astype(bool)),
    "whole floats": (X, Y.astype(np.float32)),
    "int64 images": (X.astype(np.int64), Y),
    "floats in [0, 1]": (X / 255, Y),
    "floats to 255": (X.astype(np.float16), Y),
    "channels first": (X.transpose(0, 3, 1, 2), Y),
    "object array": (np.array([*X, None], object)[:-1], Y),
    "dataset": DATASET((X, Y)),
    "batches": DATASET((X, Y[:, None])).batch(7),
    "one-hot batches of floats": DATASET((X.astype(np.float32), ONE_HOT)).batch(7),
    "one-hot dataset": DATASET((X, ONE_HOT)),
    "a dataset's dictionary": DATASET({"image": X, "label": Y, "id": Y}).batch(4),
    "unknown": unknown(DATASET((X, Y))),
    "unknown batches": unknown(DATASET((X, Y)).batch(7)),
    "batches of one": DATASET((X, Y)).batch(1),
    "PyDataset": Batches(workers=1),
}


@pytest.mark.parametrize("form", list(SAME))
def test_every_form_gives_the_same_images_and_labels(tmp_path, form):
    data, plain = kept(tmp_path / "a", SAME[form]), kept(tmp_path / "b", (X, Y))
    for name in ("x_train", "y_train", "x_test", "y_test"):
        np.testing.assert_array_equal(getattr(data, name), getattr(plain, name))
    assert data.class_names == ("0", "1", "2")
    np.testing.assert_array_equal(data.y_train, data.x_train[:, 0, 0, 0] % 3)


GREY = X[..., 0]


@pytest.mark.parametrize(
    ("data", "images"),
    [
        (DATASET((GREY, Y)).batch(7), GREY[..., None]),
        (DATASET((GREY, Y)), GREY[..., None]),
        (DATASET((GREY, ONE_HOT)), GREY[..., None]),
        (DATASET((GREY, Y)).batch(8, drop_remainder=True), GREY[:24, ..., None]),  # as many rows as images
        ((np.repeat(X, 4, -1), Y), np.repeat(X, 4, -1)),
    ],
)
def test_grey_images_and_twelve_channels_are_told_apart(tmp_path, data, images):
    found = kept(tmp_path, data)
    assert found.image_shape == images.shape[1:]
    numbers = np.concatenate([found.x_train, found.x_test])[:, 0, 0, 0]
    np.testing.assert_array_equal(np.sort(numbers), np.arange(len(images)))
    np.testing.assert_array_equal(found.y_train, found.x_train[:, 0, 0, 0] % 3)


@pytest.mark.parametrize(
    ("labels", "names", "expected"),
    [
        (Y + 1, (), ("1", "2", "3")),
        (Y * 5, (), ("0", "5", "10")),
        (Y * 5, ["a", "b", "c"], ("a", "b", "c")),
        (np.array(["b", "a", "c"])[Y], (), ("a", "b", "c")),
        (np.array([b"b", b"a", b"c"])[Y], (), ("a", "b", "c")),
        (np.array(["b", "a", "c"], object)[Y], ["c", "b", "a"], ("c", "b", "a")),
        (Y, {"dog": 1, "cat": 0, "cow": 2}, ("cat", "dog", "cow")),
        (Y, {1: "dog", 0: "cat", 2: "cow"}, ("cat", "dog", "cow")),
        (Y * 5, {5: "dog", 0: b"cat", 10: "cow"}, ("cat", "dog", "cow")),
        (Y, [b"cat", np.str_("dog"), "\u00e9t\u00e9"], ("cat", "dog", "\u00e9t\u00e9")),
        (Y > 0, (), ("0", "1")),
    ],
)
def test_classes_keep_their_names(tmp_path, labels, names, expected):
    data = kept(tmp_path, (X, labels), names=names)
    assert data.class_names == expected
    if not len(names):
        plain = labels.astype(int) if labels.dtype == bool else labels
        given = plain.astype(str)
        for image, label in zip(data.x_train, data.y_train, strict=True):
            assert expected[label] == given[image[0, 0, 0]]


def test_a_dictionary_of_names_is_by_label_and_not_by_place(tmp_path):
    data = kept(tmp_path, (X, Y), names={"dog": 1, "cat": 0, "cow": 2})
    named = {0: "cat", 1: "dog", 2: "cow"}
    for image, label in zip(data.x_train, data.y_train, strict=True):
        assert data.class_names[label] == named[image[0, 0, 0] % 3]


def test_both_parts_may_be_given_at_once(tmp_path):
    data = kept(tmp_path, ((X, Y[:, None]), (X[:9], Y[:9, None])))
    np.testing.assert_array_equal(data.x_train, X)
    np.testing.assert_array_equal(data.x_test, X[:9])
    data = kept(tmp_path / "sets", (DATASET((X, Y)).batch(4), DATASET((X[:9], Y[:9])).batch(4)))
    assert (len(data.x_train), len(data.x_test)) == (30, 9)
    with pytest.raises(UserError, match="test is given, and data has a test part"):
        kept(tmp_path / "both", ((X, Y), (X, Y)), (X, Y))


def test_names_of_a_dataset_from_folders_are_kept(tmp_path):
    from PIL import Image

    for name in ("cat", "dog"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for k in range(10):
            shade = (40 * (name == "dog") + k,) * 3
            Image.new("RGB", (16, 16), shade).save(tmp_path / "images" / name / f"{k}.png")
    dataset = keras.utils.image_dataset_from_directory(
        tmp_path / "images", image_size=(16, 16), batch_size=4, verbose=False
    )
    data = kept(tmp_path / "work", dataset)
    assert data.class_names == ("cat", "dog") and data.image_shape == (16, 16, 3)
    assert data.reading == Reading(255, False)
    np.testing.assert_array_equal(data.y_train, data.x_train[:, 0, 0, 0] >= 40)


SIZES = [X[k][: 5 + k % 3, : 6 + k % 2] for k in range(N)]


def sizes():
    yield from zip(SIZES, Y, strict=True)


RAGGED = {
    "list": (SIZES, Y),
    "object array": (np.array([*SIZES, None], object)[:-1], Y),
    "floats": ([image / 255 for image in SIZES], Y),
    "dataset": tf.data.Dataset.from_generator(
        sizes, output_signature=(tf.TensorSpec((None, None, 3), tf.uint8), tf.TensorSpec((), tf.int64))
    ),
    "unknown": tf.data.Dataset.from_generator(sizes, output_types=(tf.uint8, tf.int64)),
    "ragged batches": tf.data.Dataset.from_generator(
        sizes, output_signature=(tf.TensorSpec((None, None, 3), tf.uint8), tf.TensorSpec((), tf.int64))
    ).ragged_batch(7),
}


@pytest.mark.parametrize("form", list(RAGGED))
def test_images_of_several_sizes_are_resized(tmp_path, form, capsys):
    by_rule = kept(tmp_path / "a", RAGGED[form], side=lambda sides: sorted(sides)[len(sides) // 2] + 3)
    data, plain = by_rule, kept(tmp_path / "b", RAGGED["list"], side=9)
    assert "of several sizes: resized to 9x9 (data.image_size)" in capsys.readouterr().err
    assert data.image_shape == (9, 9, 3) and data.reading.resized
    np.testing.assert_allclose(data.x_train.astype(int), plain.x_train, atol=1)
    np.testing.assert_array_equal(data.y_train, plain.y_train)


def failing():
    yield X[0], 0
    raise RuntimeError("disk\non fire")


FAILING = tf.data.Dataset.from_generator(failing, output_types=(tf.uint8, tf.int64))
ENDLESS = DATASET((X * 0, Y)).repeat().filter(lambda image, label: label >= 0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (([X, Y],), "data is a tuple of 1; allowed: "),
        (iter([]), "data is a list_iterator; allowed: "),
        (
            {"pixels": X, "label": Y},
            r"data has the keys \['label', 'pixels'\]; allowed: the keys 'image' and",
        ),
        ((X[:, :, 0, 0], Y), r"images.reshape\(-1, H, W\)"),
        ((np.zeros((N, 784)), Y), r"images.reshape\(-1, 28, 28\)"),
        ((X[None], Y), r"has the shape \(1, 30, 8, 8, 3\)"),
        ((X[:, :0], Y), r"has the shape \(30, 0, 8, 3\)"),
        ((X - 0.5, Y), "undo the normalisation"),
        ((np.where(X > 250, np.nan, X), Y), "values from nan"),
        ((X * 1e30, Y), "has values from"),
        ((X.astype(np.uint16) * 257, Y), "divide 16-bit values by 257"),
        ((X.astype(str), Y), "has the type <U"),
        (([X[0], X[1, ..., :1]] * 15, Y), "of 1 and 3 channels"),
        (([X[0], X[1, :4] / 255] * 15, Y), "has the type float64 and uint8"),
        (([X[0], None] * 15, Y), "has the type object"),
        (([X[0], 3] * 15, Y), r"an image of the shape \(\)|has the type"),
        ((X, Y - 1), "has labels from -1 to 1"),
        ((X, Y + 0.5), "has the type float64; allowed: integer labels"),
        ((X, ONE_HOT * 0.9), "one 1 in each row"),
        ((X, [None] * N), "has the type object"),
        ((X, [[0], [1, 2]] * 15), "labels are no array"),
        ((X, Y * 0), "1 class"),
        ((X, Y[:-1]), "30 images and 29 labels"),
        ((X[:0], Y[:0]), "0 images and 0 labels"),
        ((X, np.array([0] * 15 + [1] * 14 + [2])), "with one image of class 2; allowed: two images of every"),
        ((X, np.arange(N) // 2), "cannot split 30 images of 15 classes; allowed: .* from 0.5 to 0.5"),
        (DATASET((X, Y, Y)), "three parts, as with sample weights"),
        (DATASET((X, Y)).batch(5).batch(2), r"has the shape \(6, 5, 8, 8, 3\)"),
        (DATASET((X, Y)).batch(4).batch(2), "failed after 3 elements"),
        (
            tf.data.Dataset.from_generator(failing, output_types=(tf.uint8, tf.int64)),
            "failed after 1 element",
        ),
        (DATASET((X, Y)).map(lambda image, label: (tf.io.decode_png("x"), label)), "failed after 0 elements"),
        (ENDLESS, "seems to have no end: after 3 elements they come again"),
        (ENDLESS.batch(20), "seems to have no end: after 3 elements they come again"),
        (((X, Y), (X[:, :4, :4], Y)), r"training images \(8, 8, 3\), test images \(4, 4, 3\)"),
        (((X, Y), (X, Y + 1)), "no training image of class 3"),
        (((X, np.array(["a", "b", "c"])[Y]), (X, Y)), "names in one part and numbers in the other"),
        (((X * 1.0, Y), (X / 255, Y)), "test: images has values to 1, and data: images beyond"),
        (((X / 255, Y), (X * 1.0, Y)), "test: images has values from 0 to 255; allowed: .* as in training"),
    ],
)
def test_what_is_of_no_use_is_one_line_and_leaves_nothing(tmp_path, data, message):
    with pytest.raises(UserError, match=message) as error:
        kept(tmp_path / "new" / "mine", data)
    assert "\n" not in str(error.value) and "allowed: " in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("abc", "class_names is 'abc'"),
        (["a", "a", "b"], "class_names has a more than once"),
        (["a", "b"], "train labels go from 0 to 2; allowed: 0 to 1"),
        ({"a": 0, "b": 0}, "class_names is {"),
        ({"a": "b"}, "class_names is {"),
        ({0: "a", 1: "b"}, "train labels go from 0 to 2"),
        ({3: "a", 4: "b", 5: "c"}, "labels: 0, 1, 2 is not among class_names"),
        ([["a"], None, "c"], "class_names has"),
        (5, "class_names is 5"),
    ],
)
def test_names_of_no_use(tmp_path, names, message):
    with pytest.raises(UserError, match=message):
        user_data.keep(tmp_path / "new", (X, Y), None, names, 0.2, 0)
    assert not list(tmp_path.iterdir())


def test_a_dataset_that_does_not_say_its_size_is_read_to_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(image_pairs, "MOST_IMAGES", 20)
    with pytest.raises(UserError, match="has more than 20 images; allowed: .*assert_cardinality"):
        kept(tmp_path, unknown(DATASET((X, Y))))
    sure = unknown(DATASET((X, Y))).apply(tf.data.experimental.assert_cardinality(N))
    assert len(kept(tmp_path, sure).x_train) == 24


def test_a_dataset_beyond_the_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(image_pairs, "MEMORY_SHARE", 1e-9)
    with pytest.raises(UserError, match="half of this machine's memory"):
        kept(tmp_path, DATASET((X, Y)))


def test_a_dataset_that_repeats_itself_a_few_times_has_an_end(tmp_path):
    dataset = DATASET((X, Y)).repeat(5).filter(lambda image, label: label >= 0)
    assert len(kept(tmp_path, dataset).x_train) == 120


CONFIG = {
    "space": "nas_bench_201",
    "data.crop_padding": 0,
    **{f"training.{name}": 1 for name in ("cells", "epochs")},
    **{"training.channels": 4, "training.batch_size": 8, "training.auxiliary_weight": 0.0},
    **{"training.cutout_length": 0, "training.drop_path": 0.0},
}
GENOTYPE = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_1x1~2|"


def test_a_refused_call_leaves_nothing_and_the_corrected_one_goes_on(tmp_path):
    workdir = tmp_path / "new" / "mine"
    with pytest.raises(UserError, match="has labels from -1"):
        api.train(GENOTYPE, (X, Y - 1), config=CONFIG, workdir=workdir)
    with pytest.raises(UserError, match="batch_size"):  # found out when the images are there already
        api.train(GENOTYPE, (X, Y + 1), config=CONFIG | {"training.batch_size": 512}, workdir=workdir)
    assert not list(tmp_path.iterdir())
    user_data.keep(workdir, (X, Y + 1), None, (), 0.2, 0)  # as a call that was killed leaves it
    trained = api.train(GENOTYPE, (X, Y), config=CONFIG, workdir=workdir)
    assert trained.run.data.class_names == ("0", "1", "2")
    with pytest.raises(UserError, match="holds other images"):
        api.train(GENOTYPE, (X, Y + 1), config=CONFIG, workdir=workdir)
    assert (workdir / "data.npz").exists()


@pytest.mark.slow
def test_predict_takes_images_as_the_training_did(tmp_path):
    dark = X.copy()
    dark[3] = dark[3] > 100  # as floats it looks like an image in [0, 1]
    trained = api.train(GENOTYPE, (dark.astype(np.float32), Y), config=CONFIG)
    whole = trained.predict(dark)
    for images in (dark.astype(np.float64), list(dark), dark.transpose(0, 3, 1, 2), dark.astype(np.int32)):
        np.testing.assert_array_equal(trained.predict(images), whole)
    alone = trained.predict(dark[3:4].astype(np.float32))
    np.testing.assert_allclose(alone, whole[3:4], rtol=1e-5, atol=1e-6)
    sized = api.train(GENOTYPE, (SIZES, Y), config=CONFIG | {"data.image_size": 8})
    together = sized.predict(SIZES)
    np.testing.assert_allclose(sized.predict(SIZES[4:5]), together[4:5], rtol=1e-5, atol=1e-6)


def test_later_images_are_in_the_range_of_the_first():
    dark = (X[:1] > 100).astype(np.float32)
    assert images_of("images", dark, reading=Reading(255), shape=(8, 8, 3))[0].max() == 1
    assert images_of("images", dark, reading=Reading(1), shape=(8, 8, 3))[0].max() == 255
    with pytest.raises(UserError, match=r"floats in \[0, 1\], as in training"):
        images_of("images", X * 1.0, reading=Reading(1), shape=(8, 8, 3))


def test_layouts_of_doubt():
    def shape(*size):
        return images_of("data: images", np.zeros((2, *size), np.uint8))[0].shape[1:]

    assert shape(3, 8, 8) == (8, 8, 3) and shape(1, 28, 28) == (28, 28, 1) and shape(3, 32, 20) == (32, 20, 3)
    for size in ((8, 8, 12), (8, 3, 3), (3, 3, 3), (1, 8, 12), (4, 4, 16), (3, 5, 12), (5, 8, 8)):
        assert shape(*size) == size
    images, _ = images_of("images", np.zeros((2, 5, 8, 8), np.uint8), reading=Reading(1), shape=(8, 8, 5))
    assert images.shape == (2, 8, 8, 5)


def test_what_may_have_its_channels_first_is_said(tmp_path, capsys):
    kept(tmp_path, (np.repeat(X, 4, -1).transpose(0, 3, 1, 2)[:, :5], Y))
    assert "images of 5x8 pixels and 8 channels; if their channels come first" in capsys.readouterr().err
