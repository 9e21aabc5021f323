"""Makes a folder of images as people have them, of five classes of CIFAR-10.

    python examples/own_images/make_folder.py CIFAR10_STRIPS FOLDER

CIFAR10_STRIPS holds train_00.png, ..., test_09.png and labels.npz: 1,000 images of 32x32 below each other in
every picture. FOLDER gets train/CLASS/NUMBER.png, 600 images of each class, and test/CLASS/NUMBER.png, 400 of
each: the first ones in the data set's order.
"""

import argparse
import pathlib

import numpy as np
from PIL import Image

CLASSES = 5
IMAGES = {"train": 600, "test": 400}  # of each class


def strips(folder: pathlib.Path, part: str) -> np.ndarray:
    """Return the images of a part, uint8 [N, 32, 32, 3]."""
    pictures = [np.asarray(Image.open(path)) for path in sorted(folder.glob(f"{part}_*.png"))]
    return np.concatenate([picture.reshape(-1, 32, 32, 3) for picture in pictures])


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("strips", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    arguments = parser.parse_args()
    found = np.load(arguments.strips / "labels.npz", allow_pickle=False)
    for part, count in IMAGES.items():
        images, labels = strips(arguments.strips, part), found[f"{part}_labels"]
        for label, name in enumerate(found["class_names"][:CLASSES]):
            folder = arguments.folder / part / str(name)
            folder.mkdir(parents=True)
            for number in np.flatnonzero(labels == label)[:count]:
                Image.fromarray(images[number]).save(folder / f"{number:05}.png")


if __name__ == "__main__":
    main()
