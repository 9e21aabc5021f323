"""Images from one .npz file."""

import os
import sys

import ml_collections
import numpy as np

from tf_darts.data import npz
from tf_darts.data.arrays import Arrays, Reading, bad
from tf_darts.data.class_labels import names_of
from tf_darts.data.image_arrays import doubt_of
from tf_darts.data.own_arrays import arrays_of, check_classes
from tf_darts.errors import UserError

KEYS = ("x_train", "y_train", "x_test", "y_test")
# Other names that published files have for them.
OTHER_KEYS = {
    "x_train": "train_images",
    "y_train": "train_labels",
    "x_test": "test_images",
    "y_test": "test_labels",
}
# Beside the images, where `user_data` has changed them: how (`arrays.Reading`).
FLOAT_RANGE, RESIZED = "float_range", "resized"


def load(data: ml_collections.ConfigDict, seed: int) -> Arrays:
    """Read `data.path`, a .npz file with x_train, y_train, x_test, y_test and maybe class_names.

    Images are as `image_arrays.images_of` takes them, of one size, labels as `class_labels.labels_of`. Labels
    that leave numbers out are numbered anew, and are the names of their classes. Without class_names there
    are as many classes as the labels say.

    Raises:
      UserError: the file or a key of it is missing, or an array has the wrong rank, type or values.
    """
    del seed  # nothing is drawn
    found = _read(data.path)
    reading = Reading(int(found.get(FLOAT_RANGE, 0)), bool(found.get(RESIZED, False)))
    try:
        arrays = arrays_of(
            ("x_train", found["x_train"]),
            ("y_train", found["y_train"]),
            ("x_test", found["x_test"]),
            ("y_test", found["y_test"]),
            names_of(found.get("class_names", ())),
        )
    except UserError as error:
        raise UserError(f"config: data.path is {data.path!r}: {error}") from None
    if "class_names" not in found:
        check_classes(arrays, "the key class_names", lambda *fault: bad("data.path", data.path, *fault))
    if doubt := doubt_of(arrays.x_train.shape):
        print(f"data: warning: {doubt}", file=sys.stderr)
    return arrays._replace(reading=reading) if FLOAT_RANGE in found or RESIZED in found else arrays


def _read(path: str) -> dict[str, np.ndarray]:
    """Return all arrays of the file that matter, by key."""
    allowed = f"a .npz file with the keys {', '.join(KEYS)}"
    full = os.path.expanduser(path)
    if not os.path.isfile(full):
        raise bad("data.path", path, "no such file", allowed)
    try:
        # Pickled arrays give an error: reading one runs code from the file.
        file = np.load(full, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise bad("data.path", path, "not a .npz file", allowed)
        with file:
            keys = {key: key if key in file.files else OTHER_KEYS[key] for key in KEYS}
            missing = [key for key, name in keys.items() if name not in file.files]
            if missing:
                fault = f"lacks the key {', '.join(missing)} (it has {', '.join(file.files) or 'none'})"
                raise bad("data.path", path, fault, allowed)
            more = {key: key for key in ("class_names", FLOAT_RANGE, RESIZED) if key in file.files}
            return {key: file[name] for key, name in {**keys, **more}.items()}
    except UserError:
        raise
    except npz.DAMAGED as error:
        raise bad("data.path", path, f"cannot be read ({error})", allowed + ", none pickled") from error
