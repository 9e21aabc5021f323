"""Start-up: devices and the `tf.distribute` strategy, from the config's `runtime`."""

import contextlib
import contextvars
from collections.abc import Callable

import ml_collections
import tensorflow as tf

from tf_darts.errors import UserError, first_line
from tf_darts.runtime import cluster, host, process, xla
from tf_darts.runtime.scoped import holding

FEW_CORES = 4

# The types by `runtime.precision`: of activations, and of all else.
ACTIVATIONS = {"float32": "float32", "mixed_bfloat16": "bfloat16", "float64": "float64"}
FLOATS = {"float32": "float32", "mixed_bfloat16": "float32", "float64": "float64"}


def start(runtime: ml_collections.ConfigDict, guest: bool = False) -> tf.distribute.Strategy:
    """Set TensorFlow up and make the strategy under which everything runs.

    Nothing may have run in TensorFlow before where several machines or a TPU are connected to.

    Args:
      runtime: the config's `runtime`.
      guest: whether the process is somebody else's, so that only what can be put back is set
        (`runtime.process.borrowed`); the devices that the config asks for are made all the same.

    Raises:
      UserError: the devices that the config asks for cannot be had.
    """
    set_options()
    if not guest:
        prepare()
    if runtime.logical_devices:
        _split_cpu(runtime.logical_devices)
    # What XLA makes for a TPU is deterministic as it is; the option would only make it refuse operations.
    if runtime.deterministic and runtime.strategy != "tpu":
        tf.config.experimental.enable_op_determinism()
    made = STRATEGIES[runtime.strategy](runtime)
    kind = device_type(made)
    if runtime.precision == "mixed_bfloat16" and kind == "CPU":
        raise UserError(
            f"config: runtime.precision is {runtime.precision!r} on a CPU, where it is slower than float32;"
            " allowed: float32, float64, or a GPU or TPU"
        )
    if runtime.precision == "float64" and kind != "CPU":
        raise UserError(
            f"config: runtime.precision is 'float64' on a {kind}; allowed: float32, mixed_bfloat16,"
            " or a CPU (CUDA_VISIBLE_DEVICES=-1 hides GPUs)"
        )
    use_floats(runtime)
    xla.settle(made, runtime, kind)
    return made


def use_floats(runtime: ml_collections.ConfigDict) -> None:
    """Have what is checked, built and traced from now on be of the type that `runtime.precision` says."""
    process.set_floats(FLOATS[runtime.precision])


def _devices() -> list[str]:
    """Return the GPUs of this machine, or its CPUs if it has none."""
    accelerators = [d.name for d in tf.config.list_logical_devices("GPU")]
    return accelerators or [d.name for d in tf.config.list_logical_devices("CPU")]


def _one_device(runtime: ml_collections.ConfigDict) -> tf.distribute.Strategy:
    return tf.distribute.OneDeviceStrategy(_devices()[0])


def _mirrored(runtime: ml_collections.ConfigDict) -> tf.distribute.Strategy:
    devices = _devices()
    if len(devices) == 1:
        raise UserError(
            "config: runtime.strategy is 'mirrored' and there is one device; allowed: one_device, or"
            " runtime.logical_devices of at least 2 to try it on a CPU"
        )
    return mirrored(devices)


def _multi_worker(runtime: ml_collections.ConfigDict) -> tf.distribute.Strategy:
    here = cluster.of_environment()
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except (tf.errors.OpError, RuntimeError) as error:
        raise UserError(
            f"TF_CONFIG: the {len(here.addresses)} processes ({', '.join(here.addresses)}) cannot reach"
            f" each other: {first_line(error)}"
        ) from None


def _tpu(runtime: ml_collections.ConfigDict) -> tf.distribute.Strategy:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=runtime.tpu)
        if runtime.tpu != "local":
            tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    except (tf.errors.OpError, ValueError, RuntimeError, OSError) as error:
        raise UserError(
            f"config: runtime.strategy is 'tpu' and the TPU {runtime.tpu!r} (runtime.tpu) cannot be reached:"
            f" {first_line(error)}; allowed: local on a machine with a TPU (with tensorflow-tpu installed),"
            " or the name or address of one; docs/cloud_tpu.md"
        ) from None


# By the name that `runtime.strategy` has.
STRATEGIES: dict[str, Callable[[ml_collections.ConfigDict], tf.distribute.Strategy]] = {
    "one_device": _one_device,
    "mirrored": _mirrored,
    "multi_worker": _multi_worker,
    "tpu": _tpu,
}


_ASSUMED: contextvars.ContextVar[str | None] = contextvars.ContextVar("assumed device", default=None)


def assumed_device_type(kind: str) -> contextlib.AbstractContextManager[None]:
    """Have what is built and traced in this block suit such a device, which need not be there."""
    return holding(_ASSUMED, kind)


def device_type(strategy: tf.distribute.Strategy | None = None) -> str:
    """Return the kind of a strategy's devices (None: the current one): "CPU", "GPU" or "TPU"."""
    if strategy is None and (assumed := _ASSUMED.get()):
        return assumed
    if strategy is None and not tf.distribute.has_strategy():
        return "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    strategy = strategy or tf.distribute.get_strategy()
    return tf.DeviceSpec.from_string(strategy.extended.worker_devices[0]).device_type


def set_options() -> None:
    """Set what can be put back: how Keras makes layers, and no graph optimiser.

    The graph of a supernet is large and already lean, so that optimising it takes longer than it saves, and
    it changes the order of sums.
    """
    process.set_keras()
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


def prepare() -> None:
    """Set what a program sets before TensorFlow runs anything; it decides the last bits of results.

    On a CPU of few cores an operation has one thread, and as many run at once as there are cores. A supernet
    has enough operations that do not wait for each other; shared out among threads, they hinder one another
    (docs/performance.md). With more cores, or a GPU, TensorFlow's own choice stays.

    Of a GPU's memory a process takes what it needs, as it needs it, so that several share a GPU: the searches
    of a study, or two sides that are compared.
    """
    set_options()
    for gpu in tf.config.list_physical_devices("GPU"):
        with contextlib.suppress(RuntimeError):  # TensorFlow has started
            tf.config.experimental.set_memory_growth(gpu, True)
    cores = host.cores()
    chosen = tf.config.threading.get_intra_op_parallelism_threads()
    if cores > FEW_CORES or chosen or tf.config.list_physical_devices("GPU"):
        return
    with contextlib.suppress(RuntimeError):  # TensorFlow has started: its threads are there
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(cores)


def operation_threads() -> int:
    """Return how many threads an operation may be shared out among: what is set, or as in `prepare`."""
    cores = host.cores()
    chosen = tf.config.threading.get_intra_op_parallelism_threads()
    return min(chosen or (cores if cores > FEW_CORES else 1), cores)


def mirrored(devices: list[str]) -> tf.distribute.MirroredStrategy:
    """Make the strategy with a replica on each of these devices.

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
    """Check that a global batch can be drawn and divided.

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
