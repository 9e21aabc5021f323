"""Operation strength, the paper's measure: accuracy of the supernet with one edge reduced to an operation.

"Discretization accuracy at convergence" (paper, section 3.1, figures 1 and 2): the edge is discretised to
the operation, the supernet is trained until it converges again, and its validation accuracy is taken.

Every operation starts from the searched checkpoint. The weights alone are trained, by the steps of the
selection's fine-tuning (`selection.finetune`, with its regularisation as configured) and a cosine of the
learning rate over `analysis.epochs`; alpha of the other edges stays as searched, and momentum starts empty.
All operations see the same batches. The accuracy is that of the validation half, not augmented, with
running statistics, after every epoch; the strength is the one after the last.
"""

from collections.abc import Sequence

import tensorflow as tf

from tf_darts.analysis import perturbation
from tf_darts.analysis.analysis_run import AnalysisRun
from tf_darts.optim import schedules
from tf_darts.runtime.progress import Progress
from tf_darts.selection import finetune
from tf_darts.workdir.checkpoints import Checkpoints
from tf_darts.workdir.records import JsonLines

PAIRS = (
    ("mixing_weight", "strength"),
    ("perturbation", "strength"),
    ("perturbation_loss", "strength"),
    ("strength", "true_strength"),
    *perturbation.PAIRS,
)


def run(study: AnalysisRun) -> str:
    """Train, compare, write training.jsonl, result.json and pictures; return the comparisons as text.

    Probes are those of the analysis `perturbation`, in its folder.
    """
    beside = study.of("perturbation")
    places = perturbation.places(beside)
    rows = perturbation.rows_of(study, perturbation.measure(beside, places))
    trained = train(study, [(row["cell_type"], row["edge"], row["index"]) for row in rows])
    curves = {}
    for row, accuracies in zip(rows, trained, strict=True):
        row |= {"strength": accuracies[-1], "best_strength": max(accuracies), "accuracies": accuracies}
        tag = f"{row['cell_type']}/{row['edge_name']}/{row['operation']}"
        curves[tag] = list(enumerate(accuracies, 1))
    return perturbation.report(study, rows, PAIRS, curves)


def train(study: AnalysisRun, wanted: Sequence[tuple[str, int, int]]) -> list[list[float]]:
    """Train the supernet once for every operation, continuing what the folder holds.

    Args:
      study: the analysis.
      wanted: cell type, edge and operation.

    Returns:
      For each, the validation accuracy (0 to 1) after every epoch.
    """
    setup, config = study.setup, study.config
    analysis, space, bilevel = config.analysis, study.space, setup.bilevel
    with setup.strategy.scope():
        bilevel.weight_optimizer = finetune.optimizer(setup)
    steps = finetune.steps(
        setup,
        trains_alpha=False,
        learning_rate=lambda epoch: schedules.cosine(
            analysis.learning_rate, analysis.learning_rate_min, epoch, analysis.epochs
        ),
    )
    evaluate = setup.evaluator(setup.valid, "analysis/strength", training=False, augment=False)
    checkpoints = Checkpoints(
        study.folder,
        config.runtime.checkpoint_minutes,
        ("run", "step"),
        supernet=bilevel.supernet,
        architecture=bilevel.architecture,
        weight_optimizer=bilevel.weight_optimizer,
    )
    # Runs are numbered by their place in the space, whichever of its edges are wanted now.
    numbers = {place: _number(space, *place) for place in wanted}
    saved = checkpoints.restore()
    finished = {row["run"] for row in study.lines("training.jsonl").rows if row["epoch"] == analysis.epochs}
    left = [place for place in wanted if numbers[place] not in finished]
    goes_on = bool(left) and saved["step"] > 0 and saved["run"] == numbers[left[0]]
    lines = JsonLines(
        study.folder / "training.jsonl",
        keep=lambda row: (
            row["run"] in finished
            or (goes_on and row["run"] == saved["run"] and row["epoch"] <= saved["step"] // steps.per_pass)
        ),
    )
    total = analysis.epochs * steps.per_pass
    done = (len(wanted) - len(left)) * total
    step = saved["step"] if goes_on else 0
    progress = Progress("strength", len(wanted) * total, done + step)
    for place in left:
        number, name = numbers[place], _name(study, place)
        if not step:
            _start(study, place)
        while step < total:
            columns, count = steps(step)
            step += count
            progress.update(done + step, f"{name}, accuracy {100 * columns['train_accuracy'].mean():.1f} %")
            if step % steps.per_pass:
                checkpoints.save_if_due(run=number, step=step)
                continue
            score = evaluate()
            lines.append(
                {
                    "run": number,
                    "name": name,
                    "epoch": step // steps.per_pass,  # so many are done
                    **score.row(),
                }
            )
            checkpoints.save(run=number, step=step)
        done, step = done + total, 0
    accuracies: dict[int, list[float]] = {}
    for row in lines.rows:
        accuracies.setdefault(row["run"], []).append(row["accuracy"])
    return [accuracies[numbers[place]] for place in wanted]


def _start(study: AnalysisRun, place: tuple[str, int, int]) -> None:
    """Load the searched supernet, decide one edge, and reset the optimiser."""
    study.load()
    bilevel = study.setup.bilevel
    bilevel.architecture.decide_operation(*place)
    for velocity in bilevel.weight_optimizer.velocity:
        velocity.assign(tf.zeros_like(velocity))


def _number(space, cell_type: str, edge: int, operation: int) -> int:
    places = len(space.edges)
    return (space.cell_types.index(cell_type) * places + edge) * space.num_operations + operation


def _name(study: AnalysisRun, place: tuple[str, int, int]) -> str:
    cell_type, edge, operation = place
    space = study.space
    return f"{cell_type} {space.edges[edge]} {space.candidates[cell_type][edge][operation]}"
