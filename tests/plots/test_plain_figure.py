"""Text as it is, and pictures that a run can do without."""

import pytest

from tf_darts.plots.heat_map import new
from tf_darts.plots.plain_figure import figure_to_png_bytes, png_of, shown


def labelled(text):
    figure = new(2, 2)
    axes = figure.subplots()
    axes.set_xticks([0, 1], [text, "b"])
    axes.set_title(text)
    return figure


@pytest.mark.parametrize("text", ["$1_$5", "$10 and $x^$", r"\frac{", "猫"])
def test_any_text_is_drawn(text):
    assert figure_to_png_bytes(labelled(text)).startswith(b"\x89PNG")


def test_dollars_are_no_formula():
    from matplotlib.figure import Figure

    other = Figure(figsize=(2, 2), facecolor="#ffffff", layout="constrained")
    other.subplots().set_title("$x$")
    formula, plain = figure_to_png_bytes(other), new(2, 2)
    plain.subplots().set_title("$x$")
    assert figure_to_png_bytes(plain) != formula


def test_a_picture_that_cannot_be_drawn_is_left_out_with_a_word(capsys):
    def fails():
        raise TypeError("Invalid shape (8, 8, 12)\nfor image data")

    assert png_of("mistakes.png", fails) is None
    said = capsys.readouterr().err
    assert said == ("warning: the picture mistakes.png is left out: TypeError: Invalid shape (8, 8, 12)\n")


def test_names_are_shown_on_one_line_and_cut_short():
    assert shown("cat") == "cat" and shown("猫") == "猫"
    assert shown("a\nb\udce9") == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"
    assert len(shown("x" * 300)) == 24
