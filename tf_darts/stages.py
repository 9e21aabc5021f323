"""The three stages as functions of a run and its work directory: what the programs consist of."""

import contextlib
import dataclasses
import functools
import os
import pathlib
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras
import ml_collections

from tf_darts import config as config_lib
from tf_darts import spaces
from tf_darts.analysis import edges
from tf_darts.analysis.analysis_run import AnalysisRun
from tf_darts.config.depends import supernets_of
from tf_darts.data import npz
from tf_darts.errors import UserError
from tf_darts.genotypes import genotype as genotype_lib
from tf_darts.genotypes.genotype import Genotype
from tf_darts.models import budget
from tf_darts.nas_bench.nas_bench_201 import Entry, NasBench201
from tf_darts.registry import NEEDS_NO_SEARCH, NEEDS_NO_SUPERNET
from tf_darts.runtime import command
from tf_darts.runtime.seeds import fold
from tf_darts.search import imported_supernet, supernet_file
from tf_darts.search import loop as search_loop
from tf_darts.search import setup as search_setup
from tf_darts.selection import select as selection_lib
from tf_darts.session import Session
from tf_darts.spaces import Space
from tf_darts.training import loop as training_loop
from tf_darts.training import setup as setup_lib
from tf_darts.workdir import checkpoints, files, lock, seconds
from tf_darts.workdir.records import read_json, write_json
from tf_darts.workdir.stage_folder import StageFolder
from tf_darts.workdir.stage_folders import search_stage, selection_stage, supernet_folder, training_stage


def check(run: Session) -> None:
    """Checks for all stages what needs the data, before the first of them takes its hours."""
    replicas = run.strategy.num_replicas_in_sync
    search_setup.check(run.config, run.space, run.data, replicas)
    budget.check(run.config, run.space, run.data)
    setup_lib.check(run.config, run.space, run.data, replicas)


def search(run: Session, workdir: str, supernets: int | None = None) -> pathlib.Path:
    """Searches, as many supernets as are wanted; gives the folder of the first.

    Args:
      run: what the program was started with.
      workdir: the work directory.
      supernets: how many; None: `selection.supernets`.

    Raises:
      UserError: a search there is of another config, the data do not suit the config, or no genotype fits
        the budget.
    """
    wanted = _supernets(workdir, run.config, supernets or run.config.selection.supernets)
    for config, stage in wanted:
        _search(run, config, stage)
    return wanted[0][1].path


def _supernets(
    workdir: str, config: ml_collections.ConfigDict, count: int
) -> list[tuple[ml_collections.ConfigDict, StageFolder]]:
    """Config and folder of each supernet: the search's own, then those of other seeds, search_2 and so on."""
    found = [(config, search_stage(workdir, config))]
    for number in range(2, count + 1):
        own = config_lib.validate(config)
        own.seed = fold(config.seed, "supernet", number)
        found.append((own, search_stage(workdir, own, supernet_folder(number))))
    return found


def _search(run: Session, config: ml_collections.ConfigDict, stage: StageFolder) -> None:
    """Searches one supernet."""
    stage.check()
    finished = stage.path / "result.json"
    fault = checkpoints.fault_of_newest(stage.path) if finished.exists() else None
    if finished.exists():
        result = read_json(finished)
        if fault is None:
            return
        if "imported" in result:
            raise UserError(f"--workdir: {fault}; import the supernet again, into another --workdir")
    budget.check(config, run.space, run.data)
    setup = search_setup.make(config, run.space, run.data, run.strategy)
    with _at_work(stage) as folder:
        if fault is not None:
            print(
                f"warning: the finished search is done again from where it is whole: {fault}", file=sys.stderr
            )
            files.unseal(folder, finished.name)
        search_loop.run(setup, folder)


@contextlib.contextmanager
def _at_work(stage: StageFolder) -> Iterator[pathlib.Path]:
    """The stage's folder, with no other process at work on the work directory; the time taken is recorded."""
    with lock.held(stage.workdir, again=True), seconds.recorded(stage.open()) as folder:
        yield folder


def import_supernet(run: Session, workdir: str, path: str) -> tuple[pathlib.Path, dict[str, float]]:
    """Puts the supernet of a file in the place of a search; gives the folder and what was measured.

    Raises:
      UserError: there is a search already, or the file does not hold a supernet of the config.
    """
    stage = search_stage(workdir, run.config)
    if stage.path.exists():
        raise UserError(f"--workdir: {stage.path} exists; allowed: a --workdir without a search")
    arrays = npz.read(path)
    imported_supernet.check(run.config, run.space, run.data, arrays)
    setup = search_setup.make(run.config, run.space, run.data, run.strategy)
    supernet_file.load(setup.bilevel, arrays)
    origin = {"file": os.path.abspath(path), "sha256": files.sha256(pathlib.Path(path))}
    with lock.held(workdir, again=True):
        # Under another name until it is whole, so that an import that was killed can be made again.
        making = search_stage(workdir, run.config, folder=".importing")
        shutil.rmtree(making.path, ignore_errors=True)
        values = imported_supernet.run(setup, making.open(), origin)
        making.path.rename(stage.path)
    return stage.path, values


