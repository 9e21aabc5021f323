"""Batches: which images, in which order, and the same for any number of replicas."""

import numpy as np
import pytest
import tensorflow as tf

from tests.search import tiny
from tf_darts import config
from tf_darts.data import image_data
from tf_darts.data import image_set as image_set_lib
from tf_darts.data.transform import Transform
from tf_darts.errors import UserError

PLAIN = Transform(np.zeros(1), np.full(1, 1 / 255))
FULL = Transform(np.zeros(1), np.full(1, 1 / 255), crop_padding=2, flip=True, cutout_length=2)


def image_set(number=10, transform=PLAIN, seed=7):
    """Images that are filled with their own index, which is the label too."""
    images = np.broadcast_to(np.arange(number, dtype=np.uint8)[:, None, None, None], (number, 4, 4, 1))
    return image_set_lib.ImageSet(images, np.arange(number), transform, seed)


def labels_of(batch):
    images, labels = batch
    assert images.dtype == tf.float32 and labels.dtype == tf.int32
    return labels.numpy().tolist()


def test_images_go_with_their_labels():
    images, labels = image_set().fresh_batch("a", 0, 6)
    assert images.shape == (6, 4, 4, 1) and labels.shape == (6,)
    np.testing.assert_allclose(images[:, 0, 0, 0], labels.numpy(), rtol=1e-6)


def test_an_image_keeps_its_pixels_in_place():
    images = np.arange(5 * 4 * 3 * 2, dtype=np.uint8).reshape(5, 4, 3, 2)
    got, labels = image_set_lib.ImageSet(images, np.arange(5), PLAIN, 7).fresh_batch("a", 0, 5)
    np.testing.assert_array_equal(np.rint(got), images[labels])


def test_no_step_sees_the_whole_set_in_four_dimensions():
    # A TPU would copy it into another layout at every step.
    data = image_set(50)
    traced = tf.function(lambda step: data.fresh_batch("a", step, 20)).get_concrete_function(0)
    shapes = [tensor.shape for op in traced.graph.get_operations() for tensor in op.outputs]
    assert (20, 4, 4, 1) in shapes and not any(len(s) == 4 and s[0] == 50 for s in shapes if s.rank)


def test_fresh_batches_have_distinct_images_and_depend_on_seed_purpose_and_step():
    data = image_set(50)
    batches = [labels_of(data.fresh_batch("a", step, 20)) for step in range(5)]
    assert all(len(set(batch)) == 20 for batch in batches)
    assert len({tuple(batch) for batch in batches}) == 5
    assert labels_of(data.fresh_batch("a", tf.constant(3, tf.int64), 20)) == batches[3]
    assert labels_of(data.fresh_batch("b", 3, 20)) != batches[3]
    assert labels_of(image_set(50, seed=8).fresh_batch("a", 3, 20)) != batches[3]


def test_fresh_batches_draw_all_images_alike():
    data = image_set(10)
    batch = tf.function(lambda step: data.fresh_batch("a", step, 3)[1])
    counts = np.bincount(np.concatenate([batch(tf.constant(k)) for k in range(500)]), minlength=10)
    assert counts.sum() == 1500 and counts.min() > 110 and counts.max() < 190  # 150 each, deviation 10


def test_fresh_batch_is_the_start_of_a_permutation():
    data = image_set(30)
    whole = labels_of(data.fresh_batch("a", 2, 30))
    assert sorted(whole) == list(range(30)) and whole != list(range(30))
    assert labels_of(data.fresh_batch("a", 2, 8)) == whole[:8]


def one_pass(data, size, index, **options):
    full, rest = divmod(data.size, size)
    counts = [size] * full + [rest] * bool(rest)
    return [data.pass_batch("p", index, k, size, count, **options) for k, count in enumerate(counts)]


