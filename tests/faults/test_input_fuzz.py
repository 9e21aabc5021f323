"""Random arrays, datasets and folders of images: read so that all figures agree, or refused in one line.

Every image has one shade, which tells its class, however it is held; so what was read can be checked.
"""

import dataclasses
import io
import pathlib
import tempfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_darts import api
from tf_darts import config as config_lib
from tf_darts.data import sources, user_data
from tf_darts.errors import UserError

FEW, MANY, RUNS = 60, 1000, 20  # cases that are read always, in the slow run, and that are trained on there
SHADES = (20, 70, 120, 170, 220)
TINY = {
    "space": "nas_bench_201",
    "data.crop_padding": 0,
    "data.image_size": 8,
    "data.test_fraction": 0.4,
    "training.channels": 2,
    "training.cells": 1,
    "training.epochs": 1,
    "training.batch_size": 4,
    "training.auxiliary_weight": 0.0,
    "training.cutout_length": 0,
    "training.drop_path": 0.0,
}
GENOTYPE = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_1x1~2|"


@dataclasses.dataclass
class Case:
    """What is given, and what has to come out if it is taken.

    Attributes:
      data: for the library, or of a folder its path.
      names: class_names.
      count: images in all.
      expected: by class, the name that it must bear; None: not told.
      hopeless: whether it has to be refused.
    """

    data: object
    names: object
    count: int
    expected: dict[int, str] | None
    hopeless: bool = False


def one_of(draw, *choices):
    """One of the choices."""
    return choices[draw.integers(len(choices))]


def labelled(draw, usual):
    """Random images [N, H, W, C] by class, and the classes; usual: of a kind that a network takes."""
    classes = int(draw.integers(2 if usual else 1, 6))
    number = (
        int(draw.integers(4 * classes, 6 * classes))
        if usual or draw.random() < 0.9
        else int(draw.integers(3))
    )
    side = 8 if usual else one_of(draw, 8, 8, 8, 5, 1, 2)
    other = side if draw.random() < 0.8 or usual else 9
    channels = one_of(draw, 3, 3, 1, 4, 2, 12)
    truth = np.arange(number) % classes
    images = np.broadcast_to(
        np.array(SHADES, np.uint8)[truth][:, None, None, None], (number, side, other, channels)
    ).copy()
    return images, truth, classes


def shaped(draw, images, usual):
    """The images in another type, range, order of axes or container."""
    hopeless = False
    kind = draw.integers(10 if usual else 15)
    if kind in (1, 2):
        images = images.astype(one_of(draw, np.int64, np.int32, np.uint16, np.int16, ">i4", np.uint32))
    elif kind in (3, 4):
        images = images.astype(one_of(draw, np.float32, np.float64, np.float16, ">f4"))
    elif kind in (5, 6):
        images = (images / 255).astype(one_of(draw, np.float32, np.float64))
    elif kind == 10:
        images, hopeless = images / 127.5 - 1, len(images) > 0
    elif kind == 11:
        images, hopeless = np.where(images == images[:1], np.nan, images / 255), len(images) > 0
    elif kind == 12:
        images, hopeless = images.astype(np.uint16) * 257, len(images) > 0
    elif kind == 13:
        images, hopeless = images.astype(one_of(draw, str, complex, "datetime64[s]")), len(images) > 0
    elif kind == 14:
        images, hopeless = (
            one_of(draw, images[None], images.reshape(len(images), images[:1].size), images[:, :0]),
            True,
        )
    if images.ndim == 4 and draw.random() < 0.15 and images.shape[-1] in (1, 3):
        images = images.transpose(0, 3, 1, 2)
    elif images.ndim == 4 and images.shape[-1] == 1 and draw.random() < 0.5:
        images = images[..., 0]
    return images, hopeless


