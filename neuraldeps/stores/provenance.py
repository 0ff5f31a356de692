"""What made a store, from what: attributes, and digests of files."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from neuraldeps import __version__

VERSIONED = ("numpy", "zarr", "xarray")
NOT_OURS = {".snakemake_timestamp"}


def provenance(
    made_by: str,
    title: str,
    *,
    config: Mapping[str, Any] | None = None,
    sources: Mapping[str, str] | None = None,
    seed: int | None = None,
    packages: Sequence[str] = (),
) -> dict[str, Any]:
    """Attributes that say what made a store, from what, with which versions, configuration and seed.

    Parameters
    ----------
    made_by : str
        Name of the rule (and so of the script).
    title : str
        One line for people.
    config : mapping, optional
        The configuration values that the content depends on, as plain JSON types.
    sources : mapping of str to str, optional
        Role to fingerprint of every input (see `fingerprint` and `file_digest`).
    seed : int, optional
        Seed of every random draw in the store.
    packages : sequence of str
        Further packages whose version the content depends on.

    Returns
    -------
    dict
        Attributes, `fingerprint` last: SHA-256 of all the others. No times: the same
        configuration gives the same bytes.
    """
    attributes: dict[str, Any] = {
        "title": title,
        "made_by": made_by,
        "versions": {"neuraldeps": __version__}
        | {name: version(name) for name in (*VERSIONED, *packages)},
        "config": json.loads(json.dumps(config or {}, sort_keys=True)),
        "sources": dict(sorted((sources or {}).items())),
    }
    if seed is not None:
        attributes["seed"] = seed
    canonical = json.dumps(attributes, sort_keys=True).encode()
    return {**attributes, "fingerprint": hashlib.sha256(canonical).hexdigest()}


def file_digest(path: str | os.PathLike) -> str:
    """SHA-256 of a file, hexadecimal.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_digest(path: str) -> str:
    """SHA-256 of a file, or of the names and contents of all the files of a folder, hexadecimal.

    Parameters
    ----------
    path : str
        The file or folder.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    if Path(path).is_file():
        return file_digest(path)
    digest = hashlib.sha256()
    for file in sorted(file for file in Path(path).rglob("*") if file.is_file()):
        if file.name not in NOT_OURS:
            digest.update(f"{file.relative_to(path)} {file_digest(file)}\n".encode())
    return digest.hexdigest()
