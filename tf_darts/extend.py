"""The one import for what is your own: operations, search methods and parts, selections, criteria, analyses.

    from tf_darts.extend import Operation, primitives

`import tf_darts.extend` is cheap: TensorFlow is imported when a name that needs it is asked for.
docs/extending.md shows how each part is written, and says in a line what each name is.
"""

import importlib
from typing import TYPE_CHECKING, Any

from tf_darts import registry
from tf_darts import trust as trust_lib
from tf_darts.errors import UserError

# Where each name is: "module:attribute", or a module.
PLACES: dict[str, str] = {
    "AnalysisRun": "tf_darts.analysis.analysis_run:AnalysisRun",
    "Architecture": "tf_darts.models.architecture:Architecture",
    "Batch": "tf_darts.optim.losses:Batch",
    "BatchNorm": "tf_darts.layers.batch_norm:BatchNorm",
    "Bilevel": "tf_darts.search.bilevel:Bilevel",
    "Block": "tf_darts.spaces.space:Block",
    "Choice": "tf_darts.genotypes.genotype:Choice",
    "Criterion": "tf_darts.selection.criterion:Criterion",
    "Edge": "tf_darts.spaces.space:Edge",
    "Evaluated": "tf_darts.search.bilevel:Evaluated",
    "Genotype": "tf_darts.genotypes.genotype:Genotype",
    "JsonLines": "tf_darts.workdir.records:JsonLines",
    "Method": "tf_darts.search.methods.method:Method",
    "NodeOutput": "tf_darts.layers.node_output:NodeOutput",
    "Now": "tf_darts.search.now:Now",
    "Operation": "tf_darts.layers.operation:Operation",
    "SearchPart": "tf_darts.search.parts.search_part:SearchPart",
    "Score": "tf_darts.models.evaluator:Score",
    "SearchSetup": "tf_darts.search.setup:SearchSetup",
    "Space": "tf_darts.spaces.space:Space",
    "Stacking": "tf_darts.spaces.space:Stacking",
    "View": "tf_darts.selection.criterion:View",
    "default_config": "tf_darts.config:default",
    "default_study": "tf_darts.study.settings:default",
    "entropy": "tf_darts.search.alpha_summary:entropy",
    "keras_operation": "tf_darts.layers.keras_operation:keras_operation",
    "primitives": "tf_darts.layers.primitives",
    "read_genotype": "tf_darts.genotypes.derive:read_genotype",
    "space_of": "tf_darts.spaces:of",
    "sum_over_replicas": "tf_darts.optim.optimizers:sum_over_replicas",
}

__all__ = [
    "AnalysisRun",
    "Architecture",
    "Batch",
    "BatchNorm",
    "Bilevel",
    "Block",
    "Choice",
    "Criterion",
    "Edge",
    "Evaluated",
    "Genotype",
    "JsonLines",
    "Method",
    "NodeOutput",
    "Now",
    "Operation",
    "Score",
    "SearchPart",
    "SearchSetup",
    "Space",
    "Stacking",
    "UserError",
    "View",
    "default_config",
    "default_study",
    "entropy",
    "keras_operation",
    "primitives",
    "read_genotype",
    "register_analysis",
    "register_criterion",
    "register_method",
    "register_operation",
    "register_part",
    "register_selection",
    "space_of",
    "sum_over_replicas",
    "trust",
]