@pytest.mark.parametrize("augment", [True, False])
def test_a_pass_has_every_image_once_with_a_short_last_batch(augment):
    data = image_set(10)
    assert data.size == 10
    first, second = (one_pass(data, 4, index, augment=augment) for index in (0, 1))
    assert [len(labels) for _, labels in first] == [4, 4, 2]
    orders = [[label for batch in batches for label in labels_of(batch)] for batches in (first, second)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(10))
    assert orders[0] != orders[1] and orders[0] != list(range(10))
    for images, labels in first:
        np.testing.assert_allclose(images[:, 1, 1, 0], labels.numpy(), rtol=1e-6)


def test_a_pass_without_shuffling_has_the_order_of_the_set():
    batches = one_pass(image_set(10), 4, 3, shuffle=False, augment=False)
    assert [label for batch in batches for label in labels_of(batch)] == list(range(10))


def test_only_augmented_batches_are_transformed_and_draws_differ():
    images = np.repeat(np.arange(1, 17, dtype=np.uint8).reshape(1, 4, 4, 1), 40, axis=0)
    data = image_set_lib.ImageSet(images, np.arange(40), FULL, 0)
    plain, _ = data.pass_batch("p", 0, 0, 20, 20, augment=False)
    np.testing.assert_allclose(plain, images[:20], rtol=1e-6)
    augmented = [data.pass_batch("p", i, k, 20, 20)[0].numpy() for i in (0, 1) for k in (0, 1)]
    augmented += [data.fresh_batch("p", 5, 20)[0].numpy(), data.fresh_batch("p", 6, 20)[0].numpy()]
    for batch in augmented:
        assert len({image.tobytes() for image in batch}) > 10  # drawn per image
    assert len({batch.tobytes() for batch in augmented}) == len(augmented)  # and per batch
    np.testing.assert_array_equal(data.pass_batch("p", 1, 1, 20, 20)[0], augmented[3])


@pytest.mark.parametrize("replicas", [2, 3])
def test_replicas_share_the_same_global_batch(replicas):
    data = image_set(20, FULL)

    def whole_and_parts(batch):
        parts = [batch(replicas=replicas, replica=tf.constant(k)) for k in range(replicas)]
        return batch(), [np.concatenate(part) for part in zip(*parts, strict=True)]

    for batch in (
        lambda **share: data.fresh_batch("a", 4, 12, **share),
        lambda **share: data.pass_batch("a", 1, 1, 12, 6, **share),
        lambda **share: data.pass_batch("a", 1, 1, 12, 6, shuffle=False, augment=False, **share),
    ):
        (images, labels), (part_images, part_labels) = whole_and_parts(batch)
        np.testing.assert_array_equal(part_labels, labels)
        np.testing.assert_array_equal(part_images, images)


@pytest.mark.parametrize("jit", [False, True])
def test_compiled_batches_equal_eager_ones_and_are_traced_once(jit):
    data = image_set(20, FULL)

    def batches(step, index):
        return data.fresh_batch("a", step, 8), data.pass_batch("a", step, index, 8, 8)

    compiled = tf.function(batches, jit_compile=jit)
    for k in range(2):
        pairs = zip(compiled(tf.constant(k), tf.constant(1)), batches(k, 1), strict=True)
        for (images, labels), (eager_images, eager_labels) in pairs:
            np.testing.assert_array_equal(labels, eager_labels)
            np.testing.assert_allclose(images, eager_images, atol=1e-4)
    assert compiled.experimental_get_tracing_count() == 1
    # The images are referred to, not copied into the graph.
    nodes = compiled.get_concrete_function(tf.constant(0), tf.constant(1)).graph.as_graph_def().node
    assert all(len(n.attr["value"].tensor.tensor_content) < 160 for n in nodes)


def test_two_mirrored_devices():
    images = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 1), dtype=np.uint8)
    data = image_set_lib.ImageSet(images, np.arange(20), Transform(np.zeros(1), np.ones(1), 2, True, 2), 0)
    strategy = tiny.two_replicas()

    @tf.function
    def run(step):
        def on_replica(step):
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            share = {"replicas": 2, "replica": replica}
            return data.fresh_batch("a", step, 8, **share), data.pass_batch("a", step, 1, 12, 8, **share)

        return strategy.run(on_replica, (step,))

    for step in range(2):
        whole = data.fresh_batch("a", step, 8), data.pass_batch("a", step, 1, 12, 8)
        for shares, (expected_images, expected_labels) in zip(run(tf.constant(step)), whole, strict=True):
            found_images, found_labels = map(strategy.experimental_local_results, shares)
            assert len(found_images) == 2
            np.testing.assert_array_equal(np.concatenate(found_labels), expected_labels)
            np.testing.assert_allclose(np.concatenate(found_images), expected_images, atol=1e-5)


