"""A selected genotype, as `api.select` returns it."""

import dataclasses
import pathlib
from typing import Any

from tf_darts.errors import UserError
from tf_darts.genotypes.genotype import Genotype
from tf_darts.library.run import Run
from tf_darts.nas_bench.nas_bench_201 import Entry
from tf_darts.report import notebook
from tf_darts.workdir import top_file
from tf_darts.workdir.records import read_lines
from tf_darts.workdir.top_file import RankedGenotype


@dataclasses.dataclass(frozen=True)
class Selected:
    """A selected genotype.

    Attributes:
      run: config and work directory.
      folder: that of the selection.
      genotype: the genotype.
    """

    run: Run = dataclasses.field(repr=False)
    folder: pathlib.Path
    genotype: Genotype = dataclasses.field(repr=False)

    @property
    def workdir(self) -> pathlib.Path:
        """The work directory."""
        return self.run.workdir

    @property
    def text(self) -> str:
        """The genotype's published text form.

        Examples:
          >>> selected.text
          '|...~0|+|...~0|...~1|+|...~0|...~1|...~2|'
        """
        return self.genotype.to_text(self.run.space)

    @property
    def nas_bench_201(self) -> Entry | None:
        """What NAS-Bench-201 says about the genotype; None in every other space.

        Examples:
          >>> true = selected.nas_bench_201.scores["CIFAR-10"]["test"]
          >>> print(f"test accuracy {true.accuracy:.2f} %, rank {true.rank:,}, regret {true.regret:.2f}")
          test accuracy ... %, rank ..., regret ...
        """
        return self.run.entry_of(self.genotype)

    @property
    def decisions(self) -> list[dict[str, Any]]:
        """Every decision with its probes, in their order; none where the selection leaves none.

        Examples:
          >>> first = selected.decisions[0]
          >>> first["edge_name"], first["chosen"]
          ('...<-...', '...')
          >>> for probe in first["probes"]:  # the supernet's accuracy without each operation
          ...     print(f"{probe['operation']:12}  {probe['accuracy']:.2f}")
          none          0...
          skip_connect  0...
          nor_conv_1x1  0...
          nor_conv_3x3  0...
          avg_pool_3x3  0...
        """
        return read_lines(self.folder / "decisions.jsonl")

    def top(self, k: int = 5) -> list[RankedGenotype]:
        """Return the best genotypes, the one selected first: those that give up least of its leads.

        There are 20 at most, all within the budget; none where the selection measures nothing to rank by. The
        work directory has them in top.json.

        Args:
          k: how many, at least 1.

        Raises:
          UserError: `k` is below 1.

        Examples:
          >>> [row.rank for row in selected.top(3)]
          [1, 2, 3]
          >>> second = selected.top(2)[1]
          >>> second.differs, second.parameters, second.tflite_bytes
          (('normal ...',), ..., ...)
        """
        if k < 1:
            raise UserError(f"k: {k!r}; allowed: at least 1")
        return top_file.read(self.folder)[1][:k]

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the genotype's cells, its true accuracies, the decisions."""
        run = self.run
        return notebook.of_selection(
            run.contents(self.folder), run.space, self.genotype, run.table, run.facts
        )
