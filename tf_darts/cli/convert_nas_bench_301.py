"""Makes plain arrays of NAS-Bench-301's surrogate: bin/convert_nas_bench_301 --source=... --output=....

The benchmark's models are pickles: its package, which reads them, runs what is in them.
"""

import importlib.util
import os

import numpy as np
from absl import flags

from tf_darts import trust
from tf_darts.cli import shared_flags
from tf_darts.errors import UserError
from tf_darts.genotypes.genotype import Genotype
from tf_darts.genotypes.published import PUBLISHED
from tf_darts.nas_bench.convert_nas_bench_301 import convert
from tf_darts.nas_bench.nas_bench_301 import CELL_TYPES, NasBench301

_SOURCE = flags.DEFINE_string(
    "source",
    None,
    "Folder of an ensemble of XGBoost models, such as nb_models_1.0/xgb_v1.0. The package nasbench301"
    " unpickles them, which runs what is in them: name the folder by --trust too.",
)
_OUTPUT = flags.DEFINE_string("output", None, "A new file for the arrays, such as nb301.npz.")


def program() -> None:
    """Convert; print what is there now and what it says of a genotype."""
    source, output = (os.path.expanduser(flag.value or "") for flag in (_SOURCE, _OUTPUT))
    if not source:
        raise UserError("--source: missing; give the folder of an ensemble of NAS-Bench-301")
    if not os.path.isdir(source):
        raise UserError(f"--source: {source!r}: no such folder")
    if not output.endswith(".npz"):
        raise UserError(f"--output: {output!r}; allowed: a new file, for example --output=nb301.npz")
    shared_flags.check_new_file("--output", output)
    if not trust.allows_path(source):
        raise UserError(
            f"--source: {source!r} holds pickles: reading them runs what is in them; allowed: a folder that"
            f" you trust, with {trust.flag([source])}"
        )
    for package in ("nasbench301", "xgboost"):
        if importlib.util.find_spec(package) is None:
            raise UserError(f"--source: the package {package} is missing; install it as the benchmark says")
    surrogate = _converted(source)
    np.savez_compressed(output, **surrogate.arrays())  # type: ignore[arg-type]
    trees = surrogate.trees
    print(f"{len(trees.base_scores)} members with {len(trees.roots):,} trees are in {output}.")
    found = NasBench301.load(output).predict(PUBLISHED["darts_v2"])
    print(f"Of the genotype darts_v2 they predict {found.accuracy:.2f} % (± {found.deviation:.2f}).")


def _converted(source: str) -> NasBench301:
    from nasbench301 import api, representations

    ensemble = api.load_ensemble(source)
    members = ensemble.model.ensemble_members

    def config_of(genotype: Genotype) -> dict:
        cells = {t: [(c.operation, c.source) for c in genotype.cells[t]] for t in CELL_TYPES}
        whole = range(2, 6)
        named = representations.Genotype(cells["normal"], whole, cells["reduce"], whole)
        return {**api.fixed_hyperparameters, **ensemble.convert_representation(named, "genotype")}

    def encode(genotype: Genotype) -> np.ndarray:
        vector = members[0].config_loader.query_config_dict(config_of(genotype)).get_array()
        return np.where(np.isnan(vector), -1.0, vector)

    def predict(genotype: Genotype) -> list[float]:
        config = config_of(genotype)
        return [float(np.ravel(member.query(dict(config)))[0]) for member in members]

    return convert([member.model for member in members], encode, predict)


def main() -> None:
    """Run the program."""
    shared_flags.run(program)


if __name__ == "__main__":
    main()
