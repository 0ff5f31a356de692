"""The life of a Zarr store: begun aside, written shard by shard, checked, moved onto its name by one rename.

A store that stands at its declared path is complete. Work in progress lies next to it in a hidden
folder whose name carries the store's fingerprint, so that a killed job resumes at its first missing
shard and a job with another configuration never touches it.
"""

import contextlib
import filecmp
import hashlib
import json
import os
import shutil
import uuid
import warnings
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dask.array
import google_crc32c
import numpy as np
import xarray as xr
import zarr
from zarr.codecs import BytesCodec, Crc32cCodec, ZstdCodec

from neuraldeps import __version__
from neuraldeps.errors import StoreError, first_line

SHARD_BYTES = 32 * 2**20
CHUNK_BYTES = 4 * 2**20
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
    """SHA-256 of a file, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(path: str | os.PathLike) -> str:
    """Fingerprint of a complete store, or of the attributes of any Zarr group that carries none.

    Raises
    ------
    StoreError
        If no Zarr group can be opened there.
    """
    attributes = open_store(path).attrs
    canonical = json.dumps(attributes, sort_keys=True, default=str).encode()
    return attributes.get("fingerprint", hashlib.sha256(canonical).hexdigest())


def open_store(path: str | os.PathLike, **kwargs: Any) -> xr.Dataset:
    """Open a store lazily, without Dask unless `chunks` is given.

    Raises
    ------
    StoreError
        If nothing that xarray can open stands at `path`.
    """
    try:
        return xr.open_zarr(path, **{"chunks": None, **kwargs})
    except (FileNotFoundError, OSError, ValueError, KeyError) as error:
        reason = first_line(error)
        raise StoreError(
            f"{path}: cannot be opened as a Zarr store ({reason}); remove it and run again, or correct the path"
        ) from error


def map_array(path: str | os.PathLike, name: str) -> np.ndarray:
    """Map an array stored `contiguous` into memory, read-only: jobs on one node share its pages.

    Parameters
    ----------
    path : path
        A store written by `write_store` with `name` in `contiguous`.
    name : str

    Returns
    -------
    numpy.memmap
        Of the stored shape and dtype, after its checksum was verified.

    Raises
    ------
    StoreError
        If the array is missing, is stored otherwise, or its checksum does not fit.
    """
    try:
        array = zarr.open_array(f"{path}/{name}", mode="r")
    except FileNotFoundError as error:
        raise StoreError(f"{path}: has no array {name}; remove it and run again") from error
    codecs = tuple(type(codec) for codec in array.metadata.codecs)  # type: ignore[union-attr]
    if array.chunks != array.shape or codecs != (BytesCodec, Crc32cCodec):
        raise StoreError(f"{path}: {name} is not one plain chunk; remove the store and run again")
    raw = np.memmap(_only_chunk(Path(path) / name, array.ndim), np.uint8, mode="r")
    values, checksum = raw[:-4], int(raw[-4:].view("<u4")[0])
    computed = google_crc32c.Checksum()
    for piece in _pieces(values):
        computed.update(piece)
    if int.from_bytes(computed.digest(), "big") != checksum:
        raise StoreError(f"{path}: the checksum of {name} does not fit; remove it and run again")
    return values.view(array.dtype.newbyteorder("<")).reshape(array.shape)


def rows_per_shard(row_bytes: int) -> int:
    """Rows of a shard of at most `SHARD_BYTES`: a power of two, so that chunks divide shards.

    Examples
    --------
    >>> rows_per_shard(4 * 1000)
    8192
    """
    return max(1, 2 ** ((SHARD_BYTES // row_bytes).bit_length() - 1))


@contextlib.contextmanager
def aside(path: str | os.PathLike) -> Iterator[Path]:
    """Give a path next to `path` to write a file to, and move it there when it is whole."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    work = path.parent / f".{path.name}.{uuid.uuid4().hex}.partial"
    try:
        yield work
        os.replace(work, path)
    finally:
        work.unlink(missing_ok=True)


def strings(values: Sequence[str]) -> np.ndarray:
    """Variable-length strings: fixed-width unicode is not in the Zarr v3 specification."""
    return np.array(list(values), dtype=np.dtypes.StringDType())


