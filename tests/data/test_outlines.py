"""What is said of images before they are read is what they are then."""

import numpy as np
import pytest
from PIL import Image

from tests.search import tiny
from tf_darts.data import outlines, sources


def settings(**fields):
    return tiny.config(**{f"data__{name}": value for name, value in fields.items()})


def npz(folder, labels, shape=(4, 6, 3), prefix=("x_train", "y_train", "x_test", "y_test"), **more):
    images = np.zeros((len(labels), *shape), np.uint8)
    images[:, 0, 0] = 255
    path = folder / "images.npz"
    np.savez(path, **dict(zip(prefix, (images, labels, images, labels), strict=True)), **more)
    return {"source": "npz", "path": str(path), "limit_train": 0, "limit_test": 0}


def folder(root, parts=("",)):
    for part in parts:
        for name in ("a", "b", "c"):
            place = root / part / name
            place.mkdir(parents=True)
            for k in range(4):
                Image.new("RGB", (9, 7), (k, 0, 0)).save(place / f"{k}.png")
    return {"source": "folder", "path": str(root), "image_size": 8, "limit_train": 0, "limit_test": 0}


MADE = {
    "digits": lambda root: {},
    "digits, halved": lambda root: {"downscale": 2},
    "labels": lambda root: npz(root, np.array([0, 1, 2, 1])),
    "gaps": lambda root: npz(root, np.array([3, 9, 9, 3])),
    "one-hot": lambda root: npz(root, np.eye(4)),
    "texts": lambda root: npz(root, np.array(["x", "y", "x", "y"])),
    "other keys": lambda root: npz(
        root, np.array([0, 1]), prefix=("train_images", "train_labels", "test_images", "test_labels")
    ),
    "names": lambda root: npz(root, np.array([0, 1]), class_names=np.array(["x", "y"])),
    "folder": folder,
    "folder in parts": lambda root: folder(root, ("train", "test")),
}


@pytest.mark.parametrize("name", MADE)
def test_an_outline_is_that_of_the_images(tmp_path, capsys, name):
    data = settings(**MADE[name](tmp_path)).data
    outline = outlines.of(data)
    assert capsys.readouterr() == ("", "")  # what is to be said is said once, by the one who reads
    loaded = sources.load(data, 0)
    assert (outline.classes, outline.image_shape) == (loaded.num_classes, tuple(loaded.image_shape))


def test_where_it_is_not_known_nothing_is_said(tmp_path):
    (tmp_path / "bad.npz").write_bytes(b"PK")
    (tmp_path / "empty").mkdir()
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    for fields in (
        {"source": "npz", "path": str(tmp_path / "none.npz")},
        {"source": "npz", "path": str(tmp_path / "bad.npz")},
        {"source": "npz", "path": str(tmp_path / "other.npz")},
        npz(tmp_path, np.array([0, 1]), (6, 6)),  # grey values have no axis
        npz(tmp_path, np.array([0, 1]), (3, 8, 8)),  # channels first
        {"source": "folder", "path": str(tmp_path / "nowhere"), "image_size": 8},
        {"source": "folder", "path": str(tmp_path / "empty"), "image_size": 8},
        {"downscale": 3},
        {"source": "tfds", "name": "mnist", "path": str(tmp_path)},
    ):
        assert outlines.of(settings(**fields).data) is None
