"""TensorFlow's threads and device: threads are set before it starts, both are reported afterwards."""

from typing import Any

import tensorflow as tf

from tf_darts.runtime import host
from tf_darts.tools.benchmark.machine import CPU


def use(settings: dict[str, Any]) -> None:
    """Set the threads that the settings ask for; 0 leaves TensorFlow's own choice, all cores."""
    if settings["intra_op_threads"]:
        tf.config.threading.set_intra_op_parallelism_threads(settings["intra_op_threads"])
    if settings["inter_op_threads"]:
        tf.config.threading.set_inter_op_parallelism_threads(settings["inter_op_threads"])


def about() -> dict[str, Any]:
    """Return the threads that were set (0: as many as cores), and the device: "CPU" or the GPU's name."""
    threads = {
        "intra_op": tf.config.threading.get_intra_op_parallelism_threads(),
        "inter_op": tf.config.threading.get_inter_op_parallelism_threads(),
    }
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return {"threads": threads, "device": CPU}
    name = tf.config.experimental.get_device_details(gpus[0])["device_name"]
    return {"threads": threads, "device": name, "import_memory": 0}


def finish() -> None:
    """Wait for what a GPU still has to do, so that it is timed too."""
    tf.test.experimental.sync_devices()


def peak_memory() -> int:
    """Return the peak memory in bytes: of the GPU, or of the process where there is no GPU."""
    if tf.config.list_physical_devices("GPU"):
        return tf.config.experimental.get_memory_info("GPU:0")["peak"]
    return host.peak_memory()
