"""Selects an architecture from a searched supernet: bin/select --workdir=runs/mine."""

from absl import flags

from tf_darts import config as config_lib
from tf_darts.cli import entry, shared_flags
from tf_darts.nas_bench import nas_bench_201, nas_bench_301
from tf_darts.runtime import command
from tf_darts.session import start
from tf_darts.workdir import top_file

_METHOD, _TABLE = shared_flags.method_flag(), shared_flags.table_flag()
flags.adopt_module_key_flags(shared_flags)  # --help lists the shared flags too


def program() -> None:
    """Select; print the genotype."""
    workdir = shared_flags.workdir()
    config = config_lib.with_method(shared_flags.load_config(table=_TABLE.value), _METHOD.value)
    method = config.selection.method
    table, surrogate = nas_bench_201.of_config(config), nas_bench_301.of_config(config)
    session, own_workdir = start(config, workdir, selects=True)
    from tf_darts import stages
    from tf_darts.nas_bench import true_accuracy

    folder, genotype = stages.select(session, own_workdir)
    print(f"{method} selects {genotype.to_text(session.space)}")
    print(f"It is in {folder / 'genotype.json'}; every decision is in {folder / 'decisions.jsonl'}.")
    _, ranked = top_file.read(folder)
    if ranked:
        print(f"The {len(ranked)} best are in {folder / top_file.NAME}.")
    if ranked and (costs := ranked[0].costs()):
        print(f"Its network, as the config trains it: {costs}.")
    if table is not None:
        found = true_accuracy.look_up(table, folder, genotype, config.runtime.tensorboard)
        print(true_accuracy.entry_table(found, table))
        print(f"These figures are in {folder / true_accuracy.FILE}.")
    if surrogate is not None:
        print(surrogate.predict(genotype))
    chosen = f"--selection={config.selection.name}" if config.selection.name else f"--method={method}"
    print(f"Next: {command.of('train')} {entry.place('workdir', workdir)} {chosen}")


def main() -> None:
    """Run the program."""
    shared_flags.run(program, recorded=True)


if __name__ == "__main__":
    main()
