"""The transforms against plain NumPy computations."""

import numpy as np
import pytest
import tensorflow as tf

from tf_darts.data.transform import Transform

MEAN, STD = np.array([0.5, 0.25], np.float32), np.array([0.5, 0.125], np.float32)
RAW = {"mean": np.zeros(2), "std": np.full(2, 1 / 255)}  # leaves the values of pixels as they are
SEED = tf.constant([3, 4])


def images(number, height=5, width=4):
    """Images whose pixels all differ and are not 0, so that places can be told from values."""
    pixels = np.arange(1, 1 + height * width * 2, dtype=np.uint8).reshape(1, height, width, 2)
    return np.repeat(pixels, number, axis=0)


def crops(image, padding):
    """All crops of one image by loops: {(row, column): pixels}."""
    height, width, _ = image.shape
    padded = np.pad(image, [(padding, padding), (padding, padding), (0, 0)])
    return {
        (r, c): padded[r : r + height, c : c + width]
        for r in range(2 * padding + 1)
        for c in range(2 * padding + 1)
    }


def test_test_transform_scales_and_normalises():
    x = np.array([[[[0, 255]], [[255, 51]]]], np.uint8)
    out = Transform(MEAN, STD, crop_padding=4, flip=True, cutout_length=2).test(x)
    assert out.dtype == tf.float32
    np.testing.assert_allclose(out, [[[[-1, 6]], [[1, -0.4]]]], rtol=1e-5)


def test_constant_channel_is_not_divided_by_zero():
    out = Transform(np.array([1.0, 0.0]), np.array([0.0, 0.5])).test(np.full((1, 1, 1, 2), 255, np.uint8))
    np.testing.assert_allclose(out, [[[[0, 2]]]])


def test_crop_is_one_of_the_crops_by_hand_and_drawn_per_image():
    x = images(200)
    out = np.rint(Transform(**RAW, crop_padding=2).train(x, SEED).numpy()).astype(np.uint8)
    known = crops(x[0], 2)
    places = []
    for image in out:
        matches = [place for place, crop in known.items() if np.array_equal(crop, image)]
        assert len(matches) == 1
        places += matches
    assert len(set(places)) == 25  # all of them are drawn, in rows and columns independently
    assert abs(np.mean(places, axis=0) - 2).max() < 0.35


def test_flip_mirrors_left_to_right_about_half_of_the_images():
    x = images(400)
    out = np.rint(Transform(**RAW, flip=True).train(x, SEED).numpy()).astype(np.uint8)
    flipped = np.array([np.array_equal(a, b[:, ::-1]) for a, b in zip(out, x, strict=True)])
    kept = np.array([np.array_equal(a, b) for a, b in zip(out, x, strict=True)])
    assert (flipped ^ kept).all()
    assert 160 < flipped.sum() < 240


def test_crop_and_flip_are_a_flipped_crop():
    x = images(100)
    out = np.rint(Transform(**RAW, crop_padding=1, flip=True).train(x, SEED).numpy()).astype(np.uint8)
    known = list(crops(x[0], 1).values())
    straight = np.array([any(np.array_equal(crop, image) for crop in known) for image in out])
    mirrored = np.array([any(np.array_equal(crop[:, ::-1], image) for crop in known) for image in out])
    assert (straight ^ mirrored).all() and 25 < mirrored.sum() < 75


def test_crop_padding_is_black_in_raw_pixels():
    x = np.full((50, 4, 4, 2), 255, np.uint8)
    out = Transform(MEAN, STD, crop_padding=4).train(x, SEED).numpy()
    black, white = -MEAN / STD, (1 - MEAN) / STD
    is_black = np.isclose(out, black).all(axis=-1)
    assert (is_black | np.isclose(out, white).all(axis=-1)).all()
    assert is_black.any()


def test_cutout_is_zero_after_normalisation_and_clipped_at_the_border():
    height, width, length = 5, 7, 4
    x = np.full((500, height, width, 2), 255, np.uint8)
    out = Transform(MEAN, STD, cutout_length=length).train(x, SEED).numpy()
    known = {}
    for r in range(height):
        for c in range(width):
            mask = np.zeros((height, width), bool)
            mask[max(r - 2, 0) : min(r + 2, height), max(c - 2, 0) : min(c + 2, width)] = True
            known.setdefault(mask.tobytes(), []).append((r, c))
    seen = set()
    for image in out:
        mask = (image == 0).all(axis=-1)
        np.testing.assert_allclose(image[~mask], np.broadcast_to((1 - MEAN) / STD, image[~mask].shape))
        assert mask.tobytes() in known
        seen.add(mask.tobytes())
    assert seen == set(known)  # every centre occurs, also those in the corners


def test_cutout_of_odd_length_has_that_side():
    out = Transform(**RAW, cutout_length=3).train(np.ones((300, 9, 9, 2), np.uint8), SEED).numpy()
    covered = (out[..., 0] == 0).sum(axis=(1, 2))
    assert covered.max() == 9 and covered.min() == 4


def test_kinds_of_draw_are_independent():
    x = images(300, 8, 8)
    flips = np.rint(Transform(**RAW, flip=True).train(x, SEED).numpy()).astype(np.uint8)
    flipped = (flips[:, 0, 0] != x[:, 0, 0]).any(axis=-1)
    out = Transform(**RAW, cutout_length=2).train(np.ones_like(x), SEED).numpy()[..., 0]
    rows = np.array([np.flatnonzero((image == 0).any(axis=1))[-1] for image in out])
    columns = np.array([np.flatnonzero((image == 0).any(axis=0))[-1] for image in out])
    for a, b in ((flipped, rows), (flipped, columns), (rows, columns)):
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.2


@pytest.mark.parametrize("jit", [False, True])
def test_compiled_draws_equal_eager_draws_without_retracing(jit):
    transform = Transform(MEAN, STD, crop_padding=2, flip=True, cutout_length=2)
    x = tf.constant(images(16))
    compiled = tf.function(transform.train, jit_compile=jit)
    for k in range(3):
        seed = tf.constant([9, k])
        np.testing.assert_allclose(compiled(x, seed), transform.train(x, seed), atol=1e-5)
    assert compiled.experimental_get_tracing_count() == 1
    assert compiled(x, SEED).shape == (16, 5, 4, 2)
    a, b = (transform.train(x, tf.constant([9, k])).numpy() for k in (0, 1))
    assert not np.allclose(a, b)


def test_slices_of_a_batch_are_drawn_as_the_whole():
    transform = Transform(MEAN, STD, crop_padding=2, flip=True, cutout_length=2)
    x = images(12)
    whole = transform.train(x, SEED).numpy()
    for k in range(3):
        part = transform.train(x[4 * k : 4 * k + 4], SEED, total=12, offset=tf.constant(4 * k))
        np.testing.assert_array_equal(part, whole[4 * k : 4 * k + 4])
