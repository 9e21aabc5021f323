import dataclasses
import io
import itertools

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from tf_darts import spaces
from tf_darts.errors import UserError
from tf_darts.genotypes.genotype import Choice, Genotype, from_text
from tf_darts.genotypes.published import PUBLISHED
from tf_darts.plots import cell_diagram, cell_layout
from tf_darts.plots.cell_diagram import draw_cell, draw_genotypes, figure_to_png_bytes, save_genotype_picture

SPACE_201 = spaces.get("nas_bench_201")
CELL_201 = from_text(
    "|skip_connect~0|+|avg_pool_3x3~0|none~1|+|nor_conv_1x1~0|nor_conv_1x1~1|nor_conv_3x3~2|", SPACE_201
)


def _pixels(data):
    image = Image.open(io.BytesIO(data))
    assert image.format == "PNG"
    return np.asarray(image.convert("RGB"))


def _name(label):
    return label.get_text().replace("\n", "")


def _operation_labels(axes, space):
    names = {name for rows in space.candidates.values() for row in rows for name in row}
    return [text for text in axes.texts if _name(text) in names]


def test_two_genotypes_side_by_side(tmp_path):
    path = tmp_path / "cells.png"
    titled = {"magnitude": PUBLISHED["darts_pt_s5_0"], "perturbation": PUBLISHED["darts_pt_s5_3"]}
    save_genotype_picture(path, spaces.get("darts"), titled)
    assert [p.name for p in tmp_path.iterdir()] == ["cells.png"]
    pixels = _pixels(path.read_bytes())
    height, width, _ = pixels.shape
    assert height > 1200 and width > 1000
    # Both columns and both rows have something drawn, in more than one colour, on a white ground.
    for rows, columns in itertools.product(np.split(pixels[: height // 2 * 2], 2), (0, 1)):
        part = rows[:, columns * width // 2 : (columns + 1) * width // 2]
        ink = np.any(part < 200, axis=2)
        assert 0.005 < ink.mean() < 0.3
        assert np.ptp(part.astype(int), axis=2).max() > 100


def test_none_is_grey_and_dashed_and_others_are_not():
    figure = draw_cell(SPACE_201, "normal", CELL_201)
    (axes,) = figure.axes
    colours = {
        text.get_text().replace("\n", ""): text.get_color() for text in _operation_labels(axes, SPACE_201)
    }
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
    assert [_name(label) for label in labels] == [choice.operation for choice in choices]
    for label, choice in zip(labels, choices, strict=True):
        assert choice.source < label.get_position()[0] < choice.target
        assert label.get_position()[1] > 0.2
    others = {text.get_text() for text in axes.texts}
    assert {"cₖ₋₂", "cₖ₋₁", "2", "3", "4", "5", "out", "concatenate", "$ not maths"} <= others
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


@pytest.mark.parametrize("name", [*(name for name in PUBLISHED if "s5" in name), "nas_bench_201"])
def test_no_arc_crosses_a_label_and_a_phone_shows_the_text(name):
    genotype = PUBLISHED.get(name, CELL_201)
    space = spaces.get(genotype.space)
    for cell_type in space.cell_types:
        figure = draw_cell(space, cell_type, genotype)
        phone = 348  # pixels that a page has there; 96 to an inch, 72 points
        assert figure.get_figwidth() * 96 <= phone
        assert min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text()) * 96 / 72 >= 11
        (axes,) = figure.axes
        renderer = figure.canvas.get_renderer()
        labels = _operation_labels(axes, space)
        boxes = [label.get_window_extent(renderer) for label in labels]
        arcs = [line for line in axes.lines if len(line.get_xdata()) > 100]
        assert len(arcs) == len(boxes) == len(genotype.cells[cell_type])
        for arc in arcs:
            points = axes.transData.transform(np.column_stack(arc.get_data()))
            for x, y in points[np.isfinite(points).all(1)]:
                assert not any(box.x0 < x < box.x1 and box.y0 < y < box.y1 for box in boxes)


def test_a_long_name_has_two_lines():
    assert [cell_layout.broken(name) for name in ("nor_conv_3x3", "skip_connect", "none", "mynewconv")] == [
        *("nor_conv_\n3x3", "skip_\nconnect", "none", "mynewconv")
    ]


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
