"""Candidate operations by name.

An operation is one class in one file and one entry here, or in a config's `extensions.operations`: a name and
where the class is, so that a config is checked without TensorFlow.
"""

from tf_darts.registry import Registry

_LAYERS = "tf_darts.layers.operations"

# Each is called with (channels, stride, affine=, seed=, name=) and gives a `layers.base.Operation`.
OPERATIONS = Registry(
    "operation",
    {
        "none": f"{_LAYERS}:Zero",
        "noise": f"{_LAYERS}:Noise",
        "skip_connect": f"{_LAYERS}:skip_connect",
        "max_pool_3x3": f"{_LAYERS}:MaxPool",
        "avg_pool_3x3": f"{_LAYERS}:AvgPool",
        "sep_conv_3x3": f"{_LAYERS}:sep_conv_3x3",
        "sep_conv_5x5": f"{_LAYERS}:sep_conv_5x5",
        "sep_conv_7x7": f"{_LAYERS}:sep_conv_7x7",
        "dil_conv_3x3": f"{_LAYERS}:dil_conv_3x3",
        "dil_conv_5x5": f"{_LAYERS}:dil_conv_5x5",
        "conv_7x1_1x7": f"{_LAYERS}:Conv1x7And7x1",
        "nor_conv_1x1": f"{_LAYERS}:nor_conv_1x1",
        "nor_conv_3x3": f"{_LAYERS}:nor_conv_3x3",
    },
)
