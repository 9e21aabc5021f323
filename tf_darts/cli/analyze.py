"""Analyses a searched supernet: bin/analyze --workdir=runs/mine --analysis=perturbation."""

from absl import flags

from tf_darts.cli import shared_flags
from tf_darts.errors import UserError
from tf_darts.nas_bench import nas_bench_201
from tf_darts.registry import ANALYSES
from tf_darts.runtime.quiet import quiet_start
from tf_darts.workdir import lock

_ANALYSIS = flags.DEFINE_list(
    "analysis",
    [],
    f"Which analyses to make, separated by commas: {', '.join(ANALYSES)}, or what the config adds in"
    " extensions.analyses.",
)
_TABLE = shared_flags.table_flag()
flags.adopt_module_key_flags(shared_flags)  # --help lists the shared flags too


def program() -> None:
    """Analyse; print the results and where they are."""
    if not _ANALYSIS.value:
        raise UserError(f"--analysis: missing; give one or several of {', '.join(ANALYSES)}")
    workdir = shared_flags.workdir()
    config = shared_flags.load_config(table=_TABLE.value)  # which may add analyses
    for name in _ANALYSIS.value:
        ANALYSES.check(name)
    table = nas_bench_201.of_config(config)
    with quiet_start():
        from tf_darts.analysis import analyses

    for name, study in analyses.prepare(_ANALYSIS.value, workdir, config, table).items():
        with lock.held(workdir):
            text, folder = ANALYSES.load(name)(study), study.folder
            study.tell(text)
        print(f"{name}:\n{text}\nThis and more is in {folder / 'result.json'}, the pictures beside it.\n")


def main() -> None:
    """Run the program."""
    shared_flags.run(program, recorded=True)


if __name__ == "__main__":
    main()
