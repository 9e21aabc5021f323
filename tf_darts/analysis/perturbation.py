"""Compare alpha with the effect of removing each operation, and with its true strength.

Every operation of every edge is removed once from the searched supernet, as perturbation-based selection
would begin (paper, section 4.1), and nothing is decided or trained. In NAS-Bench-201 the true
strength of an operation is the mean accuracy of all architectures that have it on that edge: what the
paper's figure 1 estimates by training, exactly.
"""

from collections.abc import Iterable, Sequence

from tf_darts.analysis import edges as edges_lib
from tf_darts.analysis import figures, measures
from tf_darts.analysis.analysis_run import AnalysisRun
from tf_darts.analysis.edges import Place
from tf_darts.genotypes.derive import candidates_of
from tf_darts.runtime.progress import Progress
from tf_darts.selection.probe import Prober
from tf_darts.selection.probe_steps import PURPOSE

PAIRS = (
    ("mixing_weight", "perturbation"),
    ("mixing_weight", "perturbation_loss"),
    ("mixing_weight", "true_strength"),
    ("perturbation", "true_strength"),
    ("perturbation_loss", "true_strength"),
)


def run(study: AnalysisRun) -> str:
    """Measure, compare, write probes.jsonl, result.json and pictures; return the comparisons as text."""
    rows = rows_of(study, measure(study, places(study)))
    return report(study, rows, PAIRS, {})


def places(study: AnalysisRun) -> list[Place]:
    """Return the edges that the config names, of those that the search left undecided.

    Raises:
      UserError: see `edges.undecided`.
    """
    bilevel = study.setup.bilevel
    there = {block.cell_type for block in bilevel.supernet.body.layout}
    open_edges = {
        t: bilevel.architecture.undecided_edges(t) if t in there else [] for t in study.space.cell_types
    }
    return edges_lib.undecided(study.space, study.config.analysis.edges, open_edges)


def measure(study: AnalysisRun, wanted: Iterable[Place]) -> list[dict]:
    """Probe every operation of some edges; do not probe again what probes.jsonl already holds.

    All probes, and the pass of the whole supernet that they are compared with, see the same images in the
    same order and augmentation, with batch statistics.

    Args:
      study: its folder has the file; its supernet has to be as it was searched.
      wanted: the edges.

    Returns:
      For each edge a row with `alpha` and `mixing_weights` of its operations, the score of the `whole`
      supernet, and `probes`.
    """
    lines = study.lines("probes.jsonl")
    done = {(row["cell_type"], row["edge"]): row for row in lines.rows}
    wanted = list(wanted)
    left = [place for place in wanted if place not in done]
    if left:
        setup, selection = study.setup, study.config.selection
        architecture = setup.bilevel.architecture
        images = setup.probe_images()
        # By the purpose and pass of the probes, so that it sees their images.
        evaluate = setup.evaluator(images, PURPOSE, True, selection.augment_probes, setup.probe_batch)
        whole = evaluate(pass_index=0).row()
        study.load()  # running statistics as before
        alpha = {t: a.numpy() for t, a in architecture.alpha.items()}
        weights = architecture.current_weights()
        prober, progress = Prober(setup, images), Progress("probe", len(wanted), len(wanted) - len(left))
        for number, (cell_type, edge) in enumerate(left, len(wanted) - len(left)):
            names = study.space.candidates[cell_type][edge]
            is_open = architecture.open_operations[cell_type].numpy()[edge]
            kept = [o for o in range(len(names)) if is_open[o]]
            scores = prober.score(cell_type, [(edge, o) for o in kept], pass_index=0)
            row = {
                "cell_type": cell_type,
                "edge": edge,
                "edge_name": str(study.space.edges[edge]),
                "whole": whole,
                "probes": [
                    {
                        "operation": names[o],
                        "index": o,
                        "alpha": float(alpha[cell_type][edge, o]),
                        "mixing_weight": float(weights[cell_type][edge, o]),
                        **score.row(),
                    }
                    for o, score in zip(kept, scores, strict=True)
                ],
            }
            lines.append(row)
            done[cell_type, edge] = row
            progress.update(number + 1)
    return [done[place] for place in wanted]


def rows_of(study: AnalysisRun, measured: Sequence[dict]) -> list[dict]:
    """Return a row for each operation with its measures, as `measures.compare` takes them.

    `perturbation` is by how much accuracy (0 to 1) falls without the operation, `perturbation_loss` by how
    much the cross-entropy rises; `true_strength` is in percent, and only there with a table.

    Raises:
      UserError: the table has no column `analysis.table_column`.
    """
    table, space = study.table, study.space
    true = None if table is None else table.operation_strength(study.config.analysis.table_column)
    rows = []
    for of_edge in measured:
        cell_type, edge, whole = of_edge["cell_type"], of_edge["edge"], of_edge["whole"]
        allowed = candidates_of(space, cell_type, edge)
        for probe in of_edge["probes"]:
            row = {name: of_edge[name] for name in ("cell_type", "edge", "edge_name")}
            row |= {name: probe[name] for name in ("operation", "index", "alpha", "mixing_weight")}
            row["allowed"] = probe["index"] in allowed
            row["perturbation"] = whole["accuracy"] - probe["accuracy"]
            row["perturbation_loss"] = probe["loss"] - whole["loss"]
            if true is not None:
                row["true_strength"] = float(true[edge, probe["index"]])
            rows.append(row)
    return rows


def report(study: AnalysisRun, rows: list[dict], pairs: Sequence[tuple[str, str]], curves: dict) -> str:
    """Write result.json and pictures of measured operations; return the comparisons as text.

    Args:
      study: whose folder they go to.
      rows: as `rows_of` returns them, perhaps with more measures.
      pairs: what is compared (a measure, and what it is judged by), where rows have both.
      curves: for TensorBoard.
    """
    pairs = [pair for pair in pairs if all(name in rows[0] for name in pair)]
    compared = [measures.compare(rows, *pair, seed=study.config.seed) for pair in pairs]
    table = {}
    if study.table is not None:
        table = {"table": study.table.source, "table_column": study.config.analysis.table_column}
    result = {
        "space": study.space.name,
        **table,
        "confidence": measures.CONFIDENCE,
        "comparisons": compared,
        "operations": rows,
    }
    judged_by = [name for name in dict.fromkeys(against for _, against in pairs)]
    pictures = {f"alpha_and_{name}": figures.bars(rows, "mixing_weight", name) for name in judged_by}
    pictures["chosen"] = figures.chosen(rows, ["mixing_weight", *judged_by])
    pictures["correlations"] = figures.scatter(rows, pairs, compared)
    study.leave(result, pictures, curves)
    return measures.summary(compared)
