"""Classifies image files: bin/predict --model=EXPORTED --image=FILE_OR_FOLDER, or with --workdir=TRAINED."""

import pathlib

from absl import flags

from tf_darts.cli import shared_flags, trained
from tf_darts.errors import UserError
from tf_darts.runtime.quiet import quiet_start

_MODEL = flags.DEFINE_string(
    "model",
    None,
    "What bin/export made: its folder, or one of the files in it. Without it, --workdir names a trained"
    " network.",
)
_IMAGES = flags.DEFINE_multi_string(
    "image", [], "An image file or a folder of them; may be given several times."
)
_TOP = flags.DEFINE_integer("top", 3, "How many of the most probable classes to print.", lower_bound=1)
_OUTPUT = flags.DEFINE_string("output", None, "A CSV file for the probabilities of all classes.")
flags.adopt_module_key_flags(trained)  # --help lists the shared flags too


def program() -> None:
    """Print a line for each image: the most probable classes and their probabilities."""
    if not _IMAGES.value:
        raise UserError("--image: missing; give an image file, or a folder of them")
    with quiet_start():
        from tf_darts.export import predicting
        from tf_darts.workdir.records import write_csv

    files = predicting.image_files(_IMAGES.value)
    with quiet_start():
        if _MODEL.value is not None:
            classifier = predicting.of_export(_MODEL.value)
        else:
            classifier = predicting.of_trained(trained.load())
        probabilities = classifier.classify(files)
    names = classifier.class_names
    for file, row in zip(files, probabilities, strict=True):
        best = row.argsort(kind="stable")[::-1][: _TOP.value]
        print(f"{file}: " + ", ".join(f"{names[k]} {100 * row[k]:.2f} %" for k in best))
    if _OUTPUT.value is not None:
        columns = [f"probability of {name}" for name in names]
        rows = [
            {"image": file, "class": names[row.argmax()], **dict(zip(columns, map(float, row), strict=True))}
            for file, row in zip(files, probabilities, strict=True)
        ]
        write_csv(pathlib.Path(_OUTPUT.value), ("image", "class", *columns), rows)
        print(f"The probabilities of all classes are in {_OUTPUT.value}")


def main() -> None:
    """Run the program."""
    shared_flags.run(program, recorded=True)


if __name__ == "__main__":
    main()
