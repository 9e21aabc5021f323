"""Kills a small whole run again and again and compares how it ends with an undisturbed one, bit for bit.

    python -m tests.faults.kill --kills=200
    python -m tests.faults.kill --points

The first kills at random moments: a run that ends before its kill is compared, and a new one is begun. The
second kills once at every named point. Exit status 1 where a run ended otherwise than undisturbed.
"""

import argparse
import collections
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.faults import small
from tests.forking import Programs

SAVES, ROWS = "tf_darts.workdir.checkpoints:Checkpoints.", "tf_darts.workdir.records:JsonLines.append"
# Faults by what they mean; each is put into a run at its start, one after the other, and has to be met.
POINTS: dict[str, list[tuple[str, list]]] = {
    "search: the lock is taken, nothing is written": [
        ("kill_at", ["tf_darts.workdir.stage_folder:StageFolder.open", 1, "before"])
    ],
    "search: a file is written and not yet renamed": [("kill_at", ["os:replace", 2, "before"])],
    "search: a file was renamed": [("kill_at", ["os:replace", 5, "after"])],
    "search: half of a row is written": [("kill_within_a_row", [3])],
    "search: a row is written, the checkpoint is not": [("kill_at", [ROWS, 3, "after"])],
    "search: a checkpoint is written, its checksums are not": [("kill_at", [SAVES + "_seal", 2, "before"])],
    "search: checksums are written, the list of checkpoints is not": [
        ("kill_at", [SAVES + "_seal", 2, "after"])
    ],
    "search: older checkpoints are not yet removed": [("kill_at", [SAVES + "_tidy", 2, "before"])],
    "search: a checkpoint is being restored": [
        ("kill_at", ["tf_darts.workdir.checkpoints:_restore", 1, "before"])
    ],
    "search: the last checkpoint is written, the result is not": [
        ("kill_at", ["tf_darts.search.loop:finish", 1, "before"])
    ],
    "search: checksums of the results are written, the result is not": [
        ("kill_at", ["tf_darts.workdir.files:seal", 1, "after"])
    ],
    "search: the result is written": [("kill_at", ["tf_darts.search.loop:finish", 1, "after"])],
    "selection: between two probes": [
        ("kill_at", ["tf_darts.selection.selection_progress:SelectionProgress.probed", 2, "after"])
    ],
    "selection: a decision is made and not yet written": [
        ("kill_at", ["tf_darts.selection.decide:Decider.decide", 1, "after"])
    ],
    "selection: a decision is written, the checkpoint is not": [
        ("kill_at", ["tf_darts.workdir.checkpoints:Checkpoints.save", 1, "before"])
    ],
    "selection: in fine-tuning": [("kill_at", ["tf_darts.workdir.metrics:Metrics.steps", 2, "after"])],
    "selection: the genotype is not yet written": [
        ("kill_at", ["tf_darts.selection.select:finish", 1, "before"])
    ],
    "training: rows of an epoch are written, its checkpoint is not": [
        ("kill_at", ["tf_darts.workdir.metrics:Metrics.epoch", 2, "after"])
    ],
    "training: checksums of the last checkpoint are written, the list of checkpoints is not": [
        ("kill_at", [SAVES + "_seal", 1, "after"])
    ],
    "training: the result is not yet written": [("kill_at", ["tf_darts.training.loop:finish", 1, "before"])],
    "training: the pictures are not yet drawn": [
        ("kill_at", ["tf_darts.training.mistakes:leave", 1, "before"])
    ],
    "training: the result is written": [("kill_at", ["tf_darts.training.loop:finish", 1, "after"])],
    "report: the picture is not yet written": [
        ("kill_at", ["tf_darts.plots.cell_diagram:save_genotype_picture", 1, "before"])
    ],
}


MANY = 8  # differences of a run are shown
SHARE = 0.35  # of an undisturbed run's time: no kill comes later; half of it is the start


class Runs:
    """Small whole runs in a folder, and the undisturbed one that they are compared with.

    Attributes:
      seconds: that the undisturbed one took.
      compared: how many others were compared.
      faults: what was wrong with them.
    """

    def __init__(self, folder: Path):
        self.folder, self.programs = folder, Programs()
        self.programs.call("run", "--helpshort", cwd=folder)  # the first one imports more
        begun = time.monotonic()
        ended = self.programs.call("run", *small.arguments(folder, "undisturbed"), cwd=folder)
        self.seconds = time.monotonic() - begun
        if ended.status:
            raise RuntimeError(ended.err)
        self.wanted = small.results(folder / "undisturbed")
        self.compared, self.faults, self._begun = 0, [], 0
        self.begin()

    def begin(self) -> None:
        """Begins a new run."""
        self._begun += 1
        self.workdir = self.folder / f"killed-{self._begun}"
        self._arguments = small.arguments(self.folder, self.workdir.name)

    def start(self, *faults) -> None:
        """Starts the program on the current run."""
        self.programs.start("run", *self._arguments, cwd=self.folder, faults=faults)

    def compare(self, status: int, err: str) -> None:
        """Compares the run, which has ended; it is kept where it differs. Begins a new one."""
        found = small.results(self.workdir)
        wrong = small.differences(found, self.wanted) + small.faulty_rows(self.workdir)
        left = small.leftovers(self.workdir)
        if status or wrong or left:
            shown = ", ".join(wrong[:MANY]) + (f" and {len(wrong) - MANY} more" if wrong[MANY:] else "")
            self.faults.append(
                f"{self.workdir}: status {status}, different: {shown}, left: {left}, {err[-2000:]}"
            )
            print(self.faults[-1], flush=True)
        else:
            shutil.rmtree(self.workdir)
        self.compared += 1
        self.begin()


def at_random(runs: Runs, kills: int, draw: random.Random) -> collections.Counter:
    """Kills so many times at random moments; says how often in which stage."""
    counts: collections.Counter = collections.Counter()
    while counts.total() < kills or runs.workdir.exists():
        runs.start()
        # The last run is let go on to its end.
        ended = runs.programs.wait(
            draw.uniform(0.0, SHARE * runs.seconds) if counts.total() < kills else None
        )
        if ended is None:
            ended = runs.programs.kill()
        if ended.status == -9:
            stage = small.where(runs.workdir)
            counts[stage] += 1
            print(f"kill {counts.total()} in {stage}, {runs.compared} runs compared", flush=True)
        else:
            runs.compare(ended.status, ended.err)
    return counts


def at_points(runs: Runs, points: dict[str, list]) -> None:
    """Kills one run at every point, then lets it end."""
    for name, faults in points.items():
        runs.start(*faults)
        ended = runs.programs.wait()
        print(f"{name}: {'killed' if ended.status == -9 else 'NOT MET'}", flush=True)
        if ended.status != -9:
            runs.faults.append(f"{name}: not met, status {ended.status} {ended.err[-2000:]}")
            return
    runs.start()
    ended = runs.programs.wait()
    runs.compare(ended.status, ended.err)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200, help="kills at random moments")
    parser.add_argument("--points", action="store_true", help="kill at every named point instead")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--folder", type=Path, default=None, help="where runs are made; a temporary folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        runs = Runs(folder)
        print(f"an undisturbed run takes {runs.seconds:.0f} s", flush=True)
        if options.points:
            at_points(runs, POINTS)
        else:
            print(dict(at_random(runs, options.kills, random.Random(options.seed))))
        runs.programs.close()
        verdict = "DIFFERENT" if runs.faults else "equal to the undisturbed one, bit for bit"
        print(f"{runs.compared} runs compared: {verdict}")
        sys.exit(1 if runs.faults else 0)


if __name__ == "__main__":
    main()
