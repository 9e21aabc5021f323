"""Search methods by name: what one step of the search does with its two batches.

A method is one class in one file and one entry here: its name -> "module:class", so that a config is checked
without TensorFlow. A config file adds one's own in the same way.
"""

from tf_darts.registry import Registry

_HERE = "tf_darts.search.methods"

METHODS = Registry(
    "search.method",
    {
        "darts": f"{_HERE}.darts:Darts",
        "darts_second_order": f"{_HERE}.second_order:SecondOrder",
        "darts_second_order_exact": f"{_HERE}.second_order:ExactSecondOrder",
        "fixed_alpha": f"{_HERE}.fixed_alpha:FixedAlpha",
        "sdarts_rs": f"{_HERE}.sdarts:SdartsRS",
        "sdarts_adv": f"{_HERE}.sdarts:SdartsADV",
        "gdas": f"{_HERE}.gdas:Gdas",
        "pc_darts": f"{_HERE}.pc_darts:PCDarts",
        "drnas": f"{_HERE}.drnas:DrNAS",
        "sgas": f"{_HERE}.sgas:Sgas",
        "random_sharing": f"{_HERE}.random_sharing:RandomSharing",
    },
)

# Sections of the config that belong to one or a few methods; elsewhere they have to be left alone.
SECTIONS: dict[str, tuple[str, ...]] = {
    "sdarts": ("sdarts_rs", "sdarts_adv"),
    "gdas": ("gdas",),
    "pc_darts": ("pc_darts",),
    "drnas": ("drnas",),
    "sgas": ("sgas",),
}

# Methods that decide edges during the search, and so within the selection's budget.
DECIDING = frozenset({"sgas"})

# Methods that never train alpha, so that its size says nothing.
UNTRAINED_ALPHA = frozenset({"fixed_alpha", "random_sharing"})