def named(draw, truth, classes, usual):
    """The labels in another form; by class what they say, and whether they have to be refused."""
    form, hopeless = draw.integers(9 if usual else 14), False
    values = [str(k) for k in range(classes)]
    labels = truth.astype(one_of(draw, np.int64, np.uint8, np.int32, np.float32, np.uint64))
    if form == 1:
        labels = labels[:, None]
    elif form == 2 and len(labels):
        labels = np.eye(classes, dtype=one_of(draw, np.float32, int, bool))[truth]
        hopeless = classes == 1  # one column of ones: labels of class 1 alone
    elif form in (3, 4):
        step, start = int(draw.integers(1, 9)), int(draw.integers(9))
        labels, values = labels * step + start, [str(k * step + start) for k in range(classes)]
    elif form in (5, 6):
        values = [f"n{draw.integers(10**6)}_{k}\u00e9" for k in range(classes)]
        labels = np.array(values)[truth]
        if form == 6:
            labels = one_of(draw, np.char.encode(labels, "utf-8"), labels.astype(object), labels.tolist())
    elif form == 7:
        labels = labels.tolist()
    elif form >= 9 and len(labels):
        labels, hopeless = {
            9: (truth - 1, True),
            10: (truth + 0.5, True),
            11: (labels[:-1], True),
            12: (np.array([None, *truth[1:]], object), True),
            13: (np.where(truth == 0, np.nan, truth), True),
        }[int(form)]
    return labels, dict(enumerate(values)), hopeless


def renamed(draw, said, usual):
    """Names of classes for these labels, and by class which it has to bear."""
    form = draw.integers(7 if usual else 10)
    fresh = [f"class {k} {draw.integers(100)}" for k in range(len(said))]
    numbers = {k: int(v) for k, v in said.items() if v.isdigit()}
    by_class = dict(enumerate(fresh))
    if form == 4 and numbers:
        return {numbers[k]: fresh[k] for k in said}, by_class
    if form == 5 and numbers:
        return {fresh[k].encode(): numbers[k] for k in said}, by_class
    if form == 6 and numbers and all(k == v for k, v in numbers.items()):
        return one_of(draw, fresh, np.array(fresh), [name.encode() for name in fresh]), by_class
    if form >= 7:
        return one_of(draw, "names", ["a"], {"a": "b"}, 5, ["x"] * 99), None
    return (), said


def array_case(draw, usual=False):
    images, truth, classes = labelled(draw, usual)
    labels, said, bad_labels = named(draw, truth, classes, usual)
    names, expected = renamed(draw, said, usual)
    images, bad_images = shaped(draw, images, usual)
    data = (images, labels)
    if bad_images or bad_labels:
        return Case(data, names, len(truth), expected, True)
    form = draw.integers(6)
    if form == 1:
        data = list(data)
    elif form == 2:
        data = {one_of(draw, "image", "images", "x"): images, one_of(draw, "label", "labels", "y"): labels}
    elif form == 3 and images.ndim == 4 and images.shape[-1] in (2, 3, 4, 12) and images.shape[1] >= 5:
        images = [image[: int(draw.integers(4, 6)), :5] for image in images]  # of several sizes
        data = (one_of(draw, images, np.array([*images, None], object)[:-1]), labels)
    elif form == 4:
        return Case((data, data), names, 2 * len(truth), expected)
    return Case(data, names, len(truth), expected)


