"""What a stage was made with of its data set, kept beside its config as `data.json`.

Later stages are compared with it, so that images that changed are named; export and predict take class names,
mean and deviation from it, not from a folder as it is by then.
"""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import numpy as np

from tf_darts.errors import UserError, listed
from tf_darts.workdir.records import read_json, write_json

NAME = "data.json"
_NAMED = 5  # classes that a message names


@dataclasses.dataclass(frozen=True)
class PartRecord:
    """The training or the test images.

    Attributes:
      images: how many.
      of_class: how many of each class; empty where labels are read with the images.
      sha256: of the images' content and their labels, in their order, as hexadecimal digits.
    """

    images: int
    of_class: tuple[int, ...]
    sha256: str


@dataclasses.dataclass(frozen=True, eq=False)
class DataRecord:
    """A data set as a stage saw it.

    Attributes:
      class_names: a name for each label.
      image_shape: (H, W, C) of the images that the network is given.
      mean: float32 [C], of each channel of the training images, in the scale [0, 1].
      std: float32 [C], standard deviation in that scale.
      train: the training images.
      test: the test images.
    """

    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    mean: np.ndarray
    std: np.ndarray
    train: PartRecord
    test: PartRecord

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def write(self, folder: pathlib.Path) -> None:
        """Write it into a stage's folder."""
        content = dataclasses.asdict(self) | {"mean": self.mean.tolist(), "std": self.std.tolist()}
        write_json(folder / NAME, content)

    @classmethod
    def read(cls, folder: pathlib.Path) -> DataRecord | None:
        """Read that of a stage's folder; None where there is none, as of version 1.0.

        Raises:
          UserError: it is damaged.
        """
        path = folder / NAME
        if not path.exists():
            return None
        content = read_json(path)
        try:
            height, width, channels = map(int, content["image_shape"])
            mean, std = (np.array(content[name], np.float32) for name in ("mean", "std"))
            if not mean.shape == std.shape == (channels,):
                raise ValueError(f"mean and std are not of {channels} channels")
            return cls(
                tuple(map(str, content["class_names"])),
                (height, width, channels),
                mean,
                std,
                _part(content["train"]),
                _part(content["test"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path} is damaged: {type(error).__name__}: {error}") from None

    def changes(self, now: DataRecord) -> list[str]:
        """Return in words what is another in a data set now; empty: nothing."""
        found = []
        if self.class_names != now.class_names:
            gone = [name for name in self.class_names if name not in now.class_names]
            new = [name for name in now.class_names if name not in self.class_names]
            said = [f"without {listed(gone, _NAMED)}"] if gone else []
            said += [f"with {listed(new, _NAMED)}"] if new else []
            found.append(f"the classes are now {' and '.join(said) or 'in another order'}")
        if self.image_shape != now.image_shape:
            found.append(f"images are {_size(now.image_shape)}, and were {_size(self.image_shape)}")
        for name in ("train", "test"):
            found += self._changes_of(now, name)
        return found

    def _changes_of(self, now: DataRecord, name: str) -> list[str]:
        before, after = getattr(self, name), getattr(now, name)
        what = {"train": "training", "test": "test"}[name]
        if before == after:
            return []
        if self.class_names == now.class_names and len(before.of_class) == len(after.of_class):
            moved = [
                f"{after_count} of class {class_name}, and were {before_count}"
                for class_name, before_count, after_count in zip(
                    self.class_names, before.of_class, after.of_class, strict=True
                )
                if before_count != after_count
            ]
            if moved:
                return [f"{what} images are {listed(moved, _NAMED, '; ')}"]
        if before.images != after.images:
            return [f"{what} images are {after.images}, and were {before.images}"]
        return [f"the {what} images have changed, or their order"]


def _part(content: dict[str, Any]) -> PartRecord:
    return PartRecord(
        int(content["images"]), tuple(int(count) for count in content["of_class"]), str(content["sha256"])
    )


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
