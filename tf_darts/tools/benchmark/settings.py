"""Every setting of the benchmark: its default, what is allowed, what it means; and the check of a config."""

import dataclasses
from typing import Any

import ml_collections

from tf_darts import registry
from tf_darts.config import limits
from tf_darts.config.field import Field, flag_field, integer_field, number_field, one_of_field
from tf_darts.errors import UserError, show
from tf_darts.tools.benchmark import cases

TASKS = ("search", "training", "selection")
GRADIENTS = ("usual", "lean")


def _names(default: str, doc: str, *names: str) -> Field:
    allowed = f"some of {', '.join(names)}, separated by commas"
    return Field(default, doc, allowed, lambda v: bool(v) and set(split(v)) <= set(names))


def _integers(default: str, doc: str) -> Field:
    def check(value: str) -> bool:
        parts = split(value)
        digits = all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts)
        return digits and all(0 < int(part) <= limits.CHANNELS.most for part in parts)

    most = limits.CHANNELS.most
    allowed = f"integers of at least 1 and at most {most}, separated by commas, or nothing"
    return Field(default, doc, allowed, check)


def split(value: str) -> list[str]:
    """Split a text at commas, without spaces around the parts; nothing for an empty text."""
    return [part.strip() for part in value.split(",")] if value.strip() else []


FIELDS: dict[str, dict[str, Field]] = {
    "": {
        "cases": Field(
            ",".join(cases.CASES),
            "what is measured, separated by commas: cases of tools/benchmark/cases.py, or any search space",
            "names of cases or spaces",
            lambda v: bool(split(v)),
        ),
        "tasks": _names(",".join(TASKS), "which parts of each case are measured", *TASKS),
        "alpha_gradients": _names(
            ",".join(GRADIENTS),
            "how the peer takes alpha's gradients: usual (all gradients, as usually) or lean (only alpha's)",
            *GRADIENTS,
        ),
        "seed": integer_field(
            0, "of weights, of the order of decisions, and of what is decided", limit=limits.SEED
        ),
        "rounds": integer_field(5, "how often each quantity is measured, ours and the peer in turn", 1),
        "event_rounds": integer_field(2, "the same for a whole event; 0: no event is measured"),
        "warm_up": integer_field(1, "steps after the first one and before the first round"),
        "steps": integer_field(2, "steps in one measurement", 1),
        "probe_batches": integer_field(2, "validation batches of each probe that is measured", 1),
        "images": integer_field(50_000, "training images that batches are drawn from, half of them each", 2),
        "channels": integer_field(
            0, "initial channels of supernets; 0: as each case says", limit=limits.CHANNELS
        ),
        "cells": integer_field(0, "depth of supernets; 0: as each case says", limit=limits.CELLS),
        "batch_size": integer_field(0, "batch of search and selection; 0: as each case says"),
        "image_size": integer_field(
            0, "side of the images, pixels; 0: as each case says", limit=limits.PIXELS
        ),
        "training_channels": integer_field(
            0, "initial channels of networks; 0: as each case says", limit=limits.CHANNELS
        ),
        "training_cells": integer_field(0, "depth of networks; 0: as each case says", limit=limits.CELLS),
        "training_batch_size": integer_field(0, "batch of training from scratch; 0: as each case says"),
        "stages": integer_field(
            5, "numbers of decisions at which a selection is measured, from none to all", 2
        ),
        "stage_rounds": integer_field(2, "how often at each of them", 1),
        "interval": integer_field(
            5, "epochs of fine-tuning between two events of the whole selection", limit=limits.EPOCHS
        ),
        "train_images": integer_field(25_000, "training images of the whole selection that is added up", 1),
        "valid_images": integer_field(25_000, "its validation images", 1),
        "intra_op_threads": integer_field(
            0, "threads inside an operation; 0: the library's default, all cores", limit=limits.THREADS
        ),
        "inter_op_threads": integer_field(
            0, "threads across operations; 0: the library's default", limit=limits.THREADS
        ),
        "deterministic": flag_field(True, "as the programs' runtime.deterministic"),
        "precision": one_of_field(
            "float32",
            "as the programs' runtime.precision; mixed_bfloat16 needs a GPU",
            "float32",
            "mixed_bfloat16",
        ),
        "kernels": one_of_field("auto", "as the programs' runtime.kernels", "auto", "native", "tensorflow"),
        "xla": one_of_field("auto", "as the programs' runtime.xla", "auto", "on", "off"),
        "limit_size": number_field(1.0, "factor on the sizes with which the limit is measured", 0.01, 4.0),
    },
    "scaling": {
        "base_channels": integer_field(
            cases.SCALING_BASE.channels, "channels where others vary", 1, limit=limits.CHANNELS
        ),
        "base_cells": integer_field(
            cases.SCALING_BASE.cells, "cells where others vary", 1, limit=limits.CELLS
        ),
        "base_batch_size": integer_field(cases.SCALING_BASE.batch_size, "batch where others vary", 1),
        "channels": _integers("4,8,16,24,32", "channels tried (DARTS space)"),
        "cells": _integers("3,5,8,11", "cells tried"),
        "batch_size": _integers("8,16,32,64,96", "batches tried"),
        "operations": _integers("1,2,3,4,5,6,7", "tried: only so many candidate operations, the first ones"),
        "rounds": integer_field(3, "how often each is measured", 1),
    },
}


