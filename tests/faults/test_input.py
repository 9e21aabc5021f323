"""Data and settings that are of no use: refused by name before anything starts."""

import os
import time

import numpy as np
import pytest
from PIL import Image

from tf_darts import config as config_lib
from tf_darts.data import npz, sources
from tf_darts.data.arrays import Arrays
from tf_darts.errors import UserError


def settings(**fields):
    data = config_lib.default().data
    data.update(fields)
    return data


def refused(**fields):
    with pytest.raises(UserError) as error:
        sources.load(settings(**fields), 0)
    assert "\n" not in str(error.value) and "allowed: " in str(error.value)
    return str(error.value)


@pytest.fixture
def arrays():
    labels = np.arange(6, dtype=np.int32) % 3
    images = np.arange(6 * 16, dtype=np.uint8).reshape(6, 4, 4, 1)
    return {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}


def saved(folder, arrays, compressed=False):
    path = folder / "data.npz"
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    return {"source": "npz", "path": str(path)}


def test_a_class_without_training_images_is_named(tmp_path, arrays, capsys):
    named = {"class_names": np.array(["a", "b", "c", "d"])}
    arrays["y_train"] = np.array([0, 2, 0, 2, 3, 3])
    message = refused(**saved(tmp_path, arrays))
    assert "no training image of class 1; allowed: labels from 0 without gaps" in message
    sources.load(settings(**saved(tmp_path, arrays | named)), 0)  # who names a class may have no image of it
    assert "warning: no training image of class b among 6" in capsys.readouterr().err


def test_classes_without_test_images_are_a_warning_but_not_those_that_a_limit_leaves_out(
    tmp_path, arrays, capsys
):
    sources.load(settings(limit_train=2, limit_test=1, **saved(tmp_path, arrays)), 0)
    assert capsys.readouterr().err == ""
    arrays["y_test"] = np.zeros(6, np.int32)
    sources.load(settings(**saved(tmp_path, arrays)), 0)
    assert capsys.readouterr().err == "data: warning: no test image of class 1, 2 among 6\n"


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (
            {"x_test": np.zeros((6, 4, 4, 1), np.float32)},
            "x_test has the type float32 and the shape (6, 4, 4, 1)",
        ),
        ({"x_train": np.zeros((6, 16), np.uint8)}, "x_train has the type uint8 and the shape (6, 16)"),
        ({"y_train": np.zeros((6, 1), np.int32)}, "y_train has the type int32 and the shape (6, 1)"),
        ({"y_test": np.zeros(6)}, "y_test has the type float64"),
        ({"y_test": np.zeros(5, np.int32)}, "x_test has 6 images and y_test has 5 labels"),
        ({"y_test": np.full(6, 3)}, "test labels go from 3 to 3; allowed: 0 to 2"),
        ({"y_train": np.full(6, -1)}, "train labels go from -1 to -1"),
    ],
)
def test_whatever_a_source_gives_is_checked(arrays, monkeypatch, change, part):
    made = Arrays(**(arrays | change), class_names=("a", "b", "c"))
    monkeypatch.setitem(sources.SOURCES, "digits", lambda data, seed: made)
    assert part in refused(source="digits")


@pytest.mark.parametrize("compressed", [False, True])
def test_damage_anywhere_in_a_data_file_is_noticed_or_harmless(tmp_path, arrays, compressed):
    arrays["x_train"] = np.random.default_rng(0).integers(0, 255, (6, 4, 4, 1)).astype(np.uint8)
    fields = saved(tmp_path, arrays, compressed)
    path = tmp_path / "data.npz"
    whole = path.read_bytes()
    refusals = 0
    places = range(3 if compressed else 1, len(whole), 5)
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        for read in (lambda: npz.read(str(path)), lambda: sources.load(settings(**fields), 0)):
            try:
                found = read()
            except UserError as error:
                assert "data.npz" in str(error) and "\n" not in str(error)
                refusals += 1
                continue
            if isinstance(found, dict):
                found = [found.get(name) for name in arrays]
            else:
                found = [getattr(found, name) for name in arrays]
            # A name or a date in the archive may change; never a pixel or a label.
            for array, wanted in zip(found, arrays.values(), strict=True):
                assert array is None or np.array_equal(array, wanted)
    assert refusals > len(places)  # of two per place
    for size in range(0, len(whole), 50):
        path.write_bytes(whole[:size])
        assert "data.npz" in refused(**fields)


