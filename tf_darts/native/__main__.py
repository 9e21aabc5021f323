"""Compile the kernels now: for this machine, or with --carry into the package, for a wheel that has them."""

import argparse

from tf_darts.native import build, choice


def main() -> None:
    """Compile what is missing, or say why it cannot be."""
    parser = argparse.ArgumentParser(prog="python -m tf_darts.native", description=__doc__)
    parser.add_argument(
        "--carry",
        action="store_true",
        help="compile for all processors, into the package of this checkout: the next wheel carries them",
    )
    if not parser.parse_args().carry:
        choice.missing(tells=True)
        return
    try:
        made = build.carry()
    except build.BuildError as error:
        parser.exit(1, f"native kernels: none ({error})\n")
    print(*made, sep="\n")


if __name__ == "__main__":
    main()