def select(run: Session, workdir: str) -> tuple[pathlib.Path, Genotype]:
    """Selects from the work directory's supernet; gives the folder and the genotype.

    Raises:
      UserError: the search there is missing, unfinished, or of another config; or no genotype fits the
        budget.
    """
    needs_supernet = run.config.selection.method not in NEEDS_NO_SUPERNET
    (_, first), *others = _supernets(workdir, run.config, supernets_of(run.config))
    searched = _searched(first, finished=needs_supernet)
    several = f" --config.selection.one_shot=True --config.selection.supernets={1 + len(others)}"
    for _, other in others:
        _searched(other, flags=several)
    stage = selection_stage(workdir, run.config)
    stage.check()
    finished = stage.path / "genotype.json"
    if finished.exists():
        return stage.path, genotype_lib.load(finished, run.space)
    budget.check(run.config, run.space, run.data)
    setup = search_setup.make(run.config, run.space, run.data, run.strategy)
    for config, other in others:
        setup.others[other.path] = search_setup.make(config, run.space, run.data, run.strategy)
    with _at_work(stage) as folder:
        return folder, selection_lib.run(setup, searched, folder)


def look_up(table: NasBench201, path: str, folder: pathlib.Path, genotype: Genotype) -> Entry:
    """Looks a genotype up in the NAS-Bench-201 table; leaves what it says in `folder`/table.json.

    Args:
      table: the table.
      path: its file, to be recorded.
      folder: that of the selection.
      genotype: what was selected.
    """
    entry = table.lookup(genotype)
    write_json(
        folder / "table.json", {"table": path, "architectures": len(table), **dataclasses.asdict(entry)}
    )
    return entry


def train(
    run: Session,
    workdir: str,
    name: str,
    genotype: Genotype,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> tuple[pathlib.Path, dict[str, Any]]:
    """Trains a genotype from scratch, with Keras's callbacks; gives the folder and the result."""
    stage = training_stage(workdir, run.config, name, genotype.to_text(run.space))
    stage.check()
    finished = stage.path / "result.json"
    if finished.exists():
        return stage.path, read_json(finished)
    setup = setup_lib.make(run.config, run.space, genotype, run.data, run.strategy)
    with _at_work(stage) as folder:
        return folder, training_loop.run(setup, folder, name, callbacks)


def studies(
    names: Iterable[str], workdir: str, config: ml_collections.ConfigDict, table: NasBench201 | None
) -> dict[str, AnalysisRun]:
    """Analyses by name, of one searched supernet that is made when the first of them asks for it.

    Raises:
      UserError: the search there is missing, unfinished, or of another config, as is what an analysis has
        left; or the config names no edges or column.
    """
    space = spaces.of(config)
    edges.parse(space, config.analysis.edges)
    if table is not None:
        table.operation_strength(config.analysis.table_column)
    names = list(names)
    if not NEEDS_NO_SEARCH.issuperset(names):
        _searched(search_stage(workdir, config))

    @functools.cache
    def start() -> search_setup.SearchSetup:
        run = Session(config)
        return search_setup.make(config, space, run.data, run.strategy)

    return {name: AnalysisRun(name, workdir, config, space, table, start) for name in names}


def _searched(searched: StageFolder, finished: bool = True, flags: str = "") -> pathlib.Path:
    """The folder of a search of the stage's config, which is finished unless it need not be.

    Args:
      searched: the stage.
      finished: whether it has to be finished.
      flags: what the search has to be told, for the message.
    """
    searched.check()
    if finished and not (searched.path / "result.json").exists():
        raise UserError(
            f"--workdir: {searched.path} holds no finished search; run {command.of('search')}{flags} there"
            " first"
        )
    return searched.path


def selected(workdir: str, config: ml_collections.ConfigDict, space: Space) -> Genotype:
    """The genotype that the config's selection gave in this work directory.

    Raises:
      UserError: it has not, or the file is damaged.
    """
    path = selection_stage(workdir, config).path / "genotype.json"
    if not path.exists():
        selection = config.selection
        named = f" --config.selection.name={selection.name}" if selection.name else ""
        there = sorted(found.parent.name for found in path.parents[1].glob("*/genotype.json"))
        others = f"; there are selections {', '.join(there)}" if there else ""
        before = f"{command.of('select')} --method={selection.method}{named}"
        raise UserError(f"--workdir: {path} is missing; run {before} first{others}")
    return genotype_lib.load(path, space)
