"""Jobs as the tasks of a SLURM array."""

import shlex
import sys
from collections.abc import Sequence

from tf_darts.files import write_atomically
from tf_darts.study import engine
from tf_darts.study.output import Output

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
exec {python} -m {module} "$output" "$job" >>"$output/logs/$job.log" 2>&1
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
        root=shlex.quote(engine.ROOT),
        python=shlex.quote(sys.executable),
        logs=output.folder / "logs",
        module=engine.MODULE,
    )


def _name(name: str) -> str:
    """Replace what SLURM's options do not take in a name."""
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)


def write(names: Sequence[str], output: Output, file: str, needed: float) -> None:
    """Write the text of `script` to a file.

    Raises:
      UserError: the file cannot be written.
    """
    write_atomically(file, script(names, output, file, needed).encode())
