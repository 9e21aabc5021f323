"""What a look at a data set finds: counts, copies, leaks, labels that contradict each other."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from tf_darts import config as config_lib
from tf_darts.data import look, sources
from tf_darts.data.image_data import ImageData
from tf_darts.data.image_stream import StreamedData

NAMES = ("cat", "dog")


def data(train=200, test=900, **changes):
    """Images that are all different, as many of each class."""
    rng = np.random.default_rng(0)
    parts = [rng.integers(0, 256, (n, 8, 8, 3)).astype(np.uint8) for n in (train, test)]
    made = ImageData(
        parts[0], np.arange(train, dtype=np.int32) % 2, parts[1], np.arange(test, dtype=np.int32) % 2, NAMES
    )
    return dataclasses.replace(made, **changes)


def found(of):
    return {remark.kind: (remark.count, remark.text) for remark in look.look(of).remarks}


def test_nothing_is_found_where_nothing_is_wrong():
    seen = look.look(data())
    assert seen.sentences() == [
        "200 training and 900 test images of 8x8x3 in 2 classes, 100 training images each."
    ]


def test_counts():
    labels = np.zeros(200, np.int32)
    labels[:20] = 1
    seen = look.look(data(test=100, y_train=labels))
    assert "from 20 training images (dog) to 180 (cat)" in seen.summary and seen.of_class == (180, 20)
    kinds = {remark.kind: remark.text for remark in seen.remarks}
    assert set(kinds) == {"few", "unbalanced", "small_test"}
    assert "fewer than 50 training images: 1, as dog (20); collect more" in kinds["few"]
    assert "cat has 9 times as many training images as dog" in kinds["unbalanced"]
    assert "With 100 test images an accuracy of 80 % is known to within 7.8 points" in kinds["small_test"]
    assert "small_test" in found(data(test=682)) and "small_test" not in found(data(test=683))


def test_copies_leaks_and_contradictions():
    whole = data()
    whole.x_train[10] = whole.x_train[12]  # both cat
    whole.x_train[14] = whole.x_train[12]
    whole.x_train[21] = whole.x_train[20]  # dog and cat
    whole.x_test[3] = whole.x_train[5]  # both dog
    whole.x_test[4] = whole.x_test[6]  # no matter
    kinds = found(whole)
    assert set(kinds) == {"copies", "leak", "contradiction"}
    assert kinds["copies"][0] == 3 and "as training image 12, training image 21;" in kinds["copies"][1]
    assert kinds["leak"][0] == 1 and "too: 1, as test image 3; remove them" in kinds["leak"][1]
    assert kinds["contradiction"][0] == 1
    assert "as training image 20 (cat) and training image 21 (dog); keep" in kinds["contradiction"][1]


def test_images_of_one_colour_are_no_copies_of_each_other():
    whole = data()
    whole.x_train[:3] = [200, 10, 0]
    whole.x_train[1, 2, 2] += 3  # next to nothing
    whole.x_train[4] = [200, 10, 0]
    whole.x_train[4, 5, 5, 1] += 4
    kinds = found(whole)
    assert set(kinds) == {"flat"} and kinds["flat"][0] == 3
    assert "3, as training image 0, training image 1, training image 2; remove" in kinds["flat"][1]


@pytest.mark.parametrize("stream", [False, True])
def test_files_are_named(tmp_path, stream):
    rng, settings = np.random.default_rng(0), config_lib.default().data
    for part, number in (("train", 60), ("test", 3)):
        for name in NAMES:
            folder = tmp_path / part / name
            folder.mkdir(parents=True)
            for k in range(number):
                Image.fromarray(rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)).save(folder / f"{k}.png")
    (tmp_path / "test/cat/1.png").write_bytes((tmp_path / "train/cat/7.png").read_bytes())
    settings.update({"source": "folder", "path": str(tmp_path), "image_size": 8, "stream": stream})
    if stream:
        settings.update({"crop_padding": 0, "test_resize": 8})
    loaded = sources.load(settings, 0)
    kinds = found(loaded)
    if stream:  # counts alone
        assert isinstance(loaded, StreamedData) and set(kinds) == {"small_test"}
    else:
        assert kinds["leak"] == (1, kinds["leak"][1]) and "1, as test/cat/1.png;" in kinds["leak"][1]
        assert len(loaded.files[0]) == 120 and set(loaded.files[1]) > {"test/dog/0.png", "test/cat/2.png"}
        for file, image, label in zip(loaded.files[0], loaded.x_train, loaded.y_train, strict=True):
            np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / file)), image)
            assert file.startswith(f"train/{NAMES[label]}/")


def test_labels_that_a_network_contradicts():
    whole = data(train=6)
    answers = np.array([[0.9, 0.1], [0.1, 0.9], [0.04, 0.96], [0.5, 0.5], [0.01, 0.99], [0.6, 0.4]])
    remark = look.contradicted(whole, answers)
    assert remark is not None and remark.count == 2
    assert "2, as training image 4 (cat, or dog?), training image 2 (cat, or dog?); look" in remark.text
    assert look.contradicted(whole, answers, sure=0.995) is None
