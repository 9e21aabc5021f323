"""The whole way: search, select by each method from the same supernet, train each, compare.

bin/run --config=configs/quickstart.py --workdir=runs/mine
"""

import pathlib
import shlex
import textwrap

from absl import flags

from tf_darts.cli import shared_flags
from tf_darts.nas_bench import nas_bench_201
from tf_darts.registry import UNTRAINED_ALPHA
from tf_darts.runtime import command
from tf_darts.session import start

_TABLE = shared_flags.table_flag()
flags.adopt_module_key_flags(shared_flags)  # --help lists the shared flags too


def program() -> None:
    """Run all stages; print the comparison and where its picture is."""
    config, workdir = shared_flags.load_config(table=_TABLE.value), shared_flags.workdir()
    table = nas_bench_201.of_config(config)
    session, own_workdir = start(config, workdir)
    from tf_darts import stages
    from tf_darts.nas_bench import true_accuracy
    from tf_darts.plots.cell_diagram import save_genotype_picture
    from tf_darts.plots.table import WIDTH, comparison_table
    from tf_darts.report import outcome, page, workdir_contents, workdir_page

    stages.check(session)
    stages.search(session, own_workdir)
    # Alpha that was never trained has no magnitude to select by.
    methods = ["perturbation"] if config.search.method in UNTRAINED_ALPHA else ["magnitude", "perturbation"]
    genotypes = {}
    for method in methods:
        chosen = session.with_config(shared_flags.with_method(config, method))
        folder, genotypes[method] = stages.select(chosen, own_workdir)
        if table is not None:
            true_accuracy.look_up(table, folder, genotypes[method], config.runtime.tensorboard)
    for method, genotype in genotypes.items():
        chosen = session.with_config(shared_flags.with_method(config, method))
        stages.train(chosen, own_workdir, method, genotype)
    picture = pathlib.Path(own_workdir) / "report" / "genotypes.png"
    picture.parent.mkdir(exist_ok=True)
    save_genotype_picture(picture, session.space, genotypes)
    report = picture.with_name("index.html")
    record = workdir_contents.read(own_workdir)
    page.write(report, workdir_page.make(record))
    rows = outcome.rows(record, table, methods)
    print()
    print(comparison_table(rows))
    print()
    said = outcome.verdict(record, rows)
    for sentence in said if table is None else (outcome.columns(table), *said):
        print(textwrap.fill(sentence, WIDTH, break_on_hyphens=False))
    print()
    print(f"The cells are drawn in {picture}; all that was found is on one page, {report}")
    print(f"Next: {command.of('tensorboard')} --logdir={shlex.quote(workdir)}")


def main() -> None:
    """Run the program."""
    shared_flags.run(program)


if __name__ == "__main__":
    main()
