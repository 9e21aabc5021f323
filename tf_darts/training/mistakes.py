"""What a trained network gets wrong: its confusion matrix, and the mistakes that it is surest of.

Left in errors.json, confusion.png and mistakes.png beside the training's result.json.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix

from tf_darts.data.batches import of_passes
from tf_darts.data.image_set import ImageSet
from tf_darts.data.pass_steps import PassSteps
from tf_darts.optim.losses import Batch
from tf_darts.plots.colours import BOTH, FAINT, INK
from tf_darts.plots.heat_map import new
from tf_darts.plots.plain_figure import png_of, shown
from tf_darts.runtime.steps import in_place
from tf_darts.workdir.files import write_atomically
from tf_darts.workdir.records import write_json

NAME = "errors.json"
SHOWN = 20  # images
_NAMED = 20  # most classes that a picture of the matrix names and counts
_CLASSES = 1000  # most classes that a matrix is made of: its numbers grow with their square


@dataclasses.dataclass(frozen=True)
class Predictions:
    """What a network says of every image of a set, in the set's order.

    Attributes:
      labels: int [N].
      predicted: int [N].
      probability: of the predicted class, float [N].
    """

    labels: np.ndarray
    predicted: np.ndarray
    probability: np.ndarray

    @property
    def mistakes(self) -> np.ndarray:
        """Places of the images that are classified wrongly, the surest first: int [n]."""
        wrong = np.flatnonzero(self.predicted != self.labels)
        return wrong[np.argsort(-self.probability[wrong], kind="stable")]


def predict(
    strategy: tf.distribute.Strategy,
    images: ImageSet,
    batch_size: int,
    forward: Callable[[tf.Tensor], tf.Tensor],
    steps_per_call: int,
) -> Predictions:
    """Make one pass over a set, not augmented and in its order.

    Args:
      strategy: where it runs.
      images: the set; what does not divide among the replicas at its end is left out.
      batch_size: global batch.
      forward: images float [B, H, W, C] -> logits float [B, classes].
      steps_per_call: batches per call from the host.
    """
    replicas = strategy.num_replicas_in_sync

    def make_step(count: int) -> Callable[..., dict[str, tf.Tensor]]:
        def step(number: tf.Tensor, replica: tf.Tensor, batch: Batch) -> dict[str, tf.Tensor]:
            del number
            labels, probabilities = batch[1], tf.nn.softmax(forward(batch[0]))
            values = {
                "labels": tf.cast(labels, probabilities.dtype),
                "predicted": tf.cast(tf.argmax(probabilities, -1), probabilities.dtype),
                "probability": tf.reduce_max(probabilities, -1),
            }
            return {name: in_place(value, replica, replicas) for name, value in values.items()}

        return step

    names = tuple(field.name for field in dataclasses.fields(Predictions))
    steps = PassSteps(
        strategy,
        images.size,
        batch_size,
        make_step,
        names,
        steps_per_call,
        make_shape=lambda count: (count,),
        batches=lambda count: [of_passes(images, "training/errors", batch_size, count, replicas, False)],
    )
    found: dict[str, list[np.ndarray]] = {name: [] for name in names}
    done = 0
    while done < steps.per_pass:
        columns, count = steps(done)
        done += count
        for name, values in columns.items():
            found[name].append(values.ravel())
    labels, predicted, probability = (np.concatenate(found[name]) for name in names)
    return Predictions(labels.astype(int), predicted.astype(int), probability)


def leave(
    folder: pathlib.Path,
    predictions: Predictions,
    images: np.ndarray,
    classes: Sequence[str],
    show: Callable[[dict[str, bytes]], None] = lambda pictures: None,
) -> None:
    """Write the pictures that can be drawn, and errors.json, which says that the rest is there.

    Args:
      folder: the training's folder.
      predictions: of the test set.
      images: the test set, uint8 [N, H, W, C].
      classes: names of the classes.
      show: told of the pictures, PNG files by name, before errors.json is written.
    """
    mistakes, drawn = predictions.mistakes, {}
    matrix = None
    if len(classes) <= _CLASSES:
        numbers = list(range(len(classes)))
        matrix = confusion_matrix(predictions.labels, predictions.predicted, labels=numbers)
        drawn["confusion"] = png_of("confusion.png", lambda: _confusion(matrix, classes))
    if len(mistakes):
        drawn["mistakes"] = png_of("mistakes.png", lambda: _mistakes(predictions, images, classes))
    pictures = {name: png for name, png in drawn.items() if png is not None}
    for name, png in pictures.items():
        write_atomically(folder / f"{name}.png", png)
    show(pictures)
    rows = [
        {
            "image": int(i),
            "label": classes[predictions.labels[i]],
            "predicted": classes[predictions.predicted[i]],
            "probability": float(predictions.probability[i]),
        }
        for i in mistakes[:SHOWN]
    ]
    content = {
        "classes": list(classes),
        **({} if matrix is None else {"confusion": matrix.tolist()}),
        "images": len(predictions.labels),
        "mistakes": len(mistakes),
        "surest_mistakes": rows,
    }
    write_json(folder / NAME, content)


def _confusion(matrix: np.ndarray, classes: Sequence[str]) -> Figure:
    named = len(classes) <= _NAMED
    figure = new(5.4, 5.0)
    axes = figure.subplots()
    share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0.0, vmax=1.0)
    if named:
        for (i, j), count in np.ndenumerate(matrix):
            if count:
                ink = "#ffffff" if share[i, j] > 0.55 else INK
                axes.text(j, i, str(count), fontsize=8.5, color=ink, ha="center", va="center")
        names = [shown(name) for name in classes]
        axes.set_xticks(range(len(classes)), names, rotation=35, ha="right", fontsize=8.5)
        axes.set_yticks(range(len(classes)), names, fontsize=8.5)
    axes.tick_params(length=0)
    axes.spines[:].set_color(FAINT)
    axes.set_xlabel("predicted class", fontsize=8.5)
    axes.set_ylabel("true class", fontsize=8.5)
    axes.set_title("test images; colour: share of the true class", fontsize=9, loc="left", color=INK)
    return figure


def _mistakes(predictions: Predictions, images: np.ndarray, classes: Sequence[str]) -> Figure:
    places = predictions.mistakes[:SHOWN]
    columns = min(5, len(places))
    lines = -(-len(places) // columns)
    figure = new(1.35 * columns + 0.2, 1.55 * lines + 0.5)
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, i in zip(grid, places, strict=False):
        image = images[i]
        if image.shape[-1] not in (1, 3, 4):
            raise ValueError(f"images have {image.shape[-1]} channels, and a screen shows 1, 3 or 4")
        axes.imshow(image[..., 0] if image.shape[-1] == 1 else image, cmap="gray", vmin=0, vmax=255)
        label, predicted = (shown(classes[k[i]]) for k in (predictions.labels, predictions.predicted))
        said = f"said {predicted} ({100 * predictions.probability[i]:.0f} %)"
        axes.set_title(f"is {label}\n{said}", fontsize=8.5, color=BOTH)
    figure.suptitle("the mistakes that it is surest of", fontsize=9.5, color=BOTH)
    figure.set_facecolor("none")
    return figure
