"""The life of a Zarr store: begun aside, written shard by shard, checked, moved onto its name by one rename.

A store that stands at its declared path is complete. Work in progress lies next to it in a hidden
folder whose name carries the store's fingerprint, so that a killed job resumes at its first missing
shard and a job with another configuration never touches it.
"""

import filecmp
import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import google_crc32c
import numpy as np
import xarray as xr
import zarr
from zarr.abc.store import Store
from zarr.codecs import BytesCodec, Crc32cCodec, ZstdCodec

from neuraldeps.errors import StoreError, first_line
from neuraldeps.stores.checksums import LIST, CheckedStore, Stamp, again, once, write_checksums
from neuraldeps.stores.place import check_place
from neuraldeps.stores.provenance import NOT_OURS
from neuraldeps.stores.publish import beside, move

if TYPE_CHECKING:
    import dask.array

CHUNK_BYTES = 4 * 2**20
# arrays that this process has opened, by path and name, with the stamp of the list that they were opened by
_opened: dict[tuple[str, str], tuple[Stamp, zarr.Array]] = {}


def open_store(path: str | os.PathLike, **kwargs: Any) -> xr.Dataset:
    """Open a store lazily, without Dask unless `chunks` is given.

    Parameters
    ----------
    path : path
        A store of this project, or any that xarray opens.
    **kwargs
        Passed to `xarray.open_zarr`.

    Returns
    -------
    xarray.Dataset
        Its arrays, not yet read.

    Raises
    ------
    StoreError
        If nothing that xarray can open stands at `path`, or what stands there is damaged or of
        another version.
    """
    try:
        dataset = xr.open_zarr(_checked(path), **{"chunks": None, **kwargs})  # type: ignore[arg-type]
        check_place(Path(path), dataset.attrs)
        return dataset
    except StoreError:
        raise
    except (FileNotFoundError, OSError, ValueError, KeyError) as error:
        reason = first_line(error)
        raise StoreError(
            f"{path}: cannot be opened as a Zarr store ({reason}); {again(path)}, or correct the path"
        ) from error


def open_array(path: str | os.PathLike, name: str) -> zarr.Array:
    """Open one array of a store, to be read a part at a time; in a process once, until the store is replaced.

    Parameters
    ----------
    path : path
        The store.
    name : str
        Of the array.

    Returns
    -------
    zarr.Array
        Whose shards are compared with their checksums before they are read.

    Raises
    ------
    StoreError
        If the store has no such array, is damaged or of another version.
    """

    def opened() -> zarr.Array:
        try:
            return zarr.open_array(_checked(path), path=name, mode="r")
        except FileNotFoundError as error:
            raise StoreError(f"{path}: has no array {name}; {again(path)}") from error

    checksums = Path(path, LIST)
    if not checksums.is_file():  # not of this project, or refused
        return opened()
    # the list has every shard's checksum: whoever reads a thousand shards reads it once
    return once(_opened, (os.path.abspath(path), name), checksums, opened)


def _checked(path: str | os.PathLike) -> Store | str:
    """A folder as a store whose files are checked; anything else as xarray takes it."""
    return CheckedStore(Path(path)) if Path(path).is_dir() else os.fspath(path)


def fingerprint(path: str | os.PathLike) -> str:
    """Fingerprint of a complete store, or of the attributes of any Zarr group that carries none.

    Parameters
    ----------
    path : path
        The store.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    StoreError
        If no Zarr group can be opened there.
    """
    attributes = open_store(path).attrs
    canonical = json.dumps(attributes, sort_keys=True, default=str).encode()
    return attributes.get("fingerprint", hashlib.sha256(canonical).hexdigest())


