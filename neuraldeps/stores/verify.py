"""Compare every byte of a run's stores and weights with its checksum."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuraldeps.errors import StoreError
from neuraldeps.stores.checksums import again, check_file, files_of, read_checksums
from neuraldeps.stores.place import check_place, check_sources
from neuraldeps.stores.weights import check_weights


@dataclass(frozen=True)
class Verdict:
    """What was found of one store or weight file.

    Attributes
    ----------
    path : Path
        The store or file.
    damage : str
        Which file has what, and the command that makes it again; empty if all is well.
    """

    path: Path
    damage: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether every byte is as it was published."""
        return not self.damage

    def __str__(self) -> str:
        return f"ok       {self.path}" if self.is_whole else f"damaged  {self.damage}"


def verify_store(path: Path, known: Collection[str] | None = None) -> Verdict:
    """Read every file of a store, and compare it with the list.

    Parameters
    ----------
    path : Path
        The store.
    known : collection of str, optional
        Fingerprints of all stores of the run, to hold its sources against.

    Returns
    -------
    Verdict
        The first damage, if there is any.
    """
    try:
        files = read_checksums(path)
        if files is None:
            raise StoreError(f"{path}: cannot be opened as a Zarr store; {again(path)}")
        for name in files:
            check_file(path, name, files)
        if further := files_of(path).keys() - files:
            raise StoreError(f"{path}: {min(further)} is no part of it; {again(path)}")
        attributes = _attributes(path)
        check_place(path, attributes)
        if known is not None:
            check_sources(path, attributes, known)
    except (StoreError, OSError) as error:
        return Verdict(path, str(error))
    return Verdict(path)


def _attributes(path: Path) -> dict[str, Any]:
    """Of a store; none of one whose metadata cannot be read, which its checksum has told or will."""
    try:
        return dict(json.loads((path / "zarr.json").read_bytes()).get("attributes", {}))
    except (OSError, ValueError):
        return {}


def verify_weights(path: Path) -> Verdict:
    """Read a weight file that a run has written, and compare it with its checksum.

    Parameters
    ----------
    path : Path
        Of a safetensors file.

    Returns
    -------
    Verdict
        What was found.
    """
    try:
        if not check_weights(path):
            raise StoreError(
                f"{path}: has no checksum, so an older version made it or it is damaged; {again(path)}"
            )
    except (StoreError, OSError) as error:
        return Verdict(path, str(error))
    return Verdict(path)


def verify_run(folder: Path) -> list[Verdict]:
    """Read everything with checksums that a run has published, and compare.

    Parameters
    ----------
    folder : Path
        `results` of a run, or a part of it.

    Returns
    -------
    list of Verdict
        One per store and weight file, by name. Whether a store was made from what is there now is
        looked at in a folder `results`, which has all of it.

    Raises
    ------
    StoreError
        If there is no such folder, or nothing with checksums in it.
    """
    found = sorted(
        path
        for path in [folder, *folder.rglob("*")]
        if path.suffix in (".zarr", ".safetensors")
        and not any(re.match(r"\.[^.]", part) for part in path.parts)
    )
    if not found:
        raise StoreError(
            f"{folder}: holds no store; give the results/ of a run, in the folder that it ran in"
        )
    # a part of a run has not all that its stores were made from
    known = {_attributes(path).get("fingerprint", "") for path in found}
    is_whole_run = folder.resolve().name == "results"
    return [
        verify_weights(path)
        if path.suffix == ".safetensors"
        else verify_store(path, known if is_whole_run else None)
        for path in found
    ]
