"""Start-up: devices and the `tf.distribute` strategy, from the config's `runtime`."""

import contextlib

import ml_collections
import tensorflow as tf

from tf_darts.errors import UserError
from tf_darts.runtime import host

FEW_CORES = 4


def start(runtime: ml_collections.ConfigDict) -> tf.distribute.Strategy:
    """Sets TensorFlow up and makes the strategy under which everything runs.

    Args:
      runtime: the config's `runtime`.

    Raises:
      UserError: the devices that the config asks for cannot be had.
    """
    prepare()
    if runtime.logical_devices:
        _split_cpu(runtime.logical_devices)
    if runtime.deterministic:
        tf.config.experimental.enable_op_determinism()
    accelerators = [d.name for d in tf.config.list_logical_devices("GPU")]
    processors = [d.name for d in tf.config.list_logical_devices("CPU")]
    devices = accelerators or processors
    if runtime.strategy == "one_device":
        return tf.distribute.OneDeviceStrategy(devices[0])
    if len(devices) == 1:
        raise UserError(
            "config: runtime.strategy is 'mirrored' and there is one device; allowed: one_device, or"
            " runtime.logical_devices of at least 2 to try it on a CPU"
        )
    return mirrored(devices)


def prepare() -> None:
    """What every process sets before TensorFlow runs anything; it decides the last bits of results.

    No graph optimiser: the graph of a supernet is large and already lean, so that it takes longer than it
    saves, and it changes the order of sums.

    On a CPU of few cores an operation has one thread, and as many run at once as there are cores. A supernet
    has enough operations that do not wait for each other; shared out among threads, they hinder one another
    (docs/performance.md). With more cores, or a GPU, TensorFlow's own choice stays.
    """
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    cores = host.cores()
    chosen = tf.config.threading.get_intra_op_parallelism_threads()
    if cores > FEW_CORES or chosen or tf.config.list_physical_devices("GPU"):
        return
    with contextlib.suppress(RuntimeError):  # TensorFlow has started: its threads are there
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(cores)


def mirrored(devices: list[str]) -> tf.distribute.MirroredStrategy:
    """Replicas on these devices.

    On CPUs gradients are summed on one of them: TensorFlow's collective operations take two strategies of
    one process, which is what a notebook or a test may have, for the same.
    """
    if any("GPU" in device.upper() for device in devices):
        return tf.distribute.MirroredStrategy(devices)
    return tf.distribute.MirroredStrategy(devices, cross_device_ops=tf.distribute.ReductionToOneDevice())


def _split_cpu(count: int) -> None:
    device = tf.config.list_physical_devices("CPU")[0]
    wanted = [tf.config.LogicalDeviceConfiguration()] * count
    try:
        tf.config.set_logical_device_configuration(device, wanted)
    except RuntimeError:  # TensorFlow has started: fine if it did so with as many devices
        present = len(tf.config.list_logical_devices("CPU"))
        if present != count:
            raise UserError(
                f"config: runtime.logical_devices is {count}, but TensorFlow has started with {present}"
            ) from None


def check_batch(name: str, batch_size: int, images: int, replicas: int) -> None:
    """Checks that a global batch can be drawn and divided.

    Args:
      name: the config field, for the message.
      batch_size: its value.
      images: images in the set that batches are drawn from.
      replicas: number of replicas that share a batch.

    Raises:
      UserError: more images than there are, or not a multiple of the replicas.
    """
    if batch_size > images:
        raise UserError(f"config: {name} is {batch_size}; allowed: at most {images}, the images to draw from")
    if batch_size % replicas:
        raise UserError(f"config: {name} is {batch_size}; allowed: a multiple of {replicas} replicas")
