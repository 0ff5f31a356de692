"""Logits from elsewhere: any array (sample x category) becomes a store of logits like any other."""

import csv
import dataclasses
import logging
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
import zarr
import zarr.errors
import zarr.storage

from neuraldeps.errors import InputError, first_line
from neuraldeps.logits.arrays import as_labels, check_column, check_logits, open_npy
from neuraldeps.logits.precision import Cast, listed, masked_columns
from neuraldeps.logs import progress
from neuraldeps.stores import ShardedArray, strings

# what may lie next to logits, under any one of these names
CARRIED = {
    "label": ("label", "labels"),
    "path": ("path", "paths", "id", "ids"),
    "category_name": ("category_name", "category_names"),
    "category_code": ("category_code", "category_codes"),
}
INDEXES = ("sample", "category")  # xarray's numbering of rows and columns
DAMAGED = (OSError, ValueError, RuntimeError, EOFError, zlib.error, zipfile.BadZipFile)
ORDER = {
    "path": "the images' paths, given with the logits",
    "label": "the user's word, and labels that agree with the images': no paths were given",
    None: "the user's word: no paths were given",
}
log = logging.getLogger(__name__)


class Column(NamedTuple):
    """One value per image or per category, and where it was given, for error messages."""

    where: str
    values: np.ndarray


def open_logits(path: str, key: str) -> tuple[Any, dict[str, Column]]:
    """Open an array of logits, without reading it.

    Parameters
    ----------
    path : str
        A ``.npy`` file, or a Zarr array or group, zipped or not. A group has an array `logits`, or
        a single two-dimensional one.
    key : str
        The configuration key that gave the path, for error messages.

    Returns
    -------
    array : array-like, shape (sample, category), floating
        Read on slicing.
    carried : dict of str to Column
        Those of `CARRIED` that lie next to it.

    Raises
    ------
    InputError
        If no such array can be opened there, or chunks of it are missing.
    """
    where = f"{key}: {path}"
    if Path(path).is_file() and not path.endswith(".zip"):
        plain = open_npy(path, key)
        check_logits(plain, where)
        return plain, {}
    array, group = _open_zarr(path, key)
    check_logits(array, where)
    _check_whole(array, where)
    return _without_fill(array), _carried(group, array, where)


def read_labels(path: str, key: str) -> Column:
    """Open the labels that a configuration key names: ``.npy``, integers (sample,).

    Parameters
    ----------
    path : str
        A `.npy` file, or a Zarr array.
    key : str
        Configuration key to name in an error.

    Returns
    -------
    Column
        The labels, and where they are from.
    """
    return Column(f"{key}: {path}", open_npy(path, key))


def read_paths(path: str, key: str) -> Column:
    """Read the paths, or other identifiers, of images.

    Parameters
    ----------
    path : str
        A ``.npy`` of strings or integers (sample,); a ``.csv`` with one column, or with one that is
        called path or id; or any other text with one path per line.
    key : str
        The configuration key that gave the path, for error messages.

    Returns
    -------
    Column
        The paths, and where they are from.

    Raises
    ------
    InputError
        If it is none of these.
    """
    where = f"{key}: {path}"
    if path.endswith(".npy"):
        return Column(where, open_npy(path, key))
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{where} cannot be read as text in UTF-8 ({first_line(error)}); give one path per line"
        ) from error
    lines = text.rstrip("\n").split("\n")
    return Column(where, strings(_table_column(lines, where) if path.endswith(".csv") else lines))


