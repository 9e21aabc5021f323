"""Measures on one GPU whether compiled steps and merged edges pay, and says what follows; ten minutes.

    bin/launch tf_darts.tools.gpu_experiment.run --output=runs/gpu_experiment
    bin/launch tf_darts.tools.gpu_experiment.run --output=runs/tiny --tiny      (a CPU: does every way run?)

Each case is a process of its own, one after another, with a limit. What is done is in OUTPUT/results.json as
soon as it is; a second command measures what is missing.
"""

import argparse
import json
import os
import pathlib
import subprocess
import time

from tf_darts.runtime import child
from tf_darts.tools.gpu_experiment.cases import ExperimentCase, all_cases, decide
from tf_darts.workdir.files import write_atomically

_LEAST = 20.0  # seconds: with less no case is begun


def run(output: pathlib.Path, budget: float, tiny: bool) -> dict[str, str]:
    """Measure the cases that are not in the folder yet; return what follows from all that are.

    Args:
      output: folder for results.json, and a log of each case.
      budget: seconds for all cases.
      tiny: as of `cases.all_cases`.
    """
    output.mkdir(parents=True, exist_ok=True)
    path, begun = output / "results.json", time.monotonic()
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    rows = found.get("cases", {})
    for case in all_cases(tiny):
        left = budget - (time.monotonic() - begun)
        if rows.get(case.name, {}).get("status") == "done" or left < _LEAST:
            continue
        rows[case.name] = _measured(case, output, min(left, case.limit))
        content = {"cases": rows, "decided": decide(rows)}
        write_atomically(path, json.dumps(content, indent=1).encode())
        told = {k: v for k, v in rows[case.name].items() if k not in ("losses", "steps", "probes")}
        print(f"{case.name}: {json.dumps(told)}", flush=True)
    return decide(rows)


def _measured(case: ExperimentCase, output: pathlib.Path, limit: float) -> dict:
    """Measure a case in a process of its own; return what it found, and how it ended."""
    path, log = output / f"{case.name}.json", output / f"{case.name}.log"
    path.unlink(missing_ok=True)
    command = child.command("-m", "tf_darts.tools.gpu_experiment.child", json.dumps(vars(case)), str(path))
    environment = {"TF_CPP_MIN_LOG_LEVEL": "2", **child.environment()}
    with log.open("wb") as file:
        try:
            done = subprocess.run(
                command, stdout=file, stderr=file, env=environment, timeout=limit, check=False
            )
            status = "done" if not done.returncode else f"failed: {done.returncode}"
        except subprocess.TimeoutExpired:
            status = f"stopped after {limit:.0f} s"
    row = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if status != "done":
        row["last_lines"] = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
    path.unlink(missing_ok=True)
    return {"status": status, **row}


def main() -> None:
    """Run the experiment and print what follows."""
    parser = argparse.ArgumentParser(
        prog="tf_darts.tools.gpu_experiment.run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--output", required=True, help="folder for what was measured")
    parser.add_argument("--budget", type=float, default=560.0, help="seconds for all cases")
    parser.add_argument("--tiny", action="store_true", help="NAS-Bench-201 alone, in small: on a CPU")
    given = parser.parse_args()
    output = pathlib.Path(os.path.expanduser(given.output))
    for question, answer in run(output, given.budget, given.tiny).items():
        print(f"{question}: {answer}")


if __name__ == "__main__":
    main()
