"""Paths are of this machine: an address, as gs://bucket/folder, would become the name of a folder here."""

import re

from tf_darts.errors import UserError, show

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # pathlib leaves one slash of two


def refuse_address(field: str, path: str) -> None:
    """Check that a path is none of a bucket or another place that is no folder of this machine.

    A work directory has files that grow, locks and renames, which a bucket has not: there it is a copy.

    Args:
      field: what gives the path, for the message.
      path: the path, as it was given.

    Raises:
      UserError: it is an address.
    """
    if _ADDRESS.match(path):
        raise UserError(
            f"{field}: {show(path)} is an address; allowed: a path on this machine. docs/cloud_tpu.md says"
            " how to copy a run to a bucket, and images from one"
        )
