"""Lowers a step that trains as many packed depthwise kernels as a DARTS supernet has of 16 channels.

python -m tests.tpu_check.packed_kernels FOLDER, in the environment of bin/tpu_check.
"""

import pathlib
import sys

from tf_darts.tools.tpu_check import lower  # first: it says to TensorFlow that no TPU is wanted

# isort: split
import keras
import tensorflow as tf

from tf_darts.layers.packed_variables import PackedVariables
from tf_darts.layers.row import variables_as_rows
from tf_darts.tools.tpu_check.cases import PROGRAM_FILE

# 14 edges of a cell, with a dilated and a separable convolution of width 5, the last of two kernels.
NUMBER, CHANNELS = 42, 16


def main() -> None:
    """Write program.mlir."""
    with variables_as_rows():
        kernels = [keras.Variable("zeros", (5, 5, CHANNELS, 1)) for _ in range(NUMBER)]
    packed = PackedVariables(kernels)
    (weights,) = packed.variables
    images = tf.Variable(tf.zeros([64, 8, 8, CHANNELS]))

    def step():
        with tf.GradientTape() as tape:
            tape.watch(weights.value)
            y = tf.identity(images)
            with packed.unpacked():
                for kernel in kernels:
                    y = tf.nn.depthwise_conv2d(tf.nn.relu(y), kernel.value, [1, 1, 1, 1], "SAME")
            loss = tf.reduce_sum(y * y)
        weights.value.assign_sub(tape.gradient(loss, weights.value))
        return loss

    text, _ = lower.stablehlo("packed kernels", step)
    assert lower.operations(text).count("convolution") >= 3 * NUMBER - 1
    (pathlib.Path(sys.argv[1]) / PROGRAM_FILE).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
