"""One large array of a store, written shard by shard by one or more jobs."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr
import zarr

from neuraldeps.errors import StoreError, first_line
from neuraldeps.stores.checksums import DurableStore
from neuraldeps.stores.publish import beside, move, sweep
from neuraldeps.stores.store import begin, consolidate, publish

SHARD_BYTES = 32 * 2**20


def rows_per_shard(row_bytes: int) -> int:
    """Rows of a shard of at most `SHARD_BYTES`: a power of two, so that chunks divide shards.

    Parameters
    ----------
    row_bytes : int
        Bytes of a row.

    Returns
    -------
    int
        At least 1.

    Examples
    --------
    >>> rows_per_shard(4 * 1000)
    8192
    """
    return max(1, 2 ** ((SHARD_BYTES // row_bytes).bit_length() - 1))


class ShardedArray:
    """One large array of a store, written shard by shard along its first axis by one or more jobs.

    Parameters
    ----------
    template : xarray.Dataset
        Coordinates, attributes (with `fingerprint`) and the array `name` as a Dask array whose
        values are never computed.
    name : str
        The array to be written.
    path : path
        Declared path of the finished store.
    rows : int
        Rows per shard. The other axes are whole in every shard.

    Notes
    -----
    Every shard is written beside its name, synced and renamed, so that two jobs may write the same
    one, and after a power cut too a shard that exists is whole.
    """

    def __init__(self, template: xr.Dataset, name: str, path: str | os.PathLike, rows: int) -> None:
        self.template, self.name, self.path = template, name, Path(path)
        self.shape = template[name].shape
        self.rows = rows
        digest = template.attrs["fingerprint"][:16]
        # half a store with other shards cannot be continued
        self.work = self.path.parent / f".{self.path.name}.{digest}-{rows}.partial"

    def __len__(self) -> int:
        return -(-self.shape[0] // self.rows)

    def bounds(self, shard: int) -> tuple[int, int]:
        """First row and one past the last row of a shard.

        Parameters
        ----------
        shard : int
            Number of the shard.

        Returns
        -------
        tuple of int
            First row, and one past the last.
        """
        return shard * self.rows, min((shard + 1) * self.rows, self.shape[0])

    def begin(self) -> None:
        """Write metadata and coordinates, unless this or another job has done so."""
        if (self.work / "zarr.json").exists() or self.is_published():
            return
        with beside(self.work) as own:
            begin(self.template, {self.name: (self.rows, *self.shape[1:])}, own)
            try:
                move(own, self.work)
            except OSError:  # another part was first: the bytes are the same
                if not (self.work / "zarr.json").exists() and not self.is_published():
                    raise

    def is_published(self) -> bool:
        """Whether this very store (same fingerprint) stands at its declared path.

        Returns
        -------
        bool
            Whether nothing is left to do.
        """
        try:
            attributes = json.loads((self.path / "zarr.json").read_bytes()).get("attributes", {})
        except (FileNotFoundError, ValueError):  # what cannot be read is for `publish` to refuse
            return False
        return attributes.get("fingerprint") == self.template.attrs["fingerprint"]

    def missing(self) -> list[int]:
        """Shards still to be written, in order.

        Returns
        -------
        list of int
            Numbers of shards.
        """
        if self.is_published():
            return []
        return [shard for shard in range(len(self)) if not self._file(shard).exists()]

    def _file(self, shard: int) -> Path:
        return self.work / self.name / "/".join(["c", str(shard), *"0" * (len(self.shape) - 1)])

    def write(self, shard: int, values: np.ndarray) -> None:
        """Write one whole shard.

        Parameters
        ----------
        shard : int
            Number of the shard.
        values : ndarray
            Its rows, of the array's dtype.

        Raises
        ------
        StoreError
            If the values are of another shape or not finite.
        """
        first, last = self.bounds(shard)
        if values.shape != (last - first, *self.shape[1:]):
            raise StoreError(
                f"{self.path}: rows {first}:{last} have shape {values.shape}, "
                f"expected {(last - first, *self.shape[1:])}"
            )
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            row = first + int(np.argwhere(~np.isfinite(values))[0][0])
            raise StoreError(
                f"{self.path}: {self.name} of row {row} is not finite; look at this image and at the checkpoint"
            )
        if self.is_published():
            return
        try:
            array = zarr.open_array(DurableStore(self.work), path=self.name, mode="r+")
            try:
                array[first:last] = values
            except ValueError:
                # a damaged shard stands there, which Zarr reads before it replaces it
                self._file(shard).unlink(missing_ok=True)
                array[first:last] = values
        except OSError:
            # else a twin was first, while this job wrote
            if not self._file(shard).exists() and not self.is_published():
                raise

    def finish(self) -> None:
        """Check the whole (every shard there, readable, finite), consolidate, move onto the name.

        Raises
        ------
        StoreError
            If a shard is missing or damaged; it is then removed, so that the next run writes it.
        """
        try:
            self._finish()
        except (OSError, StoreError):
            if not self.is_published():  # else a twin was first, while this job looked
                raise
        shutil.rmtree(self.work, ignore_errors=True)
        sweep(self.path.parent)

    def _finish(self) -> None:
        if self.is_published():
            return
        if missing := self.missing():
            raise StoreError(f"{self.path}: shards {missing} are missing; run again to write them")
        for shard, values in self._read_back():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                self._discard(shard, "holds values that are not finite")
        consolidate(DurableStore(self.work))
        publish(self.work, self.path)

    def _read_back(self) -> Iterator[tuple[int, np.ndarray]]:
        array = zarr.open_array(str(self.work / self.name), mode="r")
        for shard in range(len(self)):
            first, last = self.bounds(shard)
            try:
                values = np.asarray(array[first:last])
            except (ValueError, OSError, RuntimeError) as error:
                self._discard(shard, first_line(error))
            yield shard, values

    def _discard(self, shard: int, reason: str) -> None:
        self._file(shard).unlink(missing_ok=True)
        raise StoreError(
            f"{self.path}: shard {shard} {reason}; it was removed, run again to write it"
        )
