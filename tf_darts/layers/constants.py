"""Constants of a graph, each made once."""

import numpy as np
import numpy.typing as npt
import tensorflow as tf


def constant(value: npt.ArrayLike, dtype: tf.DType = tf.float32) -> tf.Tensor:
    """Return a constant tensor; the same one wherever the same graph asks for the same value.

    Sizes, shapes, ones and zeros recur in every operation of a supernet: as nodes of their own they were a
    third of its graph.
    """
    value = np.asarray(value, dtype.as_numpy_dtype)
    if tf.executing_eagerly():
        return tf.constant(value)
    graph = tf.compat.v1.get_default_graph()
    kept = tf.compat.v1.get_collection_ref("tf_darts/constants")
    # A graph inside another, such as a loop's body, starts with a copy of the outer one's collection.
    if not kept or kept[0][0] is not graph:
        kept[:] = [(graph, {})]
    made = kept[0][1]
    key = (dtype, value.shape, value.tobytes())
    if key not in made:
        with tf.control_dependencies(None):
            made[key] = tf.constant(value)
    return made[key]
