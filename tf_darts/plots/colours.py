"""Colours of all pictures: of operations, text and lines, and the colour of each on a dark page."""

import colorsys
from collections.abc import Iterable, Sequence

from matplotlib.colors import to_hex, to_rgb

INK, SOFT, FAINT, PAPER = "#222222", "#6b7580", "#a8b0b8", "#ffffff"
GRID = "#e4e7ea"
INPUT_FILL, NODE_FILL, OUTPUT_FILL = "#dcebdd", "#e3ecf7", "#f8e3cf"
BOTH = "#747d86"  # text that is read on a light and on a dark page alike
# Okabe and Ito's, distinguishable by the colour-blind; then others as different as can be.
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b58900", "#56b4e9", "#7b4ea3", "#8c8c8c")
_MORE = ("#8b2e16", "#5c8a00", "#333333", "#b8417f")
# Selections and search methods that always have the same colour, whatever else is in a picture.
_METHODS = {
    "perturbation": "#0072b2",
    "magnitude": "#d55e00",
    "one_shot": "#009e73",
    "perturbation_loss": "#56b4e9",
    "perturbation_magnitude": "#cc79a7",
    "supernet_ranking": "#b58900",
    "random": "#8c8c8c",
    "darts": "#333333",
    "sdarts_rs": "#7b4ea3",
    "fixed_alpha": "#5c8a00",
}

# Start of an operation's name, kind for the legend, colour (distinguishable by the colour-blind).
KINDS = (
    ("sep_conv", "separable convolution", "#0072b2"),
    ("dil_conv", "dilated convolution", "#7b4ea3"),
    ("nor_conv", "convolution", "#0072b2"),
    ("max_pool", "max pooling", "#00795a"),
    ("avg_pool", "average pooling", "#5c8a00"),
    ("skip_connect", "skip connection", "#c8500a"),
    ("noise", "noise", "#b8417f"),
    ("none", "none", "#8c8c8c"),
    ("", "other", "#333333"),
)

_FAINTEST = 4  # lighter variants of a kind's colour that a dark page has others for

# Of a dark page, instead of the above. At the end of this file: and of the lighter variants of a kind.
DARK = {
    INK: "#e6e9ec",
    "#000000": "#e6e9ec",
    SOFT: "#a3adb7",
    FAINT: "#6c7680",
    GRID: "#333a41",
    PAPER: "#171b20",
    INPUT_FILL: "#23402a",
    NODE_FILL: "#24384f",
    OUTPUT_FILL: "#553a20",
    "#0072b2": "#4fb0ea",
    "#7b4ea3": "#b894dd",
    "#00795a": "#35c39b",
    "#5c8a00": "#a3cf45",
    "#c8500a": "#ff9350",
    "#b8417f": "#ec86b9",
    "#8c8c8c": "#a9a9a9",
    "#333333": "#d0d0d0",
    "#d55e00": "#ff8c3a",
    "#009e73": "#37cf9f",
    "#cc79a7": "#e9a3c9",
    "#b58900": "#e0b93c",
    "#56b4e9": "#86cdf5",
    "#8b2e16": "#e0806a",
}


def kind_of(operation: str) -> tuple[str, str]:
    """Return an operation's kind, for the legend, and its colour."""
    return next((name, colour) for start, name, colour in KINDS if operation.startswith(start))


def of_methods(names: Iterable[str]) -> dict[str, str]:
    """Return a colour for each method by name: a known one's own; others take what is left, in order."""
    names = dict.fromkeys(names)
    found = {name: _METHODS[name] for name in names if name in _METHODS}
    left = [colour for colour in (*SERIES, *_MORE) if colour not in found.values()] or list(SERIES)
    others = [name for name in names if name not in found]
    return found | {name: left[i % len(left)] for i, name in enumerate(others)}


def shades(operations: Sequence[str]) -> dict[str, str]:
    """Return a colour for each operation: its kind's, lighter for the second of a kind, and so on."""
    seen: dict[str, int] = {}
    colours = {}
    for name in operations:
        colour = kind_of(name)[1]
        number = seen.setdefault(colour, 0)
        seen[colour] += 1
        colours[name] = _lighter(colour, number)
    return colours


def _lighter(colour: str, steps: int) -> str:
    hue, light, saturation = colorsys.rgb_to_hls(*to_rgb(colour))
    return to_hex(colorsys.hls_to_rgb(hue, 1.0 - (1.0 - light) * 0.62**steps, saturation))


def _deeper(colour: str, steps: int) -> str:
    """Return a darker shade of a colour: on a dark page the second of a kind is nearer to the page, too."""
    hue, light, saturation = colorsys.rgb_to_hls(*to_rgb(colour))
    return to_hex(colorsys.hls_to_rgb(hue, light * 0.62**steps, saturation))


DARK |= {
    _lighter(colour, steps): _deeper(DARK[colour], steps)
    for colour in dict.fromkeys(colour for _, _, colour in KINDS)
    for steps in range(1, _FAINTEST + 1)
}
