"""TensorFlow's threads: set before it starts, and told afterwards."""

from typing import Any

import tensorflow as tf


def use(settings: dict[str, Any]) -> None:
    """Sets the threads that the settings ask for; 0 leaves TensorFlow's own choice, all cores."""
    if settings["intra_op_threads"]:
        tf.config.threading.set_intra_op_parallelism_threads(settings["intra_op_threads"])
    if settings["inter_op_threads"]:
        tf.config.threading.set_inter_op_parallelism_threads(settings["inter_op_threads"])


def about() -> dict[str, Any]:
    """What was set; 0: as many as there are cores."""
    return {
        "threads": {
            "intra_op": tf.config.threading.get_intra_op_parallelism_threads(),
            "inter_op": tf.config.threading.get_inter_op_parallelism_threads(),
        }
    }
