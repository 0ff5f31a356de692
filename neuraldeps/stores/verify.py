"""Compare every byte of a run's stores and weights with its checksum: ``python -m neuraldeps.stores.verify results``."""

import sys
from dataclasses import dataclass
from pathlib import Path

from neuraldeps.errors import StoreError
from neuraldeps.stores.checksums import again, check_file, files_of, read_checksums


@dataclass(frozen=True)
class Verdict:
    """What was found of one store.

    Attributes
    ----------
    path : Path
        The store.
    damage : str
        Which file has what, and the command that makes the store again; empty if all is well.
    """

    path: Path
    damage: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether every byte is as it was published."""
        return not self.damage

    def __str__(self) -> str:
        return f"ok       {self.path}" if self.is_whole else f"damaged  {self.damage}"


def verify_store(path: Path) -> Verdict:
    """Read every file of a store, and compare it with the list.

    Parameters
    ----------
    path : Path
        The store.

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
        One per store, by name.

    Raises
    ------
    StoreError
        If there is no such folder, or nothing with checksums in it.
    """
    stores = sorted(
        store
        for store in ([folder] if folder.suffix == ".zarr" else folder.rglob("*.zarr"))
        if store.is_dir() and not any(part.startswith(".") for part in store.parts)
    )
    if not stores:
        raise StoreError(
            f"{folder}: holds no store; give the results/ of a run, in the folder that it ran in"
        )
    return [verify_store(store) for store in stores]


def main(folder: str = "results") -> int:
    """Print a line for everything that was verified.

    Parameters
    ----------
    folder : str
        See `verify_run`.

    Returns
    -------
    int
        Exit status: 1 if anything is damaged.
    """
    try:
        verdicts = verify_run(Path(folder))
    except StoreError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    print(*verdicts, sep="\n")
    n_damaged = sum(not verdict.is_whole for verdict in verdicts)
    print(f"{len(verdicts)} verified, {n_damaged} damaged")
    return int(n_damaged > 0)


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:2]))
