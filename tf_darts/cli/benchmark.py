"""Times search, selection, training: bin/benchmark --config=configs/benchmark.py --output=runs/benchmark."""

import importlib.util
import os
import pathlib
import sys

from absl import app, flags
from ml_collections import config_flags

from tf_darts.benchmark import settings
from tf_darts.errors import UserError

_CONFIG = config_flags.DEFINE_config_file(
    "config",
    None,
    "What is measured and how often, as configs/benchmark.py; fields are set by --config.FIELD=VALUE, and"
    " tf_darts/benchmark/settings.py lists them.",
)
_PEER = flags.DEFINE_enum(
    "peer", "none", ["none", "pytorch"], "What to compare with; pytorch needs requirements-peer.txt."
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "Folder for result.json, table.md and plot.png; what was measured there is kept."
)
_SCALING = flags.DEFINE_bool(
    "scaling", False, "Also how the cost grows with channels, cells, batch and candidate operations."
)


def program() -> None:
    """Measures, and prints the tables and where the files are."""
    if _CONFIG.value is None:
        raise UserError("--config: missing; give a config file, for example --config=configs/benchmark.py")
    config = settings.validate(_CONFIG.value.copy_and_resolve_references())
    if not _OUTPUT.value:
        raise UserError("--output: missing; give the folder for the results")
    peer = _PEER.value == "pytorch"
    if peer and importlib.util.find_spec("torch") is None:
        raise UserError("--peer=pytorch: PyTorch is missing; run: pip install -r requirements-peer.txt")
    from tf_darts.benchmark import run

    folder = pathlib.Path(_OUTPUT.value).expanduser()
    text = run.run(
        config.to_dict(), peer, _SCALING.value, folder, lambda line: print(line, file=sys.stderr, flush=True)
    )
    print(text)
    print(f"All samples are in {folder / 'result.json'}, the pictures beside it.")


def _parse(argv: list[str]) -> list[str]:
    """Parses the flags; whatever is wrong with them or with the config file is one line."""
    try:
        _check_config_flags(argv[1:])
        rest = flags.FLAGS(argv)
        if len(rest) > 1:
            raise UserError(f"{rest[1]!r} is not a flag; flags start with --")
        return rest
    except (flags.Error, UserError) as error:
        _fail(error)
    except Exception as error:  # a config file is a program and may fail in any way
        _fail(f"--config: {type(error).__name__}: {error}")


def _check_config_flags(arguments: list[str]) -> None:
    """Checks what the flag library would report obscurely: a missing config file, an unknown field."""
    for argument, following in zip(arguments, [*arguments, ""][1:], strict=True):
        name, equals, value = argument.partition("=")
        name = name.removeprefix("-").removeprefix("-")
        if name == "config":
            path = (value if equals else following).split(":")[0]
            if not os.path.isfile(path):
                raise UserError(f"--config: {path!r}: no such file; give one as configs/benchmark.py")
        elif name.startswith("config.") and name.removeprefix("config.") not in settings.names():
            raise UserError(settings.unknown(name.removeprefix("config.")))


def _fail(error: Exception | str) -> None:
    print("error: " + " ".join(str(error).split()), file=sys.stderr)
    sys.exit(2)


def main() -> None:
    """The entry point."""

    def program_of(_: list[str]) -> None:
        try:
            program()
        except UserError as error:
            _fail(error)
        except KeyboardInterrupt:
            print("\ninterrupted; the same command continues from here", file=sys.stderr)
            sys.exit(130)

    app.run(program_of, flags_parser=_parse)


if __name__ == "__main__":
    main()
