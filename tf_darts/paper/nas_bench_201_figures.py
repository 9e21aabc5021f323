"""Published test accuracies of searches and selections in NAS-Bench-201, to stand beside a study's."""

import dataclasses

from tf_darts.paper import figures


@dataclasses.dataclass(frozen=True)
class PublishedAccuracies:
    """What a paper gives for one search and selection: test accuracies of the selected architecture, %.

    Attributes:
      search: the search method.
      selection: the selection.
      source: where it stands.
      cifar10: on CIFAR-10.
      cifar100: on CIFAR-100; None: not given.
      imagenet16: on ImageNet16-120; None: not given.
      differs: what differs from a search and a selection here, besides the scale.
    """

    search: str
    selection: str
    source: str
    cifar10: float
    cifar100: float | None = None
    imagenet16: float | None = None
    differs: str = ""

    @property
    def accuracies(self) -> tuple[float | None, ...]:
        """The three, in the order of `nas_bench.table_file.PREFIXES`."""
        return self.cifar10, self.cifar100, self.imagenet16


# By the name of a row of the paper: search and selection.
_OF_PAPER = {
    "darts": ("darts", "magnitude"),
    "darts_pt": ("darts", "perturbation"),
    "darts_pt_fixed_alpha": ("fixed_alpha", "perturbation"),
}
_OTHERS = (
    PublishedAccuracies(
        "beta_darts", "magnitude", "Ye et al., CVPR 2022", 94.36, 73.51, 46.34, "no spread is given"
    ),
    PublishedAccuracies(
        "darts_minus",
        "magnitude",
        "Chu et al., ICLR 2021",
        93.80,
        71.53,
        45.12,
        "a mean, as quoted elsewhere; not checked against the paper",
    ),
    PublishedAccuracies(
        "drnas_progressive",
        "magnitude",
        "Chen et al., ICLR 2021",
        94.36,
        73.51,
        46.34,
        "no spread is given; 50 epochs a stage, no step of alpha in the first 10 of each",
    ),
)


def published() -> list[PublishedAccuracies]:
    """Return all of them, those of DARTS-PT first."""
    found = [
        PublishedAccuracies(
            *_OF_PAPER[method],
            f"DARTS-PT, {figure.source}",
            round(100 - figure.value, 2),
            differs="the paper trains the architecture; the table here has three trainings of it",
        )
        for (space, data_set, method), figure in figures.published()
        if (space, data_set) == ("nas_bench_201", "cifar10")
    ]
    return [*found, *_OTHERS]