def default() -> ml_collections.ConfigDict:
    """Return the settings of the published comparison, as a config that the caller may change."""
    config = ml_collections.ConfigDict({name: field.default for name, field in FIELDS[""].items()})
    config.scaling = {name: field.default for name, field in FIELDS["scaling"].items()}
    return config


def names() -> list[str]:
    """Return all fields, as `--config.NAME`."""
    return [*FIELDS[""], *(f"scaling.{name}" for name in FIELDS["scaling"])]


def validate(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
    """Check a whole config, before anything is measured.

    Returns:
      A copy with every field present and of its declared type.

    Raises:
      UserError: an unknown field, a wrong type or a value that is not allowed; the message names the field,
        its value and what is allowed.
    """
    flat = {}
    for name, value in config.to_dict().items():
        if name == "scaling" and isinstance(value, dict):
            flat |= {f"scaling.{key}": item for key, item in value.items()}
        else:
            flat[name] = value
    checked = default()
    for name, value in flat.items():
        section, _, key = name.rpartition(".")
        if key not in FIELDS.get(section, {}):
            raise UserError(unknown(name))
        field = FIELDS[section][key]
        if type(value) is not type(field.default) or not field.check(value):
            raise UserError(f"config: {name} is {show(value)}; allowed: {field.allowed}")
        (checked[section] if section else checked)[key] = value
    for name in split(checked.cases):
        cases.get(name)
    for count in split(checked.scaling.operations):
        cases.first_operations(cases.SCALING_BASE.search_space(), int(count))
    _check_together(checked)
    return checked


def unknown(name: str) -> str:
    """Return the message about a field that does not exist."""
    return f"config: unknown field {show(name)}; {registry.hint(name, names())}"


def _check_together(config: ml_collections.ConfigDict) -> None:
    half = config.images // 2
    for name in split(config.cases):
        case = chosen_case(config.to_dict(), name)
        checks = [
            ("batch_size", case.batch_size, half),
            ("probe_batches", config.probe_batches * case.batch_size, config.images),
        ]
        if case.genotype and "training" in split(config.tasks):
            checks.append(("training_batch_size", case.training_batch_size, config.images))
        for field, needed, there in checks:
            if needed > there:
                raise UserError(
                    f"config: images is {config.images}, of which {there} may be drawn; allowed: more, since"
                    f" {field} of case {name!r} needs {needed}"
                )


def chosen_case(settings: dict[str, Any], name: str) -> cases.BenchmarkCase:
    """Return a case with the sizes that the settings change (those that are not 0)."""
    case = cases.get(name)
    fields = ("channels", "cells", "batch_size", "image_size")
    fields += ("training_channels", "training_cells", "training_batch_size")
    changes = {field: settings[field] for field in fields if settings[field]}
    return dataclasses.replace(case, **changes)


def scaling_cases(settings: dict[str, Any]) -> dict[str, list[cases.BenchmarkCase]]:
    """Return the cases of the scaling study, in ascending order, by what varies."""
    scaling = settings["scaling"]
    base = dataclasses.replace(
        cases.SCALING_BASE,
        channels=scaling["base_channels"],
        cells=scaling["base_cells"],
        batch_size=scaling["base_batch_size"],
        image_size=settings["image_size"] or cases.SCALING_BASE.image_size,
    )
    return {
        field: [cases.scaled(base, field, n) for n in sorted({int(v) for v in split(scaling[field])})]
        for field in cases.SCALED
    }