def describe_logits(
    array: Any,
    carried: Mapping[str, Column],
    key: str,
    *,
    n_categories: int,
    images: xr.Dataset | None = None,
) -> xr.Dataset:
    """Find out what the rows and columns of imported logits are, and refuse what does not fit.

    Parameters
    ----------
    array : array-like
        From `open_logits`.
    carried : mapping of str to Column
        From `open_logits`, `read_labels` and `read_paths`.
    key : str
        The configuration key that gave the logits, for error messages.
    n_categories : int
        Of the data set.
    images : xarray.Dataset, optional
        Coordinates of the images of this split, where the data set has images.

    Returns
    -------
    xarray.Dataset
        Coordinates `label`, and `path` where it is known, along `sample`; `category`,
        `category_name`, and `category_code` where it is known. Attributes: `order`, what the order
        of the images rests on, and `masked_categories`, if any.

    Raises
    ------
    InputError
        If counts, labels, names or codes differ from the data set's, or are no such things.
    """
    check_logits(array, key, n_categories)
    n_samples = array.shape[0]
    given: dict[str, Column] = {}
    for name, (where, values) in carried.items():
        check_column(values, where, n_categories if name.startswith("category") else n_samples)
        read = as_labels(values, where, n_categories) if name == "label" else _words(values, where)
        given[name] = Column(where, read)
    if "category_code" in given:
        _check_unlike(given["category_code"])
    known = "path" if "path" in given else None
    attrs: dict[str, Any] = {
        "order": ORDER["label" if not known and images is not None and "label" in given else known]
    }
    if not known:
        log.warning(
            "%s: which image a row shows rests on your word; give its models.<name>.paths", key
        )
    if masked := masked_columns(array):
        attrs["masked_categories"] = masked
        log.warning("%s: masked categories, in no dependency: %s", key, listed(masked))
    if images is not None:
        _compare(given, n_samples, images, key)
        return xr.Dataset(coords=images.coords, attrs=attrs)
    label = given["label"].values if "label" in given else np.full(n_samples, -1)
    coords: dict[str, Any] = {
        "label": ("sample", label.astype(np.int32), {"long_name": "category; -1 is none"}),
        "category": np.arange(n_categories, dtype=np.int32),
        "category_name": ("category", strings([f"category {i}" for i in range(n_categories)])),
    }
    # no paths or codes are made up: they would pass for evidence of an order
    coords |= {
        name: ("category" if name.startswith("category") else "sample", column.values)
        for name, column in given.items()
        if name != "label"
    }
    return xr.Dataset(coords=coords, attrs=attrs)


def copy_logits(array: Any, logits: ShardedArray, key: str, *, masked: Sequence[int] = ()) -> None:
    """Write the missing shards of a store of logits from an array, as float32, and finish it.

    Parameters
    ----------
    array : array-like, shape (sample, category), floating
        Logits (sample, category), in memory or in a file.
    logits : ShardedArray
        The store to be.
    key : str
        The configuration key that gave the logits, for messages.
    masked : sequence of int
        Categories that are masked in every image.

    Raises
    ------
    InputError
        If a logit cannot be read, is not finite, or is not what it was when it is float32.
    """
    logits.begin()
    missing = logits.missing()
    cast = Cast(key, np.isin(np.arange(array.shape[1]), masked), np.asarray(array[:1])[0])
    for shard in progress(missing, "import", len(missing), "shard"):
        first, last = logits.bounds(shard)
        try:
            values = np.asarray(array[first:last])
        except DAMAGED as error:
            raise InputError(
                f"{key}: rows {first}:{last} cannot be read ({first_line(error)}); save the logits again"
            ) from error
        logits.write(shard, cast(values, first))
    cast.report()
    logits.finish()


def _open_zarr(path: str, key: str) -> tuple[zarr.Array, Mapping[str, zarr.Array]]:
    """The array of logits of a store, and all arrays of its group if it is one."""
    try:
        node = zarr.open(zarr.storage.ZipStore(path) if path.endswith(".zip") else path, mode="r")
        if isinstance(node, zarr.Array):
            return node, {}
        group = dict(sorted(node.arrays()))
    except zarr.errors.NodeNotFoundError as error:
        raise InputError(
            f"{key}: {path} cannot be opened (it holds no Zarr array or group); give a .npy file or a "
            "Zarr store"
        ) from error
    except (*DAMAGED, zarr.errors.BaseZarrError, KeyError, TypeError) as error:
        raise InputError(
            f"{key}: {path} cannot be opened ({first_line(error)}); give a .npy file or a Zarr store, "
            "of float32"
        ) from error
    return _logits_of(group, path, key), group


def _logits_of(group: Mapping[str, zarr.Array], path: str, key: str) -> zarr.Array:
    """The one array of a group that is of logits."""
    flat = [name for name, member in group.items() if member.ndim == 2]
    name = "logits" if "logits" in group else flat[0] if len(flat) == 1 else None
    if name is None:
        raise InputError(
            f"{key}: {path} has no array `logits` but {', '.join(group) or 'none'}; call one of them logits"
        )
    return group[name]


