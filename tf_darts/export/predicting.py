"""Classes and probabilities of image files."""

import dataclasses
import os
import pathlib
import sys
from collections.abc import Callable, Sequence

import numpy as np

from tf_darts.data import image_file
from tf_darts.data.crop import Crop
from tf_darts.data.sources import averaged
from tf_darts.errors import UserError, listed
from tf_darts.export import FILES, build, card, model_file, reload
from tf_darts.export.formats import on_cpu
from tf_darts.runtime import command
from tf_darts.training.trained_network import TrainedNetwork
from tf_darts.workdir.records import read_json


@dataclasses.dataclass(frozen=True)
class Classifier:
    """What classifies image files.

    Attributes:
      answer: uint8 [N, H, W, C] -> probabilities float32 [N, classes].
      shape: H, W and C of its images.
      downscale: as `data.downscale` of the images that it was trained on.
      test_resize: as `data.test_resize` where these stayed on disk, else 0.
      class_names: a name for each class.
      fit: as `data.fit` of these images.
    """

    answer: Callable[[np.ndarray], np.ndarray]
    shape: tuple[int, int, int]
    downscale: int
    test_resize: int
    class_names: tuple[str, ...]
    fit: str = "squeeze"

    def classify(self, files: Sequence[str]) -> np.ndarray:
        """Return probabilities float32 [files, classes] of image files, of any size.

        Raises:
          UserError: a file is no image; or the model takes neither grey values nor colours.
        """
        channels = self.shape[-1]
        if channels not in image_file.MODES:
            raise UserError(f"--image: files have 1 or 3 channels, but the model takes {channels}")
        images, bad = [], []
        for file in files:
            try:
                images.append(self._pixels(file))
            except image_file.ERRORS as error:
                bad.append(f"{file} ({image_file.reason(error)})")
        if bad:
            raise UserError(f"--image: cannot read {listed(bad)}; allowed: {image_file.KINDS}")
        return self.answer(averaged(np.stack(images), self.downscale))

    def _pixels(self, file: str) -> np.ndarray:
        """Read a file's image as those of the training's test set were made."""
        height, width, channels = self.shape
        shape = height * self.downscale, width * self.downscale, channels
        if self.test_resize:
            image_file.decode(file, shape)  # refuses what is no image
            return Crop(height, self.test_resize).test(pathlib.Path(file).read_bytes()).numpy()
        return image_file.decode(file, shape, fit=self.fit)


def of_trained(trained: TrainedNetwork) -> Classifier:
    """Return a classifier from the network of a work directory, as what it was trained on says."""
    seen = trained.images

    def answer(images: np.ndarray) -> np.ndarray:
        with on_cpu():
            return build.probabilities(trained.network(), seen, images)

    config = trained.config.data
    resize = config.test_resize if config.stream else 0
    return Classifier(answer, seen.image_shape, config.downscale, resize, seen.class_names, config.fit)


def of_export(path: str) -> Classifier:
    """Return a classifier from a model that bin/export wrote.

    Args:
      path: the folder of an export, of which the first file of `FILES` is taken, or one of the files in it.

    Raises:
      UserError: there is none, it lacks its model card or cannot be read, or it does more than compute.
    """
    place = pathlib.Path(path).expanduser()
    folder = place if (place / card.JSON).exists() else place.parent
    if not place.exists() or not (folder / card.JSON).exists():
        made = f"a folder that {command.of('export')} made"
        raise UserError(f"--model: {path!r}; allowed: {made}, or a file in it, beside {card.JSON}")
    content = read_json(folder / card.JSON)
    if place == folder:
        place = next(folder / file for name, file in FILES.items() if name in content["formats"])
    model_file.check(place)
    try:
        model = reload.load(place)
    except (OSError, ValueError, TypeError, RuntimeError) as error:  # for a file that is none
        reason = str(error).splitlines()[0]
        raise UserError(f"--model: {str(place)!r} cannot be read: {reason}") from None
    data = content["data"]
    image = data["image"]
    shape = image["height"], image["width"], image["channels"]

    def answer(images: np.ndarray) -> np.ndarray:
        return reload.answers_of(model, images)[0]

    return Classifier(
        answer,
        shape,
        image["downscale"],
        image["test_resize"],
        tuple(data["classes"]),
        image.get("fit", "squeeze"),
    )


def image_files(names: Sequence[str]) -> list[str]:
    """Return the files that some names of files and folders stand for; of a folder, all in it.

    Raises:
      UserError: no such file, or a folder without images.
    """
    files = []
    for name in names:
        full = os.path.expanduser(name)
        if os.path.isdir(full):
            try:
                aside = image_file.Aside()
                found = image_file.names_in(full, aside)
            except OSError as error:
                raise UserError(f"--image: {name!r} cannot be listed: {error.strerror}") from None
            if not found:
                raise UserError(f"--image: {name!r} has no images; allowed: a folder of {image_file.KINDS}")
            if aside.skipped:
                print(f"--image: of {name}, skipped: {image_file.count_text(aside.skipped)}", file=sys.stderr)
            files += [os.path.join(full, f) for f in found]
        elif os.path.exists(full):
            files.append(full)
        else:
            raise UserError(f"--image: {name!r}: no such file; allowed: an image file, or a folder of them")
    return files
