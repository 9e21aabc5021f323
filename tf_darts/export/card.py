"""The model card: what an exported model is, how good, how large and how fast, as JSON and for reading.

After Mitchell and others, Model Cards for Model Reporting (FAT* 2019), as far as it can be measured.
"""

import os
from typing import Any

from tf_darts.plots.table import markdown
from tf_darts.training.trained_network import TrainedNetwork

JSON, TEXT = "model_card.json", "model_card.md"


def about(trained: TrainedNetwork) -> dict[str, Any]:
    """Return what the card says about data, genotype and training."""
    config, result, seen = trained.config, trained.result, trained.images
    height, width, channels = seen.image_shape
    return {
        "name": trained.name,
        "data": {
            "source": config.data.source,
            "name": config.data.name if config.data.source == "tfds" else os.path.basename(config.data.path),
            "train_images": seen.train.images,
            "test_images": seen.test.images,
            "classes": list(seen.class_names),
            "image": {
                "height": height,
                "width": width,
                "channels": channels,
                "downscale": config.data.downscale,
                # Of images that stay on disk the centre is taken, after the shorter side is resized to this.
                "fit": config.data.fit,
                "test_resize": config.data.test_resize if config.data.stream else 0,
            },
            "mean": seen.mean.tolist(),
            "std": seen.std.tolist(),
        },
        "space": trained.space.name,
        **({} if trained.residual is None else {"residual_network": trained.residual.as_record()}),
        "genotype": trained.genotype.to_text(trained.space),
        "training": {**config.training.to_dict(), "seed": config.seed},
        "precision": config.runtime.precision,
        "epochs": result["epochs"],
        "test_accuracy": result["test_accuracy"],
        "best_test_accuracy": result["best_test_accuracy"],
    }


def text(content: dict[str, Any]) -> str:
    """Return the card as Markdown."""
    data, network, checked = content["data"], content["network"], content["checked"]
    image, machine, training = data["image"], content["machine"], content["training"]
    side = f"{image['height']}x{image['width']}x{image['channels']}"
    source = " ".join(filter(None, (data["source"], data["name"])))
    facts = {
        "data": f"{source}, {side}: {data['train_images']:,} training, {data['test_images']:,} test images",
        "classes": f"{len(data['classes'])}: {', '.join(data['classes'])}",
        "test accuracy": f"{_percent(content['test_accuracy'])} after the last of {content['epochs']} epochs"
        f" (seed {training['seed']})",
        "space": _space(content),
        "parameters": f"{network['parameters']:,}",
        "multiply-adds": f"{network['multiply_adds']:,} for one image",
        **({"latency": _latency(content["latency"])} if content["latency"] else {}),
        "arithmetic": _arithmetic(content["precision"]),
        "input": f"uint8 [batch, {image['height']}, {image['width']}, {image['channels']}], pixels from 0 to"
        " 255; normalised inside",
        "output": "probabilities, float32 [batch, classes]; class, int64 [batch] (of the Keras file:"
        " probabilities alone)",
    }
    lines = [f"# {content['name']}", "", markdown(("", ""), list(facts.items())), ""]
    lines += ["```", content["genotype"], "```", "", "## Files", "", _files(content["formats"]), ""]
    lines += [_checked(checked), ""]
    for name, entry in content["formats"].items():
        if entry["imports"]:
            lines += [
                f"`{entry['file']}` ({name}) holds operations of the user's own:"
                f" `import {', '.join(entry['imports'])}` before it is read, and name their files:"
                " `tf_darts.extend.trust(FILE)`.",
                "",
            ]
    lines += [
        "Latency is the median of repeated calls on"
        f" {machine['processor']} ({machine['cores']} cores, {machine['system']}), for a whole batch.",
        "",
        "Versions: " + ", ".join(f"{name} {version}" for name, version in content["versions"].items()) + ".",
    ]
    return "\n".join(lines) + "\n"


def _space(content: dict[str, Any]) -> str:
    """Say of which space the network is, and how large; of a residual network what it is."""
    network, residual = content["network"], content.get("residual_network")
    if residual is None:
        return f"{content['space']}, {network['channels']} channels, {network['cells']} cells"
    widths = ", ".join(map(str, residual["widths"]))
    return f"none: a residual network, stages of {widths} channels, {residual['blocks']} blocks in each"


def _checked(checked: dict[str, Any]) -> str:
    """Say what the files were asked, and when they agree."""
    kind = "generated" if checked["kind"] == "made" else checked["kind"]
    asked = f"Each file was read in a fresh process, where it classified {checked['images']:,} {kind} images."
    differences = "A difference is the largest between a probability and the trained network's."
    if checked["kind"] == "made":
        return (
            f"{asked} They are noise with the training images' mean and deviation, because the training's own"
            " images were missing or had changed. Accuracy is the share that a file puts in the trained"
            f" network's class. {differences} A file agrees if its difference is at most 1e-5."
        )
    return (
        f"{asked} The trained network classifies {_percent(checked['accuracy'])} of them correctly."
        f" {differences} A float file agrees if its difference is at most 1e-5, an int8 file if its"
        " accuracy is within a point."
        f" {checked['representative_images']:,} training images quantised the int8 file."
    )


def _latency(latency: dict[str, Any]) -> str:
    """Compare the latency that the selection's limit was held against with that of the TFLite file here."""
    threads = latency["threads"]
    where = f" for {latency['predicted_for']}" if latency["predicted_for"] else ""
    return (
        f"predicted {latency['predicted_ms']:.3g} ms{where}; measured here {latency['measured_ms']:.3g} ms,"
        f" the quietest of several rounds: TFLite float32, one image, {threads} thread{'s'[: threads > 1]};"
        f" limit {latency['limit_ms']:g} ms"
    )


def _arithmetic(precision: str) -> str:
    """Say what the network was trained in, and what the files compute in."""
    if precision == "float32":
        return "trained in float32, which the files compute in too, except int8"
    weights = "" if precision == "float64" else ", with weights in float32"
    return (
        f"trained in {precision}{weights}; the files compute in float32, except int8, and so"
        " does the trained network that they are compared with. The test accuracy above is that of training."
    )


def _files(formats: dict[str, dict[str, Any]]) -> str:
    sizes = list(next(iter(formats.values()))["latency"])
    head = ("file", "size", "accuracy", "difference", "agrees", *(f"batch {size}" for size in sizes))
    rows = [
        (
            entry["file"],
            f"{entry['bytes'] / 1000:,.0f} kB",
            _percent(entry["accuracy"]),
            f"{entry['largest_difference']:.1e}",
            "yes" if entry["agrees"] else "no",
            *(f"{1000 * entry['latency'][size]['median_seconds']:.3g} ms" for size in sizes),
        )
        for entry in formats.values()
    ]
    return markdown(head, rows, texts=1)


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