class Batches(keras.utils.PyDataset):
    """Batches of five."""

    def __init__(self, images, labels):
        super().__init__()
        self.images, self.labels = images, labels

    def __len__(self):
        return -(-len(self.images) // 5)

    def __getitem__(self, index):
        part = slice(5 * index, 5 * index + 5)
        return self.images[part], self.labels[part]


def dataset_case(draw, usual=False):
    images, truth, classes = labelled(draw, usual)
    labels, said, bad_labels = named(draw, truth, classes, usual)
    names, expected = renamed(draw, said, usual)
    if not usual and len(np.shape(images)) == 4 and draw.random() < 0.1:
        images = images[..., 0]
    images = images.astype(one_of(draw, np.uint8, np.float32, np.int32, np.int64))
    if bad_labels or not len(truth):
        labels, said, bad_labels = truth, {k: str(k) for k in range(classes)}, False
        names, expected = (), said
    labels = np.asarray(labels)
    labels = labels.astype(str).astype(object) if labels.dtype.kind in "UO" else labels
    case = Case(None, names, len(truth), expected)
    if draw.random() < 0.1 and labels.dtype.kind in "biuf":
        case.data = Batches(images, labels)
        return case
    dataset = tf.data.Dataset.from_tensor_slices((images, labels))
    form = draw.integers(5 if usual else 9)
    if form == 1:
        dataset = dataset.map(lambda image, label: {"image": image, "label": label, "id": label})
    elif form == 2 and len(truth):
        whole = dataset
        types = (dataset.element_spec[0].dtype, dataset.element_spec[1].dtype)
        dataset = tf.data.Dataset.from_generator(lambda: iter(whole), output_types=types)
    elif form == 3 and images.ndim == 4 and images.shape[1] >= 5 and len(truth):
        pairs = [
            (image[: 4 + k % 2], label) for k, (image, label) in enumerate(zip(images, labels, strict=True))
        ]
        spec = tf.TensorSpec((None, None, images.shape[-1]), images.dtype), dataset.element_spec[1]
        dataset = tf.data.Dataset.from_generator(lambda: iter(pairs), output_signature=spec)
        case.data = dataset.ragged_batch(3) if draw.random() < 0.5 else dataset
        return case
    elif form == 5:
        dataset = dataset.map(lambda image, label: (image, label, 1.0))
        case.hopeless = True
    elif form == 6:
        dataset, case.hopeless = dataset.repeat(), True
    elif form == 7 and len(truth):
        place = int(draw.integers(len(truth)))
        dataset = dataset.enumerate().map(
            lambda k, pair: (
                tf.ensure_shape(pair[0], images.shape[1:]) // tf.cast(k != place, images.dtype),
                pair[1],
            )
        )
        case.hopeless = images.dtype.kind in "iu"
        if not case.hopeless:
            return dataset_case(draw, usual)
    elif form == 8:
        dataset, case.hopeless = dataset.map(lambda image, label: image), True
    if draw.random() < 0.5:
        dataset = dataset.batch(int(draw.integers(1, 9)))
    case.data = dataset
    return case


KINDS = {
    "png": "PNG",
    "jpg": "JPEG",
    "JPEG": "JPEG",
    "webp": "WEBP",
    "bmp": "BMP",
    "gif": "GIF",
    "tif": "TIFF",
}
KINDS |= {"jfif": "JPEG", "ppm": "PPM", "tiff": "TIFF"}


def write_image(draw, path, shade):
    """Write an image of one shade, by a random kind, size, mode and orientation."""
    ending = one_of(draw, *KINDS)
    size = int(draw.integers(1, 20)), int(draw.integers(1, 20))
    image = Image.new(one_of(draw, "RGB", "RGB", "L"), size, 0)
    image.paste(shade if image.mode == "L" else (shade,) * 3, (0, 0, *size))
    options = {}
    if KINDS[ending] in ("JPEG", "PNG", "WEBP", "TIFF"):
        exif = Image.Exif()
        exif[0x0112] = int(draw.integers(0, 10))
        options["exif"] = exif
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path.with_name(f"{path.name}.{ending}"), KINDS[ending], **options)


