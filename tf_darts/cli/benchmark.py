"""Times search, selection, training: bin/benchmark --config=configs/benchmark.py --output=runs/benchmark."""

import importlib.util
import pathlib
import sys

from absl import flags
from ml_collections import config_flags

from tf_darts.cli import entry
from tf_darts.errors import UserError
from tf_darts.tools.benchmark import settings

_CONFIG = config_flags.DEFINE_config_file(
    "config",
    None,
    "What is measured and how often, such as configs/benchmark.py; fields are set by --config.FIELD=VALUE,"
    " and tf_darts/tools/benchmark/settings.py lists them.",
)
_PEER = flags.DEFINE_enum(
    "peer", "none", ["none", "pytorch"], "What to compare with; pytorch needs the extra `peer`."
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "Folder for result.json, table.md and plot.png; what was measured there is kept."
)
_SCALING = flags.DEFINE_bool(
    "scaling", False, "Also measure how the cost grows with channels, cells, batch and candidate operations."
)


def program() -> None:
    """Measure; print the tables and where the files are."""
    if _CONFIG.value is None:
        raise UserError("--config: missing; give a config file, for example --config=configs/benchmark.py")
    config = settings.validate(_CONFIG.value.copy_and_resolve_references())
    if not _OUTPUT.value:
        raise UserError("--output: missing; give the folder for the results")
    peer = _PEER.value == "pytorch"
    if peer and importlib.util.find_spec("torch") is None:
        raise UserError("--peer=pytorch: PyTorch is missing; run: pip install -e '.[peer]'")
    from tf_darts.tools.benchmark import run

    folder = pathlib.Path(_OUTPUT.value).expanduser()
    text = run.run(
        config.to_dict(), peer, _SCALING.value, folder, lambda line: print(line, file=sys.stderr, flush=True)
    )
    print(text)
    print(f"All samples are in {folder / 'result.json'}, the pictures beside it.")


def main() -> None:
    """Run the program."""
    entry.run(program, settings.names(), settings.unknown, example="configs/benchmark.py")


if __name__ == "__main__":
    main()
