"""The published figures (DARTS-PT, Wang et al., ICLR 2021), on test sets, by space, data set and method."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Figure:
    """A published figure.

    Attributes:
      source: where it stands, as "table 2".
      value: the figure, %.
      spread: its standard deviation, or None where there is none.
      statistic: of which runs it is: "mean", "best of 4", or "" where the paper does not say.
      what: what it measures.
      parameters: of the network, in millions, or None.
      gpu_days: of search and selection on one GTX 1080 Ti, or None.
    """

    source: str
    value: float
    spread: float | None = None
    statistic: str = ""
    what: str = "test error"
    parameters: float | None = None
    gpu_days: float | None = None

    def __str__(self) -> str:
        spread = "" if self.spread is None else f" ± {self.spread:.2f}"
        statistic = f" ({self.statistic})" if self.statistic else ""
        return f"{self.value:.2f}{spread} %{statistic}"


# Method: error, deviation, statistic, parameters in millions, GPU days. CIFAR-10, DARTS space.
_TABLE_2 = (
    ("darts", 3.00, 0.14, "mean", 3.3, 0.4),
    ("sdarts_rs", 2.67, 0.03, "mean", 3.4, 0.4),
    ("sgas", 2.66, 0.24, "mean", 3.7, 0.25),
    ("darts_pt", 2.61, 0.08, "mean", 3.0, 0.8),
    ("darts_pt", 2.48, None, "best", 3.3, 0.8),
    ("sdarts_rs_pt", 2.54, 0.10, "mean", 3.3, 0.8),
    ("sdarts_rs_pt", 2.44, None, "best", 3.2, 0.8),
    ("sgas_pt", 2.56, 0.10, "mean", 3.9, 0.29),
    ("sgas_pt", 2.46, None, "best", 3.9, 0.29),
)
# Tables 3 and 4 have errors of these methods.
_METHODS_3_AND_4 = ("darts", "darts_pt", "darts_pt_fixed_alpha")
# The best of four seeds each, as RobustDARTS reports them.
_TABLE_3 = {
    ("cifar10", "s1"): (3.84, 3.50, 2.86),
    ("cifar10", "s2"): (4.85, 2.79, 2.59),
    ("cifar10", "s3"): (3.34, 2.49, 2.52),
    ("cifar10", "s4"): (7.20, 2.64, 2.58),
    ("cifar100", "s1"): (29.46, 24.48, 24.40),
    ("cifar100", "s2"): (26.05, 23.16, 23.30),
    ("cifar100", "s3"): (28.90, 22.03, 21.94),
    ("cifar100", "s4"): (22.85, 20.80, 20.66),
    ("svhn", "s1"): (4.58, 2.62, 2.39),
    ("svhn", "s2"): (3.53, 2.53, 2.32),
    ("svhn", "s3"): (3.41, 2.42, 2.32),
    ("svhn", "s4"): (3.05, 2.42, 2.39),
}
# CIFAR-10.
_TABLE_4 = {"darts": (3.00, 2.61, 2.87), "nas_bench_201": (45.7, 11.89, 6.20)}
# Rows of settings that are published and of figures that are not.
WITHOUT_FIGURE = (
    *(
        ("darts", "cifar10", name)
        for name in ("darts_pt_loss", "darts_pt_no_finetuning", "darts_pt_one_shot")
    ),
    *(
        ("nas_bench_201", data_set, method)
        for data_set in ("cifar100", "imagenet16_120")
        for method in _METHODS_3_AND_4
    ),
    ("darts", "imagenet", "darts_pt"),
    *(("darts", "imagenet", f"darts_pt_genotype_{k}") for k in range(4)),
)


def published() -> list[tuple[tuple[str, str, str], Figure]]:
    """Return all figures with their (space, data set, method)."""
    accuracy = "supernet's test accuracy"
    found = [
        (("darts", "cifar10", "shuffle"), Figure("table 1", 88.44, what=accuracy)),
        (("darts", "cifar10", "shuffle"), Figure("table 1", 81.09, 1.87, what=f"{accuracy}, edges shuffled")),
    ]
    for method, error, spread, statistic, parameters, days in _TABLE_2:
        figure = Figure("table 2", error, spread, statistic, parameters=parameters, gpu_days=days)
        found.append((("darts", "cifar10", method), figure))
    found.append((("darts", "cifar10", "darts_pt_mag"), Figure("section 6.2", 2.85)))
    for (data_set, space), errors in _TABLE_3.items():
        for method, error in zip(_METHODS_3_AND_4, errors, strict=True):
            found.append(((space, data_set, method), Figure("table 3", error, statistic="best of 4")))
    for space, errors in _TABLE_4.items():
        for method, error in zip(_METHODS_3_AND_4, errors, strict=True):
            found.append(((space, "cifar10", method), Figure("table 4", error)))
    for what, error in (("test error", 26.7), ("top-5 test error", 8.7)):
        figure = Figure("DARTS, table 3", error, what=what, parameters=4.7)
        found.append((("darts", "imagenet", "darts_v2"), figure))
    return found
