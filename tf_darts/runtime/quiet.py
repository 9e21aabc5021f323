"""TensorFlow's start without what its C++ code writes then."""

import contextlib
import dataclasses
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import IO

from absl import flags

from tf_darts.errors import UserError


@contextlib.contextmanager
def quiet_start() -> Iterator[None]:
    """Keep back what TensorFlow's C++ code writes as it starts, unless starting fails or --verbosity is set.

    It says that it found no GPU and which libraries it uses, at every start and at every log level.
    """
    if flags.FLAGS["verbosity"].present:
        yield
        return
    with _kept_back() as kept:
        try:
            yield
        except Exception as error:
            if not isinstance(error, UserError):
                kept.tell()
            raise


@contextlib.contextmanager
def without_lines(parts: Sequence[bytes]) -> Iterator[None]:
    """Keep back, of what is written to standard error in this block, the lines that have one of the parts."""
    with _kept_back() as kept:
        try:
            yield
        finally:
            kept.tell(parts)


@dataclasses.dataclass
class _Kept:
    """What was written to standard error, and where standard error is."""

    file: IO[bytes]
    stderr: int

    def tell(self, but: Sequence[bytes] = ()) -> None:
        """Write it there after all, but for the lines that have one of some parts."""
        sys.stderr.flush()
        self.file.seek(0)
        lines = [line for line in self.file if not any(part in line for part in but)]
        os.write(self.stderr, b"".join(lines))


@contextlib.contextmanager
def _kept_back() -> Iterator[_Kept]:
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield _Kept(file, stderr)
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