def folder_of_images(folder):
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for number in range(5):
            Image.fromarray(np.full((4, 4, 3), 20 * number, np.uint8)).save(folder / name / f"{number}.png")
    return {"source": "folder", "path": str(folder), "image_size": 4, "test_fraction": 0.4}


def test_links_out_of_a_folder_are_not_followed(tmp_path):
    fields = folder_of_images(tmp_path / "images")
    (tmp_path / "other.png").write_bytes((tmp_path / "images" / "cat" / "0.png").read_bytes())
    (tmp_path / "images" / "cat" / "link.png").symlink_to("../dog/0.png")
    sources.load(settings(**fields), 0)
    (tmp_path / "linked").symlink_to(tmp_path / "images")
    sources.load(settings(**(fields | {"path": str(tmp_path / "linked")})), 0)
    (tmp_path / "images" / "dog" / "secret.png").symlink_to("../../other.png")
    message = refused(**fields)
    assert "dog/secret.png leads to " in message and "no links out of it" in message
    (tmp_path / "images" / "dog" / "secret.png").unlink()
    (tmp_path / "images" / "mouse").symlink_to(tmp_path / "linked" / "cat")
    sources.load(settings(**fields), 0)
    (tmp_path / "outside").mkdir()
    (tmp_path / "other.png").rename(tmp_path / "outside" / "0.png")
    (tmp_path / "images" / "bird").symlink_to(tmp_path / "outside")
    assert "bird/0.png leads to " in refused(**fields)


def test_what_is_no_file_is_named_and_not_waited_for(tmp_path):
    fields = folder_of_images(tmp_path)
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    (tmp_path / "dog" / "a.png").mkdir()
    (tmp_path / "dog" / "gone.png").symlink_to("nowhere.png")
    message = refused(**fields)
    assert all(name in message for name in ("cat/pipe.png", "dog/a.png", "dog/gone.png"))


def test_a_source_that_stalls_is_said_to(arrays, monkeypatch, capsys):
    made = Arrays(**arrays, class_names=("a", "b", "c"))

    def slow(data, seed):
        time.sleep(0.5)
        return made

    monkeypatch.setattr(sources, "PATIENCE", 0.05)
    monkeypatch.setitem(sources.SOURCES, "digits", slow)
    sources.load(settings(source="digits", path="/far"), 0)
    assert capsys.readouterr().err == "data: still reading digits /far after 0.05 s\n"


@pytest.mark.parametrize(
    ("name", "value", "near"),
    [
        ("search.method", "dart", "darts"),
        ("space", "nasbench_201", "nas_bench_201"),
        ("data.source", "folders", "folder"),
        ("selection.criterion", "acuracy", "accuracy"),
        ("runtime.strategy", "mirored", "mirrored"),
    ],
)
def test_the_nearest_name_is_suggested(name, value, near):
    config = config_lib.default()
    config.update_from_flattened_dict({name: value})
    with pytest.raises(UserError) as error:
        config_lib.validate(config)
    assert str(error.value).endswith(f"; did you mean {near}?")
    assert f"config: {name} is {value!r}; allowed: one of " in str(error.value)


def test_where_no_name_is_near_none_is_suggested():
    config = config_lib.default()
    config.space = "xyz"
    with pytest.raises(UserError, match="space is 'xyz'; allowed: one of [^?]*$"):
        config_lib.validate(config)
