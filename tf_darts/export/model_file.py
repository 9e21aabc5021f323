"""What reading a stranger's model could do: an error before it is read, unless the user named it (`trust`).

A model is a graph, and a graph may write files and call Python. What bin/export writes does neither: a Keras
file has Keras's layers alone, which none of `RUNS` is; a TFLite file built-in operators; and a SavedModel
operations that compute.
"""

import json
import pathlib
import re
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any

from tf_darts import trust
from tf_darts.errors import UserError, listed, show_path
from tf_darts.export import FILES
from tf_darts.workdir import stage_folders

# Classes of Keras that run what the file holds, or read other files and modules that it names.
RUNS = frozenset(
    {
        "FlaxLayer",
        "HashedCrossing",
        "Hashing",
        "IntegerLookup",
        "JaxLayer",
        "Lambda",
        "StringLookup",
        "TFSMLayer",
        "TextVectorization",
        "TorchModuleWrapper",
        "__lambda__",
        "__typespec__",
        "function",
    }
)
# TensorFlow says of an operation whether it is stateful. These are, and only compute or read variables.
COMPUTES = frozenset(
    {
        "Assert",
        "DisableCopyOnRead",
        "If",
        "PartitionedCall",
        "ReadVariableOp",
        "StatefulPartitionedCall",
        "VarHandleOp",
        "While",
    }
)
# These are not by its account, and reach files, Python, other machines or programs of their own.
REACHES_OUT = re.compile("Dataset|Debug|File|Host|Py|Reader|Recv|Remote|Send|Snapshot|TPU|XlaCall|XlaLaunch")


def check(path: pathlib.Path) -> None:
    """Check that reading and asking a model only computes.

    Args:
      path: a file or folder, as `FILES` names them.

    Raises:
      UserError: it may do more, and the user did not name it; or it is no such file.
    """
    if trust.allows_path(path):
        return
    kinds = {suffix for name in FILES.values() if (suffix := pathlib.PurePath(name).suffix)}
    try:
        if path.is_dir():
            if any(character in str(path.resolve()) for character in stage_folders.PATTERN):
                raise ValueError("allowed: a path without * ? [ ], which TensorFlow takes for a pattern")
            found = _of_saved_model(path)
        elif path.suffix not in kinds:
            raise ValueError(f"allowed: a file as {', '.join(sorted(set(FILES.values())))}")
        else:
            found = (_of_tflite if path.suffix == ".tflite" else _of_keras)(path)
    except UserError:
        raise
    except Exception as error:  # a damaged file fails in as many ways as there are readers of it
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"--model: {show_path(str(path))} cannot be read: {reason}") from None
    if found:
        raise UserError(
            f"--model: {show_path(str(path))} holds {listed(sorted(found), 10)}, which may run programs or"
            " write files, and which bin/export does not write; allowed: a model that only computes, or one"
            f" that you name yourself, by {trust.flag([str(path)])}"
        )


def _of_keras(path: pathlib.Path) -> set[str]:
    """Return the classes of a Keras file that do more than compute."""
    with zipfile.ZipFile(path) as file:
        config = json.loads(file.read("config.json"))
    return {name for name in _classes(config) if name in RUNS}


def _classes(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key in ("class_name", "registered_name") and isinstance(item, str):
                yield item.rpartition(">")[2]
            yield from _classes(item)
    elif isinstance(value, list):
        for item in value:
            yield from _classes(item)


def _of_tflite(path: pathlib.Path) -> set[str]:
    """Return the operators of a TFLite file that are not TFLite's own, TensorFlow's among them."""
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.Model.GetRootAsModel(path.read_bytes(), 0)
    names = (model.OperatorCodes(i).CustomCode() for i in range(model.OperatorCodesLength()))
    return {name.decode("utf-8", "replace") for name in names if name}


def _of_saved_model(folder: pathlib.Path) -> set[str]:
    """Return the operations of a SavedModel that do more than compute, of all that its objects can call."""
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    if len(model.meta_graphs) != 1 or not model.meta_graphs[0].HasField("object_graph_def"):
        raise ValueError("allowed: a SavedModel of TensorFlow 2, with one graph")
    graph = model.meta_graphs[0]
    bodies = {function.signature.name: function.node_def for function in graph.graph_def.library.function}
    waiting, seen, operations = list(graph.object_graph_def.concrete_functions), set(), set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for node in bodies.get(name, ()):
            operations.add(node.op)
            waiting += [node.op, *_called(node.attr.values())]  # an operation may be a function's name
    return {name for name in operations - bodies.keys() if not _computes(name)}


def _called(attributes: Iterable[Any]) -> Iterator[str]:
    for value in attributes:
        for function in (value.func, *value.list.func):
            if function.name:
                yield function.name
            yield from _called(function.attr.values())


def _computes(operation: str) -> bool:
    from tensorflow.python.framework import op_def_registry

    known = op_def_registry.get(operation)
    if known is None or operation in COMPUTES:
        return known is not None
    return not known.is_stateful and REACHES_OUT.search(operation) is None
