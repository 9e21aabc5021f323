"""Crops and colours of one encoded image, against Pillow and by hand."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_darts.data.crop import Crop

PLAIN = Crop(8, 10)


def encoded(pixels, form="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return tf.constant(file.getvalue())


def picture(height, width, seed=0):
    """A smooth picture, so that JPEG keeps it."""
    rows, columns = np.mgrid[:height, :width]
    shades = [(rows * 255 / height), (columns * 255 / width), (rows + columns) * 255 / (height + width)]
    return np.stack(shades, -1).astype(np.uint8)


def seed(number):
    return tf.constant([7, number], tf.int32)


@pytest.mark.parametrize("shape", [(24, 40), (40, 24), (10, 10), (5, 9)])
def test_a_test_crop_is_the_centre_of_the_resized_image(shape):
    pixels = picture(*shape)
    found = PLAIN.test(encoded(pixels)).numpy()
    shorter = min(shape)
    height, width = (side * 10 // shorter for side in shape)
    resized = np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR))
    top, left = (height - 8) // 2, (width - 8) // 2
    expected = resized[top : top + 8, left : left + 8].astype(int)
    assert np.abs(found - expected).max() <= 1  # Pillow rounds after each direction


def test_grey_images_have_three_channels():
    grey = picture(12, 12)[..., 0]
    assert PLAIN.test(encoded(grey)).shape == PLAIN.train(encoded(grey), seed(0)).shape == (8, 8, 3)


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_training_crop_is_a_part_of_the_image(form):
    """Rows and columns are shades: what is seen of them says where the part was and how large."""
    content = encoded(picture(200, 200), form, **({"quality": 100} if form == "JPEG" else {}))
    train = tf.function(PLAIN.train)
    boxes = []
    for number in range(60):
        crop = train(content, seed(number)).numpy().astype(float) / 255
        assert (np.diff(crop[:, 0, 0]) > 0).all() and (np.diff(crop[0, :, 1]) > 0).all()
        high, wide = ((values[-1] - values[0]) * 8 / 7 for values in (crop[:, 0, 0], crop[0, :, 1]))
        boxes.append((high, wide))
    high, wide = np.array(boxes).T
    area, aspect = high * wide, wide / high
    assert 0.07 < area.min() < 0.25 and 0.75 < area.max() < 1.05
    assert 0.7 < aspect.min() < 0.9 and 1.1 < aspect.max() < 1.4


def test_a_jpeg_and_the_same_pixels_as_a_png_are_cropped_alike():
    jpeg = encoded(picture(64, 48), "JPEG", quality=95)
    png = encoded(tf.io.decode_jpeg(jpeg).numpy())
    for number in range(3):
        ours, other = (PLAIN.train(content, seed(number)).numpy().astype(int) for content in (jpeg, png))
        assert np.abs(ours - other).max() <= 3  # edges of the part: its neighbours are not decoded


def test_crops_are_functions_of_the_seed():
    content = encoded(picture(64, 48))
    jittered = Crop(8, 10, 0.4, 0.2)
    first, again, other = (jittered.train(content, seed(n)).numpy() for n in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize(
    ("fields", "least", "most"),
    [({"color_jitter": 0.4}, 0.6**2 - 0.01, 1.4**2), ({"hue_jitter": 0.2}, 0.0, 2.0)],
)
def test_colours_of_an_even_image(fields, least, most):
    """One colour stays one colour; contrast leaves brightness to two factors of 0.6 to 1.4."""
    colour = np.array([60, 80, 100], np.uint8)
    content = encoded(np.tile(colour, (16, 16, 1)))
    crop, found = Crop(8, 10, **fields), []
    train = tf.function(crop.train)
    for number in range(30):
        pixels = train(content, seed(number)).numpy().astype(int)
        assert np.abs(pixels - pixels[0, 0]).max() <= 1
        found.append(pixels[0, 0])
    found = np.array(found)
    assert len({tuple(pixel) for pixel in found}) > 20
    ratio = found.mean(1) / colour.mean()
    assert (least <= ratio).all() and (ratio <= most).all()
    if "hue_jitter" in fields:  # the largest and the smallest of the channels stay
        assert np.abs(found.max(1) - 100).max() <= 1 and np.abs(found.min(1) - 60).max() <= 1
    else:  # the order of the channels stays
        assert (np.diff(found, axis=1) >= 0).all()


def test_without_jitter_colours_stay():
    colour = np.array([60, 80, 100], np.uint8)
    found = PLAIN.train(encoded(np.tile(colour, (16, 16, 1))), seed(0))
    np.testing.assert_array_equal(found, np.tile(colour, (8, 8, 1)))
