"""A process that measures one task of one case with one implementation; its parent tells it when.

The first line on its standard input is the job, every further line a request; each is answered with one line
of JSON on its standard output. Requests name a method of the task and its arguments, and are answered with
what the method returned and the seconds that it took, by the clock and of all cores:

    {"implementation": "ours", "task": "search", "case": {...}, "settings": {...}}
    {"do": "step", "count": 2}
    ->  {"seconds": 8.1, "cpu_seconds": 15.8, "count": 2, "memory": 6600000000}

Started by `rounds.Worker` as `python -m tf_darts.tools.benchmark.worker`.
"""

import importlib.metadata
import json
import os
import sys
import time
from typing import Any

from tf_darts.errors import UserError
from tf_darts.runtime import host
from tf_darts.tools.benchmark.cases import BenchmarkCase


def _start(job: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """Import the implementation and make the task; return both and the first answer."""
    start = time.perf_counter()
    if job["implementation"] == "peer":
        from tf_darts.tools.benchmark import peer_tasks as side
    elif job["implementation"] == "ours":
        from tf_darts.tools.benchmark import measure as side
    else:
        from tf_darts.tools.benchmark import limit as side
    packages = ("torch",) if job["implementation"] == "peer" else ("tensorflow", "keras")
    imported = {"import_seconds": time.perf_counter() - start, "import_memory": host.peak_memory()}
    task = side.TASKS[job["task"]](BenchmarkCase(**job["case"]), job["settings"])
    versions = {name: importlib.metadata.version(name) for name in (*packages, "numpy")}
    return side, task, {**imported, "versions": versions, **task.about()}


def _answer(side: Any, task: Any, request: dict[str, Any]) -> dict[str, Any]:
    arguments = {key: value for key, value in request.items() if key != "do"}
    start, worked = time.perf_counter(), time.process_time()
    given = getattr(task, request["do"])(**arguments)
    took = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - worked}
    return {**took, **given, "memory": side.peak_memory()}


def main() -> None:
    """Serve requests until standard input ends."""
    # Libraries print on standard output when they like; the answers go where the parent listens.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def reply(content: dict[str, Any]) -> None:
        print(json.dumps(content), file=answers, flush=True)

    side = task = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if task is None:
                side, task, started = _start(request)
                reply(started)
            else:
                reply(_answer(side, task, request))
        except UserError as error:
            reply({"error": str(error)})


if __name__ == "__main__":
    main()
