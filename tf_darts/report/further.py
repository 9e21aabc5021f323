"""What one may do next with a work directory, as commands to copy."""

import shlex

from tf_darts.report.workdir_contents import WorkdirContents
from tf_darts.runtime import command


def steps(record: WorkdirContents) -> list[tuple[str, str]]:
    """Return sentences, each with the command that does it; the first is what is left to do, if anything.

    Args:
      record: what the work directory holds.
    """

    def run(program: str, *flags: str) -> str:
        return " ".join([command.of(program), *flags])

    workdir = f"--workdir={shlex.quote(str(record.workdir))}"
    trained = [n for n in record.genotypes if n in record.trainings and record.trainings[n].result]
    untrained = [name for name in record.genotypes if name not in trained]
    found = []
    if not record.search.result:
        found.append(("Go on with the search:", run("search", workdir)))
    elif not record.genotypes:
        found.append(("Select an architecture from the supernet:", run("select", workdir)))
    if untrained:
        name = shlex.quote(untrained[0])
        found.append(("Train what was selected:", run("train", workdir, f"--selection={name}")))
    if trained:
        best = max(trained, key=lambda name: record.trainings[name].result["test_accuracy"])
        export = run("export", workdir, f"--name={shlex.quote(best)}")
        found.append((f"Get {best}'s network as Keras and TFLite files:", export))
    if record.genotypes:
        seed = record.config.seed + 1
        other = f"{record.workdir}-seed{seed}"
        again = run("run", "--config=CONFIG", f"--config.seed={seed}", f"--workdir={shlex.quote(other)}")
        found.append(("One seed says little. Run another, with the config file of this one:", again))
        both = shlex.quote(f"{record.workdir},{other}")
        found.append(("Then compare the two:", run("report", f"--compare={both}")))
    found.append(("Look at every curve:", run("tensorboard", f"--logdir={shlex.quote(str(record.workdir))}")))
    return found
