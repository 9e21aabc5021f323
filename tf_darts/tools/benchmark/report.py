"""The benchmark's report: tables in Markdown, and pictures of times, ratios and scaling."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tf_darts.plots.plain_figure import PlainFigure, figure_to_png_bytes
from tf_darts.plots.table import markdown

GIB = 2**30
_OURS, _PEER = "#0072B2", "#C8500A"
# Quantity of a task -> what it is called, and the images of one unit of it as a field of the case.
_NAMES = {
    ("search", "step"): ("bilevel step", "batch_size"),
    ("search", "probe"): ("probe batch", "batch_size"),
    ("search", "event"): ("perturbation event", None),
    ("training", "step"): ("training step", "training_batch_size"),
}

Unit = dict[str, Any]  # an entry of result.json's `units`


def number(value: float) -> str:
    """Format a number with three significant digits, without an exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:#.3g}".rstrip(".")


def spread(values: dict[str, float]) -> str:
    """Format median and quartiles."""
    return f"{number(values['median'])} ({number(values['q1'])}-{number(values['q3'])})"


def _peer_columns(quantity: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return (how the peer did it, its seconds, ratio, that of CPU seconds) for each way of measuring."""
    cpu = quantity.get("cpu", {"ratios": {}})["ratios"]  # results of earlier versions have none
    return [
        (
            name.partition(" ")[2],
            spread(quantity["seconds"][name]),
            _ratio(ratio),
            _ratio(cpu[name]) if name in cpu else "-",
        )
        for name, ratio in quantity["ratios"].items()
    ] or [("", "-", "-", "-")]


def _ratio(ratio: dict[str, float]) -> str:
    return f"{spread(ratio)}, {number(ratio['min'])}-{number(ratio['max'])}"


def times_table(units: Sequence[Unit], limit: dict[str, Any]) -> str:
    """Return a table of seconds, ratios, images per second and the share of the limit, for all cases."""
    headings = ("case", "what", "ours, s", "ours, CPU s", "peer, s", "peer / ours", "the same of CPU s")
    headings += ("ours, images/s", "of the limit, %")
    rows = []
    for unit in units:
        for key, quantity in unit["result"].get("quantities", {}).items():
            what, field = _NAMES[unit["task"], key]
            ours = quantity["seconds"]["ours"]
            images = unit["case"][field] if field else quantity["batches"] * unit["case"]["batch_size"]
            rate = images / ours["median"]
            per_image = unit["result"]["sides"]["ours"]["multiply_adds"].get("probe" if not field else key)
            share = 100 * rate * per_image / limit["multiply_adds_per_second"]
            cpu = spread(quantity["cpu"]["seconds"]["ours"]) if "cpu" in quantity else "-"
            for way, *peer in _peer_columns(quantity):
                name = f"{what}, peer {way}" if way else what
                cells = spread(ours), cpu, *peer, number(rate), number(share)
                rows.append((unit["case"]["name"], name, *cells))
    return markdown(headings, rows)


def starts_table(units: Sequence[Unit]) -> str:
    """Return a table of start-up and memory, each implementation in a process of its own."""
    headings = ("case", "what", "ours", "peer", "ours / peer")
    rows = []
    for unit in units:
        sides = unit["result"].get("sides", {})
        if "quantities" not in unit["result"]:
            continue
        step = unit["result"]["quantities"]["step"]["seconds"]
        median = {name.split()[0]: values["median"] for name, values in reversed(step.items())}

        def row(what, value, sides=sides, unit=unit):
            values = [value(name, side) for name, side in sides.items()]
            ratio = number(values[0] / values[1]) if len(values) > 1 and values[1] > 0 else "-"
            texts = [*map(number, values), "-"][:2]
            rows.append((unit["case"]["name"], f"{unit['task']}: {what}", *texts, ratio))

        row("build, s", lambda name, side: side["build_seconds"])
        row(
            "import, build, first step, less one step, s",
            lambda name, side, median=median: (
                side["import_seconds"]
                + side["build_seconds"]
                + max(0.0, side["first_step_seconds"] - median[name])
            ),
        )
        row("peak memory, GiB", lambda name, side: side["memory"] / GIB)
        row("of it after import, GiB", lambda name, side: side["import_memory"] / GIB)
        row("parameters", lambda name, side: side["parameters"])
    return markdown(headings, rows)


def selections_table(units: Sequence[Unit]) -> str:
    """Return a table of the hours of a whole selection."""
    headings = ("case", "whole selection, hours", "ours", "peer", "peer / ours")
    rows = []
    for unit in units:
        hours = unit["result"].get("hours", {})
        for part in hours.get("ours", {}):
            values = [side[part] for side in hours.values()]
            ratio = number(values[1] / values[0]) if len(values) > 1 and values[0] > 0 else "-"
            rows.append((unit["case"]["name"], part, *[*map(number, values), "-"][:2], ratio))
        for stage in unit["result"].get("stages", ()):
            for key in ("step", "probe"):
                seconds = [stage[key]["seconds"][name]["median"] for name in hours]
                ratio = number(seconds[1] / seconds[0]) if len(seconds) > 1 else "-"
                what = f"after {stage['events']} events, {key}, s"
                rows.append((unit["case"]["name"], what, *[*map(number, seconds), "-"][:2], ratio))
    return markdown(headings, rows) if rows else ""


def scaling_table(units: Sequence[Unit]) -> str:
    """Return the table of the scaling study."""
    headings = ("varied", "value", "ours, step, s", "peer, step, s", "peer / ours")
    headings += ("ours, GiB", "peer, GiB", "10^9 multiply-adds")
    rows = []
    for unit in units:
        result = unit["result"]
        step, sides = result["quantities"]["step"], result["sides"]
        peer = next(iter(step["ratios"]), None)
        rows.append(
            (
                unit["varied"],
                str(unit["value"]),
                spread(step["seconds"]["ours"]),
                spread(step["seconds"][peer]) if peer else "-",
                spread(step["ratios"][peer]) if peer else "-",
                number(sides["ours"]["memory"] / GIB),
                number(sides["peer"]["memory"] / GIB) if peer else "-",
                number(_step_work(unit) / 1e9),
            )
        )
    return markdown(headings, rows)


def _step_work(unit: Unit) -> float:
    return unit["result"]["sides"]["ours"]["multiply_adds"]["step"] * unit["case"]["batch_size"]


def times_picture(units: Sequence[Unit]) -> bytes:
    """Draw a PNG: seconds of each quantity, and the peer's over ours; medians, with lines from end to end."""
    bars = []
    for unit in units:
        for key, quantity in unit["result"].get("quantities", {}).items():
            what = _NAMES[unit["task"], key][0]
            bars.append((f"{unit['case']['name']}\n{what}", quantity))
    figure = PlainFigure(figsize=(max(7.0, 1.1 * len(bars)), 7.0), layout="constrained")
    times, ratios = figure.subplots(2, 1)
    places = np.arange(len(bars))
    for shift, colour, label in ((-0.2, _OURS, "ours"), (0.2, _PEER, "peer")):
        for place, (_, quantity) in zip(places, bars, strict=True):
            name = next((n for n in quantity["seconds"] if n.split()[0] == label), None)
            if name is not None:
                _bar(times, place + shift, quantity["seconds"][name], colour)
            if label == "peer" and name is not None:
                _bar(ratios, place, quantity["ratios"][name], colour)
                middle = quantity["ratios"][name]["median"]
                ratios.text(place, middle, f" {number(middle)}", ha="left", va="bottom", fontsize=8)
        times.bar([0], [0], color=colour, label=label)
    times.set_yscale("log")
    times.set_ylabel("seconds")
    times.legend(frameon=False)
    ratios.set_ylabel("peer / ours")
    ratios.axhline(1.0, color="#888888", linewidth=0.8)
    for axes in (times, ratios):
        axes.set_xticks(places, [label for label, _ in bars], fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    return figure_to_png_bytes(figure)


def _bar(axes, place: float, values: dict[str, float], colour: str) -> None:
    middle = values["median"]
    ends = [[middle - values["min"]], [values["max"] - middle]]
    axes.bar([place], [middle], 0.36, color=colour, yerr=ends, ecolor="#444444", capsize=2)


def scaling_picture(units: Sequence[Unit]) -> bytes:
    """Draw a PNG: a step's seconds against what is varied, beside those at a constant rate of work."""
    fields = list(dict.fromkeys(unit["varied"] for unit in units))
    figure = PlainFigure(figsize=(9.0, 3.4 * ((len(fields) + 1) // 2)), layout="constrained")
    grid = np.atleast_1d(figure.subplots((len(fields) + 1) // 2, 2, squeeze=False)).ravel()
    for axes in grid[len(fields) :]:
        axes.remove()
    for axes, field in zip(grid, fields, strict=False):
        chosen = [unit for unit in units if unit["varied"] == field]
        x = [unit["value"] for unit in chosen]
        steps = [unit["result"]["quantities"]["step"]["seconds"] for unit in chosen]
        for label, colour in (("ours", _OURS), ("peer", _PEER)):
            curves = [next((s[n] for n in s if n.split()[0] == label), None) for s in steps]
            if None in curves:
                continue
            y = [c["median"] for c in curves]
            ends = [
                [m - c["min"] for m, c in zip(y, curves, strict=True)],
                [c["max"] - m for m, c in zip(y, curves, strict=True)],
            ]
            axes.errorbar(x, y, ends, marker="o", markersize=4, color=colour, capsize=2, label=label)
            work = [_step_work(unit) for unit in chosen]
            even = [y[-1] * w / work[-1] for w in work]
            rate = "at the last one's multiply-adds/s" if label == "ours" else None
            axes.plot(x, even, linestyle=":", color=colour, label=rate)
        axes.set_xlabel(field)
        axes.set_ylabel("seconds per step")
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
    grid[0].legend(frameon=False, fontsize=8)
    return figure_to_png_bytes(figure)
