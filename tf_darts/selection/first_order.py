"""How strong operations are, to first order: all of them from one backward pass.

When the mixing weight w of an operation goes to zero, the loss grows by -w * dL/dw to first order: what a
probe by the loss measures by leaving the operation out.
"""

from collections.abc import Mapping

import tensorflow as tf

from tf_darts.selection.criterion import Criterion, View


class FirstOrder(Criterion):
    """-w * dL/dw of every mixing weight: by how much the validation loss grows without the operation."""

    one_pass = True
    passes = 3

    def measure(self, view: View) -> Mapping[str, tf.Tensor]:
        gradients = view.mixing_gradients()
        return {t: -weights * gradients[t] for t, weights in view.mixing_weights.items()}
