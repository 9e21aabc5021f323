"""How every program starts: flags parsed, and errors as one line with exit status 2.

It defines no flags; the programs, and what they share (`shared_flags.py`), do.
"""

import contextlib
import io
import os
import pathlib
import select
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, NoReturn, TextIO

import ml_collections
from absl import app, flags, logging
from ml_collections import config_flags

from tf_darts import trust
from tf_darts.config import files
from tf_darts.config.address import refuse_address
from tf_darts.errors import UserError

RECORDED = pathlib.Path(__file__).with_name("workdir_config.py")
UNREAD = 141  # exit status where nobody reads on, as of a program that SIGPIPE ends


def run(
    program: Callable[[], int | None],
    fields: Sequence[str],
    unknown: Callable[[str], str],
    example: str,
    recorded: bool = False,
) -> None:
    """Parse the flags and run a program.

    Args:
      program: what is run; its `UserError` becomes one line.
      fields: those that --config.FIELD may set.
      unknown: returns the message about a field that is none of them.
      example: a config file, for the message about a missing one.
      recorded: whether the config of --workdir serves where --config is left out.
    """

    def parse(argv: list[str]) -> list[str]:
        if recorded:
            argv = [*argv[:1], *with_recorded_config(argv[1:])]
        return _parse(argv, fields, unknown, example)

    def main(_: list[str]) -> int | None:
        try:
            return program()
        except UserError as error:
            _fail(error)
        except KeyboardInterrupt:
            print("\ninterrupted; the same command continues from here", file=sys.stderr)
            sys.exit(130)

    _tell_flags_of(sys.modules[program.__module__])
    for stream in (sys.stdout, sys.stderr):
        # Names of files and classes may be any bytes, and a terminal may not know a character of a name.
        if isinstance(stream, io.TextIOWrapper):
            utf_8 = stream.encoding.lower().replace("_", "-") == "utf-8"
            stream.reconfigure(errors="surrogateescape" if utf_8 else "backslashreplace")
    with _ending_quietly():
        app.run(main, flags_parser=parse)


@contextlib.contextmanager
def _ending_quietly() -> Iterator[None]:
    """End without a word where what the program writes is no longer read, as by `bin/list | head`."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()  # now, not when Python ends: its complaint could not be caught then
    except BrokenPipeError:
        unread = [stream for stream in (sys.stdout, sys.stderr) if _is_unread(stream)]
        if not unread:
            raise  # some other pipe
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in unread:
            os.dup2(nowhere, stream.fileno())
        sys.exit(UNREAD)


def _is_unread(stream: TextIO) -> bool:
    polled = select.poll()
    polled.register(stream.fileno(), 0)
    return any(event & select.POLLERR for _, event in polled.poll(0))


def _tell_flags_of(module: ModuleType) -> None:
    """Make --help show a program's flags also where the main module is the script that pip made for it."""
    main = sys.modules["__main__"]
    if module is not main:
        main.__doc__ = module.__doc__
        for flag in flags.FLAGS.get_key_flags_for_module(module.__name__):
            flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)


def _parse(argv: list[str], fields: Sequence[str], unknown: Callable[[str], str], example: str) -> list[str]:
    """Parse the flags; whatever is wrong with them or with the config file is one line."""
    try:
        argv = [*argv[:1], *with_config_file(argv[1:])]
        _check_config_flags(argv[1:], fields, unknown, example)
        rest = flags.FLAGS(argv)
        if flags.FLAGS["verbosity"].using_default_value:
            flags.FLAGS.verbosity = logging.ERROR  # TensorFlow logs every checkpoint and traced function
        if len(rest) > 1:
            raise UserError(f"{rest[1]!r} is not a flag; flags start with --")
        return rest
    except (flags.Error, UserError) as error:
        _fail(_origin(error))
    except BrokenPipeError:  # of --help
        raise
    except OSError as error:
        _fail(f"--config: {error.filename!r} cannot be read: {error.strerror}")
    except Exception as error:  # a config file is a program and may fail in any way
        _fail(f"--config: {type(error).__name__}: {error}")


def with_config_file(arguments: list[str]) -> list[str]:
    """Return the arguments, with the file's path where --config names one that came with tf_darts."""
    found = list(arguments)
    for i, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name not in ("--config", "-config"):
            continue
        place, flag = (i, f"{name}=") if equals else (i + 1, "")
        if place < len(found):
            path, colon, rest = (value if equals else found[place]).partition(":")
            found[place] = f"{flag}{files.find(path)}{colon}{rest}"
    return found


def with_recorded_config(arguments: list[str]) -> list[str]:
    """Return the arguments, with the config of --workdir first where there is no --config."""
    given = dict(_given(arguments))
    if "config" in given or not given.get("workdir"):
        return arguments
    return [f"--config={RECORDED}:{given['workdir']}", *arguments]


def named_extensions(config: ml_collections.ConfigDict, flag: flags.Flag) -> Mapping[str, Any]:
    """Return the part of a config's section `extensions` that this command names, not a work directory alone.

    Args:
      config: what --config and --config.FIELD say together.
      flag: --config.
    """
    file = config_flags.get_config_filename(flag).partition(":")[0]
    if not os.path.samefile(file, RECORDED):  # a program of the user's
        return config.to_dict().get("extensions", {})
    given = [(name.partition("."), value) for name, value in config_flags.get_override_values(flag).items()]
    return {field: value for (section, _, field), value in given if section == "extensions"}


def place(flag: str, folder: str) -> str:
    """Return the flags for a command that goes on in a folder, with the code that this one may load."""
    return " ".join(filter(None, [f"--{flag}={shlex.quote(folder)}", trust.flag(trust.named())]))


def _check_config_flags(
    arguments: list[str], fields: Sequence[str], unknown: Callable[[str], str], example: str
) -> None:
    """Check what the flag library reports obscurely or not: a missing config file, a field, an address."""
    given = list(_given(arguments))
    for name, value in given:
        if name != "tpu" and not name.startswith("config."):  # a TPU has one; fields are checked later
            for part in value.split(","):
                refuse_address(f"--{name}", part)
    has_config = "config" in dict(given)
    for name, value in given:
        if name == "config":
            path = value.split(":")[0]
            if not os.path.isfile(path):
                raise UserError(f"--config: {path!r}: no such file; give one, such as {example}")
        elif name.startswith("config.") and name.removeprefix("config.") not in fields:
            raise UserError(unknown(name.removeprefix("config.")))
        elif name.startswith("config.") and not has_config:
            raise UserError(f"--{name}: --config is missing; give a config file, such as {example}")


def _given(arguments: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the names of the flags, without dashes, each with its value: behind =, or the next argument."""
    for argument, following in zip(arguments, [*arguments, ""][1:], strict=True):
        name, equals, value = argument.partition("=")
        if argument.startswith("-"):
            yield name.removeprefix("-").removeprefix("-"), value if equals else following


def _origin(error: BaseException) -> BaseException:
    """Return a config file's own `UserError`: the flag library makes another of it, with a traceback."""
    while isinstance(error.__context__, UserError):
        error = error.__context__
    return error


def _fail(error: Exception | str) -> NoReturn:
    print("error: " + " ".join(str(error).split()), file=sys.stderr)
    sys.exit(2)
