"""A trained network, as `api.train` returns it."""

import dataclasses
import functools
import pathlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tf_darts.data.arrays import Reading
from tf_darts.data.image_arrays import images_of
from tf_darts.data.sources import averaged
from tf_darts.errors import UserError
from tf_darts.export import FILES, build
from tf_darts.genotypes.genotype import Genotype, from_text
from tf_darts.library.run import Run
from tf_darts.nas_bench.nas_bench_201 import Entry
from tf_darts.report import notebook
from tf_darts.runtime import process
from tf_darts.training import trained_network as trained_lib
from tf_darts.workdir import stage_folders


@dataclasses.dataclass(frozen=True)
class Trained:
    """A trained network.

    Attributes:
      run: config and work directory.
      folder: that of the training.
      result: the content of result.json.
    """

    run: Run = dataclasses.field(repr=False)
    folder: pathlib.Path
    result: dict[str, Any] = dataclasses.field(repr=False)

    @property
    def workdir(self) -> pathlib.Path:
        """The work directory."""
        return self.run.workdir

    @property
    def test_accuracy(self) -> float:
        """Share of the test images that the network classifies correctly after its last epoch.

        Examples:
          >>> print(f"{trained.test_accuracy:.2f}")
          0...
        """
        return self.result["test_accuracy"]

    @property
    def nas_bench_201(self) -> Entry | None:
        """What NAS-Bench-201 says about the genotype; None in every other space.

        Examples:
          >>> trained.nas_bench_201 == selected.nas_bench_201
          True
        """
        return self.run.entry_of(self.genotype)

    @property
    def genotype(self) -> Genotype:
        """The genotype of the network.

        Examples:
          >>> trained.genotype == selected.genotype
          True
        """
        return from_text(self.result["genotype"], self.run.space)

    @property
    def history(self) -> Any:
        """Metrics of every epoch: a pandas `DataFrame` where pandas is installed, else lists by name.

        Both have the same columns, as `Searched.history`; `test_accuracy` is nan in epochs in which the test
        images are not looked at (`training.evaluate_every`).

        Examples:
          >>> for accuracy in trained.history["test_accuracy"]:
          ...     print(f"{accuracy:.2f}")
          0...
          0...
        """
        return notebook.history(self.folder)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: accuracies, the genotype's cells, what is mistaken for what."""
        run = self.run
        return notebook.of_training(run.contents(self.folder), run.space, self.genotype, run.table, run.facts)

    @functools.cached_property
    @process.guest
    def model(self) -> keras.Model:
        """A functional Keras model: uint8 images [B, H, W, C] -> probabilities float32 [B, classes].

        It is yours: what you do to it (`model.fit`) changes nothing of `predict` and `export`, which use the
        weights that the training ended with.

        Examples:
          >>> trained.model.input_shape, trained.model.output_shape
          ((None, 8, 8, 1), (None, 10))
        """
        return build.keras_model(self._trained)

    @functools.cached_property
    def _answering(self) -> keras.Model:
        """The model that `predict` asks."""
        return build.keras_model(self._trained)

    @process.guest
    def predict(self, images: np.ndarray) -> np.ndarray:
        """Return the probabilities of images, float32 [N, classes].

        The weights are those that the training ended with, whatever was done to `model` since.

        Args:
          images: as in `search`, and in the range of those of the training: floats are taken as in [0, 1]
            where these were no floats. Where these were of several sizes, images of any size are resized.

        Raises:
          UserError: the images are of another shape than those of the training, or no images.

        Examples:
          >>> probabilities = trained.predict(images[:3])
          >>> probabilities.shape, probabilities.dtype
          ((3, 10), dtype('float32'))
        """
        shape, reading = self.run.data.image_shape, self.run.data.reading
        factor = self.run.config.data.downscale
        height, width, channels = shape
        given = height * factor, width * factor, channels
        reading = Reading(reading.float_range or 1, reading.resized)
        images, _ = images_of("images", images, height * factor if reading.resized else 0, reading, given)
        if images.shape[1:] == given:
            images = averaged(images, factor)
        if images.shape[1:] != tuple(shape):
            raise UserError(f"images are of shape {images.shape[1:]}; allowed: {tuple(shape)}")
        if not len(images):  # Keras has no answer to none
            return np.zeros((0, self.run.data.num_classes), np.float32)
        return self._answering.predict(images, verbose=0)

    @process.guest
    def export(
        self, folder: str | pathlib.Path | None = None, formats: Sequence[str] = tuple(FILES), **options: Any
    ) -> dict[str, Any]:
        """Write files that need no tf_darts, as bin/export does; return the model card.

        Args:
          folder: where to; by default WORKDIR/export/NAME.
          formats: of "keras", "saved_model", "tflite", "tflite_int8".
          options: check_images and representative_images, as `export.build.export`.

        Examples:
          >>> card = trained.export("exported", formats=["keras"])
          >>> card["formats"]["keras"]["file"], card["formats"]["keras"]["agrees"]
          ('model.keras', True)
        """
        folder = folder or self.workdir / "export" / self.folder.name
        stage_folders.check_folder("folder", str(folder))
        return build.export(self._trained, self.run.data, pathlib.Path(folder), formats, **options)

    @property
    def _trained(self) -> trained_lib.TrainedNetwork:
        found = trained_lib.read(str(self.workdir), self.folder.name, self.run.config)
        return found.with_record(lambda: self.run.data.record)
