"""What a searched supernet says about the paper's claims: analyses by name.

An analysis is one function (study) -> text and one entry here. It leaves result.json and pictures in its
folder, WORKDIR/analysis/NAME, continues what it finds there, and returns what a program prints.
"""

from tf_darts.registry import Registry

_HERE = "tf_darts.analysis"

ANALYSES = Registry(
    "analysis",
    {
        "perturbation": f"{_HERE}.perturbation:run",
        "strength": f"{_HERE}.strength:run",
        "shuffle": f"{_HERE}.shuffle:run",
        "skip_share": f"{_HERE}.skip_share:run",
        "proposition_1": f"{_HERE}.proposition_1:run",
        "hessian": f"{_HERE}.hessian:run",
    },
)

# Those that look at no searched supernet.
NEEDS_NO_SEARCH = frozenset({"proposition_1"})

# Fields of the config, besides those that the search depends on, which what an analysis measures depends on.
# Others only say how much of it is measured, or what is made of it, and may change.
READS: dict[str, tuple[str, ...]] = {
    "perturbation": ("selection.augment_probes", "selection.probe_images"),
    "strength": (
        "analysis.epochs",
        "analysis.learning_rate",
        "analysis.learning_rate_min",
        "selection.weight_decay",
        "selection.drop_path",
        "selection.cutout_length",
        "selection.label_smoothing",
        "selection.noise_radius",
    ),
}
