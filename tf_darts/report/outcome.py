"""Did it work? What the selections of a work directory reach, beside cells that anyone can compare them with.

bin/run prints it at its end, and the page of a work directory begins with it.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from scipy import stats

from tf_darts.nas_bench.nas_bench_201 import NasBench201, accuracy_column
from tf_darts.plots.decisions import CONFIDENCE
from tf_darts.plots.table import NetworkRow
from tf_darts.report import spent
from tf_darts.report.workdir_contents import WorkdirContents
from tf_darts.runtime import command

TRUTH = "CIFAR-10"  # the data set of NAS-Bench-201 that cells are compared on
COMPARED = ("magnitude", "perturbation")
INTERVAL = f"{100 * CONFIDENCE:.0f} % interval"


def rows(
    record: WorkdirContents, table: NasBench201 | None, names: Sequence[str] | None = None
) -> list[NetworkRow]:
    """Return a row for every architecture, and after them those of `NasBench201.references`.

    Args:
      record: what the work directory holds.
      table: NAS-Bench-201's; None in every other space.
      names: of selections and trainings, whose rivals come after them; None: of all.
    """
    found = []
    rivals = {n: of for n in record.trainings if (of := record.rival(n).get("of"))}
    asked = [n for n in dict.fromkeys([*record.genotypes, *record.trainings]) if n not in rivals]
    asked = asked if names is None else list(names)
    for name in (*asked, *(n for n, of in rivals.items() if of in asked)):
        result = record.trainings[name].result if name in record.trainings else {}
        genotype = record.genotypes.get(name)
        if genotype is None and result:
            genotype = record.genotype_of_training(name)
        true = record.true_scores(name).get(TRUTH, {}).get("test", {})
        found.append(
            NetworkRow(
                name,
                "" if genotype is None else genotype.to_text(record.space),
                result.get("parameters"),
                result.get("test_accuracy"),
                true.get("accuracy"),
                true.get("rank"),
                spent.images(record, name),
                spent.cpu_seconds(record, name) if result else None,
                name in rivals,
            )
        )
    references = table.references(accuracy_column(TRUTH, "test")) if found and table is not None else ()
    return found + [NetworkRow(r.name, "", None, None, r.accuracy, r.rank) for r in references]


def columns(table: NasBench201) -> str:
    """Say in words what the columns of true accuracies are."""
    return (
        f"{TRUTH}, true: what NAS-Bench-201 measured of the same cell, at full size and after full training;"
        f" rank among all {len(table):,} cells."
    )


def verdict(record: WorkdirContents, compared: Sequence[NetworkRow]) -> list[str]:
    """Say in sentences what is better, and whether chance explains it; the last one says what to do.

    Args:
      record: what the work directory holds.
      compared: of `rows`.

    Returns:
      The sentences: on the two selections, where both are there, and on rivals, where there are some.
    """
    return _of_selections(record, compared) + _of_rivals(record, compared)


def _of_selections(record: WorkdirContents, compared: Sequence[NetworkRow]) -> list[str]:
    found = {row.method: row for row in compared}
    if not set(COMPARED) <= found.keys():
        return []
    other, own = (found[name] for name in COMPARED)
    if own.genotype == other.genotype:
        return ["Magnitude and perturbation selected the same cell."]
    results = [record.trainings[name].result if name in record.trainings else {} for name in COMPARED]
    said = []
    if all("test_images" in result for result in results):
        said.append(_of_networks(*results))
    if own.true_accuracy is not None and other.true_accuracy is not None:
        said.append(_of_cells(other, own))
    if said:
        advice = f"compare several with {command.of('report')} --compare"
        said.append(f"One seed says little: {advice}.")
    return said


def _of_rivals(record: WorkdirContents, compared: Sequence[NetworkRow]) -> list[str]:
    """Compare what was found with each of its rivals, and say which to take."""
    said, rivals = [], [row for row in compared if row.rival]
    for found in dict.fromkeys(record.rival(row.method)["of"] for row in rivals):
        names = [row.method for row in rivals if record.rival(row.method)["of"] == found]
        said += _beside_rivals(record, found, names)
    return said


def _beside_rivals(record: WorkdirContents, found: str, names: Sequence[str]) -> list[str]:
    """Compare one network with its rivals.

    Args:
      record: what the work directory holds.
      found: the name of its training.
      names: of those of its rivals.
    """
    own = record.trainings[found].result
    results = {name: result for name in names if (result := record.trainings[name].result)}
    said = [f"{name} is not trained yet, so it is not compared." for name in names if name not in results]
    if not results or not own:
        return said
    better, chance, short = [], [], []
    for name, result in results.items():
        said.append(_of_networks(result, own, found, name))
        _, low, high = difference(own, result)
        better += [name] * (high < 0)
        chance += [name] * (low <= 0 <= high)
        due = record.rival(name)["due_epochs"]
        if result["epochs"] < due:
            short.append(name)
            said.append(f"{name} was cut short: it had {result['epochs']} of the {due} epochs it was due.")
    if better:
        best = max(better, key=lambda name: results[name]["test_accuracy"])
        return [
            *said,
            f"So take {best}, which is better than what was found. It is trained already, and"
            f" {command.of('export')} --name={best} writes its files. To find a better network, give more"
            " images, a larger budget, or more epochs of search and training.",
        ]
    if chance:
        return [
            *said,
            f"So chance decides between {found} and {_listed(chance)}: {own['test_images']:,} test images"
            " cannot tell them apart. Take whichever is smaller or faster. To know which is better,"
            " compare more seeds or take more test images.",
        ]
    unfair = f", but {_listed(short)} had too little time for this to be certain" if short else ""
    return [*said, f"So take {found}: it is better than {_listed(list(results))}{unfair}."]


def _listed(names: Sequence[str]) -> str:
    return " and ".join(names)


def _of_networks(
    other: Mapping[str, Any],
    own: Mapping[str, Any],
    own_name: str = "perturbation",
    other_name: str = "magnitude",
) -> str:
    """Compare two networks that were trained here, by their results."""
    value, low, high = difference(own, other)
    interval = f"{INTERVAL} of the difference {100 * low:+.1f} to {100 * high:+.1f}"
    ahead = f"as good as {other_name}'s"
    if value:
        chance = "within chance" if low <= 0 <= high else "more than chance"
        place = "behind" if value < 0 else "ahead of"
        ahead = f"{100 * abs(value):.2f} points {place} {other_name}'s, which is {chance}"
    return f"On the {own['test_images']:,} test images here, {own_name}'s network is {ahead} ({interval})."


def _of_cells(other: NetworkRow, own: NetworkRow) -> str:
    """Compare the two cells by their true accuracies."""
    if own.true_accuracy == other.true_accuracy:
        return f"In truth, on {TRUTH}, the two cells are equally good."
    better, worse = (own, other) if own.true_accuracy > other.true_accuracy else (other, own)
    return (
        f"In truth, on {TRUTH}, {better.method}'s cell is better:"
        f" {better.true_accuracy:.2f} % and rank {better.rank:,}, {worse.method}'s has"
        f" {worse.true_accuracy:.2f} % and rank {worse.rank:,}."
    )


def wilson(result: Mapping[str, Any]) -> tuple[float, float]:
    """Return Wilson's interval for the test accuracy of a training's result, 0 to 1."""
    images = result["test_images"]
    correct = round(result["test_accuracy"] * images)
    interval = stats.binomtest(correct, images).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def difference(own: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[float, float, float]:
    """Return by how much a test accuracy is above another, 0 to 1, and where its interval begins and ends.

    The interval is Newcombe's for two independent accuracies (1998, method 10), made of Wilson's of each. It
    is rather too wide: networks get much the same images wrong, but which ones is not kept.
    """
    value = own["test_accuracy"] - other["test_accuracy"]
    (low, high), (low_of_other, high_of_other) = wilson(own), wilson(other)
    below = math.hypot(own["test_accuracy"] - low, high_of_other - other["test_accuracy"])
    above = math.hypot(high - own["test_accuracy"], other["test_accuracy"] - low_of_other)
    return value, value - below, value + above
