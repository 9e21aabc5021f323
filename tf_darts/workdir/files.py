"""Files that appear whole or not at all, and the checksums by which damage to them is noticed.

A folder of results has a file `SHA256SUMS`, as `sha256sum -c SHA256SUMS` reads it. What it lists is compared
with it whenever it is read.
"""

import hashlib
import os
import pathlib
import re
import secrets
from collections.abc import Iterable, Mapping

from tf_darts.errors import UserError, show, show_path

SUMS = "SHA256SUMS"
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")


def write_atomically(path: str | os.PathLike, data: bytes) -> None:
    """Write a file that appears whole or not at all: a temporary file beside it, then a rename.

    Raises:
      UserError: the folder does not exist or cannot be written.
    """
    try:
        folder, name = os.path.split(os.fspath(path))
        temporary = os.path.join(folder, f".{name}.{secrets.token_hex(4)}.tmp")
        try:
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            if os.path.lexists(temporary):
                os.unlink(temporary)
            raise
        flush_folder(folder)
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"file {show_path(path)} cannot be written: {reason(error)}") from None


def flush_folder(folder: str | os.PathLike) -> None:
    """Make the names in a folder survive a loss of power: a rename is otherwise in memory only."""
    descriptor = os.open(folder or ".", os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def reason(error: Exception) -> str:
    """Return what an error says, without the path."""
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def remove_leftovers(folder: pathlib.Path) -> None:
    """Remove temporary files that killed processes left in a folder and below it.

    Call it where no other process writes there.
    """
    for path in folder.rglob(".*.tmp"):
        if _TEMPORARY.fullmatch(path.name):
            path.unlink(missing_ok=True)


def sha256(path: pathlib.Path) -> str:
    """Return the SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal(folder: pathlib.Path, coming: Mapping[str, bytes], present: Iterable[str] = ()) -> None:
    """Add checksums to a folder's `SHA256SUMS`.

    Args:
      folder: the folder.
      coming: content by name of files that are about to be written: first the checksum, then the file, so
        that a file that is there has one.
      present: names of files that are there.
    """
    sums = _sums(folder)
    sums |= {name: sha256(folder / name) for name in present}
    sums |= {name: hashlib.sha256(data).hexdigest() for name, data in coming.items()}
    write_atomically(folder / SUMS, "".join(f"{sums[name]}  {name}\n" for name in sorted(sums)).encode())


def unseal(folder: pathlib.Path, name: str) -> None:
    """Take back that a stage is finished: remove the file that says so, then the checksums."""
    (folder / name).unlink(missing_ok=True)
    (folder / SUMS).unlink(missing_ok=True)


def check(path: pathlib.Path) -> None:
    """Compare a file with the checksum that its folder has of it; without one nothing is compared.

    Raises:
      UserError: it is another.
    """
    wanted = _sums(path.parent).get(path.name) if path.is_file() else None
    if wanted is not None and sha256(path) != wanted:
        raise UserError(
            f"{path} is damaged or was changed: its SHA-256 is not that in {SUMS} beside it. Put a copy back,"
            f" or remove {path.parent} and make it again"
        )


def _sums(folder: pathlib.Path) -> dict[str, str]:
    """Checksums by name of file."""
    path = folder / SUMS
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {reason(error)}") from None
    sums = {}
    for line in text.splitlines():
        match = re.fullmatch(r"([0-9a-f]{64})  (.+)", line)
        if match is None:
            raise UserError(f"{path} is damaged: {show(line[:80])} is not a checksum and a name")
        sums[match[2]] = match[1]
    return sums
