"""The page of one work directory: what was found, why it was chosen, how it trained, and what it took."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tf_darts.config.depends import runs_strange_code
from tf_darts.genotypes.genotype import from_text
from tf_darts.nas_bench import nas_bench_201
from tf_darts.plots import decisions, heat_map, svg
from tf_darts.plots.cell_diagram import draw_cell
from tf_darts.plots.colours import shades
from tf_darts.plots.decisions import WORTH, ShownDecision
from tf_darts.plots.mixture_diagram import draw_mixture
from tf_darts.plots.table import COST_HEADINGS, NetworkRow
from tf_darts.registry import UNTRAINED_ALPHA
from tf_darts.report import curves, further, outcome, page, pareto, spent, strength
from tf_darts.report.page import NARROW, HtmlTable
from tf_darts.report.workdir_contents import StageContents, WorkdirContents
from tf_darts.runtime.progress import duration
from tf_darts.search.alpha_summary import skip_share_of
from tf_darts.search.replay import of_epochs
from tf_darts.spaces import Space
from tf_darts.workdir.tensorboard_texts import changes

SUPERNET_TEST = "evaluation/test_accuracy"
_CONSTANT = "Alpha did not change in this search, so the charts and maps that would show it are left out."
_NAMED = 6  # decisions that a sentence names
_INTERVAL = outcome.INTERVAL


def make(record: WorkdirContents) -> str:
    """Return the page, as HTML."""
    config, space = record.config, record.space
    # A method's code says how alpha mixes; a report of somebody else's work directory does without it.
    known = not runs_strange_code(config)
    weights = of_epochs(config, space, record.search.epochs, record.search.decisions) if known else {}
    moved = _moved(config.search.method, weights)
    shown = list(weights) if moved else []
    decided = [
        _decided(record, name, made, moved)
        for name, stage in record.selections.items()
        if (made := decisions.shown_all(space, stage.decisions))
    ]
    content = {
        "summary": _summary(record, decided),
        "cells": [_cells(record, name) for name in record.genotypes],
        "decided": decided,
        "costs": pareto.make(record),
        "curves": _curves(record, moved),
        "constant": "" if moved else _CONSTANT,
        "heat_maps": [
            svg.inline(
                heat_map.over_epochs(space, t, [weights[epoch][t] for epoch in shown], shown),
                f"heat-{t}",
                f"Mixing weights of the {t} cell over the epochs",
            )
            for t in (space.cell_types if shown else ())
        ],
        "mixtures": [
            svg.inline(
                draw_mixture(space, t, weights[shown[-1]][t]),
                f"mixture-{t}",
                f"The supernet's {t} cell with its mixing weights",
            )
            for t in (space.cell_types if shown else ())
        ],
        "errors": [found for name, s in record.trainings.items() if (found := _errors(name, s))],
        "analyses": [_analysis(name, stage) for name, stage in record.analyses.items()],
        "cost": _cost(record),
        "changed": HtmlTable(
            ("field", "value", "default"), [(n, repr(v), repr(d)) for n, v, d in changes(config.to_dict())]
        ),
        "further": further.steps(record),
        "config": json.dumps(config.to_dict(), indent=2, default=str),
        "versions": HtmlTable(("package", "version"), list(record.versions.items())),
    }
    named = [("summary", "Summary"), ("cells", "Cells")]
    sections = [(i, n) for i, n in named if i == "summary" or content[i]]
    sections += [(d["id"], f"Decisions: {d['name']}") for d in decided]
    named = [("costs", "Accuracy against cost"), ("curves", "Curves")]
    named += [("errors", "Errors"), ("analyses", "Analyses")]
    sections += [(i, n) for i, n in named if content[i]]
    sections += [("cost", "Time and memory"), ("config", "Config"), ("further", "What now")]
    subtitle = (
        f"{_data(record)}; space {space.name}; search method {config.search.method}; seed {config.seed}"
    )
    return page.render("workdir.html", record.workdir.name, subtitle, sections, **content)


def _moved(method: str, weights: Mapping[int, Mapping[str, np.ndarray]]) -> bool:
    """Return whether alpha changed during the search: otherwise pictures of it are of one colour."""
    if method in UNTRAINED_ALPHA:
        return False
    first, *others = [*weights.values()] or [{}]
    return not others or any(not np.array_equal(w[t], first[t]) for w in others for t in first)


def _data(record: WorkdirContents) -> str:
    data = record.config.data
    return data.name if data.source == "tfds" else data.source


def percent(share: float | None, digits: int = 2) -> str:
    """Format a share (0 to 1) as a percentage; a dash if it is not known."""
    return "-" if share is None else f"{100 * share:.{digits}f} %"


def _summary(record: WorkdirContents, decided: list[dict]) -> dict[str, Any]:
    search, config = record.search, record.config
    done, total = len(search.epochs), config.search.epochs * spent.searches(record)
    if not search.result:
        state = f"is at epoch {done} of {total}" if search.folder.exists() else "has not begun"
    elif "imported" in search.result:
        state = "is that of a supernet from elsewhere"
    elif done < total:
        state = f"was stopped early, after {done} of {total} epochs"
    else:
        state = f"took {total} epoch{'s'[: total != 1]}"
    lines = [f"The search {state}."]
    for stage in record.stages:
        texts = stage.file("warnings.json").get("warnings", {}).values()
        lines += [f"Warning, {stage.name}: {text}" for text in texts]
    table = nas_bench_201.of_space(record.space.name)
    found = outcome.rows(record, table)
    said = outcome.verdict(record, found)
    lines += [" ".join([*said, outcome.columns(table)] if table is not None else said)] if said else []
    trained = {n: s.result for n, s in record.trainings.items() if s.result}
    if len(trained) > 1 and not said:
        best = max(trained, key=lambda name: trained[name]["test_accuracy"])
        others = ", ".join(f"{n} {percent(r['test_accuracy'])}" for n, r in trained.items() if n != best)
        lines.append(
            f"Of the networks that were trained, {best} has the highest test accuracy,"
            f" {percent(trained[best]['test_accuracy'])} ({others}). One seed says little: compare several"
            " with bin/report --compare."
        )
    for selection in decided:
        if selection["narrow"]:
            lines.append(
                f"{selection['name']}: {selection['narrow']} of {selection['probed']} decisions were narrow:"
                " chance in the images may have made them."
            )
    facts = [("space", record.space.name), ("data", _data(record)), ("search method", config.search.method)]
    if search.epochs:
        last = search.epochs[-1]
        accuracies = [
            row["evaluation/test_accuracy"] for row in search.epochs if "evaluation/test_accuracy" in row
        ]
        facts += [("supernet's test accuracy", percent(accuracies[-1]))] if accuracies else []
        facts += [("skip connections by magnitude", percent(last.get("skip_share"), 0))]
    seconds = [stage.seconds for stage in record.stages if stage.seconds is not None]
    facts += [("time in all", duration(sum(seconds)))] if seconds else []
    return {"lines": lines, "facts": facts, "table": _results(record, found)}


def _results(record: WorkdirContents, found: Sequence[NetworkRow]) -> HtmlTable:
    """Return a table with a row for every architecture, and for those to compare them with.

    What tells them apart comes first, for phones; what is not known of any is left out.
    """
    rows = []
    for row in found:
        name = row.method
        result = record.trainings[name].result if name in record.trainings else {}
        genotype = from_text(row.genotype, record.space) if row.genotype else None
        parameters, test, true, rank = row.figures()
        low, high = outcome.wilson(result) if "test_images" in result else (None, None)
        rows.append(
            (
                name,
                true,
                rank,
                test,
                "-" if low is None else f"{100 * low:.1f} to {100 * high:.1f}",
                parameters,
                percent(result.get("best_test_accuracy")),
                "-" if genotype is None else percent(skip_share_of(genotype), 0),
                *row.cost(),
            )
        )
    headings = ("architecture", f"{outcome.TRUTH}, true", "rank", "test accuracy", outcome.INTERVAL)
    headings += ("parameters", "best epoch", "skip connections", *COST_HEADINGS)
    keep = [i for i in range(len(headings)) if any(row[i] != "-" for row in rows)]
    kept = [[row[i] for i in keep] for row in rows]
    return HtmlTable([headings[i] for i in keep], kept, range(1, len(keep)))


def _cells(record: WorkdirContents, name: str) -> dict[str, Any]:
    genotype, space = record.genotypes[name], record.space
    pictures = [
        svg.inline(draw_cell(space, t, genotype, f"{t} cell"), f"cell-{name}-{t}", f"The {t} cell of {name}")
        for t in space.cell_types
    ]
    forms = [
        {"name": "published text form", "text": genotype.to_text(space)},
        {"name": "JSON, as in genotype.json", "text": genotype.to_json(space).rstrip()},
    ]
    return {"name": name, "pictures": pictures, "forms": forms}


def _decided(record: WorkdirContents, name: str, made: list[ShownDecision], moved: bool) -> dict[str, Any]:
    """Return what a page shows of a selection's decisions.

    Args:
      record: of the work directory.
      name: of the selection.
      made: its decisions.
      moved: whether alpha changed during the search.
    """
    probed = [d for d in made if d.by_images]
    narrow = [d for d in probed if d.narrow]
    rows = strength.rows_of(record.space, made)
    lines = []
    searches = record.probed(name)
    if probed and len(searches) > 1:
        lines.append(
            f"Every removal was scored in {len(searches)} supernets together, those of"
            f" {' and '.join(stage.name for stage in searches)}; alpha is that of {searches[0].name}."
        )
    if narrow:
        named = [f"{d.cell_type} {d.place} ({d.chosen} over {d.over})" for d in narrow[:_NAMED]]
        more = f"; and {len(narrow) - _NAMED} more, marked below" if len(narrow) > _NAMED else ""
        lines.append(
            f"Decided by a narrow margin, within the {_INTERVAL} of the difference: {'; '.join(named)}{more}."
        )
    elif probed:
        lines.append("No decision was narrow: each lead is larger than chance in the images explains.")
    dropped = any(d.supernet is not None for d in made)
    by_loss = any(d.by_loss for d in made)
    measured = sorted({d.criterion for d in made if d.measured})
    about = next((d.about for d in made if d.kind in ("operation", "shapley")), WORTH[by_loss])
    lost = "How much the loss of the supernet grows" if by_loss else "How much accuracy the supernet loses"
    beside = " Beside it the mixing weight that alpha gives it." if moved else ""
    paired = "on the same images with and without it" if dropped else "beside the best of the others"
    lines_are = "" if by_loss else f"; lines are {_INTERVAL}s"
    found: dict[str, Any] = {
        "id": f"decisions-{name}",
        "name": name,
        "lines": lines,
        "narrow": len(narrow),
        "probed": len(probed),
        "table": _order(record.space, made, moved),
        "bars": [
            svg.inline(
                decisions.draw(record.space, d, moved),
                f"bars-{name}-{d.number}",
                f"Decision {d.number}: what the candidates of {d.cell_type} {d.place} are worth",
            )
            for d in made
            if d.lead is not None
        ],
        "about_bars": (
            f"What {' and '.join(measured)} says of each candidate, at the time of the decision.{beside}"
            if measured
            else f"{lost} without each candidate, at the time of the decision, {paired}{lines_are}.{beside}"
        ),
        "scatter": [],
        "key": "",
        "axes": "",
        "agreement": "",
    }
    if rows and moved:
        agreement = strength.compare(rows)
        found["scatter"] = [
            svg.inline(figure, f"scatter-{name}-{number}", "Mixing weights against worth, of an edge")
            for number, figure in enumerate(strength.draw(record.space, rows, agreement, about))
        ]
        probed_operations = {row["operation"] for row in rows}
        colours = shades(record.space.operations)
        found["key"] = svg.key({n: c for n, c in colours.items() if n in probed_operations})
        found["axes"] = (
            f"Across: mixing weight (softmax of alpha). Upwards: {about}. The ring marks what was kept."
        )
        found["agreement"] = (
            f"Alpha and {measured[0] if measured else 'perturbation'} put the same operation first on"
            f" {agreement.same_best} of {agreement.edges} edges (by chance: {agreement.by_chance:.1f})."
        )
        if agreement.mean is not None:
            found["agreement"] += (
                f" Within an edge, Spearman's rank correlation is {agreement.mean:+.2f} on average;"
                " the number in brackets is that of the edge."
            )
    return found


def _order(space: Space, made: list[ShownDecision], moved: bool) -> HtmlTable:
    """Return a table of the decisions in their order; what a phone has no room for comes last."""
    rows = []
    for d in made:
        lead = d.lead_text() or "-"
        rows.append(
            (
                str(d.number),
                d.place if len(space.cell_types) == 1 else f"{d.cell_type} {d.place}",
                d.chosen,
                lead,
                NARROW if d.narrow else "",
                d.over or "-",
                _weight(d) if moved else "-",
                "-" if d.epoch is None else str(d.epoch),
                percent(d.supernet),
                ", ".join(d.refused) or "",
            )
        )
    headings = [
        "",
        "place",
        "kept",
        "lead",
        "",
        "over",
        "mixing weight",
        "epoch",
        "supernet before",
        "over the budget",
    ]
    keep = [
        i for i, h in enumerate(headings)
        if i in (0, 1, 2) or any(row[i] not in ("", "-") for row in rows)
    ]  # fmt: skip
    return HtmlTable([headings[i] for i in keep], [[row[i] for i in keep] for row in rows])


def _weight(decision: ShownDecision) -> str:
    """Format the mixing weight of what was kept, and the largest of the others."""
    kept = [e.weight for e in decision.effects if e.chosen and e.weight is not None]
    others = [e for e in decision.effects if not e.chosen and e.weight is not None]
    if len(kept) != 1 or not others:
        return "-"
    most = max(others, key=lambda e: e.weight or 0.0)
    return f"{kept[0]:.3f} ({most.name} {most.weight:.3f})"


def _curves(record: WorkdirContents, moved: bool) -> list[svg.Drawing]:
    charts = curves.of_search(record.search.steps, record.search.epochs, moved)
    charts += curves.of_trainings({name: stage.rows for name, stage in record.trainings.items()})
    return [svg.inline(curves.draw(c), f"curve-{i}", c.title) for i, c in enumerate(charts)]


def _errors(name: str, stage: StageContents) -> dict[str, Any] | None:
    errors = stage.file("errors.json")
    if not errors:
        return None
    labels = {"confusion": "Confusion matrix", "mistakes": "The mistakes that it is surest of"}
    pictures = [
        (a, f"{label}, {name}", key == "confusion")
        for key, label in labels.items()
        if (a := stage.picture(key))
    ]
    return {
        "name": name,
        "text": f"{errors['mistakes']:,} of {errors['images']:,} test images are classified wrongly.",
        "pictures": pictures,
    }


def _analysis(name: str, stage: StageContents) -> dict[str, Any]:
    summary = stage.folder / "summary.txt"
    pictures = [
        (stage.picture(path.stem), path.stem.replace("_", " ")) for path in sorted(stage.folder.glob("*.png"))
    ]
    text = summary.read_text(encoding="utf-8") if summary.exists() else ""
    return {"name": name, "text": text or ("" if stage.result else "not finished"), "pictures": pictures}


def _computed_by(took: Mapping[str, Any]) -> str:
    """Return the kernels of a stage, and XLA where it compiled the steps."""
    kernels = took.get("kernels", "tensorflow" if "xla" in took else "-")
    return f"{kernels}, compiled by XLA" if took.get("xla") == "on" else kernels


def _cost(record: WorkdirContents) -> HtmlTable:
    rows = []
    for stage in record.stages:
        took = stage.file("seconds.json")
        if not took and stage.name.startswith("analysis/"):
            continue  # they do not tell
        peak = took.get("peak_bytes") or stage.memory.get("peak_bytes")
        rows.append(
            (
                stage.name,
                "-" if stage.seconds is None else duration(stage.seconds),
                duration(took["cpu_seconds"]) if "cpu_seconds" in took else "-",
                str(took.get("starts", "-")),
                _computed_by(took),
                "-" if not peak else f"{peak / 1e9:.2f} GB",
            )
        )
    headings = ("stage", "time", "time of all cores", "starts", "computed by", "peak memory of the process")
    return HtmlTable(headings, rows, range(1, len(headings)))
