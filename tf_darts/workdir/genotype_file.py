"""A genotype as a file, and as the value of a flag."""

import os
import pathlib

from tf_darts.errors import UserError, show, show_path
from tf_darts.genotypes import genotype as genotype_lib
from tf_darts.genotypes import text_forms as forms
from tf_darts.genotypes.genotype import Genotype
from tf_darts.spaces import Space
from tf_darts.workdir import files, top_file


def save(path: str | os.PathLike, genotype: Genotype, space: Space | None = None) -> None:
    """Write the JSON form; the file appears whole or not at all.

    Raises:
      UserError: the genotype is not one of its space, or the file cannot be written.
    """
    files.write_atomically(path, genotype.to_json(space).encode())


def load(path: str | os.PathLike, space: Space | None = None) -> Genotype:
    """Read the file that `save` wrote, or, where `space` is given, a file that holds a text form.

    Raises:
      UserError: no such file, or what is in it is not a genotype (of `space`, if given).
    """
    shown = str(path)
    try:
        # fspath first: open() takes an integer for a file descriptor.
        files.check(pathlib.Path(os.fspath(path)))
        with open(os.fspath(path), "rb") as file:
            data = file.read(4 * forms.longest(space) + 1)
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise forms.error(f"file {show_path(shown)} is not UTF-8 text: byte {error.start}") from None
    except (OSError, ValueError, TypeError) as error:
        raise forms.error(f"file {show_path(shown)} cannot be read: {files.reason(error)}") from None
    try:
        return genotype_lib.parse(text, space)
    except UserError as error:
        raise UserError(f"file {show_path(shown)}: {error}") from None


def read(value: str, space: Space | None = None) -> Genotype:
    """Read the genotype that a flag names: a text form (or JSON) itself, or else the path of a file with one.

    PATH:RANK is one of a selection's best: `runs/mine/selection/perturbation/top.json:2`.

    Args:
      value: the flag's value.
      space: the space it has to be of; needed for a text form, which does not name its space.

    Raises:
      UserError: as `load` and `from_text`.
    """
    if isinstance(value, str) and not os.path.exists(value):
        path, _, rank = value.rpartition(":")
        if os.path.basename(path) == top_file.NAME and os.path.isfile(path):
            return _ranked(path, rank, space)
        if forms.looks_like_genotype(value):
            return genotype_lib.parse(value, space)
        if (other := forms.other_form(value)) is not None:
            raise forms.error(
                f"{show(value)} looks like {other}; allowed: a file, JSON, Genotype(...) in the DARTS spaces,"
                " |operation~source|... in nas_bench_201"
            )
    return load(value, space)


def _ranked(path: str, rank: str, space: Space | None) -> Genotype:
    """Read the genotype of a rank from the file of a selection's best.

    Raises:
      UserError: the file has no such rank.
    """
    texts = {str(row.rank): row.genotype for row in top_file.read(pathlib.Path(path).parent)[1]}
    if rank not in texts:
        raise forms.error(f"file {show_path(path)} has no rank {show(rank)}; allowed: 1 to {len(texts)}")
    return genotype_lib.parse(texts[rank], space)
