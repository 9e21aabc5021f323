"""The paper's Proposition 1, and alphas that are trained where the optimal feature map is known.

An edge mixes a skip connection, which passes its input x on, and a convolution with output o; both estimate
the optimal feature map m*, with errors s = x - m* and c = o - m*. With mixing weights t for the convolution
and 1 - t for the skip connection the mixture's error is t c + (1 - t) s, so that

    var(t) = t^2 var(c) + (1 - t)^2 var(s) + 2 t (1 - t) cov(c, s).

Its derivative, 2 t var(c) - 2 (1 - t) var(s) + 2 (1 - 2t) cov(c, s), is zero at

    t = (var(s) - cov(c, s)) / (var(c) + var(s) - 2 cov(c, s)),

a minimum, because the denominator is var(c - s) > 0. Where errors are independent, cov(c, s) = 0 and

    t : (1 - t) = var(x - m*) : var(o - m*).

Each operation's weight is proportional to the variance of the *other* one's error (paper, equations 3 and
4). As mixing weights are a softmax, it is exp(alpha) that is proportional: alpha_conv - alpha_skip = log
var(x - m*) - log var(o - m*). Where t falls outside of [0, 1] the best that a softmax comes near to is the
border.

Two experiments train alpha by Adam on the mean square of the mixture's error and compare:

  independent   both errors are drawn, for several ratios of their variances: the proposition's assumptions
                hold
  cell          a chain of edges as in the supernet: `layers.mixed_op.MixedOp` with a skip connection and a
                3x3 convolution, on feature maps of scikit-learn's digits. The first edge sees m* with noise,
                each further one the mixture before it, at the scale of m*; every edge estimates the same m*
                ("unrolled estimation"). Weights are fitted on one third of the images and alpha on another;
                variances are measured on the last. Here the two errors are correlated.

It needs no searched supernet. config.py, beside this file, says how it is run.
"""

import dataclasses

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

from tf_darts.analysis import figures
from tf_darts.extend import AnalysisRun
from tf_darts.layers.mixed_op import MixedOp
from tf_darts.optim.optimizers import SGD, Adam
from tf_darts.optim.schedules import cosine
from tf_darts.plots.table import aligned_lines
from tf_darts.runtime import strategy
from tf_darts.runtime.seeds import fold

