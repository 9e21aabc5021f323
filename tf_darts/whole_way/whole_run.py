"""All stages in turn: search, select by each method from the same supernet, train each, compare.

bin/run is this with flags; `api` has it on your own images.
"""

import dataclasses
import pathlib
import textwrap
from collections.abc import Sequence

from tf_darts import stages
from tf_darts.config import with_method
from tf_darts.genotypes.genotype import Genotype
from tf_darts.nas_bench import true_accuracy
from tf_darts.nas_bench.nas_bench_201 import NasBench201
from tf_darts.plots.cell_diagram import save_genotype_picture
from tf_darts.plots.table import WIDTH, NetworkRow, comparison_table
from tf_darts.registry import UNTRAINED_ALPHA
from tf_darts.report import outcome, page, workdir_contents, workdir_page
from tf_darts.session import Session
from tf_darts.whole_way import rivals


@dataclasses.dataclass(frozen=True)
class WholeRun:
    """What came out of all stages.

    Attributes:
      rows: a row for every network, and for cells to compare them with.
      sentences: what the rows say.
      picture: the cells.
      report: the page of the work directory.
    """

    rows: list[NetworkRow]
    sentences: list[str]
    picture: pathlib.Path
    report: pathlib.Path

    def __str__(self) -> str:
        """Return table and sentences, as a terminal shows them."""
        said = [textwrap.fill(sentence, WIDTH, break_on_hyphens=False) for sentence in self.sentences]
        return "\n".join([comparison_table(self.rows), "", *said])


def run(session: Session, workdir: str, table: NasBench201 | None) -> WholeRun:
    """Run all stages, continuing what the work directory holds; leave picture and report.

    Args:
      session: config, space, devices and data.
      workdir: the work directory.
      table: NAS-Bench-201's; None in every other space.

    Raises:
      UserError: as the stages, before any of them takes its hours where that can be known.
    """
    stages.check(session)
    stages.search(session, workdir)
    genotypes = {name: select(session, workdir, name, table) for name in methods(session)}
    for name, genotype in genotypes.items():
        stages.train(_selecting(session, name), workdir, name, genotype)
    found, names = methods(session)[-1], session.config.comparison.rivals
    said = rivals.train(_selecting(session, found), workdir, found, names)
    return conclude(session, workdir, genotypes, table, said)


def methods(session: Session) -> list[str]:
    """Return the selections whose networks are compared, by method; the last one's is what was found."""
    # Alpha that was never trained has no magnitude to select by.
    untrained = session.config.search.method in UNTRAINED_ALPHA
    return ["perturbation"] if untrained else ["magnitude", "perturbation"]


def select(session: Session, workdir: str, method: str, table: NasBench201 | None) -> Genotype:
    """Select by a method, and look up what NAS-Bench-201 says of it.

    Args:
      session: config, space, devices and data; its config may name another method.
      workdir: the work directory.
      method: the selection.
      table: NAS-Bench-201's; None in every other space.

    Raises:
      UserError: as `stages.select`.
    """
    chosen = _selecting(session, method)
    folder, genotype = stages.select(chosen, workdir)
    if table is not None:
        true_accuracy.look_up(table, folder, genotype, chosen.config.runtime.tensorboard)
    return genotype


def conclude(
    session: Session,
    workdir: str,
    genotypes: dict[str, Genotype],
    table: NasBench201 | None,
    said: Sequence[str] = (),
) -> WholeRun:
    """Draw the cells, write the report, and say what came out.

    Args:
      session: config, space, devices and data.
      workdir: the work directory.
      genotypes: what was selected, by name of selection and training.
      table: NAS-Bench-201's; None in every other space.
      said: sentences on rivals that were left out (`rivals.train`).
    """
    picture = pathlib.Path(workdir) / "report" / "genotypes.png"
    picture.parent.mkdir(exist_ok=True)
    save_genotype_picture(picture, session.space, genotypes)
    report = picture.with_name("index.html")
    record = workdir_contents.read(workdir)
    page.write(report, workdir_page.make(record))
    rows = outcome.rows(record, table, list(genotypes))
    columns = [] if table is None else [outcome.columns(table)]
    return WholeRun(rows, [*columns, *said, *outcome.verdict(record, rows)], picture, report)


def _selecting(session: Session, method: str) -> Session:
    return session.with_config(with_method(session.config, method))
