"""Jobs as the tasks of a SLURM array."""

import shlex
from collections.abc import Sequence

from tf_darts.errors import UserError
from tf_darts.runtime import child
from tf_darts.study import engine
from tf_darts.study.output import Output
from tf_darts.workdir.files import write_atomically

_SCRIPT = """\
#!/usr/bin/env bash
# One task for each search with all its selections; a task that is run again continues.
# Give your site's options to sbatch: sbatch --time=... --mem=... --partition=... --gres=... {file}
# The largest search is estimated to need {memory} of memory, to which its data come.
#SBATCH --job-name={name}
#SBATCH --array=0-{last}
#SBATCH --output="{logs}/slurm-%A_%a.log"
set -euo pipefail

jobs=({jobs})
job=${{jobs[$SLURM_ARRAY_TASK_ID]}}
output={output}
export PYTHONPATH={root}${{PYTHONPATH:+:$PYTHONPATH}} TF_CPP_MIN_LOG_LEVEL=${{TF_CPP_MIN_LOG_LEVEL:-2}}
export PYTHONSAFEPATH=1
exec {worker} "$output" "$job" >>"$output/logs/$job.log" 2>&1
"""


def script(names: Sequence[str], output: Output, file: str, needed: float) -> str:
    """Return the text of a SLURM array script that does these jobs.

    Args:
      names: of the jobs.
      output: the study's output folder, the same on all machines.
      file: where the script will be.
      needed: memory that the largest of the searches is estimated to need, bytes.
    """
    return _SCRIPT.format(
        file=shlex.quote(file),
        memory=f"{needed / 1e9:.1f} GB",
        name=_name(output.folder.name),
        last=len(names) - 1,
        jobs=" ".join(names),
        output=shlex.quote(str(output.folder)),
        root=shlex.quote(child.ROOT),
        worker=shlex.join(engine.command()),
        logs=output.folder / "logs",
    )


def _name(name: str) -> str:
    """Replace what SLURM's options do not take in a name."""
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)


def write(names: Sequence[str], output: Output, file: str, needed: float) -> None:
    """Write the text of `script` to a file.

    Raises:
      UserError: the file cannot be written, or a line break in a name would end a comment of it.
    """
    for flag, name in (("--slurm", file), ("--output", str(output.folder))):
        if "\n" in name or "\r" in name:
            raise UserError(f"{flag}: {name!r}; allowed: a name without line breaks")
    write_atomically(file, script(names, output, file, needed).encode())
