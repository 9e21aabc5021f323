"""Writers of the file of each format."""

import contextlib
import io
import pathlib
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from tf_darts.export import keras_file
from tf_darts.export.functional import NORMALISATION
from tf_darts.export.reload import SIGNATURE
from tf_darts.runtime import process
from tf_darts.runtime.quiet import quiet_start


@contextlib.contextmanager
def on_cpu() -> Iterator[None]:
    """Read and export networks on a CPU: its convolutions are of full float32 precision everywhere."""
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope(), tf.device("/cpu:0"):
        yield


def write_keras(model: keras.Model, path: pathlib.Path, examples: np.ndarray) -> None:
    """Write one Keras file, for `keras.models.load_model`."""
    del examples
    keras_file.save(model, path)


def write_saved_model(model: keras.Model, path: pathlib.Path, examples: np.ndarray) -> None:
    """Write a SavedModel with the signature `classify`, which is also the one that is served by default."""
    del examples
    module = _module(model, tf.uint8, checks=True)
    signatures = dict.fromkeys((SIGNATURE, "serving_default"), module.classify)
    tf.saved_model.save(module, str(path), signatures=signatures)


def write_tflite(model: keras.Model, path: pathlib.Path, examples: np.ndarray) -> None:
    """Write a TFLite file that computes in float32."""
    del examples
    path.write_bytes(tflite(model))


def tflite(model: keras.Model) -> bytes:
    """Return the content of a TFLite file that computes in float32."""
    return _converted(_converter(model, tf.uint8))


def write_tflite_int8(model: keras.Model, path: pathlib.Path, examples: np.ndarray) -> None:
    """Write a TFLite file that computes in int8, quantised by each tensor's range on the examples.

    Pixels go in as they are (scale 1, zero point 0), and probabilities come out as float32.

    Args:
      model: uint8 images -> probabilities.
      path: the file.
      examples: uint8 [N, H, W, C], images as those that the model will see.
    """
    examples = examples.astype(np.float32)
    # Pixels keep their values if the examples have the least and the largest one.
    examples[0, 0, 0, 0], examples[0, -1, -1, -1] = 0, 255
    converter = _converter(model, tf.float32)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[None]] for image in examples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8
    path.write_bytes(_converted(converter))


# What needs examples gets them; the others pass them over.
WRITERS: dict[str, Callable[[keras.Model, pathlib.Path, np.ndarray], None]] = {
    "keras": write_keras,
    "saved_model": write_saved_model,
    "tflite": write_tflite,
    "tflite_int8": write_tflite_int8,
}


def _module(model: keras.Model, pixels: tf.DType, checks: bool = False) -> tf.Module:
    """Return the model with its signature: images -> probabilities and class.

    Args:
      model: the model.
      pixels: their type.
      checks: whether images of another shape fail. A loaded signature does not look at shapes by itself: it
        would answer images of another size, and end the process on one image without the batch's axis.
    """
    shape = [None, *model.input_shape[1:]]
    # In two parts, since the model itself would take other pixels than uint8 for uint8 first.
    normalise = model.get_layer(NORMALISATION)
    rest = keras.Model(normalise.output, model.output)

    def classify(images: tf.Tensor) -> dict[str, tf.Tensor]:
        if checks:
            images = tf.ensure_shape(images, shape)
        probabilities = rest(normalise(images), training=False)
        return {"probabilities": probabilities, "class": tf.argmax(probabilities, -1)}

    module = tf.Module()
    module.weights = [v.value for v in model.variables]
    module.classify = tf.function(classify, input_signature=[tf.TensorSpec(shape, pixels, "images")])
    return module


def _converter(model: keras.Model, pixels: tf.DType) -> tf.lite.TFLiteConverter:
    module = _module(model, pixels)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.classify.get_concrete_function()], module
    )
    converter.kept = module  # the converter does not keep it, and its variables would go
    return converter


def tflite_of_part(model: keras.Model) -> bytes:
    """Return the content of a TFLite file of any model, for one image, without signature."""
    specs = [tf.TensorSpec([1, *x.shape[1:]], x.dtype) for x in model.inputs]
    part = tf.Module()
    part.weights = [v.value for v in model.variables]
    call = lambda *x: model(x[0] if len(x) == 1 else list(x), training=False)  # noqa: E731
    part.call = tf.function(call, input_signature=specs)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([part.call.get_concrete_function()], part)
    return _converted(converter)


def _converted(converter: tf.lite.TFLiteConverter) -> bytes:
    quiet = contextlib.nullcontext() if process.is_borrowed() else quiet_start()  # it writes to both
    with contextlib.redirect_stdout(io.StringIO()), quiet:
        return converter.convert()