def _encoding(
    dataset: xr.Dataset,
    shards: Mapping[Hashable, Sequence[int]],
    contiguous: Collection[Hashable] = (),
) -> dict[Hashable, dict[str, Any]]:
    """Checksums on everything; sharding where a shard shape is given."""
    encoding: dict[Hashable, dict[str, Any]] = {}
    for name, variable in dataset.variables.items():
        incompressible = name in contiguous or (variable.dtype.kind == "f" and name in shards)
        codecs = [Crc32cCodec()] if incompressible else [ZstdCodec(level=1), Crc32cCodec()]
        encoding[name] = {"compressors": codecs}
        if name in shards:
            shard = tuple(shards[name])
            row_bytes = variable.dtype.itemsize * int(np.prod(shard[1:]))
            most = max(1, CHUNK_BYTES // row_bytes)
            rows = max(n for n in range(1, min(shard[0], most) + 1) if shard[0] % n == 0)
            encoding[name] |= {"shards": shard, "chunks": (rows, *shard[1:])}
        elif variable.ndim:
            encoding[name]["chunks"] = tuple(max(1, size) for size in variable.shape)
        if variable.dtype.kind == "f":
            encoding[name]["_FillValue"] = np.nan
    return encoding


def _begin(
    dataset: xr.Dataset,
    shards: Mapping[Hashable, Sequence[int]],
    path: Path,
    contiguous: Collection[Hashable] = (),
) -> None:
    """Write metadata and what is in memory; arrays of Dask and contiguous ones stay to be written."""
    later = {
        name: dataset[name].copy(data=to_be_written(dataset[name].shape, dataset[name].dtype))
        for name in contiguous
    }
    dataset.assign(later).to_zarr(
        path,
        mode="w",
        zarr_format=3,
        consolidated=False,
        compute=False,
        encoding=_encoding(dataset, shards, contiguous),
    )


def _write_chunk(path: Path, values: np.ndarray) -> None:
    """Write an array's only chunk as its codecs would, without the copy that zarr's checksum makes."""
    values = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    file = _only_chunk(path, values.ndim)
    file.parent.mkdir(parents=True)
    checksum = google_crc32c.Checksum()
    with file.open("wb") as out:
        for piece in _pieces(values.reshape(-1).view(np.uint8)):
            checksum.update(piece)
            out.write(piece)
        out.write(checksum.digest()[::-1])  # little-endian


def _only_chunk(path: Path, ndim: int) -> Path:
    return path / "/".join(["c", *"0" * ndim])


def _pieces(values: np.ndarray) -> Iterator[bytes]:
    """Bytes of an array of them, `CHUNK_BYTES` at a time."""
    return (
        values[first : first + CHUNK_BYTES].tobytes()
        for first in range(0, len(values), CHUNK_BYTES)
    )


def _consolidate(path: Path) -> None:
    with warnings.catch_warnings():
        # xarray warns on opening a store without consolidated metadata, zarr on writing it
        warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
        zarr.consolidate_metadata(str(path))


def _same_bytes(left: Path, right: Path) -> bool:
    comparison = filecmp.dircmp(left, right, ignore=list(NOT_OURS))
    if comparison.left_only or comparison.right_only or comparison.funny_files:
        return False
    _, mismatch, errors = filecmp.cmpfiles(left, right, comparison.common_files, shallow=False)
    return not (mismatch or errors) and all(
        _same_bytes(left / name, right / name) for name in comparison.common_dirs
    )


def _publish(work: Path, path: Path) -> None:
    """Move a whole store onto its name; a twin that got there first wins if it holds the same bytes."""
    try:
        os.rename(work, path)
    except OSError as error:
        if not (path / "zarr.json").exists():
            raise
        same = _same_bytes(work, path)
        shutil.rmtree(work)
        if not same:
            raise StoreError(
                f"{path}: another store with other content already stands there; remove it and run again"
            ) from error


def write_store(
    dataset: xr.Dataset,
    path: str | os.PathLike,
    shards: Mapping[Hashable, Sequence[int]] | None = None,
    contiguous: Collection[Hashable] = (),
) -> None:
    """Write a dataset that fits in memory, whole or not at all.

    Parameters
    ----------
    dataset : xarray.Dataset
        Attributes from `provenance`; floating-point variables may hold NaN as "no value".
    path : path
        Declared path. Parents are made.
    shards : mapping of name to shape, optional
        Shard shape of the large variables; the others are one chunk each.
    contiguous : collection of names
        Variables stored as one uncompressed chunk with its checksum, for `map_array`; written
        a piece at a time, so that no copy of them is held.

    Raises
    ------
    StoreError
        If a store with other content stands at `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    work = path.parent / f".{path.name}.{uuid.uuid4().hex}.partial"
    try:
        _begin(dataset, shards or {}, work, contiguous)
        for name in contiguous:
            _write_chunk(work / str(name), dataset[name].values)
        _consolidate(work)
        _publish(work, path)
    finally:
        shutil.rmtree(work, ignore_errors=True)


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
    Every shard is written to a temporary file and renamed, so that two jobs may write the same
    one: a shard that exists is whole.
    """

    def __init__(self, template: xr.Dataset, name: str, path: str | os.PathLike, rows: int) -> None:
        self.template, self.name, self.path = template, name, Path(path)
        self.shape = template[name].shape
        self.rows = rows
        digest = template.attrs["fingerprint"][:16]
        # half a store with other shards cannot be gone on with
        self.work = self.path.parent / f".{self.path.name}.{digest}-{rows}.partial"

    def __len__(self) -> int:
        return -(-self.shape[0] // self.rows)

    def bounds(self, shard: int) -> tuple[int, int]:
        """First row and one past the last row of a shard."""
        return shard * self.rows, min((shard + 1) * self.rows, self.shape[0])

    def begin(self) -> None:
        """Write metadata and coordinates, unless this or another job has done so."""
        if (self.work / "zarr.json").exists() or self.is_published():
            return
        self.work.parent.mkdir(parents=True, exist_ok=True)
        own = self.work.with_name(f"{self.work.name}.{uuid.uuid4().hex}")
        try:
            _begin(self.template, {self.name: (self.rows, *self.shape[1:])}, own)
            with contextlib.suppress(OSError):  # another part was first: the bytes are the same
                os.rename(own, self.work)
        finally:
            shutil.rmtree(own, ignore_errors=True)

    def is_published(self) -> bool:
        """Whether this very store (same fingerprint) stands at its declared path."""
        document = self.path / "zarr.json"
        if not document.exists():
            return False
        attributes = json.loads(document.read_text()).get("attributes", {})
        return attributes.get("fingerprint") == self.template.attrs["fingerprint"]

    def missing(self) -> list[int]:
        """Shards still to be written, in order."""
        if self.is_published():
            return []
        zeros = "/0" * (len(self.shape) - 1)
        folder = self.work / self.name
        return [shard for shard in range(len(self)) if not (folder / f"c/{shard}{zeros}").exists()]

    def write(self, shard: int, values: np.ndarray) -> None:
        """Write one whole shard.

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
            array = zarr.open_array(str(self.work / self.name), mode="r+")
            array[first:last] = values
        except OSError:
            if not self.is_published():  # else a twin was first, while this job wrote
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

    def _finish(self) -> None:
        if self.is_published():
            return
        if missing := self.missing():
            raise StoreError(f"{self.path}: shards {missing} are missing; run again to write them")
        for shard, values in self._read_back():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                self._discard(shard, "holds values that are not finite")
        _consolidate(self.work)
        _publish(self.work, self.path)

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
        zeros = "/0" * (len(self.shape) - 1)
        (self.work / self.name / f"c/{shard}{zeros}").unlink(missing_ok=True)
        raise StoreError(
            f"{self.path}: shard {shard} {reason}; it was removed, run again to write it"
        )


def to_be_written(shape: Sequence[int], dtype: Any) -> dask.array.Array:
    """An array for the template of a `ShardedArray`: a shape and a dtype without memory."""
    return dask.array.zeros(tuple(shape), dtype=dtype, chunks=-1)
