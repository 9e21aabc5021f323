"""What `runtime.deterministic` does here: operations of a step, bits with and without it, and its cost.

    python -m tests.faults.determinism [--space=darts] [--steps=10] [--pairs=2]

Each run is a process of its own, since the switch is one of the process. Figures are CPU seconds: other
processes on the machine change them less than the clock's.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import time

CHILD = "--child"


def child(space: str, steps: int, deterministic: bool) -> None:
    """Does some steps of a search; prints its operations, seconds by step and a digest of all variables."""
    from tests.search import tiny
    from tf_darts import config as config_lib
    from tf_darts import spaces
    from tf_darts.data import sources
    from tf_darts.runtime import strategy
    from tf_darts.search import setup as search_setup

    config = config_lib.default()
    config.space, config.data.source, config.data.crop_padding = space, "digits", 1
    config.search.channels, config.search.cells, config.search.batch_size = 8, 2, 32
    config.runtime.deterministic = deterministic
    config = config_lib.validate(config)
    data = sources.load(config.data, config.seed)
    setup = search_setup.set_up(config, spaces.of(config), data, strategy.start(config.runtime))
    compiled, _ = tiny.search_steps(setup)
    compiled(0, 1)  # traces
    begun, cpu = time.monotonic(), time.process_time()
    compiled(1, steps)
    seconds, cpu = time.monotonic() - begun, time.process_time() - cpu
    (graph,) = [concrete.graph for concrete in compiled._run._list_all_concrete_functions()]
    definition = graph.as_graph_def()
    nodes = [*definition.node, *(node for f in definition.library.function for node in f.node_def)]
    digest = hashlib.sha256(b"".join(value.tobytes() for value in tiny.state(setup))).hexdigest()
    found = {"operations": sorted({node.op for node in nodes}), "digest": digest}
    print(json.dumps(found | {"seconds": seconds / steps, "cpu": cpu / steps}))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--space", default="darts")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--pairs", type=int, default=2, help="runs with and without the switch, in turn")
    parser.add_argument(CHILD, choices=["True", "False"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return child(options.space, options.steps, options.child == "True")
    runs: dict[str, list[dict]] = {"True": [], "False": []}
    for _ in range(options.pairs):
        for switch, found in runs.items():
            command = [sys.executable, "-m", "tests.faults.determinism", f"--space={options.space}"]
            command += [f"--steps={options.steps}", f"{CHILD}={switch}"]
            output = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
            found.append(json.loads(output.splitlines()[-1]))
    print("operations:", ", ".join(runs["True"][0]["operations"]))
    for switch, found in runs.items():
        equal = len({run["digest"] for run in found}) == 1
        cpu = [round(run["cpu"], 3) for run in found]
        print(f"deterministic={switch}: equal bits: {equal}; CPU seconds a step: {cpu}")


if __name__ == "__main__":
    main()