def map_array(path: str | os.PathLike, name: str) -> np.ndarray:
    """Map an array stored `contiguous` into memory, read-only: jobs on one node share its pages.

    Parameters
    ----------
    path : path
        A store written by `write_store` with `name` in `contiguous`.
    name : str
        Of the variable.

    Returns
    -------
    numpy.memmap
        Of the stored shape and dtype, after its checksum was verified.

    Raises
    ------
    StoreError
        If the array is missing, is stored otherwise, or its checksum does not fit.
    """
    array = open_array(path, name)
    codecs = tuple(type(codec) for codec in array.metadata.codecs)  # type: ignore[union-attr]
    if array.chunks != array.shape or codecs != (BytesCodec, Crc32cCodec):
        raise StoreError(f"{path}: {name} is not one plain chunk; {again(path)}")
    chunk = _only_chunk(Path(name), array.ndim)
    array.store.check(str(chunk))  # type: ignore[attr-defined]
    raw = np.memmap(Path(path) / chunk, np.uint8, mode="r")
    return raw[:-4].view(array.dtype.newbyteorder("<")).reshape(array.shape)


def strings(values: Sequence[str]) -> np.ndarray:
    """Variable-length strings: fixed-width unicode is not in the Zarr v3 specification.

    Parameters
    ----------
    values : sequence of str
        The strings.

    Returns
    -------
    ndarray of StringDType
        As long as `values`.
    """
    return np.array(list(values), dtype=np.dtypes.StringDType())


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
    with beside(path) as work:
        begin(dataset, shards or {}, work, contiguous)
        for name in contiguous:
            _write_chunk(work / str(name), dataset[name].values)
        consolidate(work)
        publish(work, path)


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


def begin(
    dataset: xr.Dataset,
    shards: Mapping[Hashable, Sequence[int]],
    path: Path,
    contiguous: Collection[Hashable] = (),
) -> None:
    """Write metadata and what is in memory; arrays of Dask and contiguous ones stay to be written.

    Parameters
    ----------
    dataset : xarray.Dataset
        What the store is to hold.
    shards : mapping of name to shape
        Shard shape of the large variables.
    path : Path
        Folder to write, not yet the declared one.
    contiguous : collection of names
        Variables of one uncompressed chunk.
    """
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
    file.parent.mkdir(parents=True, exist_ok=True)
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


def consolidate(store: Path | Store) -> None:
    """Write the metadata of all arrays into one file, as a whole store has it.

    Parameters
    ----------
    store : Path or Store
        What is to be published.
    """
    with warnings.catch_warnings():
        # xarray warns on opening a store without consolidated metadata, zarr on writing it
        warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
        # the list of checksums of another job, or of one that was killed
        warnings.filterwarnings("ignore", message=r"Object at \.checksums\.json is not recognized")
        zarr.consolidate_metadata(store)


def _same_bytes(left: Path, right: Path) -> bool:
    comparison = filecmp.dircmp(left, right, ignore=list(NOT_OURS))
    if comparison.left_only or comparison.right_only or comparison.funny_files:
        return False
    _, mismatch, errors = filecmp.cmpfiles(left, right, comparison.common_files, shallow=False)
    return not (mismatch or errors) and all(
        _same_bytes(left / name, right / name) for name in comparison.common_dirs
    )


def publish(work: Path, path: Path) -> None:
    """Move a whole store onto its name; a twin that got there first wins if it holds the same bytes.

    Parameters
    ----------
    work : Path
        The whole store, on the same file system.
    path : Path
        Its declared path.

    Raises
    ------
    StoreError
        If a store with other content stands there.
    """
    write_checksums(work)
    try:
        move(work, path)
    except OSError as error:
        if not (path / "zarr.json").exists():
            raise
        same = _same_bytes(work, path)
        shutil.rmtree(work)
        if not same:
            raise StoreError(
                f"{path}: a store with different content is already there; {again(path)}"
            ) from error


def to_be_written(shape: Sequence[int], dtype: Any) -> "dask.array.Array":
    """An array for the template of a `ShardedArray`: a shape and a dtype without memory.

    Parameters
    ----------
    shape : sequence of int
        Its shape.
    dtype : dtype
        Its type.

    Returns
    -------
    dask.array.Array
        Of no values.
    """
    import dask.array  # half a second, of which most jobs have no use

    return dask.array.zeros(tuple(shape), dtype=dtype, chunks=-1)
