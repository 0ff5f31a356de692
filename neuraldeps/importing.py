"""Logits from elsewhere: any array (sample x category) becomes a store of logits like any other."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
import zarr.errors

from neuraldeps.errors import InputError, first_line
from neuraldeps.logs import progress
from neuraldeps.stores import ShardedArray, file_digest, strings

CARRIED = ("label", "path", "category_name", "category_code")


def open_logits(path: str, key: str) -> tuple[Any, dict[str, np.ndarray]]:
    """Open an array of logits, without reading it.

    Parameters
    ----------
    path : str
        A ``.npy`` file, a Zarr array, or a Zarr group with an array `logits` or a single
        two-dimensional one.
    key : str
        The configuration key that gave the path, for error messages.

    Returns
    -------
    array : array-like, shape (sample, category), floating
        Read on slicing.
    coords : dict of str to ndarray
        Those of `CARRIED` that lie next to it.

    Raises
    ------
    InputError
        If no such array can be opened there.
    """
    group: Mapping[str, Any] = {}
    try:
        if path.endswith(".npy"):
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        else:
            array = zarr.open(path, mode="r")
    except (OSError, ValueError, zarr.errors.BaseZarrError) as error:
        raise InputError(
            f"{key}: {path} cannot be opened ({first_line(error)}); give a .npy file or a Zarr store"
        ) from error
    if isinstance(array, zarr.Group):
        group = dict(array.arrays())
        flat = [name for name, member in group.items() if member.ndim == 2]
        name = "logits" if "logits" in group else flat[0] if len(flat) == 1 else None
        if name is None:
            raise InputError(
                f"{key}: {path} has no array `logits` but {', '.join(group) or 'none'}; name one so"
            )
        array = group[name]
    if array.ndim != 2 or array.dtype.kind != "f":
        raise InputError(
            f"{key}: {path} has shape {array.shape} and type {array.dtype}; "
            "give floating-point logits (sample, category)"
        )
    return array, {name: np.asarray(group[name][...]) for name in CARRIED if name in group}


def describe_logits(
    array: Any,
    carried: Mapping[str, np.ndarray],
    key: str,
    *,
    n_categories: int,
    labels: str | None = None,
    images: xr.Dataset | None = None,
) -> xr.Dataset:
    """Find out what the rows and columns of imported logits are, and refuse what does not fit.

    Parameters
    ----------
    array, carried
        From `open_logits`.
    key : str
        The configuration key that gave the logits, for error messages.
    n_categories : int
        Of the data set.
    labels : str, optional
        ``.npy`` of integers (sample,), -1 where an image has none. By default the labels that lie
        next to the logits, or none at all.
    images : xarray.Dataset, optional
        Coordinates of the images of this split, where the data set has images.

    Returns
    -------
    xarray.Dataset
        Coordinates `label` and `path` along `sample`; `category`, `category_name`, `category_code`.

    Raises
    ------
    InputError
        If counts, labels, names or codes differ from the data set's.
    """
    n_samples = array.shape[0]
    if array.shape[1] != n_categories:
        raise InputError(
            f"{key}: has {array.shape[1]} categories, dataset.n_categories is {n_categories}; "
            "correct the one or the other"
        )
    found = dict(carried)
    if labels is not None:
        found["label"] = np.load(labels, allow_pickle=False)
    for name, values in found.items():
        expected = n_categories if name.startswith("category") else n_samples
        if values.shape != (expected,):
            raise InputError(
                f"{key}: {name} has shape {values.shape}, its logits need ({expected},); correct it"
            )
    if images is not None:
        _compare(found, n_samples, images, key)
        return images
    label = found.get("label", np.full(n_samples, -1))
    if label.dtype.kind not in "iu" or label.min() < -1 or label.max() >= n_categories:
        raise InputError(
            f"{key}: labels of type {label.dtype} go from {label.min()} to {label.max()}; "
            f"give integers from 0 to {n_categories - 1}, or -1 for none"
        )
    index = range(n_categories)

    def words(name: str, default: Iterable[str]) -> np.ndarray:
        return strings([str(word) for word in found.get(name, default)])

    return xr.Dataset(
        coords={
            "label": ("sample", label.astype(np.int32), {"long_name": "category; -1 is none"}),
            "path": ("sample", words("path", map(str, range(n_samples)))),
            "category": np.arange(n_categories, dtype=np.int32),
            "category_name": ("category", words("category_name", map("category {}".format, index))),
            "category_code": ("category", words("category_code", map(str, index))),
        }
    )


def copy_logits(array: Any, logits: ShardedArray) -> None:
    """Write the missing shards of a store of logits from an array, as float32, and finish it.

    Raises
    ------
    StoreError
        If a logit is not finite.
    """
    logits.begin()
    missing = logits.missing()
    for shard in progress(missing, "import", len(missing), "shard"):
        first, last = logits.bounds(shard)
        logits.write(shard, np.asarray(array[first:last], dtype=np.float32))
    logits.finish()


def content_digest(path: str) -> str:
    """SHA-256 of a file, or of the names and contents of all the files of a folder, hexadecimal."""
    if Path(path).is_file():
        return file_digest(path)
    digest = hashlib.sha256()
    for file in sorted(file for file in Path(path).rglob("*") if file.is_file()):
        if file.name != ".snakemake_timestamp":
            digest.update(f"{file.relative_to(path)} {file_digest(file)}\n".encode())
    return digest.hexdigest()


def _compare(found: Mapping[str, np.ndarray], n_samples: int, images: xr.Dataset, key: str) -> None:
    """Refuse rows or columns that are others, or in another order, than those of the images."""
    if n_samples != images.sizes["sample"]:
        raise InputError(
            f"{key}: has {n_samples} images, the data set {images.sizes['sample']}; "
            "extract logits of the same images"
        )
    for name, values in found.items():
        own = images[name].values
        differ = np.flatnonzero(np.asarray(values, own.dtype) != own)
        if differ.size:
            at = differ[0]
            raise InputError(
                f"{key}: {name} {at} is {values[at]!s}, the data set's is {own[at]!s}; "
                "bring images and categories into the data set's order"
            )