RATIOS = (1 / 16, 1 / 4, 1 / 2, 1.0, 2.0, 4.0, 16.0)  # var(x - m*) : var(o - m*)
OPERATIONS = ("skip_connect", "nor_conv_3x3")
CHANNELS, EDGES, NOISE = 4, 3, 0.5  # NOISE: share of the first edge's input that is noise, in variance
STEPS, ALPHA_STEPS = 200, 200  # of weights and alpha in turn, then of alpha alone
WEIGHT_RATE, ALPHA_RATE = 0.1, 0.05


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One edge: what alpha came to, and what the closed form says.

    Attributes:
      skip: measured var(x - m*).
      conv: measured var(o - m*).
      covariance: of the two errors, measured.
      trained: the convolution's mixing weight after training.
      optimal: its best value, the covariance counted.
      proposition: its best value for independent errors, as in the paper.
      gradient: of the loss, by alpha of the convolution, when training ended.
    """

    skip: float
    conv: float
    covariance: float
    trained: float
    optimal: float
    proposition: float
    gradient: float


def optimal_weight(conv: float, skip: float, covariance: float = 0.0) -> float:
    """Return the convolution's mixing weight, in [0, 1], that minimises the variance of the mixture's error.

    Args:
      conv: var(o - m*), the convolution's error.
      skip: var(x - m*), the skip connection's.
      covariance: of the two; 0 is the paper's proposition.

    Raises:
      ValueError: the errors are equal, so that every weight is as good.
    """
    apart = conv + skip - 2.0 * covariance
    if apart <= 0.0:
        raise ValueError(f"var(o - x) is {apart}: the two errors are the same, and no weight is better")
    return min(max((skip - covariance) / apart, 0.0), 1.0)


def run(study: AnalysisRun) -> str:
    """Train, write result.json and a picture; return the comparison as text."""
    result = study.result()
    if result is None:
        strategy.start(study.config.runtime)
        seed = fold(study.config.seed, "analysis/proposition_1")
        result = {
            "independent": [dataclasses.asdict(row) for row in independent(seed, RATIOS)],
            "cell": [dataclasses.asdict(row) for row in cell(seed)],
        }
        study.leave(result, {"proposition_1": _picture(result)}, _curves(result))
    return _summary(result)


run.needs_no_search = True


def independent(seed: int, ratios: tuple[float, ...], size: int = 20_000) -> list[Outcome]:
    """Train alpha on errors that are drawn independently.

    Args:
      seed: of the draws.
      ratios: var(x - m*) : var(o - m*); the two sum to 1.
      size: values in the feature map.
    """
    rng = np.random.default_rng(fold(seed, "independent"))
    rows = np.array([[1.0 - r / (1.0 + r), r / (1.0 + r)] for r in ratios], np.float32)  # conv, skip
    errors = tf.constant(np.sqrt(rows)[:, :, None] * rng.standard_normal((*rows.shape, size)), tf.float32)
    alpha = tf.Variable(tf.zeros(rows.shape))
    adam = Adam([alpha], ALPHA_RATE, 0.5, 0.999, 1e-8, 0.0)

    def gradient() -> tf.Tensor:
        with tf.GradientTape() as tape:
            mixture = tf.reduce_sum(tf.nn.softmax(alpha)[:, :, None] * errors, 1)
            loss = tf.reduce_sum(tf.reduce_mean(mixture**2, -1))
        return tape.gradient(loss, alpha)

    @tf.function
    def train() -> tf.Tensor:
        for _ in tf.range(STEPS + ALPHA_STEPS):
            adam.apply([gradient()])
        return gradient()

    left, weights = train().numpy(), tf.nn.softmax(alpha).numpy()
    return [_outcome(*errors[i].numpy(), weights[i, 0], left[i, 0]) for i in range(len(rows))]


class Cell:
    """A chain of mixed edges that all estimate one feature map.

    Args:
      seed: of images, noise and initial weights.

    Attributes:
      parts: thirds of the images, each (m*, the first edge's input), float32 [N, 8, 8, CHANNELS].
      alpha: float32 [EDGES, 2], in the order of `OPERATIONS`.
      weights: of the convolutions.
    """

    def __init__(self, seed: int):
        rng = np.random.default_rng(fold(seed, "cell"))
        images = load_digits().images.astype(np.float32)[rng.permutation(1797)]
        kernel = rng.standard_normal((3, 3, 1, CHANNELS)).astype(np.float32)
        best = _standardised(tf.nn.conv2d(images[..., None], kernel, 1, "SAME"))
        noise = rng.standard_normal(best.shape).astype(np.float32)
        seen = np.float32((1 - NOISE) ** 0.5) * best + np.float32(NOISE**0.5) * noise
        self.parts = list(zip(tf.split(best, 3), tf.split(seen, 3), strict=True))
        self._edges = [
            MixedOp(OPERATIONS, CHANNELS, 1, frozenset(), fold(seed, "edge", e)) for e in range(EDGES)
        ]
        self.alpha = tf.Variable(tf.zeros([EDGES, len(OPERATIONS)]))
        self.weights = [v.value for edge in self._edges for v in edge.trainable_variables]

    def edges(self, seen: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor]]:
        """Return each edge's input and its mixture; gradients stay within an edge."""
        found, x = [], seen
        for edge, row in zip(self._edges, tf.unstack(tf.nn.softmax(self.alpha)), strict=True):
            wide = tf.unstack(tf.broadcast_to(row[:, None], [len(OPERATIONS), CHANNELS]))
            mixture = edge(x, mixing_weights=wide, training=True)
            found.append((x, mixture))
            x = tf.stop_gradient(_standardised(mixture))
        return found

    def gradients(self, part: int, variables: list[tf.Variable]) -> list[tf.Tensor]:
        """Return gradients of the mean square errors, summed over the edges, on a third of the images."""
        best, seen = self.parts[part]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            loss = tf.add_n([tf.reduce_mean((mixture - best) ** 2) for _, mixture in self.edges(seen)])
        return tape.gradient(loss, variables)


def cell(seed: int) -> list[Outcome]:
    """Train a `Cell`, weights and alpha in turn as DARTS does, then alpha alone; an outcome per edge."""
    made = Cell(seed)
    sgd = SGD(made.weights, 0.9, 0.0, 0.0)
    adam = Adam([made.alpha], ALPHA_RATE, 0.5, 0.999, 1e-8, 0.0)

    @tf.function
    def train() -> tf.Tensor:
        for step in tf.range(STEPS):
            adam.apply(made.gradients(1, [made.alpha]))
            sgd.apply(made.gradients(0, made.weights), cosine(WEIGHT_RATE, 0.0, step, STEPS))
        for _ in tf.range(ALPHA_STEPS):
            adam.apply(made.gradients(1, [made.alpha]))
        return made.gradients(1, [made.alpha])[0]

    left, trained = train().numpy(), tf.nn.softmax(made.alpha).numpy()
    best, seen = made.parts[2]
    outcomes = []
    for e, (x, mixture) in enumerate(made.edges(seen)):
        skip, conv = trained[e]
        output = (mixture - skip * x) / conv  # of the convolution alone
        outcomes.append(_outcome((output - best).numpy(), (x - best).numpy(), conv, left[e, 1]))
    return outcomes


def _standardised(x: tf.Tensor) -> tf.Tensor:
    """Return x with mean 0 and variance 1 in every channel."""
    mean, variance = tf.nn.moments(x, [0, 1, 2])
    return (x - mean) / tf.sqrt(variance)


def _outcome(conv_error: np.ndarray, skip_error: np.ndarray, trained: float, gradient: float) -> Outcome:
    ((conv, covariance), (_, skip)) = np.cov(conv_error.ravel(), skip_error.ravel()).tolist()
    return Outcome(
        skip,
        conv,
        covariance,
        float(trained),
        optimal_weight(conv, skip, covariance),
        optimal_weight(conv, skip),
        float(gradient),
    )


def _curves(result: dict) -> dict[str, list[tuple[int, float]]]:
    """Return the mixing weights of the convolutions along the chain."""
    names = ("trained", "optimal", "proposition")
    return {f"cell/{name}": [(e + 1, row[name]) for e, row in enumerate(result["cell"])] for name in names}


def _summary(result: dict) -> str:
    headings = ("errors", "var skip", "var conv", "correlation", "trained", "closed form", "proposition 1")
    rows = []
    for name, label in (("independent", "independent"), ("cell", "cell, edge {}")):
        for number, row in enumerate(result[name], 1):
            spread = (row["skip"] * row["conv"]) ** 0.5
            figures_of_row = (row["skip"], row["conv"], row["covariance"] / spread)
            weights = (row["trained"], row["optimal"], row["proposition"])
            rows.append((label.format(number), *(f"{value:.3f}" for value in figures_of_row + weights)))
    head = "Mixing weight of the convolution: trained, best with the covariance, best without (the paper):"
    return "\n".join([head, *aligned_lines(headings, rows, right=range(1, 7))])


def _picture(result: dict) -> Figure:
    figure = figures.new(8.4, 3.4)
    left, right = figure.subplots(1, 2)
    rows = result["independent"]
    ratios = [row["skip"] / row["conv"] for row in rows]
    line = np.geomspace(min(ratios) / 2, max(ratios) * 2, 200)
    left.semilogx(line, line / (1 + line), color=figures.LEFT, label="Proposition 1")
    left.semilogx(ratios, [row["trained"] for row in rows], "o", color=figures.RIGHT, label="trained")
    left.set_xlabel("var(x - m*) / var(o - m*), independent errors", fontsize=8)
    left.set_ylabel("mixing weight of the convolution", fontsize=8)
    places = np.arange(len(result["cell"]))
    styles = (("trained", figures.RIGHT), ("optimal", "#009E73"), ("proposition", figures.LEFT))
    labels = {"optimal": "closed form with covariance", "proposition": "Proposition 1"}
    for shift, (name, colour) in zip((-0.27, 0.0, 0.27), styles, strict=True):
        values = [row[name] for row in result["cell"]]
        right.bar(places + shift, values, 0.25, color=colour, label=labels.get(name, name))
    right.set_xticks(places, [f"edge {e + 1}" for e in places], fontsize=8)
    right.set_xlabel("a cell on digits", fontsize=8)
    for axes in (left, right):
        axes.legend(fontsize=7, frameon=False)
        axes.tick_params(labelsize=7)
    return figure
