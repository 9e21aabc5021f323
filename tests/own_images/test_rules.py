"""What the rules pick from the images."""

import pytest

from tests.search import tiny
from tf_darts.own_images import rules
from tf_darts.own_images.rules import Facts


@pytest.mark.parametrize(
    ("side", "stem", "padding"), [(8, "plain", 1), (23, "plain", 2), (24, "pooled", 3), (96, "pooled", 12)]
)
def test_small_images_keep_every_pixel_for_the_cells(side, stem, padding):
    picked = rules.settings(Facts(3000, side, side + 8, 5), 0.5)
    assert picked["search.stem"] == picked["training.stem"] == stem
    assert picked["data.crop_padding"] == padding
    assert picked["training.cutout_length"] == 4 * padding


@pytest.mark.parametrize(("images", "batch"), [(3000, 64), (520, 64), (500, 32), (200, 16), (30, 2)])
def test_a_small_set_has_small_batches(images, batch):
    picked = rules.settings(Facts(images, 32, 32, 5), 0.5)
    assert picked["training.batch_size"] == batch
    assert picked["search.batch_size"] <= batch


def test_epochs_make_so_many_steps():
    picked = rules.settings(Facts(8000, 32, 32, 5), 0.5)
    steps = picked["search.epochs"] * (4000 / picked["search.batch_size"])
    assert steps == pytest.approx(rules.SEARCH_STEPS, rel=0.05)
    steps = picked["training.epochs"] * (8000 / picked["training.batch_size"])
    assert steps == pytest.approx(rules.TRAINING_STEPS, rel=0.05)


def test_epochs_keep_within_bounds():
    few, many = (rules.settings(Facts(n, 32, 32, 2), 0.5) for n in (20, 10_000_000))
    assert few["search.epochs"] == rules.SEARCH_EPOCHS[1]
    assert few["training.epochs"] == rules.TRAINING_EPOCHS[1]
    assert many["search.epochs"] == rules.SEARCH_EPOCHS[0]
    assert many["training.epochs"] == rules.TRAINING_EPOCHS[0]


def test_more_images_may_have_more_parameters():
    few, many = (rules.budget(Facts(n, 32, 32, 2))["max_parameters"] for n in (5000, 50_000))
    assert few < many


def test_images_of_several_sizes_get_their_median_side():
    assert rules.side_of([40, 50, 60, 1000, 20]) == 50
    assert rules.side_of([3000, 2000, 4000]) == rules.LARGEST_SIDE


def test_what_is_picked_is_said_with_every_limit():
    config = tiny.config(selection__max_latency_ms=2.0, data__source="folder", data__path="x")
    size, budget, *_ = rules.said(Facts(100, 64, 64, 2), config)
    assert size.startswith("Images of 64x64 (made so by data.image_size and data.fit=squeeze): ")
    assert budget == "The network may have at most 2 ms for an image."
    config = tiny.config(selection__max_parameters=5000)
    size, budget, *_ = rules.said(Facts(100, 8, 8, 10), config)
    assert size == "Images of 8x8: the cells see every pixel."
    assert budget == "The network may have at most 5,000 parameters."
