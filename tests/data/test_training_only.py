"""`data.training_only`: what a search sees and what a network is trained on have no image in common."""

import numpy as np
import pytest

from tests.search import tiny
from tf_darts import config as config_lib
from tf_darts.data import share
from tf_darts.data.crop import Crop
from tf_darts.data.image_data import ImageData
from tf_darts.data.image_set import in_training_half, search_sets, whole_sets
from tf_darts.data.image_stream import Files, StreamedData
from tf_darts.data.transform import Transform
from tf_darts.errors import UserError
from tf_darts.training import setup as training_setup

NUMBER, CLASSES = 40, 4


def settings(**fields):
    config = config_lib.default()
    config.data.update(fields)
    return config_lib.validate(config).data


@pytest.fixture(scope="module")
def data():
    """Images that each have another shade."""
    images = np.arange(NUMBER, dtype=np.uint8)[:, None, None, None] * np.ones([1, 8, 8, 1], np.uint8)
    labels = np.arange(NUMBER, dtype=np.int32) % CLASSES
    return ImageData(images, labels, images[:4], labels[:4], tuple("abcd"))


def shades(images):
    """Return which images a set has, in its order."""
    return images._images.numpy().reshape(images.size, -1)[:, 0].tolist()


@pytest.mark.parametrize("how", ["seed", "class", "order"])
def test_search_and_training_share_no_image_and_leave_none_out(data, how):
    transform = Transform(data.mean, data.std, 0, False)
    config = settings(training_only=0.5, split=how)
    train, valid, test = search_sets(data, config, 7, transform)
    trained, tested = whole_sets(data, config, 7, transform, 11)
    parts = [shades(part) for part in (train, valid, trained)]
    assert sorted(n for part in parts for n in part) == list(range(NUMBER))
    assert [len(part) for part in parts] == [10, 10, 20]
    assert shades(test) == shades(tested) == [0, 1, 2, 3]
    if how == "order":
        assert parts == [list(range(10)), list(range(10, 20)), list(range(20, 40))]
    if how == "class":
        assert np.bincount(np.array(parts[2]) % CLASSES).tolist() == [5, 5, 5, 5]
    # Trainings of one run see the same images, whatever their seeds; another run others.
    assert shades(whole_sets(data, config, 7, transform, 12)[0]) == parts[2]
    if how != "order":
        assert set(shades(whole_sets(data, config, 8, transform, 11)[0])) != set(parts[2])


@pytest.mark.parametrize("how", ["seed", "class", "order"])
def test_without_it_both_have_all_images(data, how):
    transform, config = Transform(data.mean, data.std, 0, False), settings(split=how)
    train, valid, _ = search_sets(data, config, 7, transform)
    expected = share.split(data.y_train, NUMBER // 2, how, 7)
    assert [shades(train), shades(valid)] == [part.tolist() for part in expected]
    assert shades(whole_sets(data, config, 7, transform, 11)[0]) == list(range(NUMBER))


@pytest.mark.parametrize("how", ["seed", "class", "order"])
def test_streamed_images_are_split_alike(data, how):
    names = [f"{n}.png" for n in range(NUMBER)]
    files = Files(names, data.y_train)
    stream = StreamedData(files, files.first(4), tuple("abcd"), Crop(8, 8, 0.0, 0.0))
    transform, config = Transform(stream.mean, stream.std, 0, False), settings(training_only=0.5, split=how)
    train, valid, _ = stream.search_sets(config, 7, transform)
    trained, _ = stream.sets(config, 7, transform, 11)
    found = [[int(path[:-4]) for path in part._encoded._paths] for part in (train, valid, trained)]
    in_memory = Transform(data.mean, data.std, 0, False)
    sets = (*search_sets(data, config, 7, in_memory)[:2], whole_sets(data, config, 7, in_memory, 11)[0])
    assert found == [shades(part) for part in sets]


@pytest.mark.parametrize(("fraction", "number"), [(0.01, 34), (0.99, 1)])
def test_a_share_that_leaves_one_without_images_is_refused(fraction, number):
    config = settings(training_only=fraction)
    with pytest.raises(UserError, match=f"data.training_only is {fraction}.*of {number} training images"):
        share.sizes(config, number)


def test_halves_are_of_what_the_search_sees():
    assert in_training_half(settings(training_only=0.5, train_fraction=0.25), NUMBER) == 5
    with pytest.raises(UserError, match="own_images.plan.*allowed: 0"):
        config = config_lib.default()
        config.own_images.plan, config.data.training_only = True, 0.5
        config_lib.validate(config)


def test_the_stages_take_them():
    config = tiny.config(data__training_only=0.5, search__batch_size=4)
    made = tiny.setup(config)
    trained = training_setup.make(config, tiny.SPACE, tiny.GENOTYPE, tiny.data(config), tiny.one_device())
    assert (made.train.size, made.valid.size, trained.train.size) == (9, 8, 17)
    with pytest.raises(UserError, match="training.batch_size is 18"):
        training_setup.check(
            tiny.config(data__training_only=0.5, training__batch_size=18), tiny.SPACE, tiny.data(config), 1
        )
