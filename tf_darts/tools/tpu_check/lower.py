"""Lowers a step to StableHLO with TensorFlow's TPU bridge; a process of its own.

python -m tf_darts.tools.tpu_check.lower CASE_AS_JSON FOLDER
"""

import json
import os
import pathlib
import re
import sys
import time
from collections.abc import Callable

# This TensorFlow would load libtpu, which would look for a TPU; neither is needed here.
os.environ["TPU_LIBRARY_PATH"] = "/no/libtpu"

import tensorflow as tf

from tf_darts.runtime import host
from tf_darts.tools.tpu_check.cases import PROGRAM_FILE, CompiledCase
from tf_darts.tools.tpu_check.functional import functional
from tf_darts.workdir.files import write_atomically

# What a program of a TPU alone does not have: transfers to the host, calls out of it.
OUTSIDE = ("infeed", "outfeed", "send", "recv", "custom_call")


def lower(case: CompiledCase) -> tuple[str, dict]:
    """Return a case's step as StableHLO text, and what it consists of.

    Raises:
      tf.errors.OpError: an operation has no TPU kernel.
      ValueError: something in it is outside of XLA, or has a shape that is not static.
    """
    from tf_darts.tools.tpu_check import programs  # after the environment is set

    scalar = tf.TensorSpec([], tf.int32)
    text, traced = stablehlo(case.name, programs.build(case), scalar, scalar)
    found = operations(text)
    check(case.name, text, found)
    arguments = [int(t.shape.num_elements()) * t.dtype.size for t in traced.inputs]
    return text, {
        "arguments": len(arguments),
        "argument_bytes": sum(arguments),
        "results": len(traced.outputs),
        "operations": len(found),
        "convolutions": found.count("convolution"),
        "all_reduces": found.count("all_reduce"),
    }


def stablehlo(
    name: str, step: Callable, *arguments: tf.TensorSpec
) -> tuple[str, tf.types.experimental.ConcreteFunction]:
    """Return a step that uses variables as StableHLO text, and as a function of their values.

    Raises:
      tf.errors.OpError: an operation has no TPU kernel.
      ValueError: a variable is not an argument.
    """
    pure = tf.function(functional(step), jit_compile=True, autograph=False)
    traced = pure.get_concrete_function(*arguments)
    held = [str(t.dtype) for t in traced.captured_inputs if t.dtype == tf.resource]
    if held:
        raise ValueError(f"{name}: {len(held)} variables are not arguments")
    return pure.experimental_get_compiler_ir(*arguments)(stage="stablehlo", platform_name="TPU"), traced


def operations(text: str) -> list[str]:
    """Return the operations of a program, one name for each."""
    return re.findall(r"\bstablehlo\.(\w+)", text)


def check(name: str, text: str, found: list[str]) -> None:
    """Check that a program is XLA's alone, with static shapes.

    Raises:
      ValueError: it is not.
    """
    outside = sorted(set(found).intersection(OUTSIDE))
    if outside:
        raise ValueError(f"{name}: {', '.join(outside)} in the program: not inside XLA")
    dynamic = re.findall(r"tensor<[^>]*\?[^>]*>", text)
    if dynamic:
        raise ValueError(f"{name}: {len(dynamic)} values of a shape that is not static, as {dynamic[0]}")


def main() -> None:
    """Lower a step and write program.mlir and lowered.json."""
    case, folder = CompiledCase(**json.loads(sys.argv[1])), pathlib.Path(sys.argv[2])
    begun = time.monotonic()
    text, facts = lower(case)
    write_atomically(folder / PROGRAM_FILE, text.encode())
    facts |= {"lowering_seconds": time.monotonic() - begun, "lowering_peak_bytes": host.peak_memory()}
    write_atomically(folder / "lowered.json", json.dumps(facts).encode())


if __name__ == "__main__":
    main()