def _check_whole(array: zarr.Array, where: str) -> None:
    """Refuse what would be read as a fill value, or as packed numbers."""
    if packed := {"scale_factor", "add_offset"} & set(array.attrs):
        raise InputError(f"{where} is packed ({', '.join(sorted(packed))}); save plain float32")
    if (missing := array.nchunks - array.nchunks_initialized) > 0:
        raise InputError(
            f"{where} lacks {missing} of {array.nchunks} chunks, which would be read as "
            f"{array.fill_value}; write them all, or save the logits with numpy.save"
        )


def _without_fill(array: zarr.Array) -> zarr.Array:
    """The array, with NaN for what is missing within a shard."""
    if array.shards is None:
        return array
    metadata = dataclasses.replace(array.metadata, fill_value=array.dtype.type(np.nan))
    return zarr.Array(dataclasses.replace(array.async_array, metadata=metadata))


def _carried(group: Mapping[str, zarr.Array], logits: zarr.Array, where: str) -> dict[str, Column]:
    """What lies next to logits, by the names of `CARRIED`; the log names what is left aside."""
    carried, known = {}, {logits.basename, *INDEXES}
    for name, aliases in CARRIED.items():
        found = [alias for alias in aliases if alias in group]
        if len(found) > 1:
            raise InputError(f"{where} has arrays {' and '.join(found)}; keep one of them")
        if found:
            carried[name] = Column(f"{where}/{found[0]}", _values(group[found[0]], where))
        known |= set(found)
    if aside := sorted(set(group) - known):
        log.warning("%s: arrays that are not used: %s", where, ", ".join(aside))
    return carried


def _values(array: zarr.Array, where: str) -> np.ndarray:
    try:
        return np.asarray(array[...])
    except DAMAGED as error:
        raise InputError(
            f"{where}/{array.basename} cannot be read ({first_line(error)}); save it again"
        ) from error


def _table_column(lines: Sequence[str], where: str) -> list[str]:
    """The only column of a table, or the one that is headed path or id."""
    rows = list(csv.reader(lines))
    header = [name.strip().lower() for name in rows[0]]
    headed = [at for at, name in enumerate(header) if name in CARRIED["path"]]
    if len(headed) > 1 or (not headed and len(header) != 1):
        raise InputError(f"{where} has the columns {', '.join(header)}; call one of them path")
    at = headed[0] if headed else 0
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise InputError(
                f"{where}: line {number} has {len(row)} columns, the first {len(header)}; correct it"
            )
    return [row[at].strip() for row in (rows[1:] if headed else rows)]


def _words(values: np.ndarray, where: str) -> np.ndarray:
    """Names, codes or paths as strings; bytes are UTF-8."""
    try:
        words = [word.decode() if isinstance(word, bytes) else word for word in values.tolist()]
    except UnicodeDecodeError as error:
        raise InputError(
            f"{where}: {first_line(error)}; save strings, or bytes in UTF-8"
        ) from error
    for at, word in enumerate(words):
        if isinstance(word, bool) or not isinstance(word, str | int) or word == "":
            raise InputError(f"{where}: value {at} is {word!r}; give a word for each")
    return strings([str(word) for word in words])


def _check_unlike(column: Column) -> None:
    """Refuse codes that do not tell categories apart."""
    first: dict[str, int] = {}
    for at, code in enumerate(column.values.tolist()):
        if first.setdefault(code, at) != at:
            raise InputError(
                f"{column.where}: categories {first[code]} and {at} are both {code}; give each a code "
                "of its own"
            )


def _compare(given: Mapping[str, Column], n_samples: int, images: xr.Dataset, key: str) -> None:
    """Refuse rows or columns that are others, or in another order, than those of the images."""
    if n_samples != images.sizes["sample"]:
        raise InputError(
            f"{key}: has {n_samples} images, the data set {images.sizes['sample']}; "
            "extract logits of the same images"
        )
    for name, (where, values) in given.items():
        own = images[name].values
        differ = np.flatnonzero(values != own)
        if differ.size:
            at = differ[0]
            raise InputError(
                f"{where}: {name} {at} is {values[at]!s}, the data set's is {own[at]!s}; "
                "bring images and categories into the data set's order"
            )
