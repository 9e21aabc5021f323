"""Images for an export, from memory and from disk, and files made as those of the test set were."""

import numpy as np
import pytest
from PIL import Image

from tests.search import tiny
from tf_darts import config as config_lib
from tf_darts.data import sources
from tf_darts.data.image_data import ImageData
from tf_darts.export import sample
from tf_darts.export.predicting import Classifier


@pytest.fixture(scope="module")
def streamed(tmp_path_factory):
    """Write a folder of three classes of eight images, each of one grey value; return its data set too."""
    folder, values = tmp_path_factory.mktemp("images"), {}
    for part in ("train", "test"):
        for label, name in enumerate("abc"):
            (folder / part / name).mkdir(parents=True)
            for number in range(8):
                value = 80 * label + 5 * number
                pixels = np.full((12, 20, 3), value, np.uint8)
                pixels[:, :6] = 255  # cut away with the border
                Image.fromarray(pixels).save(folder / part / name / f"{number}.png")
                values[value] = label
    config = config_lib.default()
    config.data.source, config.data.path = "folder", str(folder)
    config.data.image_size, config.data.test_resize, config.data.stream = 6, 12, True
    config.data.crop_padding = 0
    return folder, sources.load(config_lib.validate(config).data, 0), values


def test_images_on_disk_are_of_all_classes_and_cropped_as_in_tests(streamed):
    _, data, values = streamed
    images, labels = sample.of_test(data, 9)
    assert images.shape == (9, 6, 6, 3) and images.dtype == np.uint8 and set(labels) == {0, 1, 2}
    for image, label in zip(images, labels, strict=True):
        assert np.ptp(image) == 0 and values[int(image[0, 0, 0])] == label
    assert len(sample.of_test(data, 0)[0]) == data.test.size == 24
    assert sample.of_train(data, 5).shape == (5, 6, 6, 3)


def test_a_file_is_cropped_as_those_of_the_test_set(streamed):
    folder = streamed[0]
    seen = []

    def answer(images):
        seen.append(images)
        return np.zeros((len(images), 3), np.float32)

    files = [str(folder / "test" / "b" / f"{number}.png") for number in range(3)]
    Classifier(answer, (6, 6, 3), 1, 12, ("a", "b", "c")).classify(files)
    np.testing.assert_array_equal(seen[0][:, 0, 0, 0], [80, 85, 90])
    assert all(np.ptp(image) == 0 for image in seen[0])
    Classifier(answer, (6, 6, 3), 1, 0, ("a", "b", "c")).classify(files)
    assert all(np.ptp(image) > 0 for image in seen[1])  # the whole image, with its border


def test_images_in_memory_are_of_all_classes_though_they_lie_by_class():
    labels = np.repeat(np.arange(4, dtype=np.int32), 300)
    images = np.repeat(labels, 4 * 4 * 3).reshape(-1, 4, 4, 3).astype(np.uint8)
    data = ImageData(images, labels, images[::2], labels[::2], ("a", "b", "c", "d"))
    of_test, classes = sample.of_test(data, 60)
    np.testing.assert_array_equal(of_test[:, 0, 0, 0], classes)
    for found in (classes, sample.of_train(data, 60)[:, 0, 0, 0]):
        assert len(found) == 60 and np.bincount(found, minlength=4).min() > 5
    np.testing.assert_array_equal(sample.of_train(data, 60), sample.of_train(data, 60))
    for count in (0, 600, 1000):  # all, as they lie
        np.testing.assert_array_equal(sample.of_test(data, count)[1], data.y_test)


def test_made_images_have_the_means_and_deviations_of_the_training_images():
    record = tiny.data(tiny.config()).record
    images = sample.made(record, 200)
    assert images.shape == (200, *record.image_shape) and images.dtype == np.uint8
    np.testing.assert_allclose(images.mean((0, 1, 2)) / 255, record.mean, atol=0.1)
    assert 0.5 * record.std[0] < images.std() / 255 < record.std[0]  # what is beyond black and white is cut
    np.testing.assert_array_equal(images, sample.made(record, 200))
