"""The library on your own images, cell by cell. Notebooks open this file as it is (Jupytext, VS Code).

    python examples/library/own_dataset.py

The images are scikit-learn's digits, as a `tf.data.Dataset` and as arrays. It takes a few minutes on two CPU
cores. Results are in runs/library; a second run finds them there.
"""

# %% Images and labels: a dataset of pairs, or two arrays
import keras
import tensorflow as tf
from sklearn import datasets, model_selection

from tf_darts import api

digits = datasets.load_digits()
images = (digits.images * (255 / 16)).astype("uint8")  # [1797, 8, 8]
x_train, x_test, y_train, y_test = model_selection.train_test_split(
    images, digits.target, test_size=0.5, random_state=0, stratify=digits.target
)
train = tf.data.Dataset.from_tensor_slices((x_train, y_train)).batch(100)

# %% Search: fields that differ from the published settings (tf_darts/config/fields.py lists all)
settings = {
    "space": "nas_bench_201",
    "data": {"crop_padding": 1, "flip": False},
    "search": {"channels": 8, "cells": 1, "epochs": 40, "batch_size": 32, "alpha_learning_rate": 3e-3},
    "selection": {"interval": 3, "compact": False},
    "training": {
        "channels": 8,
        "cells": 1,
        "epochs": 30,
        "batch_size": 48,
        "auxiliary_weight": 0.0,
        "cutout_length": 0,
    },
}
searched = api.search(train, (x_test, y_test), config=settings, workdir="runs/library")
print(searched.alpha["normal"].round(2))

# %% Select twice from the same supernet
selected = {method: api.select(searched, method) for method in ("magnitude", "perturbation")}
for method, choice in selected.items():
    print(f"{method:12} {choice.text}")
first = selected["perturbation"].decisions[0]
print(first["edge_name"], {probe["operation"]: probe["accuracy"] for probe in first["probes"]})

# %% Train the second one, with Keras's callbacks
stop_early = keras.callbacks.EarlyStopping(monitor="val_loss", patience=5)
trained = api.train(selected["perturbation"], callbacks=[stop_early])
print(f"test accuracy {trained.test_accuracy:.3f} after {trained.result['epochs']} epochs")

# %% Use it: here, or as a Keras model that needs no tf_darts
print(trained.predict(x_test[:5]).argmax(-1), y_test[:5])
card = trained.export(formats=["keras"])
print(trained.workdir / "export" / "perturbation", card["formats"]["keras"]["largest_difference"])
