"""Make a small folder of images by class, for the tutorial: python examples/tutorial/make_images.py FOLDER.

It writes the threes, fives and eights among scikit-learn's handwritten digits, 8x8 pixels, as
FOLDER/CLASS/NUMBER.png.
"""

import pathlib
import sys

import numpy as np
from PIL import Image
from sklearn import datasets

CLASSES = {3: "three", 5: "five", 8: "eight"}


def main(folder):
    digits = datasets.load_digits()
    for digit, name in CLASSES.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in np.flatnonzero(digits.target == digit):
            pixels = np.rint(digits.images[number] * (255 / 16)).astype(np.uint8)  # 17 grey levels, 0 to 16
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