def folder_case(draw, root, usual=False):
    """A folder of images, beside what is none, and maybe one that is broken."""
    classes = int(draw.integers(2, 6))
    truth = dict(
        enumerate(sorted(one_of(draw, "cat", "1", "\u732b", "a b", "$x$") + f"{k}" for k in range(classes)))
    )
    parts = one_of(draw, ("",), ("train", "test"))
    count = 0
    for part in parts:
        for k, name in truth.items():
            for i in range(int(draw.integers(4, 7))):
                below = one_of(draw, "", "", "day", "day/early")
                write_image(draw, root / part / name / below / f"{i}", SHADES[k])
                count += 1
            if draw.random() < 0.3:
                (
                    root / part / name / one_of(draw, "notes.txt", "a.heic", ".hidden.png", "Thumbs.db")
                ).write_bytes(b"x")
    case = Case(str(root), (), count, truth)
    damage = draw.integers(12) if not usual else 99
    place = root / parts[-1] / truth[0]
    if damage == 0:
        (place / "zero.jpg").write_bytes(b"")
    elif damage == 1:
        (place / "text.png").write_bytes(bytes(draw.integers(0, 256, 300, np.uint8)))
    elif damage == 2:
        out = io.BytesIO()
        noise = draw.integers(0, 256, (30, 30, 3)).astype(np.uint8)
        kind, ending = one_of(draw, ("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp"))
        Image.fromarray(noise).save(out, kind)
        whole = out.getvalue()
        (place / f"half.{ending}").write_bytes(whole[: int(draw.integers(1, len(whole) * 3 // 4))])
    elif damage == 3:
        Image.new("I;16", (4, 4)).save(place / "deep.png")
    elif damage == 4:
        (root / parts[-1] / "empty class").mkdir()
    elif damage == 5:
        (place / "gone.png").symlink_to("nowhere")
    case.hopeless = damage <= 5
    return case


def folder_config(path, **more):
    return {
        "data.source": "folder",
        "data.path": path,
        "data.image_size": 8,
        "data.test_fraction": 0.4,
        **more,
    }


def read(case, folder):
    """What becomes of a case: the data, or the error, which is one line and leaves nothing."""
    data = config_lib.default().data
    try:
        if isinstance(case.data, str):
            values = folder_config(case.data)
        else:
            workdir = pathlib.Path(folder) / "work"
            kept = user_data.keep(workdir, case.data, None, case.names, 0.4, 0, 8)
            values = {"data.source": "npz", "data.path": str(kept)}
        data.update({name.removeprefix("data."): value for name, value in values.items()})
        return sources.load(data, 0)
    except UserError as error:
        text = str(error)
        assert "\n" not in text and "allowed: " in text and len(text) <= 1000, text
        assert not (pathlib.Path(folder) / "work").exists(), text
        return None


def check(case, data):
    """What was read is what was given."""
    assert not case.hopeless, "taken, and of no use"
    assert (
        data.x_train.dtype == data.x_test.dtype == np.uint8
        and data.x_train.shape[1:] == data.x_test.shape[1:]
    )
    images, labels = np.concatenate([data.x_train, data.x_test]), np.concatenate([data.y_train, data.y_test])
    assert len(images) == len(labels) == case.count
    assert set(data.y_test) <= set(data.y_train) <= set(range(data.num_classes))
    middle = images[:, images.shape[1] // 2, images.shape[2] // 2, 0].astype(int)
    classes = np.abs(middle[:, None] - np.array(SHADES)).argmin(1)
    assert np.abs(middle - np.array(SHADES)[classes]).max() <= 3
    if case.expected is not None:
        assert [data.class_names[label] for label in labels] == [case.expected[k] for k in classes]
    else:  # each class has one label
        assert len(set(zip(classes, labels, strict=True))) == len(set(classes))


def outcomes(make, seeds):
    """Read cases; returns how many were taken and how many refused."""
    taken = refused = 0
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            draw = np.random.default_rng(seed)
            usual = bool(draw.random() < 0.5)
            given = (pathlib.Path(folder) / "images",) if make is folder_case else ()
            case = make(draw, *given, usual=usual)
            try:
                data = read(case, folder)
                if data is None:
                    refused += 1
                else:
                    taken += 1
                    check(case, data)
            except Exception as error:
                raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error
    return taken, refused


MAKERS = [array_case, dataset_case, folder_case]


@pytest.mark.parametrize("make", MAKERS)
def test_inputs_are_read_rightly_or_refused(make):
    taken, refused = outcomes(make, range(FEW))
    assert taken > FEW // 4 and refused > FEW // 12


@pytest.mark.slow
@pytest.mark.parametrize("make", MAKERS)
def test_many_inputs_are_read_rightly_or_refused(make):
    taken, refused = outcomes(make, range(FEW, FEW + MANY))
    assert taken > MANY // 4 and refused > MANY // 12


@pytest.mark.slow
@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("seed", range(RUNS))
def test_what_is_taken_can_be_trained_on_and_its_predictions_agree(make, seed, tmp_path):
    draw = np.random.default_rng(10**6 + seed)
    if make is folder_case:
        case = folder_case(draw, tmp_path / "images", usual=True)
        given, names, more = None, (), folder_config(case.data)
    else:
        case = make(draw, usual=True)
        given, names, more = case.data, case.names, {}
    trained = api.train(GENOTYPE, given, config=TINY | more, class_names=names, workdir=tmp_path / "work")
    data = trained.run.data
    check(case, data)
    whole = trained.predict(data.x_test)
    assert whole.shape == (len(data.x_test), data.num_classes)
    np.testing.assert_allclose(whole.sum(1), 1, rtol=1e-4)
    np.testing.assert_allclose(trained.predict(data.x_test[1:2]), whole[1:2], rtol=1e-3, atol=1e-5)
    assert np.mean(whole.argmax(1) == data.y_test) == pytest.approx(trained.test_accuracy)
    if isinstance(given, tuple) and not isinstance(given[0], tuple):  # in the form in which they were given
        again = trained.predict(given[0])
        assert len(again) == case.count
        answers = dict(zip(data.x_test[:, 0, 0, 0].tolist(), whole, strict=True))
        middle = {k: shade for k, shade in enumerate(SHADES)}
        for k, row in enumerate(again):
            shade = middle[k % len(set(data.y_train.tolist()))]
            if shade in answers:
                np.testing.assert_allclose(row, answers[shade], rtol=1e-3, atol=1e-4)
