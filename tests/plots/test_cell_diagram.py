import dataclasses
import io
import itertools

import numpy as np
import pytest
from PIL import Image

from tf_darts import spaces
from tf_darts.errors import UserError
from tf_darts.genotypes.genotype import Choice, Genotype, from_text
from tf_darts.genotypes.published import PUBLISHED
from tf_darts.plots import cell_diagram
from tf_darts.plots.cell_diagram import draw_cell, draw_genotypes, figure_to_png_bytes, save_genotype_picture

SPACE_201 = spaces.get("nas_bench_201")
CELL_201 = from_text(
    "|skip_connect~0|+|avg_pool_3x3~0|none~1|+|nor_conv_1x1~0|nor_conv_1x1~1|nor_conv_3x3~2|", SPACE_201
)


def _pixels(data):
    image = Image.open(io.BytesIO(data))
    assert image.format == "PNG"
    return np.asarray(image.convert("RGB"))


def _operation_labels(axes, space):
    names = {name for rows in space.candidates.values() for row in rows for name in row}
    return [text for text in axes.texts if text.get_text() in names]


def test_two_genotypes_side_by_side(tmp_path):
    path = tmp_path / "cells.png"
    titled = {"magnitude": PUBLISHED["darts_pt_s5_0"], "perturbation": PUBLISHED["darts_pt_s5_3"]}
    save_genotype_picture(path, spaces.get("darts"), titled)
    assert [p.name for p in tmp_path.iterdir()] == ["cells.png"]
    pixels = _pixels(path.read_bytes())
    height, width, _ = pixels.shape
    assert height > 600 and width > 1200
    # Both columns and both rows have something drawn, in more than one colour, on a white ground.
    for rows, columns in itertools.product(np.split(pixels[: height // 2 * 2], 2), (0, 1)):
        part = rows[:, columns * width // 2 : (columns + 1) * width // 2]
        ink = np.any(part < 200, axis=2)
        assert 0.005 < ink.mean() < 0.3
        assert np.ptp(part.astype(int), axis=2).max() > 100


def test_none_is_grey_and_dashed_and_others_are_not():
    figure = draw_cell(SPACE_201, "normal", CELL_201)
    (axes,) = figure.axes
    colours = {text.get_text(): text.get_color() for text in _operation_labels(axes, SPACE_201)}
    dashed = [line for line in axes.lines if line.is_dashed()]
    assert [line.get_color() for line in dashed] == [colours["none"]]
    red, green, blue = (int(colours["none"][i : i + 2], 16) for i in (1, 3, 5))
    assert red == green == blue
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["convolution", "average pooling", "skip connection", "none"]


def test_every_edge_is_labelled_between_its_nodes():
    figure = draw_cell(spaces.get("darts"), "reduce", PUBLISHED["darts_pt_s5_0"], title="$ not maths")
    (axes,) = figure.axes
    labels = _operation_labels(axes, spaces.get("darts"))
    choices = PUBLISHED["darts_pt_s5_0"].cells["reduce"]
    assert [label.get_text() for label in labels] == [choice.operation for choice in choices]
    for label, choice in zip(labels, choices, strict=True):
        assert choice.source < label.get_position()[0] < choice.target
        assert label.get_position()[1] > 0.3
    others = {text.get_text() for text in axes.texts}
    assert {"cₖ₋₂", "cₖ₋₁", "2", "3", "4", "5", "output", "concatenate", "$ not maths"} <= others
    assert len(_pixels(figure_to_png_bytes(figure))) > 100


def test_one_input_is_called_so():
    (axes,) = draw_cell(SPACE_201, "normal", CELL_201).axes
    texts = [text.get_text() for text in axes.texts]
    assert "input" in texts
    assert "concatenate" not in texts


@pytest.mark.parametrize(
    "name", [*(name for name in PUBLISHED if "s5" in name), "darts_pt_s1_2", "nas_bench_201"]
)
def test_labels_do_not_overlap(name):
    genotype = PUBLISHED.get(name, CELL_201)
    space = spaces.get(genotype.space)
    figure = draw_genotypes(space, {"a": genotype})
    renderer = figure.canvas.get_renderer()
    for axes in figure.axes:
        boxes = [text.get_window_extent(renderer) for text in axes.texts if text.get_text()]
        assert len(boxes) > 8
        for one, two in itertools.combinations(boxes, 2):
            assert not one.overlaps(two)
        for box in boxes:
            assert 0 <= box.x0 <= box.x1 <= figure.bbox.width
            assert 0 <= box.y0 <= box.y1 <= figure.bbox.height


def test_any_shape_of_cell_can_be_drawn():
    space = dataclasses.replace(
        SPACE_201,
        name="wide",
        input_nodes=3,
        nodes=5,
        candidates={"normal": (("a_new_operation", "none"),) * 25},
        output_nodes=(4, 7),
        kept_edges=1,
    )
    genotype = Genotype("wide", {"normal": tuple(Choice(t, t - 3, "a_new_operation") for t in space.targets)})
    figure = draw_genotypes(space, genotype)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["other"]
    assert len(_pixels(figure_to_png_bytes(figure))) > 100


def test_the_same_picture_has_the_same_bytes():
    first, second = (figure_to_png_bytes(draw_genotypes(SPACE_201, CELL_201)) for _ in range(2))
    assert first == second


def test_no_file_if_drawing_fails(tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("no ink")

    monkeypatch.setattr(cell_diagram, "_draw_cell", fail)
    with pytest.raises(RuntimeError, match="no ink"):
        save_genotype_picture(tmp_path / "cells.png", SPACE_201, CELL_201)
    assert list(tmp_path.iterdir()) == []


def test_a_genotype_of_another_space_is_refused(tmp_path):
    with pytest.raises(UserError, match="of space 's1', not of 'darts'"):
        save_genotype_picture(tmp_path / "a.png", spaces.get("darts"), PUBLISHED["darts_pt_s1_1"])
    with pytest.raises(UserError, match="of space 's1'"):
        draw_cell(spaces.get("darts"), "normal", PUBLISHED["darts_pt_s1_1"])
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_cell_type_is_refused():
    with pytest.raises(UserError, match=r"'middle'.*normal"):
        draw_cell(SPACE_201, "middle", CELL_201)


def test_no_genotypes_are_refused():
    with pytest.raises(ValueError, match="at least one"):
        draw_genotypes(SPACE_201, {})
