"""The checksum that a weight file of this project carries in its own header."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from neuraldeps.errors import StoreError
from neuraldeps.stores.checksums import again

KEY = "sha256"
PIECE_BYTES = 4 * 2**20


def write_weights(save: Callable[[dict[str, str] | None], None], path: Path) -> None:
    """Write a safetensors file with its checksum among its metadata.

    Parameters
    ----------
    save : callable
        Writes the file to `path`, with the metadata that it is given.
    path : Path
        Not yet the declared one.
    """
    save(None)
    _, computed = _checksums(path)
    save({KEY: computed})


def check_weights(path: str | Path) -> bool:
    """Compare a safetensors file with the checksum that it carries.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    bool
        Whether it carries one: files from elsewhere do not.

    Raises
    ------
    StoreError
        If the file is cut or its checksum does not match.
    """
    try:
        declared, computed = _checksums(Path(path))
    except (ValueError, AttributeError, TypeError):
        raise StoreError(f"{path}: its header is damaged; {again(path)}") from None
    if declared not in (None, computed):
        raise StoreError(f"{path}: the checksum of the weights does not match; {again(path)}")
    return declared is not None


def _checksums(path: Path) -> tuple[str | None, str]:
    """What is declared, and what is computed of names, shapes and bytes, but not of the metadata."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        declared = header.pop("__metadata__", {}).get(KEY)
        checksum = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
        while piece := file.read(PIECE_BYTES):
            checksum.update(piece)
    return declared, checksum.hexdigest()
