"""Compile the kernels, once for a machine or for a wheel: for which processors, from what, where they lie."""

import contextlib
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import tensorflow as tf

from tf_darts.runtime import host

SOURCES = pathlib.Path(__file__).parent / "source"
CARRIED = pathlib.Path(__file__).parent / "built"  # what a wheel carries; a checkout has none
COMPILERS = ("g++", "clang++", "c++")
SECONDS = 600  # after which compiling is given up

# By the compiler's name for a kind of processor, the best first: what /proc/cpuinfo says of it.
LEVELS = {
    "x86-64-v4": ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"),
    "x86-64-v3": ("avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"),
}


class BuildError(Exception):
    """Why there are no kernels here, in a few words."""


def level(cpuinfo: pathlib.Path = pathlib.Path("/proc/cpuinfo")) -> str:
    """Return the best level of this processor that the kernels are made for.

    Args:
      cpuinfo: Linux's description of the processors.

    Raises:
      BuildError: it has none, or the system does not tell.
    """
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        raise BuildError("they are for Linux on x86-64") from None
    has = next((set(line.split()) for line in lines if line.startswith("flags")), set())
    for name, needed in LEVELS.items():
        if has.issuperset(needed):
            return name
    raise BuildError("the processor has neither AVX-512 nor AVX2 with FMA")


def flags(level: str) -> list[str]:
    """Return the compiler's options, without what TensorFlow and the files are."""
    # Sums keep their order: nothing here lets the compiler reorder them. It may fuse products with sums.
    return [
        "-std=c++20",
        "-O3",
        f"-march={level}",
        *(["-mprefer-vector-width=512"] if level == "x86-64-v4" else []),
        "-ffp-contract=fast",
        "-fPIC",
        "-pthread",
        "-shared",
        "-fvisibility=hidden",
    ]


def _name(level: str, *more: str) -> str:
    """Return the name of a file of kernels: it has a digest of all that they are made from.

    The compiler's version is no part of that: a new compiler leaves the kernels, and so the digits of a run
    that goes on, as they are.
    """
    digest = hashlib.sha256(" ".join([*flags(level), *more]).encode())
    for path in sorted(SOURCES.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return f"kernels-{level}-{digest.hexdigest()[:16]}.so"


def built(level: str) -> pathlib.Path:
    """Return the file of the kernels for a level, compiled now for this machine unless it was before.

    Raises:
      BuildError: they cannot be compiled, and the message says why.
    """
    path = host.cache_folder() / _name(level, tf.version.VERSION)
    if not path.exists():
        print("native kernels: compiling, once on this machine (some 10 s)", file=sys.stderr, flush=True)
        _compile(level, path)
    return path


def carried(level: str) -> pathlib.Path | None:
    """Return the file of the kernels that the package carries for a level; None: none of these sources.

    They were made with one version of TensorFlow and serve others: they use its C API alone.
    """
    path = CARRIED / _name(level)
    return path if path.exists() else None


def carry() -> list[pathlib.Path]:
    """Compile the kernels for all levels into the package, from where a wheel takes them; return the files.

    Raises:
      BuildError: they cannot be compiled, and the message says why.
    """
    shutil.rmtree(CARRIED, ignore_errors=True)
    paths = [CARRIED / _name(level) for level in LEVELS]
    for level, path in zip(LEVELS, paths, strict=True):
        _compile(level, path)
    for path in (CARRIED, *paths):
        path.chmod(0o755)  # for all who use an installation
    return paths


def _compiler() -> str:
    """Return the compiler: what CXX names, or the first that is found."""
    names = [given] if (given := os.environ.get("CXX")) else COMPILERS
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise BuildError(f"no C++ compiler ({' or '.join(names)}) was found")
    return found


def _compile(level: str, path: pathlib.Path) -> None:
    compiler, base = _compiler(), pathlib.Path(tf.sysconfig.get_include())
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Several processes may start at once: each makes its own, and the last one's stays.
        handle, made = tempfile.mkstemp(suffix=".so", dir=path.parent)
    except OSError as error:
        raise BuildError(f"{path.parent} cannot be written: {error.strerror}") from None
    os.close(handle)
    files = [str(file) for file in sorted(SOURCES.glob("*.cpp"))]
    arguments = [compiler, *flags(level), f"-I{base}", *files, "-o", made, *tf.sysconfig.get_link_flags()]
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=SECONDS, check=False)
        if done.returncode:
            said = next((line for line in done.stderr.splitlines() if "error" in line), "it does not say why")
            raise BuildError(f"{compiler} failed: {said.strip()}")
        os.chmod(made, 0o700)
        os.replace(made, path)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{compiler} failed: {error}") from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(made)