if TYPE_CHECKING:  # the same names for editors and type checkers
    from tf_darts.analysis.analysis_run import AnalysisRun
    from tf_darts.config import default as default_config
    from tf_darts.genotypes.derive import read_genotype
    from tf_darts.genotypes.genotype import Choice, Genotype
    from tf_darts.layers import primitives
    from tf_darts.layers.batch_norm import BatchNorm
    from tf_darts.layers.keras_operation import keras_operation
    from tf_darts.layers.node_output import NodeOutput
    from tf_darts.layers.operation import Operation
    from tf_darts.models.architecture import Architecture
    from tf_darts.models.evaluator import Score
    from tf_darts.optim.losses import Batch
    from tf_darts.optim.optimizers import sum_over_replicas
    from tf_darts.search.alpha_summary import entropy
    from tf_darts.search.bilevel import Bilevel, Evaluated
    from tf_darts.search.methods.method import Method
    from tf_darts.search.now import Now
    from tf_darts.search.parts.search_part import SearchPart
    from tf_darts.search.setup import SearchSetup
    from tf_darts.selection.criterion import Criterion, View
    from tf_darts.spaces import of as space_of
    from tf_darts.spaces.space import Block, Edge, Space, Stacking
    from tf_darts.study.settings import default as default_study
    from tf_darts.workdir.records import JsonLines
else:

    def __getattr__(name: str) -> Any:
        if name not in PLACES:
            raise AttributeError(
                f"module {__name__!r} has no attribute {name!r}; {registry.hint(name, __all__)}", name=name
            )
        place = PLACES[name]
        # A failure in the module is an ImportError: Python would tell an AttributeError as a missing name.
        return registry.load_reference(place) if ":" in place else importlib.import_module(place)


def __dir__() -> list[str]:
    return __all__


def register_operation(name: str, entry: Any) -> Any:
    """Add a candidate operation under a name that `custom_space.candidates` may hold.

    Args:
      name: letters, digits and _.
      entry: a subclass of `Operation`, what `keras_operation` returns, or where one of them is:
        "FILE.py:attribute" or "module:attribute".

    Returns:
      The entry.

    Raises:
      UserError: the name is not one or is taken by another entry, or the entry leads to no module or file.
    """
    return registry.OPERATIONS.register(name, entry)


def register_method(name: str, entry: Any) -> Any:
    """Add a search method under a name for `search.method`.

    Args:
      name: letters, digits and _.
      entry: a subclass of `Method`, or where it is, as in `register_operation`.

    Returns:
      The entry.

    Raises:
      UserError: as in `register_operation`.
    """
    return registry.METHODS.register(name, entry)


def register_part(name: str, entry: Any) -> Any:
    """Add a part of a search under a name for `search.parts`.

    Args:
      name: letters, digits and _.
      entry: a subclass of `SearchPart`, or where it is, as in `register_operation`.

    Returns:
      The entry.

    Raises:
      UserError: as in `register_operation`.
    """
    return registry.PARTS.register(name, entry)


def register_selection(name: str, entry: Any) -> Any:
    """Add a selection under a name for `selection.method`.

    Args:
      name: letters, digits and _.
      entry: a function (SearchSetup, folder) -> Genotype, or where it is, as in `register_operation`.

    Returns:
      The entry.

    Raises:
      UserError: as in `register_operation`.
    """
    return registry.SELECTIONS.register(name, entry)


def register_criterion(name: str, entry: Any) -> Any:
    """Add a selection criterion under a name for `selection.criterion`.

    Args:
      name: letters, digits and _.
      entry: a function Score -> float, larger for what is to be kept, a subclass of `Criterion`, or where it
        is, as in `register_operation`.

    Returns:
      The entry.

    Raises:
      UserError: as in `register_operation`.
    """
    return registry.CRITERIA.register(name, entry)


def register_analysis(name: str, entry: Any) -> Any:
    """Add an analysis under a name for `bin/analyze --analysis`.

    Args:
      name: letters, digits and _.
      entry: a function AnalysisRun -> text, or where it is, as in `register_operation`.

    Returns:
      The entry.

    Raises:
      UserError: as in `register_operation`.
    """
    return registry.ANALYSES.register(name, entry)


def trust(*places: str) -> None:
    """Let work directories and models that are read from now on load code from some places.

    What they name is not loaded otherwise; what `register_operation` and the others are given, and what a
    config of yours names, needs no word more.

    Args:
      places: Python files, folders with all that is below them, and names of modules or packages.

    Raises:
      UserError: there is no such file, folder or module.
    """
    trust_lib.allow(*places)
