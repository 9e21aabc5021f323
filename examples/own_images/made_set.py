"""Makes a set whose signal lies where an ordinary CNN does not look: one channel of eight, in slow waves.

    python examples/own_images/made_set.py FILE.npz

Each image has eight channels of 24x24 pixels of strong noise. In one of them lies a faint wave, twelve pixels
long; its direction, one of six, is the class. FILE.npz gets 1,800 training and 1,200 test images.
"""

import argparse
import pathlib

import numpy as np

SIDE, CHANNELS, CLASSES, WAVELENGTH = 24, 8, 6, 12.0
STRENGTH, NOISE = 0.35, 1.0
IMAGES = {"train": 1_800, "test": 1_200}


def images(count: int, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return images uint8 [count, 24, 24, 8] and labels int32 [count], every class as often as the others."""
    labels = np.arange(count, dtype=np.int32) % CLASSES
    angles = np.pi * labels / CLASSES
    rows, columns = np.mgrid[:SIDE, :SIDE]
    place = np.cos(angles)[:, None, None] * columns + np.sin(angles)[:, None, None] * rows
    phases = draw.uniform(0, 2 * np.pi, (count, 1, 1))
    pixels = NOISE * draw.normal(size=(count, SIDE, SIDE, CHANNELS))
    pixels[..., CHANNELS - 3] += STRENGTH * np.sin(2 * np.pi * place / WAVELENGTH + phases)
    return np.clip(np.rint(128 + 40 * pixels), 0, 255).astype(np.uint8), labels


def write(path: pathlib.Path, seed: int = 0) -> None:
    """Write the set; every seed gives another."""
    draw = np.random.default_rng(seed)
    arrays = {}
    for part, count in IMAGES.items():
        arrays[f"x_{part}"], arrays[f"y_{part}"] = images(count, draw)
    np.savez(path, **arrays)


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=pathlib.Path)
    write(parser.parse_args().file)


if __name__ == "__main__":
    main()
