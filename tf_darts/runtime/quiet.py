"""TensorFlow's start without what its C++ code writes then."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

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
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except Exception as error:
            if not isinstance(error, UserError):
                kept.seek(0)
                os.write(stderr, kept.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