def test_sizes_that_do_not_fit():
    data = image_set(10)
    with pytest.raises(ValueError, match="batch of 8 images cannot be shared by 3"):
        data.fresh_batch("a", 0, 8, replicas=3)
    with pytest.raises(ValueError, match="batch of 5 images cannot be shared by 2"):
        data.pass_batch("a", 0, 0, 8, 5, replicas=2)
    with pytest.raises(ValueError, match="count 6 is above batch_size 5"):
        data.pass_batch("a", 0, 0, 5, 6)
    with pytest.raises(UserError, match="batch_size is 11, for a set of 10 images"):
        data.fresh_batch("a", 0, 11)
    with pytest.raises(ValueError, match="3 images and 2 labels"):
        image_set_lib.ImageSet(np.zeros((3, 1, 1, 1), np.uint8), np.zeros(2), PLAIN, 0)


def split(number, fraction, order, seed=0):
    images = np.broadcast_to(np.arange(number, dtype=np.uint8)[:, None, None, None], (number, 2, 2, 1))
    labels = np.arange(number, dtype=np.int32)
    data = image_data.ImageData(images, labels, images, labels, tuple(map(str, range(number))))
    settings = config.default().data
    settings.update(train_fraction=fraction, split=order)
    parts = image_set_lib.halves(data, settings, seed, PLAIN)
    return [labels_of(part.pass_batch("x", 0, 0, part.size, part.size, shuffle=False)) for part in parts]


def test_halves_in_file_order_or_shuffled_by_the_seed():
    assert split(7, 0.5, "order") == [[0, 1, 2], [3, 4, 5, 6]]
    assert len(split(100, 0.29, "order")[0]) == 29
    train, validation = split(20, 0.5, "seed")
    assert sorted(train + validation) == list(range(20)) and len(train) == 10
    assert train != list(range(10))
    assert split(20, 0.5, "seed") == [train, validation]
    assert split(20, 0.5, "seed", seed=1)[0] != train


def test_halves_draw_independently():
    images, labels = np.zeros((40, 2, 2, 1), np.uint8), np.arange(40, dtype=np.int32)
    data = image_data.ImageData(images, labels, images, labels, tuple(map(str, range(40))))
    settings = config.default().data
    settings.split = "order"
    train, validation = image_set_lib.halves(data, settings, 0, PLAIN)
    a, b = (np.array(labels_of(part.fresh_batch("x", 0, 10))) for part in (train, validation))
    assert not np.array_equal(a, b - 20)


def test_an_empty_half_is_an_error():
    with pytest.raises(UserError, match="data.train_fraction is 0.1, of 5 training images"):
        split(5, 0.1, "order")


def test_the_first_images_are_a_set_of_their_own():
    data = image_set(20)
    first = data.first(6)
    assert first.size == 6
    assert labels_of(first.pass_batch("p", 0, 0, 6, 6, shuffle=False)) == list(range(6))
    shuffled = first.pass_batch("p", 3, 0, 6, 6)
    assert sorted(labels_of(shuffled)) == list(range(6))
    np.testing.assert_allclose(shuffled[0][:, 0, 0, 0], shuffled[1].numpy(), rtol=1e-6)
    assert data.size == 20


def test_the_first_images_keep_transform_and_seed_and_may_be_all():
    data = image_set(10, FULL)
    batches = [s.fresh_batch("a", 1, 8) for s in (data, data.first(10), data.first(99))]
    for images, labels in batches[1:]:
        np.testing.assert_array_equal(labels, batches[0][1])
        np.testing.assert_array_equal(images, batches[0][0])
    assert data.first(99).size == 10
