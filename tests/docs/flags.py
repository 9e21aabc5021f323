"""Whether programs take what they are given, many commands in one process: `python -m tests.docs.flags`.

Reads a line of JSON for each command, {"program": module of tf_darts.cli, "arguments": [...]}, and writes a
line for each: what is wrong with its flags or with the config that they give, or nothing. No program is run.
"""

import importlib
import json
import os
import sys
import tempfile

from absl import app, flags

import tf_darts.nas_bench
import tf_darts.paper
import tf_darts.selection
import tf_darts.study.engine  # noqa: F401
from tf_darts.cli import entry  # noqa: F401
from tf_darts.config import files
from tf_darts.workdir import records


def check(program: str, arguments: list[str]) -> None:
    """Parses the flags of a program and makes its config as it does.

    Raises:
      UserError, SystemExit: something is wrong.
    """
    sys.argv = [program, *arguments]  # where the flags of a config look for its fields
    # No work directory of the pages is there. It may have been started with any config.
    records.recorded_config = lambda path: files.load("quickstart")
    app.run = lambda main, flags_parser: flags_parser(sys.argv)
    module = importlib.import_module(f"tf_darts.cli.{program}")
    module.main()
    values = flags.FLAGS.flag_values_dict()
    if values.get("config") is None:
        return
    if program == "study":
        module._study(None)
    elif program == "benchmark":
        module.settings.validate(module._CONFIG.value)
    else:
        from tf_darts import config as config_lib
        from tf_darts.cli import shared_flags

        config_lib.with_method(shared_flags.load_config(table=values.get("table")), values.get("method"))


def main() -> None:
    """Answers line by line; each command is a process of its own, for flags belong to a process."""
    for line in sys.stdin:
        request = json.loads(line)
        with tempfile.TemporaryFile("w+") as errors:
            child = os.fork()
            if not child:
                os.dup2(errors.fileno(), 2)
                os._exit(status_of(request))
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            errors.seek(0)
            print(json.dumps(errors.read() or (f"exit status {status}" if status else "")), flush=True)


def status_of(request: dict) -> int:
    """The exit status of a program that finds these flags wrong; 0 where it finds nothing."""
    try:
        check(**request)
    except SystemExit as end:
        return end.code or 0
    except Exception as error:  # whatever it is, it is told
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    finally:
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    main()
