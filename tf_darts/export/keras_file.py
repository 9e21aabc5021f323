"""The Keras file, so that older releases of Keras 3 read it too.

Keras writes every argument of a layer, and an older release refuses those that it does not know, though they
have their defaults. Those, and how weights would be drawn that the file has, are left out.
"""

import inspect
import json
import pathlib
import zipfile
from typing import Any

import keras

CONFIG = "config.json"  # where a Keras file has its layers


def save(model: keras.Model, path: pathlib.Path) -> None:
    """Write a functional model as one file, for `keras.models.load_model`."""
    model.save(path)
    with zipfile.ZipFile(path) as file:
        parts = [(entry, file.read(entry)) for entry in file.infolist()]
    with zipfile.ZipFile(path, "w") as file:
        for entry, content in parts:
            if entry.filename == CONFIG:
                config = json.loads(content)
                for layer in config["config"]["layers"]:
                    layer["config"] = _needed(layer)
                content = json.dumps(config).encode()
            file.writestr(entry, content)


# What a layer's own reader asks for, though it has a default.
ASKED_FOR = {"Rescaling": ("offset",)}


def _needed(layer: dict[str, Any]) -> dict[str, Any]:
    """Return what Keras needs to make one of its layers again; of any other layer all that it says."""
    config: dict[str, Any] = layer["config"]
    kind = getattr(keras.layers, layer["class_name"], None)
    if layer["module"] != "keras.layers" or kind is None:
        return config
    defaults = {name: given.default for name, given in inspect.signature(kind.__init__).parameters.items()}
    for name in ASKED_FOR.get(layer["class_name"], ()):
        del defaults[name]
    return {
        name: value
        for name, value in config.items()
        if not name.endswith("_initializer") and not (name in defaults and defaults[name] == value)
    }
