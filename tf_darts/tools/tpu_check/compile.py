"""Compiles StableHLO with libtpu, for a TPU that need not be there; a process of its own, without TensorFlow.

python -m tf_darts.tools.tpu_check.compile FOLDER CHIP REPLICAS
"""

import importlib.metadata
import json
import os
import pathlib
import sys
import threading
import time

# libtpu would ask a server that only Google's machines have which TPU this is, and be for one process at a
# time, as is right where there is a TPU.
os.environ |= {"TPU_SKIP_MDS_QUERY": "1", "JAX_PLATFORMS": "cpu", "ALLOW_MULTIPLE_LIBTPU_LOAD": "1"}

import numpy as np
from jax._src.interpreters import mlir
from jax._src.lib import xla_client
from jax._src.lib.mlir import ir
from jax.experimental import topologies

from tf_darts.runtime import host
from tf_darts.tools.tpu_check.cases import CHIPS, PROGRAM_FILE
from tf_darts.workdir.files import write_atomically


def compiled(text: str, chip: str, replicas: int) -> dict:
    """Compile a program for the first `replicas` cores of the chip's topology; return facts about it.

    Raises:
      jax.errors.JaxRuntimeError: libtpu does not compile it.
    """
    devices = topologies.get_topology_desc(CHIPS[chip].topology, platform="tpu").devices[:replicas]
    options = xla_client.CompileOptions()
    options.num_replicas, options.num_partitions = replicas, 1
    options.device_assignment = xla_client.DeviceAssignment.create(np.arange(replicas).reshape(replicas, 1))
    with mlir.make_ir_context() as context:
        module = mlir.module_to_bytecode(ir.Module.parse(text, context=context))
    begun = time.monotonic()
    made = devices[0].client.compile(module, xla_client.DeviceList(tuple(devices)), options)
    seconds = time.monotonic() - begun
    memory, cost = made.get_compiled_memory_stats(), made.cost_analysis()
    cost = cost[0] if isinstance(cost, list) else cost
    return {
        "libtpu": importlib.metadata.version("libtpu"),
        "compile_seconds": seconds,
        "code_bytes": memory.generated_code_size_in_bytes,
        "argument_bytes": memory.argument_size_in_bytes,
        "output_bytes": memory.output_size_in_bytes,
        "temporary_bytes": memory.temp_size_in_bytes,
        "flops": cost["flops"],
        "bytes_accessed": cost["bytes accessed"],
        "optimal_seconds": cost.get("optimal_seconds"),
    }


class PeakMemory(threading.Thread):
    """The most memory that this process has, looked at every second.

    Attributes:
      bytes: in RAM and swapped out, so far.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.bytes = 0

    def look(self) -> None:
        """Count what the process has now."""
        self.bytes = max(self.bytes, host.held_memory(), host.peak_memory())

    def run(self) -> None:
        """Look once a second until the process ends."""
        while True:
            self.look()
            time.sleep(1)


def main() -> None:
    """Compile a program and write CHIP.json."""
    folder, chip, replicas = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    peak = PeakMemory()
    peak.start()
    facts = compiled((folder / PROGRAM_FILE).read_text(encoding="utf-8"), chip, replicas)
    peak.look()
    facts["compile_peak_bytes"] = peak.bytes
    write_atomically(folder / f"{chip}.json", json.dumps(facts).encode())


if __name__ == "__main__":
    main()
